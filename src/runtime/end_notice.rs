//! What follows from a task's last write once it is durable, besides what its actor does: it is counted, and whoever
//! waited for the end is told.
//!
//! That happens on the writer's thread. On the way through the coordinator and the task's actor an answer would wake
//! one thread more, which is a good part of what a cancel takes. Invariants: the end is counted before anybody hears of
//! it, and the coordinator's message that it is over is sent before as well, so that whoever has seen an end finds its
//! place free.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::task::Cause;

use super::Receipt;
use super::messages::CancelAnswer;
use super::metrics::{Counted, Metrics, Was};
use super::registry::Model;

/// Travels with the write.
pub(crate) struct EndNotice {
    model: Arc<Model>,
    /// How the row ends; none where it goes back to wait.
    how: Option<Counted>,
    /// The cause of the request that joined the end on its way; see [`EndNotice::with_request`].
    request: Option<Cause>,
    has_request: bool,
    askers: Vec<oneshot::Sender<CancelAnswer>>,
    receipt: Option<Receipt>,
}

impl EndNotice {
    /// That of a row that ends so, or (with no `how`) goes back to wait. `request` is why it was to stop.
    pub(crate) fn new(
        model: Arc<Model>,
        how: Option<Counted>,
        request: Option<Cause>,
        askers: Vec<oneshot::Sender<CancelAnswer>>,
        receipt: Option<Receipt>,
    ) -> Self {
        Self { model, how, request, has_request: false, askers, receipt }
    }

    /// The request, which had a write of its own, becomes durable together with the end.
    pub(crate) fn with_request(&mut self) {
        self.has_request = true;
    }

    pub(crate) fn has_request(&self) -> bool {
        self.has_request
    }

    /// Counts what is durable now.
    pub(crate) fn count(&self, metrics: &Metrics) {
        if let Some(cause) = self.request.filter(|_| self.has_request) {
            metrics.cancel_requested(cause);
        }
        match self.how {
            Some(how) => metrics.ended(self.model.numbers(), Was::Running, how),
            None => metrics.requeued(),
        }
    }

    /// Tells whoever waits; where the write took no effect, to read the row.
    pub(crate) fn answer(self, was_applied: bool) {
        let receipt = self.receipt.filter(|_| was_applied);
        for asker in self.askers {
            // Err: it has gone, which takes nothing back.
            let _ = asker.send(receipt.clone().map_or(CancelAnswer::ReadRow, CancelAnswer::Receipt));
        }
    }
}
