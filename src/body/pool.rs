//! The pool: plain threads that work on one queue of bodies, inside the context of a tokio runtime of its own
//! that owns timers and sockets and runs no body.
//!
//! Invariants:
//! 1. A body that never yields loses one thread and itself: what waits behind it can be taken by the others.
//! 2. A thread survives whatever a body does, except keeping it.
//! 3. The threads own the engine, handles do not: when the last thread leaves, the queue is drained, and what still
//!    waits is dropped, although it may hold handles itself.
//! 4. There are never fewer threads than the base number and never more than the limit; between the two the
//!    [`watchdog`] adds and takes away.
//! 5. All of them give way to other threads of the process: actors, HTTP and the database come first.
//!
//! Why not `Handle::block_on`: it gives each poll of the *thread* one of tokio's task budgets, which all
//! bodies of that thread would share, and a body would find its sockets "not ready" for a neighbour's sake.
//!
//! It joins no thread and waits for none.

use std::future::Future;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::{io, thread};

use tokio::runtime::{Builder, Handle, Runtime};

use super::blocking::{Blocking, BlockingSettings, Job};
use super::boundary::catch;
use super::doze::Doze;
use super::hooks::Hooks;
use super::priority::Priority;
use super::queue::{Child, Local, Queue};
use super::seat::{Label, Seat, Seats};
use super::watchdog;
use super::watcher::Bounds;

/// How large a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolSettings {
    /// Threads that poll async bodies; at least one.
    pub(crate) threads: usize,
    /// The most there may be of them, with those that were added for bodies that keep theirs. Also how many
    /// threads of abandoned blocking bodies are replaced.
    pub(crate) max_threads: usize,
    /// Blocking bodies that run at the same time; at least one. Those beyond wait in line.
    pub(crate) blocking_limit: usize,
}

impl Default for PoolSettings {
    /// A thread per processor and up to 64, 512 blocking bodies.
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        Self { threads, max_threads: 64, blocking_limit: 512 }
    }
}

/// A handle to the pool. Clones are cheap; when the last one goes, the pool closes.
#[derive(Clone)]
pub(crate) struct Pool(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) queue: Arc<Queue>,
    engine: Weak<Engine>,
    timers: Handle,
    pub(super) is_closed: AtomicBool,
    blocking: Arc<Blocking>,
    hooks: Hooks,
    pub(super) seats: Arc<Seats>,
    pub(super) doze: Arc<Doze>,
    /// How many threads were ever started, for their names.
    started: AtomicUsize,
    priority: Priority,
    /// The watchdog found no thread left for ready work, and may add none.
    pub(super) is_full: AtomicBool,
    /// Called with the label of a body that keeps its thread for too long.
    pub(super) on_long_poll: OnceLock<OnLongPoll>,
}

/// See [`Pool::on_long_poll`].
pub(super) type OnLongPoll = Box<dyn Fn(Label) + Send + Sync>;

/// What the threads own together. The bodies go first: they may hold timers.
struct Engine {
    queue: Arc<Queue>,
    _timers: Timers,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.drain();
    }
}

/// The tokio runtime for timers and sockets.
struct Timers(Option<Runtime>);

impl Drop for Timers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A plain drop waits for tokio's blocking threads, and panics inside an async context.
            runtime.shutdown_background();
        }
    }
}

