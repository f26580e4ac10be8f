//! Writes, built by naming what happened, and their answers.
//!
//! Invariants: each write says what it expects of the row and answers [`Answer::Stale`] where it finds something
//! else; a change and its events are one write; a stale write never fails its group.

use std::sync::Arc;

use crate::lifecycle::{Ask, Ending};
use crate::task::{Event, JsonText, NewEvent, TaskId, TaskKey, Timeout, Timestamp};

use super::{KeptAnswer, RepeatableRequest, StoreError};

/// How many signals may wait for one task.
pub const MAX_SIGNALS: usize = 1_000;

/// A row that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Its key, with an id out of a reserved block.
    pub key: TaskKey,
    /// The fields as given.
    pub input: JsonText,
    /// Who starts it.
    pub owner: Arc<str>,
    /// Total run time.
    pub timeout: Option<Timeout>,
    /// Longest time without a sign of life.
    pub idle_timeout: Option<Timeout>,
    /// When.
    pub at: Timestamp,
    /// The key of the request that starts it: kept together with the row, or neither.
    pub request: Option<Arc<RepeatableRequest>>,
}

/// One guarded change of the database.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Reserves `count` ids that nobody gets again. Answers [`Answer::Ids`].
    ReserveIds {
        /// How many.
        count: u32,
    },
    /// Makes a row that waits: to be started, or (`queued`) for room. Epoch 0, attempt 1.
    Create {
        /// The row.
        task: Box<NewTask>,
        /// Whether it was started.
        queued: bool,
    },
    /// Makes a row that runs, with its events: `started_at` = `at`, epoch 1, attempt 1.
    CreateRunning {
        /// The row.
        task: Box<NewTask>,
        /// Who runs it.
        node: Arc<str>,
        /// `running`.
        events: Vec<NewEvent>,
    },
    /// Expects a pending row that was not started: it now waits for room.
    Queue {
        /// Which.
        id: TaskId,
        /// A timeout that replaces the row's, where given.
        timeout: Option<Timeout>,
        /// When.
        at: Timestamp,
    },
    /// Expects a pending row of this epoch: it now runs with epoch + 1. `started_at` is set where it is null.
    /// Answers [`Answer::Begun`] with the signals that wait.
    Begin {
        /// Which.
        id: TaskId,
        /// The epoch that the row must have.
        epoch: i64,
        /// Who runs it.
        node: Arc<str>,
        /// A timeout that replaces the row's, where given.
        timeout: Option<Timeout>,
        /// When.
        at: Timestamp,
        /// `running`.
        events: Vec<NewEvent>,
    },
    /// Expects a running row of this epoch without a request: it gets this one.
    Ask {
        /// Which.
        id: TaskId,
        /// The epoch that the row must have.
        epoch: i64,
        /// The request; its own time is when it was asked.
        ask: Ask,
        /// `timeout`, `cancellation_requested`.
        events: Vec<NewEvent>,
    },
    /// Expects a row that is not terminal, of this epoch: it ends so. `completed_at` = `at`, and `cancelled_at`
    /// too where the status is `cancelled`. A pending row ends by a cancel or a refusal only: a result for it is
    /// stale. An end other than `cancelled` for a row with a request is refused: it would break I-5. The row's
    /// request is set from the ending's where it is still missing.
    End {
        /// Which.
        id: TaskId,
        /// The epoch that the row must have.
        epoch: i64,
        /// How it ends; with a request where the row does not have it yet.
        ending: Box<Ending>,
        /// When.
        at: Timestamp,
        /// Terminal event last.
        events: Vec<NewEvent>,
    },
    /// Expects a running row of this epoch without a request: it is pending and queued again, with the same
    /// epoch and no node; `attempt` grows by one where the attempt counts.
    Requeue {
        /// Which.
        id: TaskId,
        /// The epoch that the row must have.
        epoch: i64,
        /// Whether the attempt counts.
        counts: bool,
        /// When.
        at: Timestamp,
    },
    /// Expects a row that is not terminal: its timeout is now this one.
    SetTimeout {
        /// Which.
        id: TaskId,
        /// The new one; none removes it.
        timeout: Option<Timeout>,
        /// When.
        at: Timestamp,
    },
    /// Expects a row that is not terminal: appends a signal for it. Answers [`Answer::Signalled`], or
    /// [`Answer::Full`] where [`MAX_SIGNALS`] wait.
    Signal {
        /// Which.
        id: TaskId,
        /// The signal's name.
        name: String,
        /// Any JSON.
        data: JsonText,
        /// When.
        at: Timestamp,
        /// The key of the request that brought it: kept together with the signal, or neither.
        request: Option<Arc<RepeatableRequest>>,
    },
    /// Removes a signal that the body took. Stale where it is gone already.
    TakeSignal {
        /// Which task.
        id: TaskId,
        /// The signal's own number.
        signal: i64,
    },
    /// Expects a running row of this epoch: appends an event of its body.
    Event {
        /// Which task.
        id: TaskId,
        /// The epoch that the row must have.
        epoch: i64,
        /// The event.
        event: NewEvent,
    },
    /// Keeps the answer to a request. Stale where another request has its key.
    KeepAnswer {
        /// The request.
        request: Arc<RepeatableRequest>,
        /// The task that it was about.
        task: Option<TaskId>,
        /// The answer.
        answer: KeptAnswer,
        /// When.
        at: Timestamp,
    },
    /// Removes up to `rows` keys that were made at `before` or earlier. Answers [`Answer::Pruned`].
    PruneKeys {
        /// Keys of this instant and older ones go.
        before: Timestamp,
        /// The most keys.
        rows: u32,
    },
    /// Removes tasks that ended at `before` or earlier, with all that belongs to them, one after the other, until
    /// about `rows` rows are gone; the oldest events of a task go first, so that a log that is cut short still
    /// has no gap. Others stay as they are. Answers [`Answer::Pruned`].
    Prune {
        /// Which.
        tasks: Vec<TaskId>,
        /// Only those that ended at this instant or earlier.
        before: Timestamp,
        /// The most rows.
        rows: u32,
    },
}

