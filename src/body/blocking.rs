//! Threads for blocking work, one job each, a bounded number; what comes beyond waits in line.
//!
//! Invariants:
//! 1. At most `limit` threads besides those that were given up as lost, of which `max_lost` are replaced; a job
//!    waits only while they are busy, or while the system gives no thread, which is asked again then.
//! 2. A thread takes the next job after one has ended, or leaves after 10 s without any. A stuck job keeps
//!    its own thread and no other.
//! 3. No job and no drop of a job unwinds out of its thread.
//! 4. A [`Ticket`]'s work either begins or is withdrawn, never both: whoever takes it out of its slot decides.
//!
//! The line has no bound of its own: each job in it belongs to a task that was admitted, and those are
//! bounded. It stops no thread: that cannot be done.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::boundary::{catch, release};
use super::control::Control;
use super::end::BodyEnd;
use super::pool::Pool;
use super::priority::Priority;

/// Work for a thread of its own.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// How long an idle thread waits for the next job.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// After how long the system is asked again for a thread that it did not give.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Which threads, and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockingSettings {
    /// Their name, before a number.
    pub(super) name: &'static str,
    /// Jobs that run at the same time, at least one.
    pub(super) limit: usize,
    /// How many lost threads are replaced.
    pub(super) max_lost: usize,
    /// Their priority, if it is another than that of whoever starts them.
    pub(super) priority: Option<Priority>,
}

/// The threads and their line.
pub(super) struct Blocking {
    state: Mutex<State>,
    work: Condvar,
    settings: BlockingSettings,
    /// Entered on each thread, so that a job can wait for a timer or a socket.
    context: Handle,
}

#[derive(Default)]
struct State {
    line: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// Threads that are held by abandoned jobs, and do not count against the limit.
    lost: usize,
    /// How many were ever started, for their names.
    started: usize,
    /// Whether the system is asked again soon.
    asks_again: bool,
    /// Whether it gave no thread when it was asked last, which is logged once.
    is_short: bool,
    closed: bool,
    /// How many threads it does not give.
    #[cfg(test)]
    refused: usize,
}

impl State {
    /// Threads that count against the limit.
    fn counted(&self, settings: BlockingSettings) -> usize {
        self.threads.saturating_sub(self.lost.min(settings.max_lost))
    }

    /// A thread that the system does not give, where a test wants that.
    #[cfg(test)]
    fn refuse(&mut self, builder: thread::Builder) -> thread::Builder {
        if self.refused == 0 {
            return builder;
        }
        self.refused -= 1;
        // No system has so much memory for a stack.
        builder.stack_size(usize::MAX >> 2)
    }
}

impl Blocking {
    pub(super) fn new(settings: BlockingSettings, context: Handle) -> Arc<Self> {
        let state = Mutex::new(State::default());
        let settings = BlockingSettings { limit: settings.limit.max(1), ..settings };
        Arc::new(Self { state, work: Condvar::new(), settings, context })
    }

    /// Whether every thread there may be is lost: no job can begin.
    pub(super) fn is_spent(&self) -> bool {
        self.lock().lost >= self.settings.limit + self.settings.max_lost
    }

