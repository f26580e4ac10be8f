//! Requests with an `Idempotency-Key`: carried out once, answered as often as they come.
//!
//! Invariants: of the requests with one key at most one is under way in this process, and it was looked up in the
//! rows after it got that place, so an answer that was kept is always found. What starts a task or brings a signal
//! takes its key in the same transaction, which guards those whose client left before they were done too.
//!
//! The set holds what is under way, never what was: it is as small as the number of open requests.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{Answer, KeptAnswer, RepeatableRequest, Write, keys_over};
use crate::task::TaskId;

use super::{Coordinator, Refusal};

type Key = (Arc<str>, Arc<str>);

/// The keys of requests that are under way here.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashSet<Key>>);

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, HashSet<Key>> {
        // One call each: no panic leaves it broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place; none where the key has one.
    fn occupy(self: &Arc<Self>, request: &RepeatableRequest) -> Option<Place> {
        let key = (Arc::clone(&request.owner), Arc::clone(&request.key));
        self.lock().insert(key.clone()).then(|| Place { under_way: Arc::clone(self), key })
    }
}

/// The place of one request, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Place {
    under_way: Arc<UnderWay>,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.key);
    }
}

/// What is known of a request.
#[derive(Debug)]
pub(crate) enum Earlier {
    /// Nothing: it is the first one.
    Nothing,
    /// It was carried out for this task, but its answer was not kept.
    Task(TaskId),
    /// It was answered, about this task.
    Answer(KeptAnswer, Option<TaskId>),
    /// Another request has its key.
    Other,
}

impl Coordinator {
    /// A place for a request; none where one with this key is under way.
    pub(crate) fn occupy(&self, request: &RepeatableRequest) -> Option<Place> {
        self.0.under_way.occupy(request)
    }

    /// What the rows know of a request that has its place.
    pub(crate) async fn earlier(&self, request: &Arc<RepeatableRequest>) -> Result<Earlier, Refusal> {
        let (wanted, now) = (Arc::clone(request), self.0.clock.wall());
        let kept = self.0.readers.read(move |reader| reader.request(&wanted.owner, &wanted.key)).await;
        let Some(kept) = kept.map_err(Refusal::Unavailable)?.filter(|kept| kept.at > keys_over(now)) else {
            return Ok(Earlier::Nothing);
        };
        Ok(match (kept.answer, kept.task) {
            _ if kept.digest != request.digest => Earlier::Other,
            (Some(answer), task) => Earlier::Answer(answer, task),
            (None, Some(task)) => Earlier::Task(task),
            (None, None) => Earlier::Nothing,
        })
    }

    /// Keeps an answer, durably; whether it could be.
    pub(crate) async fn keep_answer(
        &self,
        request: &Arc<RepeatableRequest>,
        task: Option<TaskId>,
        answer: KeptAnswer,
    ) -> bool {
        let (request, at) = (Arc::clone(request), self.0.clock.wall());
        let kept = self.0.commit_and_wait(Write::KeepAnswer { request, task, answer, at }).await;
        matches!(kept, Ok(Answer::Applied))
    }
}
