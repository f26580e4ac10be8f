//! What the actors send each other.
//!
//! Commands carry their own reply channel: dropping the future that waits for the answer takes nothing back.

use std::sync::Arc;
use std::time::Instant;

use actix::Message;
use tokio::sync::oneshot;

use crate::body::Report;
use crate::lifecycle::{Ask, BodyEnd};
use crate::store::{Answer, NewTask, QueuedSignal, RepeatableRequest, StoreError, Write};
use crate::task::{Record, TaskId, Timeout};

use super::deadlines::Slot;
use super::end_notice::EndNotice;
use super::intake::Joins;
use super::lines::Line;
use super::registry::Model;
use super::runnable::Runnable;
use super::trace::StartedBy;
use super::{CommandError, Receipt, Refusal, StartError};

/// What a commit is told to.
pub(crate) enum Reply {
    /// A task's actor, by the coordinator.
    Task(TaskId, Tag),
    /// The same for its last write, and whoever waits for that.
    End(TaskId, Box<EndNotice>),
    /// Whoever called; runs on the writer's thread and must be short.
    Call(Box<dyn FnOnce(Result<Answer, StoreError>) + Send>),
    /// Nobody; what is held (a place in a window) is given back.
    Release(Box<dyn Send>),
}

impl Joins for Reply {
    fn join(&self, end: Self) -> Result<Self, Self> {
        match (self, end) {
            (Self::Task(_, Tag::Ask), Self::End(id, mut notice)) => {
                notice.with_request();
                Ok(Self::End(id, notice))
            }
            (_, end) => Err(end),
        }
    }
}

/// Which of a task's writes is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// The row says `running`.
    Begin,
    /// The request to stop is in the row.
    Ask,
    /// The row has ended, or is pending again.
    End,
    /// The request to stop is in the row, and so is the end.
    AskAndEnd,
    /// The timeout was changed.
    Timeout,
}

/// For the `DbActor`: commit a write.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Commit {
    pub(crate) write: Write,
    pub(crate) reply: Reply,
}

/// For the `DbActor`: answer when all that came before is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Flush {
    pub(crate) done: oneshot::Sender<()>,
    /// Nothing follows: the database's file is to be whole by itself.
    pub(crate) last: bool,
}

/// A start of a new task.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Start {
    pub(crate) model: Arc<Model>,
    pub(crate) runnable: Arc<dyn Runnable>,
    pub(crate) task: StartFields,
    /// Only make the row.
    pub(crate) create_only: bool,
    pub(crate) by: StartedBy,
    pub(crate) reply: oneshot::Sender<Result<Record, StartError>>,
}

/// What a new row takes from its start.
pub(crate) struct StartFields {
    pub(crate) input: crate::task::JsonText,
    pub(crate) owner: Arc<str>,
    /// As it holds: defaults and maxima are seen to.
    pub(crate) timeout: Option<Timeout>,
    /// The same.
    pub(crate) idle_timeout: Option<Timeout>,
    /// The key of the request, where it has one.
    pub(crate) request: Option<Arc<RepeatableRequest>>,
}

/// A start of a task whose row exists.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Resume {
    pub(crate) record: Box<Record>,
    pub(crate) model: Arc<Model>,
    pub(crate) runnable: Arc<dyn Runnable>,
    pub(crate) timeout: Option<Timeout>,
    /// Who started it by hand; none where it comes from the queue and has its place already.
    pub(crate) reply: Option<oneshot::Sender<Result<Resumed, CommandError>>>,
}

/// What became of a start by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// The row says `running`, or waits for room.
    Started,
    /// Somebody was first: the row tells.
    Stale,
}

/// What became of a row that was to come to a line.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Came(pub(crate) TaskId, pub(crate) Line, pub(crate) Coming);

/// How it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coming {
    /// It waits, and that is durable.
    Waits,
    /// It is there, and not in the queue by this.
    StandsAside,
    /// It was not made.
    NotMade,
}

/// A waiting task cannot be begun now, or not any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NotResumed(pub(crate) TaskId, pub(crate) Leaves);

/// What a task that gives its place back is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// Over, or never made.
    Ended,
    /// In the queue.
    Waits,
    /// Pending, outside the queue.
    StandsAside,
}

