//! A pool thread as the watchdog sees it: the number of its poll, and whose poll that is.
//!
//! Invariants:
//! 1. The counter is even exactly while the thread rests: it looks for something to do, sleeps, or leaves. Each
//!    poll, and each drop of what was given to the pool, has an odd number of its own. Between two polls with no
//!    rest it is still the first one's: that time is too short to be seen.
//! 2. Only the thread itself writes it, so two plain stores a poll, on a cache line of its own, are all it costs.
//!
//! It judges nothing: [`Watcher`](super::watcher::Watcher) does.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::doze::Doze;
use super::queue::{Hand, Watch};

/// Whose poll it is: a number that the runtime gives, 0 for nobody's.
pub(crate) type Label = i64;

/// A pool thread. On a cache line of its own: each thread writes its seat all the time.
#[repr(align(128))]
pub(super) struct Seat {
    polls: AtomicU64,
    label: AtomicI64,
    hand: Arc<Hand>,
    doze: Arc<Doze>,
}

/// What was seen of a thread at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) number: usize,
    /// Grows with each poll, and is odd inside one.
    pub(super) polls: u64,
    pub(super) label: Label,
    pub(super) is_leaving: bool,
    /// Tasks in its own queue.
    pub(super) waiting: usize,
}

impl Sight {
    pub(super) fn is_inside(self) -> bool {
        self.polls % 2 == 1
    }
}

impl Seat {
    pub(super) fn new(hand: Arc<Hand>, doze: Arc<Doze>) -> Arc<Self> {
        Arc::new(Self { polls: AtomicU64::new(0), label: AtomicI64::new(0), hand, doze })
    }

    fn sight(&self) -> Sight {
        Sight {
            number: self.hand.number,
            polls: self.polls.load(Relaxed),
            label: self.label.load(Relaxed),
            is_leaving: self.hand.is_leaving(),
            waiting: self.hand.waiting(),
        }
    }
}

impl Watch for Arc<Seat> {
    fn last(&self) -> u64 {
        self.polls.load(Relaxed) / 2
    }

    fn enter(&self, label: Label, number: u64) {
        self.label.store(label, Relaxed);
        self.polls.store(number * 2 + 1, Relaxed);
    }

    fn begins(&self) {
        self.doze.call();
    }

    fn rest(&self, number: u64) {
        self.polls.store(number * 2, Relaxed);
    }
}

/// The seats of one pool.
#[derive(Default)]
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
        self.lock().retain(|seat| seat.hand.number != number);
    }

    pub(super) fn look(&self) -> Vec<Sight> {
        self.lock().iter().map(|seat| seat.sight()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }
}
