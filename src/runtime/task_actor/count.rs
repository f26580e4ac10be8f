//! What a task's actor counts, each thing once, when it is durable. Its end is counted where that is told: see
//! [`EndNotice`](super::super::end_notice::EndNotice).

use crate::lifecycle::Ending;
use crate::store::{Answer, StoreError};

use super::super::clock;
use super::super::metrics::Counted;
use super::{Origin, TaskActor};

impl TaskActor {
    /// The row says `running`: what waited, or is new, runs. One out of the queue was started before.
    pub(super) fn count_start(&self) {
        let metrics = &self.live.services.metrics;
        metrics.begun(matches!(self.origin.as_deref(), Some(Origin::Pending { .. })));
        if !matches!(self.origin.as_deref(), Some(Origin::Pending { reply: None, .. })) {
            metrics.started(self.live.model.numbers());
        }
    }

    /// The request to stop is in the row, and the task goes on.
    pub(super) fn count_request(&self, answer: &Result<Answer, StoreError>) {
        if let Some(ask) = self.ladder.request().filter(|_| matches!(answer, Ok(Answer::Applied))) {
            self.live.services.metrics.cancel_requested(ask.request.cause);
        }
    }

    /// How a row ends, as far as it will be counted.
    pub(super) fn counted(&self, ending: &Ending) -> Counted {
        let asked_at = self.rare.as_ref().and_then(|rare| rare.asked_at);
        let after = asked_at.map(|asked| clock::monotonic().saturating_duration_since(asked));
        Counted {
            status: ending.status,
            asked: ending.ask.as_ref().map(|ask| ask.request.cause),
            stopped: ending.stopped_by.zip(after),
        }
    }
}