impl Write {
    /// The task it belongs to; none where it belongs to no one task.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::ReserveIds { .. }
            | Self::KeepAnswer { .. }
            | Self::PruneKeys { .. }
            | Self::Prune { .. } => None,
            Self::Create { task, .. } | Self::CreateRunning { task, .. } => Some(task.key.id),
            Self::Queue { id, .. }
            | Self::Begin { id, .. }
            | Self::Ask { id, .. }
            | Self::End { id, .. }
            | Self::Requeue { id, .. }
            | Self::SetTimeout { id, .. }
            | Self::Signal { id, .. }
            | Self::TakeSignal { id, .. }
            | Self::Event { id, .. } => Some(*id),
        }
    }
}

/// A signal that waits until the body takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedSignal {
    /// Its own number: later signals have larger ones.
    pub signal: i64,
    /// Its name.
    pub name: String,
    /// What came with it.
    pub data: JsonText,
}

/// What became of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Applied,
    /// The row was not as expected: somebody was first. Nothing changed.
    Stale,
    /// The first of the reserved ids.
    Ids(i64),
    /// Done; the row runs, and these signals wait for it, oldest first.
    Begun(Vec<QueuedSignal>),
    /// Done; the signal has this number.
    Signalled(i64),
    /// So many signals wait already. Nothing changed.
    Full(usize),
    /// Another request has this one's key: nothing changed.
    KeyTaken,
    /// What there was to remove, within the limit.
    Pruned {
        /// How many keys, or whole tasks, are gone.
        gone: u32,
        /// Whether the limit was met before all were looked at.
        more: bool,
    },
}

/// What became durable with one group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// One answer for each write, in the same order.
    pub answers: Vec<Answer>,
    /// The events that were appended, in the order of their numbers within each task.
    pub events: Vec<Arc<Event>>,
}

/// The one writer of a database.
pub trait Store: Send {
    /// Writes a group in one transaction: all of it is durable when this returns, or nothing is there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it may be tried again, [`StoreError::Damaged`] where that cannot help,
    /// [`StoreError::Refused`] where one of the writes can never be taken: the others may be tried without it.
    /// After any of these the next group is taken as if this one had not been. After
    /// [`StoreError::OutcomeUnknown`] the group is there as a whole or not at all: [`Store::resolve`] says which, and
    /// must do so before any of its writes is tried again.
    fn commit(&mut self, group: &[Write]) -> Result<Committed, StoreError>;

    /// Finds out what became of a group whose outcome was unknown: all that its commit would have answered where it
    /// is there, else nothing. Then it is settled for good, whatever happens to the process; `None` too where there
    /// is no such group, or another one was committed since.
    ///
    /// # Errors
    /// As [`Store::commit`], and the question stays open.
    fn resolve(&mut self) -> Result<Option<Committed>, StoreError>;

    /// Looks whether the database is still the one that was opened. Cheap.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it was removed or replaced.
    fn check(&mut self) -> Result<(), StoreError>;

    /// Brings whatever is durable into the database's own file, so that a copy of that file alone is whole: before it is
    /// let go of. Nothing is lost where it cannot be done.
    fn settle(&mut self);
}
