//! The numbers of a server's connections: how many are open, refused and cut off.
//!
//! They stand among the runtime's, because that is where an operator looks; the HTTP layer counts them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{Counter, Gauge, Label, Recorder};
use tokio::sync::Notify;

use crate::runtime::Coordinator;

use super::{counter, gauge};

pub(super) const OPEN: &str = "quell_connections";
pub(super) const REFUSED: &str = "quell_connections_refused_total";
pub(super) const CUT: &str = "quell_connections_cut_total";

/// So many closed connections are a crowd that has left.
const CROWD: u64 = 100;

/// Why a connection found no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are as many as there may be.
    Limit,
    /// There are as many of its address as there may be.
    Address,
}

/// What a connection that was cut off had not done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Sent the head of a request.
    Head,
    /// Sent the body of one.
    Body,
    /// Taken what was sent to it.
    Reader,
}

/// Counts connections. Clones count together.
#[derive(Clone)]
pub(crate) struct ConnectionNumbers(Arc<Numbers>);

struct Numbers {
    open: Gauge,
    refused_by_limit: Counter,
    refused_by_address: Counter,
    cut_for_head: Counter,
    cut_for_body: Counter,
    cut_for_reader: Counter,
    closed: AtomicU64,
    crowd_left: Notify,
}

impl fmt::Debug for ConnectionNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionNumbers").finish_non_exhaustive()
    }
}

impl ConnectionNumbers {
    pub(super) fn register(recorder: &dyn Recorder) -> Self {
        let reason = |name, word: &'static str| counter(recorder, name, vec![Label::new("reason", word)]);
        Self(Arc::new(Numbers {
            open: gauge(recorder, OPEN),
            refused_by_limit: reason(REFUSED, "limit"),
            refused_by_address: reason(REFUSED, "address"),
            cut_for_head: reason(CUT, "head"),
            cut_for_body: reason(CUT, "body"),
            cut_for_reader: reason(CUT, "reader"),
            closed: AtomicU64::new(0),
            crowd_left: Notify::new(),
        }))
    }

    /// A connection is open as long as what this gives is kept.
    pub(crate) fn opened(&self) -> OpenConnection {
        self.0.open.increment(1);
        OpenConnection(self.clone())
    }

    /// How many were closed so far.
    #[cfg(feature = "server")]
    pub(crate) fn closed(&self) -> u64 {
        self.0.closed.load(Relaxed)
    }

    /// Resolves when a hundred more have been closed than now, or up to twice as many. Cancel safe.
    #[cfg(feature = "server")]
    pub(crate) async fn crowd_leaves(&self) {
        let count = self.closed() + CROWD;
        loop {
            let mut told = std::pin::pin!(self.0.crowd_left.notified());
            // Joined before looking: none in between is missed.
            told.as_mut().enable();
            if self.closed() >= count {
                return;
            }
            told.await;
        }
    }

    /// A connection found no place.
    pub(crate) fn refused(&self, why: Refused) {
        match why {
            Refused::Limit => self.0.refused_by_limit.increment(1),
            Refused::Address => self.0.refused_by_address.increment(1),
        }
    }

    /// A connection was cut off.
    pub(crate) fn cut(&self, why: Cut) {
        match why {
            Cut::Head => self.0.cut_for_head.increment(1),
            Cut::Body => self.0.cut_for_body.increment(1),
            Cut::Reader => self.0.cut_for_reader.increment(1),
        }
    }
}

/// Counts an open connection until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(ConnectionNumbers);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let numbers = &*self.0.0;
        numbers.open.decrement(1);
        if (numbers.closed.fetch_add(1, Relaxed) + 1).is_multiple_of(CROWD) {
            numbers.crowd_left.notify_waiters();
        }
    }
}

impl Coordinator {
    /// What counts the connections of a server in front of this runtime.
    pub(crate) fn connection_numbers(&self) -> ConnectionNumbers {
        self.services().metrics.connections.clone()
    }
}
