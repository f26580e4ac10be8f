//! What abandoned bodies cost: how many there were of each kind, how many threads they hold, what came too late.
//!
//! Invariants: each abandoned body is counted once, whoever writes it off and however often; the thread it holds is
//! counted from then on until it returns, whichever of the two is noticed first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst};

use super::PoolStatus;
use super::live::Live;
use super::metrics::Metrics;
use super::registry::Kind;

/// The counts of one runtime, and the metrics that say the same.
#[derive(Debug)]
pub(crate) struct Lost {
    metrics: Arc<Metrics>,
    asynchronous: AtomicU64,
    blocking: AtomicU64,
    processes: AtomicU64,
    threads: AtomicUsize,
    late_events: AtomicU64,
    late_results: AtomicU64,
}

impl Lost {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            asynchronous: AtomicU64::new(0),
            blocking: AtomicU64::new(0),
            processes: AtomicU64::new(0),
            threads: AtomicUsize::new(0),
            late_events: AtomicU64::new(0),
            late_results: AtomicU64::new(0),
        }
    }

    /// An abandoned body sent an event, which was refused.
    pub(crate) fn count_late_event(&self) {
        self.late_events.fetch_add(1, SeqCst);
        self.metrics.late_event();
    }

    fn count_late_result(&self) {
        self.late_results.fetch_add(1, SeqCst);
        self.metrics.late_result();
    }

    fn count_thread(&self) {
        self.threads.fetch_add(1, SeqCst);
        self.metrics.thread_lost();
    }

    fn count_thread_back(&self) {
        self.threads.fetch_sub(1, SeqCst);
        self.metrics.thread_back();
    }

    /// What there is to see from outside, beside the threads that poll.
    pub(crate) fn status(&self, body_threads: usize) -> PoolStatus {
        PoolStatus {
            body_threads,
            abandoned_threads: self.threads.load(SeqCst),
            abandoned_async: self.asynchronous.load(SeqCst),
            abandoned_blocking: self.blocking.load(SeqCst),
            abandoned_processes: self.processes.load(SeqCst),
            late_events: self.late_events.load(SeqCst),
            late_results: self.late_results.load(SeqCst),
        }
    }

    fn count_body(&self, kind: Kind) {
        let count = match kind {
            Kind::Async => &self.asynchronous,
            Kind::Blocking => &self.blocking,
            Kind::Process(_) => &self.processes,
        };
        count.fetch_add(1, SeqCst);
        self.metrics.abandoned(kind);
    }
}

/// How far the loss of one body was counted.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    state: AtomicU8,
    /// The body was named in the log as one that keeps its thread.
    is_named: AtomicBool,
}

const NOT_YET: u8 = 0;
const ABANDONED: u8 = 1;
/// It returned before its abandonment was counted, or was never abandoned.
const RETURNED: u8 = 2;
const OVER: u8 = 3;

impl Loss {
    /// The body was written off while it ran.
    pub(crate) fn abandoned(&self, kind: Kind, lost: &Lost) {
        if kind.is_process() {
            // It holds no thread, and what it still says is refused as it comes.
            if self.state.swap(OVER, SeqCst) != OVER {
                lost.count_body(kind);
            }
            return;
        }
        // The thread before the state: whoever finds the state takes the thread off again.
        lost.count_thread();
        let next = |now| match now {
            NOT_YET => Some(ABANDONED),
            RETURNED => Some(OVER),
            _ => None,
        };
        let before = self.state.fetch_update(SeqCst, SeqCst, next);
        if before.is_ok() {
            lost.count_body(kind);
        }
        if before == Ok(RETURNED) {
            lost.count_late_result();
        }
        if before != Ok(NOT_YET) {
            lost.count_thread_back();
        }
    }

    /// A body that was written off has come back, and its result is refused.
    pub(crate) fn returned(&self, lost: &Lost) {
        let next = |now| match now {
            NOT_YET => Some(RETURNED),
            ABANDONED => Some(OVER),
            _ => None,
        };
        if self.state.fetch_update(SeqCst, SeqCst, next) == Ok(ABANDONED) {
            lost.count_late_result();
            lost.count_thread_back();
        }
    }

    /// Whether the body is to be named as one that keeps its thread: once.
    fn is_first_long_poll(&self) -> bool {
        !self.is_named.swap(true, SeqCst)
    }

    /// Whether the body was written off while it ran.
    fn is_abandoned(&self) -> bool {
        matches!(self.state.load(SeqCst), ABANDONED | OVER)
    }
}

impl Live {
    /// Counts an event that is refused because the body was written off.
    pub(crate) fn count_refused_event(&self) {
        if self.loss.is_abandoned() {
            self.services.lost.count_late_event();
        }
    }

    /// Whether the body keeps its thread for the first time.
    pub(crate) fn is_first_long_poll(&self) -> bool {
        self.loss.is_first_long_poll()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Registry;
    use crate::runtime::registry::Inside;

    fn counts() -> Lost {
        Lost::new(Arc::new(Metrics::new(&Registry::new(), None)))
    }

    fn seen(counts: &Lost) -> (usize, u64, u64) {
        let status = counts.status(0);
        (status.abandoned_threads, status.abandoned_async + status.abandoned_blocking, status.late_results)
    }

    #[test]
    fn an_abandoned_body_is_counted_once_and_its_thread_until_it_returns() {
        let (counts, loss) = (counts(), Loss::default());
        loss.abandoned(Kind::Async, &counts);
        loss.abandoned(Kind::Async, &counts);
        assert_eq!(seen(&counts), (1, 1, 0));
        assert!(loss.is_abandoned());
        loss.returned(&counts);
        assert_eq!(seen(&counts), (0, 1, 1));
        loss.abandoned(Kind::Async, &counts);
        assert_eq!(seen(&counts), (0, 1, 1));
    }

    #[test]
    fn an_abandoned_process_is_counted_once_and_holds_no_thread() {
        let (counts, loss) = (counts(), Loss::default());
        for _ in 0..2 {
            loss.abandoned(Kind::Process(Inside::Async), &counts);
            loss.returned(&counts);
        }
        assert_eq!((seen(&counts), counts.status(0).abandoned_processes), ((0, 0, 0), 1));
        assert!(loss.is_abandoned());
    }

    #[test]
    fn a_return_that_is_noticed_first_leaves_no_thread_lost() {
        let (counts, loss) = (counts(), Loss::default());
        loss.returned(&counts);
        assert_eq!(seen(&counts), (0, 0, 0));
        loss.abandoned(Kind::Blocking, &counts);
        assert_eq!(seen(&counts), (0, 1, 1));
    }
}