    /// Gives `job` to a thread, or puts it in line; says whether it waits there. After `close` it is dropped.
    pub(super) fn spawn(self: &Arc<Self>, job: Job) -> bool {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            release("blocking job", job);
            return false;
        }
        state.line.push_back(job);
        !self.serve(state)
    }

    /// Lets the idle threads go when they can, and drops what has not begun. Waits for nobody.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let line = std::mem::take(&mut state.line);
        drop(state);
        self.work.notify_all();
        for job in line {
            release("blocking job", job);
        }
    }

    /// Counts a thread as lost to an abandoned job; another may take its place.
    pub(super) fn count_lost(self: &Arc<Self>) {
        let mut state = self.lock();
        state.lost += 1;
        if !state.line.is_empty() {
            self.serve(state);
        }
    }

    /// A lost thread is back; one too many leaves after its job.
    pub(super) fn count_found(&self) {
        let mut state = self.lock();
        state.lost = state.lost.saturating_sub(1);
    }

    /// Sees to it that somebody takes the next job in line, as far as there is room; says whether somebody does.
    fn serve(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> bool {
        if state.line.len() <= state.idle {
            self.work.notify_one();
            return true;
        }
        if state.counted(self.settings) >= self.settings.limit {
            return false;
        }
        state.threads += 1;
        state.started += 1;
        let name = format!("{}-{}", self.settings.name, state.started);
        let builder = thread::Builder::new().name(name);
        #[cfg(test)]
        let builder = state.refuse(builder);
        drop(state);
        let blocking = Arc::clone(self);
        let error = builder.spawn(move || blocking.work_off()).err();
        let was_short = std::mem::replace(&mut self.lock().is_short, error.is_some());
        match error {
            Some(error) => {
                if !was_short {
                    tracing::error!(%error, "cannot start a thread for a blocking body; it waits, and this is tried again");
                }
                self.ask_again();
                return false;
            }
            None if was_short => tracing::warn!("there are threads for blocking bodies again"),
            None => {}
        }
        true
    }

    /// The jobs stay in line. A thread that is free may take them, but there may be none.
    fn ask_again(self: &Arc<Self>) {
        let mut state = self.lock();
        state.threads -= 1;
        if state.closed || std::mem::replace(&mut state.asks_again, true) {
            return;
        }
        drop(state);
        let blocking = Arc::clone(self);
        self.context.spawn(async move {
            tokio::time::sleep(ASK_AGAIN).await;
            let mut state = blocking.lock();
            state.asks_again = false;
            let jobs = state.line.len();
            drop(state);
            for _ in 0..jobs {
                let state = blocking.lock();
                // Others may have taken them meanwhile.
                if state.line.is_empty() || state.asks_again {
                    break;
                }
                blocking.serve(state);
            }
        });
    }

    fn work_off(&self) {
        if let Some(priority) = self.settings.priority {
            priority.apply();
        }
        let _context = self.context.enter();
        while let Some(job) = self.next_job() {
            if let Err(message) = catch(job) {
                tracing::error!(message, "a blocking job panicked");
            }
        }
    }

    /// Waits for the next job; none when the thread is to leave, which is then counted as done.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.counted(self.settings) > self.settings.limit {
                // The wake-up that brought this thread here may have been for a job.
                self.work.notify_one();
                break;
            }
            if let Some(job) = state.line.pop_front() {
                return Some(job);
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (again, waited) =
                self.work.wait_timeout(state, KEEP_ALIVE).unwrap_or_else(PoisonError::into_inner);
            state = again;
            state.idle -= 1;
            if waited.timed_out() && state.line.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        None
    }

    /// Has the system give no thread for the next `times`.
    #[cfg(test)]
    pub(super) fn refuse(&self, times: usize) {
        self.lock().refused = times;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under this lock, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A blocking body on its way to a thread, seen from the attempt that waits for it.
pub(super) struct Ticket<F> {
    slot: Arc<Slot<F>>,
    ended: oneshot::Receiver<BodyEnd>,
    blocking: Arc<Blocking>,
    /// No thread was about to take it.
    waits: bool,
    is_counted_lost: bool,
}

/// Where the body waits until a thread takes it, or its attempt withdraws it.
struct Slot<F>(Mutex<Option<F>>);

impl<F> Slot<F> {
    fn take(&self) -> Option<F> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<F> Drop for Slot<F> {
    fn drop(&mut self) {
        release("blocking body", self.take());
    }
}

/// Puts `body` in line for a thread, which asks `is_stopped` before it begins.
pub(super) fn ticket<F, S>(body: F, is_stopped: S, pool: &Pool) -> Ticket<F>
where
    F: FnOnce() -> BodyEnd + Send + 'static,
    S: FnOnce() -> bool + Send + 'static,
{
    let (tell, ended) = oneshot::channel();
    let slot = Arc::new(Slot(Mutex::new(Some(body))));
    let begin = Arc::clone(&slot);
    let waits = pool.spawn_blocking(Box::new(move || {
        if let Some(body) = begin.take() {
            // A thread may be faster than the attempt's own look at the stop.
            let end = if is_stopped() {
                release("blocking body", body);
                BodyEnd::NeverStarted
            } else {
                catch(body).unwrap_or_else(|message| BodyEnd::Panicked { message })
            };
            // Nobody listens only when the executor is gone, and then nobody is told anything.
            let _ = tell.send(end);
        }
    }));
    Ticket { slot, ended, blocking: pool.blocking(), waits, is_counted_lost: false }
}

impl<F> Ticket<F> {
    /// Waits until the body has ended, or until it was withdrawn before it began.
    pub(super) async fn wait(&mut self, control: &Control) -> BodyEnd {
        let mut watching = false;
        let end = poll_fn(|cx| {
            if !watching {
                control.watch(cx.waker());
                watching = true;
            }
            // After the registration, never before it: see `control`.
            let is_off = if self.waits { control.is_called_off() } else { control.is_stop_requested() };
            if is_off && let Some(body) = self.slot.take() {
                release("blocking body", body);
                return Poll::Ready(BodyEnd::NeverStarted);
            }
            // An end that is never told belongs to a job that never began: the pool was closed.
            let ended = Pin::new(&mut self.ended).poll(cx).map(|told| told.unwrap_or(BodyEnd::NeverStarted));
            if ended.is_pending() && control.is_abandoned() && !self.is_counted_lost {
                self.is_counted_lost = true;
                self.blocking.count_lost();
            }
            ended
        })
        .await;
        if self.is_counted_lost {
            self.blocking.count_found();
        }
        end
    }
}
