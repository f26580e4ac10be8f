//! The child's side: one body, in a process that was started for it.
//!
//! It has what a body needs and nothing more: a small pool, the host's registry, and a link to the server in the
//! place of the actors. The process ends when the body does, or when the server's pipe ends.

use std::collections::VecDeque;
use std::fmt::Display;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::body::process::{Order, arm, become_program, encode, read_blocking, take_pipes, tell_parent};
use crate::body::{Pool, PoolSettings, Report};
use crate::lifecycle::AskedHow;
use crate::store::{QueuedSignal, Readers, StoreError, Write};
use crate::task::{CancelRequest, Cause, JsonText, TaskId};

use super::super::link::Link;
use super::super::live::{Identity, Live};
use super::super::messages::{Cancel, CancelAnswer, Reply};
use super::super::metrics::Metrics;
use super::super::services::Services;
use super::super::trace::StartedBy;
use super::super::{Clock, Refusal, Registry, RuntimeSettings, SystemClock};
use super::said::{
    ASK, END, EVENT, End, READY, REFUSED, SIGN, SIGNAL, START, STOP, Signal, Start, Stop, TOOK, VERSION,
};

/// The exit code of a child that could not begin; a line on standard error says why.
const CANNOT_BEGIN: i32 = 112;

/// The exit code of a program that cannot be run, as shells have it.
const CANNOT_RUN: i32 = 126;

/// Threads for the body and what it spawns.
const THREADS: usize = 2;

/// How long the words of a stop may come after its SIGTERM.
const WORDS: Duration = Duration::from_millis(50);

/// Signs of life are passed on at most once in that time.
const SIGN_EVERY_MS: u64 = 10;

/// Runs the body that this process was started for, and ends the process.
pub(super) fn run<E: Display>(registry: impl FnOnce() -> Result<Registry, E>) -> ! {
    let code = match begin(registry) {
        Ok(ended) => {
            ended.wait();
            0
        }
        Err((code, reason)) => {
            tell_parent(&format!("quell: the process of a task cannot begin: {reason}"));
            code
        }
    };
    // Not by returning: what the body left behind must not hold the exit.
    std::process::exit(code)
}

fn begin<E: Display>(registry: impl FnOnce() -> Result<Registry, E>) -> Result<Arc<Pipe>, (i32, String)> {
    let no = |reason: &dyn Display| (CANNOT_BEGIN, reason.to_string());
    let order = Order::of_this_process().map_err(|error| no(&error))?;
    arm(&order).map_err(|error| no(&error))?;
    if let Some(program) = order.program.first() {
        let error = become_program(&order.program);
        return Err((CANNOT_RUN, format!("{}: {error}", program.to_string_lossy())));
    }
    let (mut input, mut output) = take_pipes().map_err(|error| no(&error))?;
    let start = match read_blocking(&mut input).map_err(|error| no(&error))? {
        Some((START, bytes)) => serde_json::from_slice::<Start>(&bytes).map_err(|error| no(&error))?,
        _ => return Err(no(&"the server did not say what for")),
    };
    if start.version != VERSION {
        return Err(no(&format_args!("the server speaks version {}, not {VERSION}", start.version)));
    }
    let registry = registry().map_err(|error| no(&error))?;
    let pipe = Arc::new(Pipe::default());
    let live = live(start, registry, &pipe).map_err(|reason| no(&reason))?;
    watch_sigterm(&live).map_err(|error| no(&error))?;
    // Before the body begins: nothing of it comes first.
    let ready = encode(READY, VERSION.to_string().as_bytes()).map_err(|error| no(&error))?;
    output.write_all(&ready).map_err(|error| no(&error))?;
    let (writer, reader) = (Arc::clone(&pipe), Arc::clone(&pipe));
    let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
    spawn("quell-to-server").spawn(move || writer.write_on(output)).map_err(|error| no(&error))?;
    let listening = Arc::clone(&live);
    spawn("quell-from-server")
        .spawn(move || listen(input, &listening, &reader))
        .map_err(|error| no(&error))?;
    live.begin();
    Ok(pipe)
}

/// The task, as its own server would have it.
fn live(start: Start, registry: Registry, pipe: &Arc<Pipe>) -> Result<Arc<Live>, String> {
    let model = registry.model(&start.app, &start.model).cloned();
    let model = model.ok_or_else(|| format!("`{}/{}` is not registered here", start.app, start.model))?;
    let runnable = model.parse(&JsonText::owned(start.input))?;
    let pool = Pool::new(PoolSettings { threads: THREADS, ..PoolSettings::default() });
    let pool = pool.map_err(|error| error.to_string())?;
    let settings = RuntimeSettings::default();
    let metrics = Arc::new(Metrics::new(&registry, None));
    let services = Services::new("child".into(), registry, pool, Readers::none(), metrics, &settings);
    let link: Arc<dyn Link> = Arc::<Pipe>::clone(pipe);
    services.connect_link(link);
    let id = TaskId::new(start.id).ok_or("the task has no number")?;
    let who = Identity { id, epoch: start.epoch, attempt: start.attempt, owner: start.owner.into() };
    Ok(Live::new(who, model, runnable, Arc::new(services), &StartedBy::nobody()))
}