impl Pool {
    /// Starts the threads.
    pub(crate) fn new(settings: PoolSettings) -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("quell-timers").enable_all().build()?;
        let timers = runtime.handle().clone();
        let queue = Queue::new();
        let engine = Arc::new(Engine { queue: Arc::clone(&queue), _timers: Timers(Some(runtime)) });
        let bounds =
            Bounds { base: settings.threads.max(1), limit: settings.max_threads.max(settings.threads) };
        let priority = Priority::of_bodies();
        let doze = Arc::new(Doze::new());
        let pool = Self(Arc::new(Shared {
            queue,
            engine: Arc::downgrade(&engine),
            blocking: Blocking::new(
                BlockingSettings {
                    name: "quell-blocking",
                    limit: settings.blocking_limit,
                    max_lost: settings.max_threads,
                    priority: Some(priority),
                },
                timers.clone(),
            ),
            hooks: Hooks::new(timers.clone()),
            timers,
            is_closed: AtomicBool::new(false),
            seats: Arc::default(),
            doze: Arc::clone(&doze),
            started: AtomicUsize::new(0),
            priority,
            is_full: AtomicBool::new(false),
            on_long_poll: OnceLock::new(),
        }));
        for _ in 0..bounds.base {
            pool.0.add_thread()?;
        }
        watchdog::start(Arc::downgrade(&pool.0), doze, bounds, pool.timers())?;
        Ok(pool)
    }

    /// What is called with the label of a body that has kept its thread for a second. Once for each pool.
    pub(crate) fn on_long_poll(&self, call: impl Fn(Label) + Send + Sync + 'static) {
        // Err: it was said before.
        let _ = self.0.on_long_poll.set(Box::new(call));
    }

    /// Runs `future` on the pool, detached, in the name of `label`. A panic is logged. Once the pool is closed,
    /// it is dropped.
    pub(crate) fn spawn(&self, label: Label, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_child(label, future).detach();
    }

    /// Runs `future` on the pool as a task that its holder owns: dropping the task cancels it.
    ///
    /// A panic is logged, and the task ends then like any other. There is no output, on purpose: `async-task`
    /// drops one that nobody fetched where a panicking drop ends the process. Send it elsewhere.
    pub(crate) fn spawn_child(
        &self,
        label: Label,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Child {
        self.0.queue.spawn(label, future)
    }

    /// Whether a thread has nothing to do: bodies do not take all there is.
    pub(crate) fn is_any_idle(&self) -> bool {
        self.0.queue.is_any_idle()
    }

    /// A body will be woken in a moment: a thread that sleeps is woken for it now. Where none does, nothing happens.
    pub(crate) fn expect(&self) {
        self.0.queue.expect();
    }

    /// Whether bodies keep every thread there may be: async work cannot go on, or no blocking body can begin.
    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full.load(Relaxed) || self.0.blocking.is_spent()
    }

    /// How many threads poll async bodies now.
    pub(crate) fn threads(&self) -> usize {
        self.0.seats.count()
    }

    /// Runs `job` on a thread of its own, or puts it in line until there is one; says whether it waits there.
    pub(crate) fn spawn_blocking(&self, job: Job) -> bool {
        self.0.blocking.spawn(job)
    }

    /// Has a hook called soon, on a thread that nobody waits for; `on_hang` is called if it takes too long.
    pub(crate) fn call_hook(&self, hook: Job, on_hang: impl FnOnce() + Send + 'static) {
        self.0.hooks.call(hook, on_hang);
    }

    /// The runtime that owns timers and sockets. Nothing that may block or spin belongs on it.
    pub(crate) fn timers(&self) -> Handle {
        self.0.timers.clone()
    }

    /// Tells the threads to end when they can. Never waits; a stuck thread stays.
    ///
    /// The last thread to leave drops the bodies that are still there; they report nothing.
    pub(crate) fn close(&self) {
        self.0.close();
    }

    pub(super) fn blocking(&self) -> Arc<Blocking> {
        Arc::clone(&self.0.blocking)
    }
}

impl Shared {
    /// Adds a thread. Does nothing once the pool is closed.
    pub(super) fn add_thread(&self) -> io::Result<()> {
        let Some(engine) = self.engine.upgrade() else { return Ok(()) };
        let number = self.started.fetch_add(1, Relaxed) + 1;
        let (hand, local) = self.queue.join(number);
        // Whoever closes dismisses those that have joined, after it has said so; later ones see it.
        if self.is_closed.load(Relaxed) {
            self.queue.dismiss(number);
        }
        let (seat, seats) = (Seat::new(hand, Arc::clone(&self.doze)), Arc::clone(&self.seats));
        let (context, priority) = (self.timers.clone(), self.priority);
        seats.add(Arc::clone(&seat));
        let spawned = thread::Builder::new().name(format!("quell-body-{number}")).spawn(move || {
            priority.apply();
            poll_bodies(engine, local, &seat, &context);
            seats.remove(number);
        });
        if spawned.is_err() {
            self.seats.remove(number);
        }
        spawned.map(drop)
    }

    /// Puts a task into the queue that notes that it was taken.
    pub(super) fn probe(&self, ran: Arc<AtomicBool>) {
        self.queue.spawn(0, async move { ran.store(true, Relaxed) }).detach();
    }

    fn close(&self) {
        self.is_closed.store(true, Relaxed);
        self.queue.dismiss_all();
        self.blocking.close();
        self.hooks.close();
        self.doze.call();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

/// The life of a pool thread.
fn poll_bodies(engine: Arc<Engine>, local: Local, seat: &Arc<Seat>, context: &Handle) {
    let _context = context.enter();
    // Bodies cannot unwind to here; a defect below them could, and must not cost a thread.
    local.work(seat, |message| tracing::error!(message, "a pool thread panicked, and goes on"));
    // Inside the context: bodies that are dropped with the queue may look for it.
    if let Err(message) = catch(|| drop(engine)) {
        tracing::error!(message, "the pool panicked while it closed");
    }
}
