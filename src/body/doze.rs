//! The watchdog's sleep while no thread polls anything, and who ends it: the thread that begins a poll after it had
//! nothing to do. So an idle process is not woken for it, and the first look at a body that keeps its thread does not
//! come late.
//!
//! Invariant: *no poll is slept over.* Whoever begins one calls AFTER it can be seen. The watchdog is known to doze
//! BEFORE its last look at the threads. Between the two of each stands a sequentially consistent fence: either the call
//! sees it doze, or it sees the poll. Its model, with every order of steps and of memory, is `tests/model`.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

use super::sync::{AtomicBool, Mutex, MutexGuard, Thread, current, fence, park_timeout};

/// One for each pool.
#[derive(Debug)]
pub(super) struct Doze {
    dozes: AtomicBool,
    watchdog: Mutex<Option<Thread>>,
}

impl Doze {
    pub(super) fn new() -> Self {
        Self { dozes: AtomicBool::new(false), watchdog: Mutex::new(None) }
    }

    /// Sleeps until somebody calls, for so long at most, if it still `may` once it could be called. For the watchdog.
    pub(super) fn sleep(&self, at_most: Duration, may: impl FnOnce() -> bool) {
        *self.lock() = Some(current());
        self.dozes.store(true, Release);
        fence(SeqCst);
        if may() {
            park_timeout(at_most);
        }
        self.dozes.store(false, Relaxed);
    }

    /// Ends that sleep. What it is to see must have been stored before.
    pub(super) fn call(&self) {
        fence(SeqCst);
        if self.dozes.load(Relaxed) {
            self.wake();
        }
    }

    /// Whether the watchdog sleeps.
    #[cfg(test)]
    pub(super) fn is_on(&self) -> bool {
        self.dozes.load(Relaxed)
    }

    #[cold]
    fn wake(&self) {
        if self.dozes.swap(false, Acquire)
            && let Some(watchdog) = self.lock().as_ref()
        {
            watchdog.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Thread>> {
        self.watchdog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
