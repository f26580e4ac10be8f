//! Signals between a test and the bodies it runs: named counters that can be waited for.
//!
//! A body marks how far it has come, and waits for marks of the test; so a race is driven by what happened, and
//! never by how long it took. A wait of a test ends after [`LONG`] with a panic that names the mark.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The longest that a test waits for anything.
pub(crate) const LONG: Duration = Duration::from_secs(40);

/// Named counters.
#[derive(Default)]
pub(crate) struct Stage {
    marks: Mutex<HashMap<String, u64>>,
    changed: Notify,
    blocked: Condvar,
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.marks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Adds one to a mark.
    pub(crate) fn mark(&self, name: &str) {
        *self.lock().entry(name.to_owned()).or_default() += 1;
        self.changed.notify_waiters();
        self.blocked.notify_all();
    }

    /// How often a mark was made.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.lock().get(name).copied().unwrap_or(0)
    }

    /// The marks that begin so.
    pub(crate) fn names(&self, beginning: &str) -> Vec<String> {
        self.lock().keys().filter(|name| name.starts_with(beginning)).cloned().collect()
    }

    /// For a body: waits until a mark was made.
    pub(crate) async fn wait(&self, name: &str) {
        self.wait_for(name, 1).await;
    }

    async fn wait_for(&self, name: &str, count: u64) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking.
            changed.as_mut().enable();
            if self.count(name) >= count {
                return;
            }
            changed.await;
        }
    }

    /// For a body that must not yield: blocks its thread until a mark was made.
    pub(crate) fn wait_blocking(&self, name: &str) {
        let until = Instant::now() + LONG * 2;
        let mut marks = self.lock();
        while !marks.contains_key(name) && Instant::now() < until {
            marks = self.blocked.wait_timeout(marks, Duration::from_secs(1)).unwrap().0;
        }
    }

    /// For a test: waits until a mark was made so often.
    pub(crate) async fn reached(&self, name: &str, count: u64) {
        let waited = tokio::time::timeout(LONG, self.wait_for(name, count)).await;
        assert!(waited.is_ok(), "`{name}` was marked {} times, not {count}", self.count(name));
    }
}

/// Marks when it is dropped: a body's local variable that tells when its future is gone.
pub(crate) struct MarkOnDrop(pub(crate) Arc<Stage>, pub(crate) &'static str);

impl Drop for MarkOnDrop {
    fn drop(&mut self) {
        self.0.mark(self.1);
    }
}

/// Looks again and again until the condition holds; panics after [`LONG`].
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !holds().await {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Polls a future once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that blocks whoever wakes it until it is opened.
#[derive(Default)]
pub(crate) struct Latch {
    entered: Stage,
}

impl Latch {
    /// Lets the thread go on.
    pub(crate) fn open(&self) {
        self.entered.mark("open");
    }

    /// Waits until a thread is held.
    pub(crate) async fn held(&self) {
        self.entered.reached("held", 1).await;
    }
}

impl Wake for Latch {
    fn wake(self: Arc<Self>) {
        self.entered.mark("held");
        self.entered.wait_blocking("open");
    }
}