/// A pending task was cancelled, or one that was only to be created was not made.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Left(pub(crate) TaskId);

/// A request to stop one task.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Cancel {
    pub(crate) id: TaskId,
    pub(crate) ask: Ask,
    pub(crate) reply: oneshot::Sender<CancelAnswer>,
}

/// What is known of the request, once it is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Requested {
    pub(crate) id: TaskId,
    pub(crate) reply: oneshot::Sender<CancelAnswer>,
}

/// An actor's answer to a cancel.
#[derive(Debug)]
pub(crate) enum CancelAnswer {
    /// The truth, durable.
    Receipt(Receipt),
    /// The end is durable; the row tells.
    ReadRow,
    /// No such task here.
    NotHere,
    /// Not taken.
    Refused(Refusal),
}

/// Moves the deadline of a task that runs here.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetTimeout {
    pub(crate) id: TaskId,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) reply: oneshot::Sender<TimeoutAnswer>,
}

/// The timeout that the row had when a waiting task began: it may have been moved while the task came here.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TimeoutRead(pub(crate) TaskId, pub(crate) Option<Timeout>);

/// An actor's answer to a moved deadline.
#[derive(Debug)]
pub(crate) enum TimeoutAnswer {
    /// Durable: read the row.
    Done,
    /// It has ended, or is ending: look again.
    Ended,
    /// No such task here.
    NotHere,
    /// Not taken.
    Refused(Refusal),
}

/// A committed signal, for the body that may wait for it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver {
    pub(crate) id: TaskId,
    pub(crate) signal: QueuedSignal,
}

/// Where a task stands on its ladder.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Status {
    pub(crate) id: TaskId,
    pub(crate) reply: oneshot::Sender<(&'static str, crate::task::Timestamp)>,
}

/// Timers that are over.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Expired(pub(crate) Vec<(TaskId, Slot, Instant)>);

/// One of them, at its task.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TimerOver(pub(crate) Slot, pub(crate) Instant);

/// A group's answers, for the tasks it belongs to.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CommittedBatch(pub(crate) Vec<(TaskId, Tag, Result<Answer, StoreError>)>);

/// One of them, at its task.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Durable(pub(crate) Tag, pub(crate) Result<Answer, StoreError>);

/// A body has stopped and its cleanup goes on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BodyCleaning(pub(crate) TaskId, pub(crate) BodyEnd);

/// A body and its cleanup have ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BodyStopped(pub(crate) TaskId, pub(crate) Report);

/// A task's actor is done.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Finished(pub(crate) TaskId, pub(crate) Leaves);

/// A reserved block of ids has come, or could not be had.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct IdsReserved(pub(crate) Result<i64, StoreError>);

/// Writes work again.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Healed;

/// Answered by an actor that has started: its mailbox has its full size from then on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Started(pub(crate) oneshot::Sender<()>);

/// Stop taking work, and ask every task to stop; answer when none is left.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub(crate) reply: oneshot::Sender<()>,
}

/// Every task is asked to stop, because the server goes down.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopForShutdown(pub(crate) Ask);

/// What all tasks are told late in a shutdown.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) enum Press {
    /// Skip the grace.
    Hurry,
    /// Write off what still runs.
    GiveUp,
}

/// The row of a new task, as it will be durable.
pub(crate) fn new_record(task: &NewTask, running_on: Option<&Arc<str>>, queued: bool) -> Record {
    use crate::task::Status;
    let runs = running_on.is_some();
    Record {
        key: task.key.clone(),
        status: if runs { Status::Running } else { Status::Pending },
        input: task.input.clone(),
        owner: Arc::clone(&task.owner),
        timeout: task.timeout,
        idle_timeout: task.idle_timeout,
        created_at: task.at,
        updated_at: task.at,
        started_at: runs.then_some(task.at),
        completed_at: None,
        final_value: None,
        failure: None,
        cancel: None,
        cancelled_at: None,
        stopped_by: None,
        cleanup: None,
        attempt: 1,
        node: running_on.cloned(),
        epoch: i64::from(runs),
        queued,
    }
}