/// Has SIGTERM ask the body to stop. The words come over the pipe, mostly before it; without any it was somebody else
/// who sent it.
fn watch_sigterm(live: &Arc<Live>) -> std::io::Result<()> {
    let timers = live.services.pool.timers();
    let _context = timers.enter();
    let mut sigterm = signal(SignalKind::terminate())?;
    let live = Arc::clone(live);
    timers.spawn(async move {
        while sigterm.recv().await.is_some() {
            // Err: nobody said anything, which is what is looked for.
            let _ = tokio::time::timeout(WORDS, live.token().cancelled()).await;
            tell(&live, Cause::System, None);
        }
    });
    Ok(())
}

/// Rung 1. No cleanup here: that is the server's, which does not trust what it may have to kill.
fn tell(live: &Live, cause: Cause, reason: Option<&str>) {
    let request = CancelRequest::new(SystemClock.wall(), cause, reason, None);
    live.tell(&request, AskedHow::ToRunAgain);
    live.place_request();
}

/// Hears the server until its pipe ends: then there is nobody to work for.
fn listen(mut input: File, live: &Live, pipe: &Pipe) {
    while let Ok(Some((letter, bytes))) = read_blocking(&mut input) {
        match letter {
            STOP => {
                if let Ok(Stop { cause, reason }) = serde_json::from_slice(&bytes) {
                    tell(live, cause, Some(&reason));
                }
            }
            SIGNAL => {
                if let Ok(Signal { number, name, data }) = serde_json::from_slice(&bytes) {
                    live.extras().deliver(QueuedSignal { signal: number, name, data: JsonText::owned(data) });
                }
            }
            REFUSED => pipe.refuse(&String::from_utf8_lossy(&bytes)),
            // A server of another version was refused at the start.
            _ => {}
        }
    }
    if !pipe.is_ended() {
        std::process::exit(CANNOT_BEGIN);
    }
}

/// Messages on their way to the server. Bounded by what makes them: events by their window, the rest by the server.
#[derive(Default)]
struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
    /// When the last sign of life was sent, in milliseconds of this process.
    signed: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Vec<u8>, Option<Reply>)>,
    /// Who waits for a refusal of what the body asked.
    asking: Option<oneshot::Sender<CancelAnswer>>,
    ended: bool,
    closed: bool,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No step can leave the state broken.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, letter: u8, rest: &[u8], reply: Option<Reply>) {
        // Err: longer than any message, which the context has refused before.
        let Ok(bytes) = encode(letter, rest) else { return };
        let mut state = self.lock();
        if !state.ended {
            state.ended = letter == END;
            state.waiting.push_back((bytes, reply));
        }
        drop(state);
        self.changed.notify_all();
    }

    fn is_ended(&self) -> bool {
        self.lock().ended
    }

    fn refuse(&self, reason: &str) {
        let asking = self.lock().asking.take();
        if let Some(reply) = asking {
            let refusal = Refusal::Unavailable(StoreError::Unavailable(reason.to_owned()));
            // Err: the body does not wait any more.
            let _ = reply.send(CancelAnswer::Refused(refusal));
        }
    }

    /// Writes what comes until the end is written.
    fn write_on(&self, mut output: File) {
        loop {
            let mut state = self.lock();
            let (bytes, reply) = loop {
                if let Some(message) = state.waiting.pop_front() {
                    break message;
                }
                if state.ended {
                    state.closed = true;
                    drop(state);
                    return self.changed.notify_all();
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            if output.write_all(&bytes).is_err() {
                // Nobody reads: there is nobody to work for.
                std::process::exit(CANNOT_BEGIN);
            }
            drop(reply);
        }
    }

    /// Waits until the end of the body is written.
    fn wait(&self) {
        let mut state = self.lock();
        while !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Link for Pipe {
    fn write(&self, write: Write, reply: Reply) {
        match write {
            Write::Event { event, .. } => {
                let kind = event.kind.as_str().as_bytes();
                let mut bytes = vec![u8::try_from(kind.len()).unwrap_or_default()];
                bytes.extend_from_slice(kind);
                bytes.extend_from_slice(event.data.as_str().as_bytes());
                self.push(EVENT, &bytes, Some(reply));
            }
            Write::TakeSignal { signal, .. } => self.push(TOOK, signal.to_string().as_bytes(), Some(reply)),
            // A body writes nothing else.
            _ => {}
        }
    }

    fn ask(&self, cancel: Cancel) -> Result<(), Refusal> {
        self.lock().asking = Some(cancel.reply);
        self.push(ASK, cancel.ask.request.reason.as_bytes(), None);
        Ok(())
    }

    fn sign(&self) {
        static BEGAN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        let now =
            u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(SIGN_EVERY_MS);
        let last = self.signed.load(Ordering::Relaxed);
        if now >= last.saturating_add(SIGN_EVERY_MS)
            && self.signed.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            && self.lock().waiting.is_empty()
        {
            self.push(SIGN, &[], None);
        }
    }

    fn report(&self, report: Report) {
        let end = serde_json::to_vec(&End::from(report.end)).unwrap_or_default();
        self.push(END, &end, None);
    }
}
