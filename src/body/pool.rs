//! The pool: plain threads that poll one queue of bodies, inside the context of a tokio runtime of its own
//! that owns timers and sockets and runs no body.
//!
//! Invariants:
//! 1. A body that never yields loses one thread and itself: what waits behind it can be taken by the others.
//! 2. A thread survives whatever a body does, except keeping it.
//! 3. What is given to the executor is [`Contained`]: neither its polls nor its drop can unwind, which in
//!    `async-task` would end the process.
//! 4. The threads own the executor, handles only know it: when the last thread leaves, what still waits is
//!    dropped, although it may hold handles itself.
//!
//! Why not `Handle::block_on`: it gives each poll of the *thread* one of tokio's task budgets, which all
//! bodies of that thread would share, and a body would find its sockets "not ready" for a neighbour's sake.
//!
//! It does not notice stuck threads, it only can be given more; it joins no thread and waits for none.

use std::future::Future;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::{io, thread};

use async_executor::{Executor, Task};
use futures_util::FutureExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::blocking::{Blocking, Job};
use super::boundary::{Contained, catch};

/// A future that runs beside a body; dropped, it is cancelled at its next await.
pub(crate) type Child = Task<()>;

/// How large a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolSettings {
    /// Threads that poll async bodies; at least one.
    pub(crate) threads: usize,
    /// Blocking bodies that run at the same time; at least one. Those beyond wait in line.
    pub(crate) blocking_limit: usize,
}

impl Default for PoolSettings {
    /// A thread per processor, 512 blocking bodies.
    fn default() -> Self {
        Self { threads: thread::available_parallelism().map_or(1, NonZero::get), blocking_limit: 512 }
    }
}

/// A handle to the pool. Clones are cheap; when the last one goes, the pool closes.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    engine: Weak<Engine>,
    timers: Handle,
    closing: CancellationToken,
    blocking: Arc<Blocking>,
    /// How many threads were ever started, for their names.
    started: AtomicUsize,
}

/// What the threads own together. The executor goes first: the bodies it drops may hold timers.
struct Engine {
    executor: Executor<'static>,
    _timers: Timers,
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
        let engine = Arc::new(Engine { executor: Executor::new(), _timers: Timers(Some(runtime)) });
        let pool = Self(Arc::new(Shared {
            engine: Arc::downgrade(&engine),
            blocking: Blocking::new(settings.blocking_limit, timers.clone()),
            timers,
            closing: CancellationToken::new(),
            started: AtomicUsize::new(0),
        }));
        for _ in 0..settings.threads.max(1) {
            pool.add_thread()?;
        }
        Ok(pool)
    }

    /// Adds a thread, for one that a body keeps. Does nothing once the pool is closed.
    pub(crate) fn add_thread(&self) -> io::Result<()> {
        let Some(engine) = self.0.engine.upgrade() else { return Ok(()) };
        let number = self.0.started.fetch_add(1, Relaxed) + 1;
        let (closing, context) = (self.0.closing.clone(), self.0.timers.clone());
        thread::Builder::new()
            .name(format!("quell-body-{number}"))
            .spawn(move || poll_bodies(engine, &closing, &context))
            .map(drop)
    }

    /// Runs `future` on the pool, detached. A panic is logged. Once the pool is closed, it is dropped.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_child(future).detach();
    }

    /// Runs `future` on the pool as a task that its holder owns: dropping the task cancels it.
    ///
    /// A panic is logged, and the task ends then like any other. There is no output, on purpose: the
    /// executor drops one that nobody fetched where a panicking drop ends the process. Send it elsewhere.
    pub(crate) fn spawn_child(&self, future: impl Future<Output = ()> + Send + 'static) -> Child {
        // `map`, not an async block: that would keep room for the future twice.
        let future = Contained::new("task", future).map(|answer| {
            if let Err(message) = answer {
                tracing::warn!(message, "a task of a body panicked");
            }
        });
        match self.0.engine.upgrade() {
            Some(engine) => engine.executor.spawn(future),
            // The executor goes at once, and with it the future; the task is then a cancelled one.
            None => Executor::new().spawn(future),
        }
    }

    /// Runs `job` on a thread of its own, or puts it in line until there is one.
    pub(crate) fn spawn_blocking(&self, job: Job) {
        self.0.blocking.spawn(job);
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
    fn close(&self) {
        self.closing.cancel();
        self.blocking.close();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

/// The life of a pool thread.
fn poll_bodies(engine: Arc<Engine>, closing: &CancellationToken, context: &Handle) {
    let _context = context.enter();
    // Bodies cannot unwind to here; a defect below them could, and must not cost a thread.
    while let Err(message) =
        catch(|| futures_lite::future::block_on(engine.executor.run(closing.cancelled())))
    {
        tracing::error!(message, "a pool thread panicked, and goes on");
    }
    // Inside the context: bodies that are dropped with the executor may look for it.
    if let Err(message) = catch(|| drop(engine)) {
        tracing::error!(message, "the pool panicked while it closed");
    }
}
