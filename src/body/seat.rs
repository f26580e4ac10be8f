//! A pool thread as the watchdog sees it: how often it went in and out of a poll, and whose poll that is.
//!
//! Invariants:
//! 1. The counter is odd exactly while the thread polls or drops what was given to the pool; only the thread
//!    itself writes it, so two plain stores a poll are all it costs.
//! 2. A poll inside a poll (a task that is dropped by a body) belongs to the outer one.
//!
//! It judges nothing: [`Watcher`](super::watcher::Watcher) does.

use std::cell::OnceCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

use super::boundary::Contained;

thread_local! {
    /// The seat of this thread, if it is one of a pool's.
    static SEAT: OnceCell<Arc<Seat>> = const { OnceCell::new() };
}

/// Whose poll it is: a number that the runtime gives, 0 for nobody's.
pub(crate) type Label = i64;

/// A pool thread. On a cache line of its own: each thread writes its seat all the time.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Seat {
    pub(super) number: usize,
    polls: AtomicU64,
    label: AtomicI64,
    /// Tells the thread to leave when it is out of its poll.
    pub(super) leave: CancellationToken,
}

/// What was seen of a thread at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) number: usize,
    /// Grows by one with each entry and each exit.
    pub(super) polls: u64,
    pub(super) label: Label,
    pub(super) is_leaving: bool,
}

impl Sight {
    pub(super) fn is_inside(self) -> bool {
        self.polls % 2 == 1
    }
}

impl Seat {
    pub(super) fn new(number: usize, leave: CancellationToken) -> Arc<Self> {
        Arc::new(Self { number, polls: AtomicU64::new(0), label: AtomicI64::new(0), leave })
    }

    /// Gives the seat to this thread.
    pub(super) fn take(self: &Arc<Self>) {
        // Err: it has one already, which no thread has.
        let _ = SEAT.with(|seat| seat.set(Arc::clone(self)));
    }

    fn sight(&self) -> Sight {
        Sight {
            number: self.number,
            polls: self.polls.load(Relaxed),
            label: self.label.load(Relaxed),
            is_leaving: self.leave.is_cancelled(),
        }
    }

    /// Enters a poll; no if the thread is inside one.
    fn enter(&self, label: Label) -> bool {
        let polls = self.polls.load(Relaxed);
        if polls % 2 == 1 {
            return false;
        }
        self.label.store(label, Relaxed);
        self.polls.store(polls + 1, Relaxed);
        true
    }

    fn exit(&self) {
        self.polls.store(self.polls.load(Relaxed) + 1, Relaxed);
    }
}

/// The seats of one pool.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Vec<Arc<Seat>>>);

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        // No user code runs under this lock, so a poisoned list is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, seat: Arc<Seat>) {
        self.lock().push(seat);
    }

    pub(super) fn remove(&self, number: usize) {
        self.lock().retain(|seat| seat.number != number);
    }

    pub(super) fn look(&self) -> Vec<Sight> {
        self.lock().iter().map(|seat| seat.sight()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Tells a thread to leave.
    pub(super) fn dismiss(&self, number: usize) {
        let seat = self.lock().iter().find(|seat| seat.number == number).cloned();
        if let Some(seat) = seat {
            seat.leave.cancel();
        }
    }
}

/// Does something that counts as one poll of this thread, if it is a pool's. `work` must not unwind.
fn counted<T>(label: Label, work: impl FnOnce() -> T) -> T {
    let entered = SEAT.try_with(|seat| seat.get().is_some_and(|seat| seat.enter(label)));
    let answer = work();
    if entered == Ok(true) {
        // Err: the thread's end has begun, and with it the seat's.
        let _ = SEAT.try_with(|seat| seat.get().map(|seat| seat.exit()));
    }
    answer
}

pin_project! {
    /// A future of user code whose polls and drop are counted. A panic is logged, and ends it.
    pub(super) struct Counted<F> {
        label: Label,
        #[pin]
        future: Contained<F>,
    }

    impl<F> PinnedDrop for Counted<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.future.is_held() {
                counted(*this.label, || this.future.release());
            }
        }
    }
}

impl<F> Counted<F> {
    pub(super) fn new(label: Label, future: F) -> Self {
        Self { label, future: Contained::new("task", future) }
    }
}

impl<F: Future<Output = ()>> Future for Counted<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let answer = ready!(counted(*this.label, || this.future.poll(cx)));
        if let Err(message) = answer {
            tracing::warn!(message, "a task of a body panicked");
        }
        Poll::Ready(())
    }
}
