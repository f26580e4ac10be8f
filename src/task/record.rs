//! A task as the domain sees it: what one row says, with types.

use std::sync::Arc;

use super::{CancelRequest, Cleanup, Failure, JsonText, Status, StoppedBy, TaskKey, Timeout, Timestamp};

/// One task, whole. [`Status`] is the durable one: memory never shows what is not written.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// `app/model/id`.
    pub key: TaskKey,
    /// What the task is doing, or how it ended.
    pub status: Status,
    /// The task's own fields, as given at the start.
    pub input: JsonText,
    /// The principal who started it.
    pub owner: Arc<str>,
    /// Total run time, counted from `started_at`, over attempts and restarts.
    pub timeout: Option<Timeout>,
    /// Longest time without a sign of life.
    pub idle_timeout: Option<Timeout>,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When the task ended, in whichever way.
    pub completed_at: Option<Timestamp>,
    /// What `process` returned.
    pub final_value: Option<JsonText>,
    /// How the body failed.
    pub failure: Option<Failure>,
    /// The first accepted request to stop.
    pub cancel: Option<CancelRequest>,
    /// When the task had stopped after such a request.
    pub cancelled_at: Option<Timestamp>,
    /// How the body ended after such a request.
    pub stopped_by: Option<StoppedBy>,
    /// How the model's cleanup went.
    pub cleanup: Option<Cleanup>,
    /// The number of the attempt that runs, ran last, or would run next.
    pub attempt: u32,
    /// Who runs it, or ran it last.
    pub node: Option<Arc<str>>,
    /// The fencing number: grows with every change of who may write this row.
    pub epoch: i64,
    /// Of a `pending` task: it was started and waits for room; else it waits to be started.
    pub queued: bool,
}
