//! The server's side of an isolated body.
//!
//! What the child says is checked as if a stranger had said it, and taken only as fast as the disk takes events.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::body::process::{
    Death, Frames, Inlet, Launch, Line, Lines, Order, Outlet, Process, Seat, Talked, encode, supervise,
};
use crate::body::{Attempt as _, BodyEnd};
use crate::store::Write;
use crate::task::{EventError, TaskKey};

use super::super::TaskContext;
use super::super::live::Live;
use super::super::messages::Reply;
use super::super::runnable::failed;
use super::no_entry;
use super::said::{
    ASK, END, EVENT, End, READY, REFUSED, SIGN, SIGNAL, START, STOP, Signal, Start, Stop, TOOK, VERSION,
};

/// How long a child may take to say that it runs.
const HELLO: Duration = Duration::from_secs(30);

/// The most bytes of a line of a child that the log keeps.
const LOG_LINE: usize = 2 * 1024;

/// Lines of one child that the log takes in a second.
const LOG_LINES: u32 = 100;

/// The last lines of a child, which may say why it died.
const TAIL: usize = 5;

/// How long the log of a dead child may take to be read.
const LOG_END: Duration = Duration::from_millis(500);

/// The last lines that a child printed.
type Tail = Arc<Mutex<Said>>;

/// What a process printed, as far as it helps to tell its end.
#[derive(Default)]
struct Said {
    last: VecDeque<String>,
    /// Rust's words for it stand before a backtrace that may be longer than the lines that are kept.
    wants_memory: bool,
}

/// Runs the body of `ctx` in a process of its own, to its end.
pub(crate) fn run(ctx: TaskContext, seat: Seat, input: Arc<str>) -> BoxFuture<'static, BodyEnd> {
    Box::pin(async move {
        if let Some(end) = no_entry() {
            return end;
        }
        let order = Order::new(ctx.live().model.settings.child, Vec::new());
        let launch = Launch { order, environment: None, folder: None, has_input: true };
        let mut process = match Process::spawn(&launch, &seat) {
            Ok(process) => process,
            Err(error) => return failed("spawn", format!("the process cannot be started: {error}")),
        };
        let (input_pipe, output) = (process.input.take(), process.output.take());
        let tail = Tail::default();
        let log =
            process.errors.take().map(|pipe| tokio::spawn(log_lines(pipe, ctx.key(), Arc::clone(&tail))));
        let (Some(to), Some(from)) = (input_pipe, output) else {
            return failed("spawn", "the process has no pipes".to_owned());
        };
        let talk = talk(&ctx, &input, to, from);
        let judge = async |death: Death| {
            if let Some(log) = log {
                // Err: what it printed is still not read; its last lines are a help, no more.
                let _ = tokio::time::timeout(LOG_END, log).await;
            }
            why_it_died(death, &ctx, &tail)
        };
        let asked = async {
            ctx.live().token().cancelled().await;
        };
        supervise(process, ctx.live().control(), asked, talk, judge).await
    })
}

/// Names the end of a child that told none.
fn why_it_died(death: Death, ctx: &TaskContext, tail: &Tail) -> BodyEnd {
    let heard = tail.lock().unwrap_or_else(PoisonError::into_inner);
    let last = heard.last.iter().map(String::as_str).collect::<Vec<_>>().join(" | ");
    let limits = ctx.live().model.settings.child;
    let said = if last.is_empty() { String::new() } else { format!("; it said: {last}") };
    match death {
        Death::Exit(code) => failed("exit_code", format!("the process ended with exit code {code}{said}")),
        // SIGXCPU
        Death::Signal(24) if limits.cpu.is_some() => failed(
            "cpu_limit",
            format!("the process was ended: it used more processor time than its limit{said}"),
        ),
        // SIGABRT is how Rust ends where it gets no memory.
        Death::Signal(6 | 11) if limits.memory.is_some() && heard.wants_memory => {
            failed("memory_limit", format!("the process got no more memory within its limit{said}"))
        }
        Death::Signal(number) => {
            let name = name_of(number);
            failed(
                "signal",
                format!("the process was ended by signal {number}{name}, which was not ours{said}"),
            )
        }
    }
}

/// A name for people of a signal that may end a process; empty where it says no more than the number.
pub(crate) fn name_of(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL; perhaps the system, for want of memory)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        _ => "",
    }
}

/// The conversation: two directions at once, until the child has told its end or cannot.
async fn talk(ctx: &TaskContext, input: &Arc<str>, to: Inlet, from: Outlet) -> Talked {
    let (refusals, refused) = mpsc::channel(1);
    tokio::select! {
        biased;
        talked = hear(ctx, Frames::new(from), &refusals) => talked,
        () = tell(ctx.live(), input, to, refused) => Talked::Closed,
    }
}

/// Hears the child.
async fn hear(ctx: &TaskContext, mut frames: Frames, refusals: &mpsc::Sender<String>) -> Talked {
    let mut is_ready = false;
    let hello = Instant::now() + HELLO;
    loop {
        let next = if is_ready {
            frames.next().await
        } else {
            match tokio::time::timeout_at(hello, frames.next()).await {
                Ok(next) => next,
                Err(_) => {
                    return broken(
                        "the process did not say that it runs: is quell::run_child_if_asked at the top of main?",
                    );
                }
            }
        };
        let (letter, bytes) = match next {
            Ok(Some(message)) => message,
            Ok(None) => return Talked::Closed,
            Err(error) => return broken(&format!("the process said what is no message: {error}")),
        };
        let heard = match letter {
            READY if !is_ready && bytes == VERSION.to_string().as_bytes() => {
                is_ready = true;
                Ok(())
            }
            _ if !is_ready => Err("its first message is not that it runs".to_owned()),
            EVENT => event(ctx, &bytes).await,
            SIGN => {
                ctx.heartbeat();
                Ok(())
            }
            TOOK => took(ctx.live(), &bytes),
            ASK => {
                ask(ctx, &bytes, refusals).await;
                Ok(())
            }
            END => match end(&bytes) {
                Ok(end) => return Talked::End(end),
                Err(reason) => Err(reason),
            },
            other => Err(format!("there is no message `{}`", other.escape_ascii())),
        };
        if let Err(reason) = heard {
            return broken(&format!("the process said what cannot be taken: {reason}"));
        }
    }
}

