//! The queue of ready bodies: one that all threads share, and one of its own for each thread, which the others may
//! take from. Threads come and go.
//!
//! Invariants:
//! 1. Whatever is ready can be taken by any thread: it stands in the common queue or in a thread's own, and no
//!    thread keeps anything back from the others. (tokio's does: what a stuck thread woke last is lost with it.)
//! 2. First in, first out, in both. A thread looks at the common queue after each round of its own, so what is woken
//!    from outside waits for one round at most, and a body that yields goes behind it.
//! 3. No thread sleeps while something is ready and nobody looks for it: see [`sleepers`].
//! 4. What is given to it is [`Contained`](super::boundary::Contained): neither its polls nor its drop can unwind,
//!    which in `async-task` would end the process.
//! 5. Once it is drained, whatever is or becomes ready is dropped; that is how all bodies end with it.
//!
//! The queues themselves are `crossbeam-deque`'s, the tasks `async-task`'s. What a task costs on the way is counted in
//! atomic changes of memory that several threads write, so: a body that ends in its first poll is entered in no list;
//! a wake-up on a pool thread stays on that thread; a body that is woken while it is polled calls nobody.
//!
//! It starts no thread and judges none: [`pool`](super::pool) and [`watchdog`](super::watchdog) do.

mod body;
mod local;
mod registry;
mod sleepers;
#[cfg(feature = "server")]
mod unwatched;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_task::{Builder, Runnable, ScheduleInfo, Task, WithInfo};
use crossbeam_deque::{Injector, Steal, Stealer};

use body::Body;
use registry::Registry;
use sleepers::Sleepers;

use super::seat::Label;
use super::sync;

pub(super) use local::{Local, Watch};
#[cfg(feature = "server")]
pub(crate) use unwatched::Unwatched;

/// A future that runs beside a body; dropped, it is cancelled at its next await.
pub(crate) type Child = Task<(), Tag>;

/// A task that is ready.
type Ready = Runnable<Tag>;

/// What a task knows of itself.
pub(crate) struct Tag {
    label: Label,
    queue: Arc<Queue>,
}

/// See the file's head.
pub(super) struct Queue {
    common: Injector<Ready>,
    hands: RwLock<Vec<Arc<Hand>>>,
    sleepers: Sleepers,
    registry: Registry,
    is_drained: AtomicBool,
}

/// A thread that works on the queue, as others see it.
pub(super) struct Hand {
    pub(super) number: usize,
    own: Stealer<Ready>,
    is_leaving: AtomicBool,
}

impl Hand {
    /// Whether it was told to leave.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Relaxed)
    }

    /// How many tasks wait in its own queue.
    pub(super) fn waiting(&self) -> usize {
        self.own.len()
    }
}

impl Queue {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            common: Injector::new(),
            hands: RwLock::default(),
            sleepers: Sleepers::new(),
            registry: Registry::new(),
            is_drained: AtomicBool::new(false),
        })
    }

    /// Makes a task of `future`, in the name of `label`, and puts it in. A panic of it is logged.
    pub(super) fn spawn(
        self: &Arc<Self>,
        label: Label,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Child {
        let tag = Tag { label, queue: Arc::clone(self) };
        let task = Builder::new().propagate_panic(true).metadata(tag);
        let (ready, task) = task.spawn(move |_| Body::new(future), WithInfo(schedule));
        if let Some(ready) = local::keep(ready, true) {
            self.share(ready);
        }
        task
    }

    /// Whether a thread has nothing to do.
    pub(super) fn is_any_idle(&self) -> bool {
        self.sleepers.is_any_idle()
    }

    /// How many threads sleep.
    #[cfg(test)]
    pub(super) fn asleep(&self) -> usize {
        self.sleepers.asleep()
    }

    /// Something will be ready in a moment: a thread that sleeps is woken for it now.
    pub(super) fn expect(&self) {
        self.sleepers.expect();
    }

    /// Puts a task into the common queue.
    fn share(&self, ready: Ready) {
        self.common.push(ready);
        self.sleepers.call();
        // After the push and the fence of the call: either this thread sees that it came too late, or the one that
        // drains sees the task.
        if self.is_drained.load(Relaxed) {
            self.empty();
        }
    }

    /// Enters a thread that is to work on it.
    pub(super) fn join(self: &Arc<Self>, number: usize) -> (Arc<Hand>, Local) {
        let (own, stealer) = local::own();
        let hand = Arc::new(Hand { number, own: stealer, is_leaving: AtomicBool::new(false) });
        self.write_hands().push(Arc::clone(&hand));
        (Arc::clone(&hand), Local::new(Arc::clone(self), hand, own))
    }

    /// Tells a thread to leave, if it is there. It does so when it is out of its poll.
    pub(super) fn dismiss(&self, number: usize) {
        let hand = self.hands().iter().find(|hand| hand.number == number).cloned();
        if let Some(hand) = hand {
            hand.is_leaving.store(true, Relaxed);
            self.sleepers.rouse(number);
        }
    }

    /// Tells all threads to leave.
    pub(super) fn dismiss_all(&self) {
        let numbers: Vec<usize> = self.hands().iter().map(|hand| hand.number).collect();
        for number in numbers {
            self.dismiss(number);
        }
    }

    /// Moves so many tasks from a thread's own queue into the common one.
    pub(super) fn move_out(&self, number: usize, count: usize) {
        let hand = self.hands().iter().find(|hand| hand.number == number).cloned();
        let Some(hand) = hand else { return };
        for _ in 0..count {
            let Some(ready) = certainly(|| hand.own.steal()) else { return };
            self.share(ready);
        }
    }

    /// Drops whatever is there or still comes. To be called when the last thread has left, or by it.
    pub(super) fn drain(&self) {
        self.is_drained.store(true, Relaxed);
        fence(SeqCst);
        // Each then comes into the queue, to be dropped there.
        self.registry.close();
        self.empty();
    }

    fn empty(&self) {
        while let Some(ready) = certainly(|| self.common.steal()) {
            drop(ready);
        }
    }

    /// Whether something is ready that no thread has taken.
    fn is_ready(&self) -> bool {
        !self.common.is_empty() || self.hands().iter().any(|hand| !hand.own.is_empty())
    }

    // No user code runs under this lock, so a poisoned list is a whole one.

    fn hands(&self) -> RwLockReadGuard<'_, Vec<Arc<Hand>>> {
        self.hands.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_hands(&self) -> RwLockWriteGuard<'_, Vec<Arc<Hand>>> {
        self.hands.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a task that is ready again into its queue.
///
/// It captures nothing, so that `async-task` need not hold the task for its sake.
fn schedule(ready: Ready, info: ScheduleInfo) {
    // One that was woken while it was polled is put back by the thread that polled it, which looks for the next one
    // at once: nobody needs to be called.
    if let Some(ready) = local::keep(ready, !info.woken_while_running) {
        let queue = Arc::clone(&ready.metadata().queue);
        queue.share(ready);
    }
}

/// What a steal finds once nobody is in its way.
fn certainly(mut steal: impl FnMut() -> Steal<Ready>) -> Option<Ready> {
    loop {
        match steal() {
            Steal::Success(ready) => return Some(ready),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
