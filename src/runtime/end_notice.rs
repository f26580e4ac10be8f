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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::intake::Joins;
    use crate::runtime::messages::{Reply, Tag};
    use crate::runtime::registry::Registry;
    use crate::task::{StoppedBy, TaskId, Timestamp};
    use crate::{Task, TaskContext, TaskError};

    #[derive(serde::Deserialize)]
    struct Nothing {}

    impl Task for Nothing {
        const APP: &'static str = "tests";
        const MODEL: &'static str = "Nothing";
        type Output = ();

        async fn process(&self, _: TaskContext) -> Result<(), TaskError> {
            Ok(())
        }
    }

    fn notice(askers: Vec<oneshot::Sender<CancelAnswer>>) -> EndNotice {
        let registry = Registry::new().task::<Nothing>().unwrap();
        let model = Arc::clone(registry.models().next().unwrap());
        let receipt = Receipt::Cancelled {
            reason: "enough".into(),
            cause: Cause::User,
            stopped_by: StoppedBy::Dropped,
            cancelled_at: Timestamp::from_micros(7),
        };
        EndNotice::new(model, None, Some(Cause::User), askers, Some(receipt))
    }

    #[test]
    fn everybody_who_waits_gets_the_receipt_of_an_end_that_took_effect() {
        let (first, mut of_first) = oneshot::channel();
        let (second, mut of_second) = oneshot::channel();
        notice(vec![first, second]).answer(true);
        for told in [&mut of_first, &mut of_second] {
            assert!(matches!(told.try_recv(), Ok(CancelAnswer::Receipt(Receipt::Cancelled { .. }))));
        }
    }

    #[test]
    fn i06_an_end_that_took_no_effect_is_no_receipt() {
        let (asker, mut told) = oneshot::channel();
        notice(vec![asker]).answer(false);
        assert!(matches!(told.try_recv(), Ok(CancelAnswer::ReadRow)));
    }

    #[test]
    fn only_a_request_is_joined_by_an_end() {
        let id = TaskId::new(1).unwrap();
        let joined =
            |first: Tag| match Reply::Task(id, first).join(Reply::End(id, Box::new(notice(Vec::new())))) {
                Ok(Reply::End(_, notice)) => (true, notice.has_request()),
                Err(Reply::End(_, notice)) => (false, notice.has_request()),
                _ => panic!("the end is gone"),
            };
        assert_eq!(joined(Tag::Ask), (true, true));
        assert_eq!(joined(Tag::Begin), (false, false));
        assert_eq!(joined(Tag::Timeout), (false, false));
    }
}
