//! The life cycle of a row: one function from (what it is, what happens) to (what it becomes).
//!
//! Invariants: a terminal row never changes (I-1); the first accepted request to stop decides that the task
//! ends `cancelled` (I-5); a pending task that is cancelled was never started (I-9). There is no wildcard over
//! the inputs: a new one does not compile until every status has answered it.

use crate::task::{CancelRequest, Cleanup, Failure, JsonText, Record, Status, StoppedBy};

use super::Ask;

/// The part of a row that decides what may happen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The durable status.
    pub status: Status,
    /// The accepted request to stop that is in the row.
    pub request: Option<CancelRequest>,
    /// Whether a pending row was started and waits for room.
    pub queued: bool,
}

impl From<&Record> for Life {
    fn from(record: &Record) -> Self {
        Self { status: record.status, request: record.cancel.clone(), queued: record.queued }
    }
}

/// How a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyEnd {
    /// It returned a value; none for `null`.
    Returned(Option<JsonText>),
    /// It erred or panicked.
    Failed(Failure),
    /// It passed on the error of a check for cancellation.
    Cancelled,
    /// Its future was dropped at an await.
    Dropped,
    /// Its process was killed.
    Killed,
    /// It still ran past the stop limit and was written off.
    Abandoned,
    /// It was never polled.
    NeverStarted,
    /// The process it ran in had died.
    Lost,
}

/// What happens to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// It is started, but there is no room.
    Queue,
    /// It is started and there is room.
    Begin,
    /// It is asked to stop.
    Ask(Ask),
    /// Its body ended; `ask` is a request that the row does not have yet.
    End {
        /// How the body ended.
        end: BodyEnd,
        /// How the cleanup went, where there was one.
        cleanup: Option<Cleanup>,
        /// A request accepted so late that it is written together with the end.
        ask: Option<Ask>,
    },
    /// Its server goes down and will run it again.
    Requeue,
    /// The process that ran it is dead.
    Lose {
        /// Whether the model says that it runs again, and has attempts left.
        again: bool,
    },
    /// It can not be run at all: its input does not fit the model any more.
    Reject(Failure),
}

impl Input {
    fn name(&self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Begin => "begin",
            Self::Ask(_) => "ask",
            Self::End { .. } => "end",
            Self::Requeue => "requeue",
            Self::Lose { .. } => "lose",
            Self::Reject(_) => "reject",
        }
    }
}

/// The last state of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// A terminal status.
    pub status: Status,
    /// What the body returned.
    pub final_value: Option<JsonText>,
    /// How the body failed.
    pub failure: Option<Failure>,
    /// How the body ended, where a stop was requested.
    pub stopped_by: Option<StoppedBy>,
    /// How the cleanup went.
    pub cleanup: Option<Cleanup>,
    /// The request that the task followed, where it was asked to stop.
    pub request: Option<CancelRequest>,
    /// The same request, where the row does not have it yet: it is written together with the end.
    pub ask: Option<Ask>,
}

/// What an input does to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Pending, and waiting for room.
    Queued,
    /// Running.
    Begun,
    /// Still running, with the request in the row.
    Asked(Ask),
    /// Nothing: an earlier request stands.
    AlreadyAsked,
    /// Over.
    Ended(Box<Ending>),
    /// Pending again, and waiting for room.
    Requeued {
        /// Whether the attempt that just ended counts against the model's limit.
        counts: bool,
    },
}

/// An input that a row of this status does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {status} does not take `{input}`")]
pub struct Illegal {
    /// What the row is.
    pub status: Status,
    /// What was to happen to it.
    pub input: &'static str,
}

/// Decides what an input does to a row.
///
/// # Errors
/// [`Illegal`] where the row's status does not take the input; it then stays as it is.
pub fn transition(life: Life, input: Input) -> Result<Change, Illegal> {
    let illegal = Illegal { status: life.status, input: input.name() };
    match life.status {
        Status::Pending => pending(&life, input).ok_or(illegal),
        Status::Running => running(life, input).ok_or(illegal),
        Status::Completed | Status::Failed | Status::Cancelled => Err(illegal),
    }
}

fn pending(life: &Life, input: Input) -> Option<Change> {
    match input {
        Input::Queue => (!life.queued).then_some(Change::Queued),
        Input::Begin => Some(Change::Begun),
        Input::Ask(ask) => conclude(None, BodyEnd::NeverStarted, None, Some(ask)),
        Input::Reject(failure) => conclude(None, BodyEnd::Failed(failure), None, None),
        Input::End { .. } | Input::Requeue | Input::Lose { .. } => None,
    }
}

fn running(life: Life, input: Input) -> Option<Change> {
    match input {
        Input::Ask(_) if life.request.is_some() => Some(Change::AlreadyAsked),
        Input::Ask(ask) => Some(Change::Asked(ask)),
        Input::End { end, cleanup, ask } => conclude(life.request, end, cleanup, ask),
        Input::Requeue => life.request.is_none().then_some(Change::Requeued { counts: false }),
        Input::Lose { .. } if life.request.is_some() => conclude(life.request, BodyEnd::Lost, None, None),
        Input::Lose { again: true } => Some(Change::Requeued { counts: true }),
        Input::Lose { again: false } => conclude(None, BodyEnd::Lost, None, None),
        Input::Queue | Input::Begin | Input::Reject(_) => None,
    }
}

/// The end of a row, from how its body ended and whether it had been asked to stop.
///
/// Nothing where a body was stopped that nobody had asked to stop: that can not be.
fn conclude(
    earlier: Option<CancelRequest>,
    end: BodyEnd,
    cleanup: Option<Cleanup>,
    ask: Option<Ask>,
) -> Option<Change> {
    let ask = if earlier.is_some() { None } else { ask };
    let request = earlier.or_else(|| ask.as_ref().map(|ask| ask.request.clone()));
    let asked = request.is_some();
    let (final_value, failure, stopped_by) = match end {
        BodyEnd::Returned(value) => (value, None, StoppedBy::Itself),
        BodyEnd::Failed(failure) => (None, Some(failure), StoppedBy::Itself),
        BodyEnd::Cancelled if asked => (None, None, StoppedBy::Itself),
        BodyEnd::Cancelled => (None, Some(cancelled_unasked()), StoppedBy::Itself),
        BodyEnd::Lost if asked => (None, None, StoppedBy::Lost),
        BodyEnd::Lost => (None, Some(lost()), StoppedBy::Lost),
        BodyEnd::Dropped => (None, None, StoppedBy::Dropped),
        BodyEnd::Killed => (None, None, StoppedBy::Killed),
        BodyEnd::Abandoned => (None, None, StoppedBy::Abandoned),
        BodyEnd::NeverStarted => (None, None, StoppedBy::NeverStarted),
    };
    let (status, stopped_by) = match (asked, &failure, stopped_by) {
        (true, _, by) => (Status::Cancelled, Some(by)),
        (false, Some(_), _) => (Status::Failed, None),
        (false, None, StoppedBy::Itself) => (Status::Completed, None),
        (false, None, _) => return None,
    };
    Some(Change::Ended(Box::new(Ending { status, final_value, failure, stopped_by, cleanup, request, ask })))
}

fn cancelled_unasked() -> Failure {
    Failure::new("TaskCancelled", "the body returned the error of a check, but nobody had asked it to stop")
}

fn lost() -> Failure {
    Failure::new("lost", "the server process that ran this task ended before the task did")
}