fn broken(reason: &str) -> Talked {
    Talked::Broken(reason.to_owned())
}

async fn event(ctx: &TaskContext, bytes: &[u8]) -> Result<(), String> {
    let (kind, data) = bytes
        .split_first()
        .and_then(|(length, rest)| rest.split_at_checked(usize::from(*length)))
        .ok_or("an event without its type")?;
    let kind = str::from_utf8(kind).map_err(|_| "an event type that is no UTF-8")?;
    let data = json(data).map_err(|reason| format!("an event with {reason}"))?;
    match ctx.send_event(kind, data).await {
        // Ended: written off, and what it still says is refused.
        Ok(()) | Err(EventError::Ended) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// JSON that a quell wrote: on one line.
fn json(bytes: &[u8]) -> Result<&RawValue, &'static str> {
    if bytes.iter().any(u8::is_ascii_control) {
        return Err("JSON of more than one line");
    }
    serde_json::from_slice(bytes).map_err(|_| "what is no JSON")
}

fn took(live: &Live, bytes: &[u8]) -> Result<(), String> {
    let number = str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    let signal: i64 = number.ok_or("a signal without its number")?;
    if !live.extras().remove(signal) {
        return Err(format!("a signal {signal} that it was not given"));
    }
    live.services.commit(Write::TakeSignal { id: live.id, signal }, Reply::Release(Box::new(())));
    Ok(())
}

async fn ask(ctx: &TaskContext, bytes: &[u8], refusals: &mpsc::Sender<String>) {
    let reason: String = String::from_utf8_lossy(bytes).chars().filter(|c| *c != '\0').take(1_000).collect();
    if let Err(refusal) = ctx.request_cancellation(&reason).await {
        // Full: one refusal is on its way already.
        let _ = refusals.try_send(refusal.to_string());
    }
}

fn end(bytes: &[u8]) -> Result<BodyEnd, String> {
    let end: End = serde_json::from_slice(bytes).map_err(|error| format!("an end that is none: {error}"))?;
    if let End::Returned(Some(value)) = &end {
        json(value.as_bytes()).map_err(|reason| format!("a result with {reason}"))?;
    }
    Ok(end.into())
}

/// Tells the child; comes back when it has closed its ear.
async fn tell(live: &Arc<Live>, input: &Arc<str>, mut to: Inlet, mut refused: mpsc::Receiver<String>) {
    let start = Start {
        version: VERSION,
        app: live.model.app.to_string(),
        model: live.model.name.to_string(),
        id: live.id.get(),
        epoch: live.epoch,
        attempt: live.attempt,
        owner: live.owner.to_string(),
        input: input.to_string(),
    };
    let mut sent = send(&mut to, START, &serde_json::to_vec(&start).unwrap_or_default()).await;
    let (mut last_signal, mut is_told) = (0, false);
    while sent {
        let arrived = live.extras().arrived.notified();
        tokio::pin!(arrived);
        // Registered before looking: what comes in between is not lost.
        arrived.as_mut().enable();
        if let Some(signal) = live.extras().after(last_signal) {
            last_signal = signal.signal;
            let said =
                Signal { number: signal.signal, name: signal.name, data: signal.data.as_str().to_owned() };
            sent = send(&mut to, SIGNAL, &serde_json::to_vec(&said).unwrap_or_default()).await;
            continue;
        }
        tokio::select! {
            () = live.token().cancelled(), if !is_told => {
                is_told = true;
                if let Some(told) = live.told() {
                    let stop = Stop { cause: told.cause, reason: told.reason.to_string() };
                    sent = send(&mut to, STOP, &serde_json::to_vec(&stop).unwrap_or_default()).await;
                }
            }
            Some(reason) = refused.recv() => sent = send(&mut to, REFUSED, reason.as_bytes()).await,
            () = arrived => {}
        }
    }
    // It does not listen; what it says still counts.
    std::future::pending::<()>().await;
}

async fn send(to: &mut Inlet, letter: u8, rest: &[u8]) -> bool {
    match encode(letter, rest) {
        Ok(bytes) => to.write(&bytes).await.is_ok(),
        Err(_) => false,
    }
}

/// Passes on what a child prints to the log, at a bounded rate.
async fn log_lines(pipe: Outlet, task: TaskKey, tail: Tail) {
    let mut lines = Lines::new(pipe, LOG_LINE);
    let (mut since, mut count) = (Instant::now(), 0);
    while let Some(Line { text, .. }) = lines.next().await {
        if since.elapsed() >= Duration::from_secs(1) {
            (since, count) = (Instant::now(), 0);
        }
        count += 1;
        if count <= LOG_LINES {
            tracing::info!(target: "quell::child", %task, "{text}");
        } else if count == LOG_LINES + 1 {
            tracing::warn!(target: "quell::child", %task, "it prints too much: the rest of this second is left out");
        }
        let mut said = tail.lock().unwrap_or_else(PoisonError::into_inner);
        said.wants_memory |= text.starts_with("memory allocation of ");
        if said.last.len() == TAIL {
            said.last.pop_front();
        }
        said.last.push_back(text.chars().take(200).collect());
    }
}
