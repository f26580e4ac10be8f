//! Which threads sleep, and who is woken when something becomes ready.
//!
//! Invariants:
//! 1. *Nothing ready is slept over.* Whoever puts something in calls AFTER that. A thread that sleeps entered the
//!    list BEFORE its last look at the queues. Between the two of each stands a sequentially consistent fence: either
//!    the call sees the sleeper, or the sleeper sees what was put in.
//! 2. A call wakes nobody while a thread is searching, for that one finds it: a thread that ends its search when
//!    no other searches looks at the queues once more afterwards, and calls if something is there.
//! 3. A thread that is woken is counted as searching by the one that wakes it, so a burst of calls wakes one thread,
//!    which wakes the next when it has found something and more is there.
//!
//! One may be woken before there is something to do, by whoever knows that something comes: see `expect`. That is a
//! call that nothing was put in for, and changes none of these.
//!
//! Rule 2 saves the system call for each task of a burst. Its model, with every order of steps and of memory that
//! there may be, is `tests/model`.
//!
//! It knows no queue and no task.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Arc, PoisonError};

use super::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Thread, current, fence, park};

/// The threads of one queue that sleep or search.
#[derive(Debug)]
pub(super) struct Sleepers {
    searching: AtomicUsize,
    /// The length of the list, to be read without its lock.
    asleep: AtomicUsize,
    /// The one that went to sleep last is woken first: its memory is still near.
    beds: Mutex<Vec<Arc<Bed>>>,
}

/// Where one thread sleeps.
#[derive(Debug)]
pub(super) struct Bed {
    number: usize,
    is_called: AtomicBool,
    /// It was called for what is still to come.
    expects: AtomicBool,
    thread: Thread,
}

impl Bed {
    /// That of this thread.
    pub(super) fn here(number: usize) -> Arc<Self> {
        let (is_called, expects) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { number, is_called, expects, thread: current() })
    }
}

impl Sleepers {
    pub(super) fn new() -> Self {
        Self { searching: AtomicUsize::new(0), asleep: AtomicUsize::new(0), beds: Mutex::new(Vec::new()) }
    }

    /// Sees to it that somebody looks for what was just put in.
    pub(super) fn call(&self) {
        fence(SeqCst);
        if self.asleep.load(Relaxed) > 0 && self.searching.load(Relaxed) == 0 {
            self.wake(false, |_| true, || self.searching.load(Relaxed) == 0);
        }
    }

    /// Whether a thread has nothing to do, asleep or looking for something.
    pub(super) fn is_any_idle(&self) -> bool {
        self.asleep.load(Relaxed) > 0 || self.searching.load(Relaxed) > 0
    }

    /// How many sleep.
    #[cfg(test)]
    pub(super) fn asleep(&self) -> usize {
        self.asleep.load(Relaxed)
    }

    /// Something will be put in in a moment: one thread is woken for it now, if all of them sleep.
    pub(super) fn expect(&self) {
        let all_sleep = || self.searching.load(Relaxed) == 0;
        if self.asleep.load(Relaxed) > 0 && all_sleep() {
            self.wake(true, |_| true, all_sleep);
        }
    }

    /// Wakes one thread, if it sleeps. What it is to see must have been stored before.
    pub(super) fn rouse(&self, number: usize) {
        self.wake(false, |bed| bed.number == number, || true);
    }

    #[cold]
    fn wake(&self, expects: bool, which: impl Fn(&Bed) -> bool, still: impl Fn() -> bool) {
        let mut beds = self.lock();
        // Under the lock, so that a burst of calls from many threads wakes one as well.
        if !still() {
            return;
        }
        let Some(at) = beds.iter().rposition(|bed| which(bed)) else { return };
        let bed = beds.remove(at);
        self.asleep.store(beds.len(), Relaxed);
        self.searching.fetch_add(1, SeqCst);
        bed.expects.store(expects, Relaxed);
        bed.is_called.store(true, Release);
        drop(beds);
        bed.thread.unpark();
    }

    /// This thread has nothing to do, and looks for something.
    pub(super) fn begin_search(&self) {
        self.searching.fetch_add(1, SeqCst);
    }

    /// This thread has found something, or leaves.
    pub(super) fn end_search(&self, is_ready: impl FnOnce() -> bool) {
        if self.searching.fetch_sub(1, SeqCst) == 1 {
            fence(SeqCst);
            if self.asleep.load(Relaxed) > 0 && is_ready() {
                self.call();
            }
        }
    }

    /// Sleeps until this thread is called, unless it `must_stay` awake. It is searching before and after. True where it
    /// was called for what is still to come.
    pub(super) fn sleep(&self, bed: &Arc<Bed>, must_stay: impl FnOnce() -> bool) -> bool {
        let mut beds = self.lock();
        bed.is_called.store(false, Relaxed);
        beds.push(Arc::clone(bed));
        self.asleep.store(beds.len(), Relaxed);
        drop(beds);
        self.searching.fetch_sub(1, SeqCst);
        fence(SeqCst);
        if must_stay() {
            let mut beds = self.lock();
            if let Some(at) = beds.iter().rposition(|other| Arc::ptr_eq(other, bed)) {
                beds.remove(at);
                self.asleep.store(beds.len(), Relaxed);
                self.searching.fetch_add(1, SeqCst);
                return false;
            }
        }
        // Others may unpark this thread for reasons of their own.
        while !bed.is_called.load(Acquire) {
            park();
        }
        bed.expects.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Bed>>> {
        // Nothing under this lock can panic but an allocation, which ends the process.
        self.beds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
