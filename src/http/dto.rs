//! The JSON of the answers: the wire form of records and receipts.
//!
//! Invariant: a task has exactly the members of the contract, in its order, nulls included. A record never goes to
//! the wire itself, so that a new column cannot leak.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use crate::task::{Cause, Cleanup, JsonText, Name, Record, Status, StoppedBy, TaskId, Timeout, Timestamp};
use crate::{CancelledMany, CancelledTask, Receipt};

use super::openapi::words::{self, CauseWord, CleanupWord, StatusWord, StoppedByWord};
use super::problem::Problem;

/// A task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(super) struct TaskDto<'a> {
    /// The last part of the key: unique over all models, never used twice.
    #[schema(value_type = i64, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    id: TaskId,
    /// The first part of the key.
    #[schema(value_type = String)]
    app: &'a Name,
    /// The second part of the key.
    #[schema(value_type = String)]
    model: &'a Name,
    /// What the task is doing, or how it ended.
    #[schema(value_type = StatusWord)]
    status: Status,
    /// The task's own fields, as given at the start.
    #[schema(value_type = Value)]
    input: &'a JsonText,
    /// The principal who started it.
    #[schema(value_type = String)]
    owner: &'a str,
    /// The total run time; null is none.
    #[schema(value_type = Option<f64>, required = true)]
    timeout_seconds: Option<Timeout>,
    /// The longest time without a sign of life; null is none.
    #[schema(value_type = Option<f64>, required = true)]
    idle_timeout_seconds: Option<Timeout>,
    /// When the row was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the row last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When the first attempt began.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    started_at: Option<Timestamp>,
    /// When it ended, in whatever way.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    completed_at: Option<Timestamp>,
    /// What the body returned.
    #[schema(value_type = Value, required = true)]
    final_value: Option<&'a JsonText>,
    /// The kind of failure of the body.
    #[schema(value_type = Option<String>, required = true)]
    error_type: Option<&'a str>,
    /// How the body failed.
    #[schema(value_type = Option<String>, required = true)]
    error_message: Option<&'a str>,
    /// When the first accepted cancel was asked.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    cancel_requested_at: Option<Timestamp>,
    /// When the task had stopped.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    cancelled_at: Option<Timestamp>,
    /// The reason of the first accepted cancel.
    #[schema(value_type = Option<String>, required = true)]
    cancellation_reason: Option<&'a str>,
    /// Who or what asked for the stop.
    #[schema(value_type = Option<CauseWord>, required = true)]
    cancel_cause: Option<Cause>,
    /// The principal who asked for it.
    #[schema(value_type = Option<String>, required = true)]
    cancelled_by: Option<&'a str>,
    /// How the body ended after a cancel.
    #[schema(value_type = Option<StoppedByWord>, required = true)]
    stopped_by: Option<StoppedBy>,
    /// How the model's cleanup went.
    #[schema(value_type = Option<CleanupWord>, required = true)]
    cleanup: Option<Cleanup>,
    /// 1 for the first.
    #[schema(minimum = 1)]
    attempt: u32,
    /// Who runs it.
    #[schema(value_type = Option<String>, required = true)]
    node: Option<&'a str>,
}

impl<'a> From<&'a Record> for TaskDto<'a> {
    fn from(record: &'a Record) -> Self {
        let (failure, cancel) = (record.failure.as_ref(), record.cancel.as_ref());
        Self {
            id: record.key.id,
            app: &record.key.app,
            model: &record.key.model,
            status: record.status,
            input: &record.input,
            owner: &record.owner,
            timeout_seconds: record.timeout,
            idle_timeout_seconds: record.idle_timeout,
            created_at: record.created_at,
            updated_at: record.updated_at,
            started_at: record.started_at,
            completed_at: record.completed_at,
            final_value: record.final_value.as_ref(),
            error_type: failure.map(|f| f.error_type.as_str()),
            error_message: failure.map(|f| f.message.as_str()),
            cancel_requested_at: cancel.map(|c| c.at),
            cancelled_at: record.cancelled_at,
            cancellation_reason: cancel.map(|c| &*c.reason),
            cancel_cause: cancel.map(|c| c.cause),
            cancelled_by: cancel.and_then(|c| c.by.as_deref()),
            stopped_by: record.stopped_by,
            cleanup: record.cleanup,
            attempt: record.attempt,
            node: record.node.as_deref(),
        }
    }
}

/// The answer to a cancel.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ReceiptDto<'a> {
    Cancelled(CancelledDto<'a>),
    Cancelling(CancellingDto<'a>),
    NotRunning(NotRunningDto<'a>),
}

/// The task has stopped.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cancelled)]
pub(super) struct CancelledDto<'a> {
    #[schema(schema_with = words::cancelled)]
    status: &'static str,
    #[schema(value_type = i64)]
    task_id: TaskId,
    /// The reason that is stored: that of the first cancel.
    #[schema(value_type = String)]
    reason: &'a str,
    #[schema(value_type = StoppedByWord)]
    stopped_by: StoppedBy,
    #[schema(value_type = String, format = DateTime)]
    cancelled_at: Timestamp,
}

/// The request is durable and the task still stops.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cancelling)]
pub(super) struct CancellingDto<'a> {
    #[schema(schema_with = words::cancelling)]
    status: &'static str,
    #[schema(value_type = i64)]
    task_id: TaskId,
    /// The reason that is stored: that of the first cancel.
    #[schema(value_type = String)]
    reason: &'a str,
    #[schema(value_type = String, format = DateTime)]
    cancel_requested_at: Timestamp,
}

/// The task had ended before, and nothing was changed. The optional members stand where it was cancelled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotRunning)]
pub(super) struct NotRunningDto<'a> {
    #[schema(schema_with = words::not_running)]
    status: &'static str,
    #[schema(value_type = i64)]
    task_id: TaskId,
    /// How it ended.
    #[schema(value_type = StatusWord)]
    task_status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = CauseWord, required = false)]
    cancel_cause: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = StoppedByWord, required = false)]
    stopped_by: Option<StoppedBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    cancelled_at: Option<Timestamp>,
}

impl<'a> ReceiptDto<'a> {
    pub(super) fn new(task_id: TaskId, receipt: &'a Receipt) -> Self {
        match receipt {
            Receipt::Cancelled { reason, cause: _, stopped_by, cancelled_at } => {
                Self::Cancelled(CancelledDto {
                    status: words::CANCELLED,
                    task_id,
                    reason,
                    stopped_by: *stopped_by,
                    cancelled_at: *cancelled_at,
                })
            }
            Receipt::Cancelling { reason, cancel_requested_at } => Self::Cancelling(CancellingDto {
                status: words::CANCELLING,
                task_id,
                reason,
                cancel_requested_at: *cancel_requested_at,
            }),
            Receipt::NotRunning(record) => Self::not_running(record),
        }
    }

    pub(super) fn not_running(record: &'a Record) -> Self {
        let cancel = record.cancel.as_ref().filter(|_| record.status == Status::Cancelled);
        Self::NotRunning(NotRunningDto {
            status: words::NOT_RUNNING,
            task_id: record.key.id,
            task_status: record.status,
            reason: cancel.map(|c| &*c.reason),
            cancel_cause: cancel.map(|c| c.cause),
            stopped_by: cancel.and(record.stopped_by),
            cancelled_at: cancel.and(record.cancelled_at),
        })
    }

    /// The status that goes with it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Cancelled(_) => StatusCode::OK,
            Self::Cancelling(_) => StatusCode::ACCEPTED,
            Self::NotRunning(_) => StatusCode::NOT_FOUND,
        }
    }

    /// The word of the outcome, for the audit log.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Cancelled(told) => told.status,
            Self::Cancelling(told) => told.status,
            Self::NotRunning(told) => told.status,
        }
    }
}

/// The signal is durable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignalAccepted)]
pub(super) struct SignalDto<'a> {
    #[schema(schema_with = words::accepted)]
    status: &'static str,
    #[schema(value_type = i64)]
    task_id: TaskId,
    /// Its name.
    #[schema(value_type = String)]
    signal: &'a str,
}

impl<'a> SignalDto<'a> {
    pub(super) fn accepted(task_id: TaskId, signal: &'a str) -> Self {
        Self { status: words::ACCEPTED, task_id, signal }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskPage)]
pub(super) struct TaskPageDto<'a> {
    /// The highest id first. There may be fewer than were asked for, and more to come all the same.
    items: Vec<TaskDto<'a>>,
    /// Where the next page begins, for `after`; null at the end.
    #[schema(required = true)]
    next: Option<String>,
}

impl<'a> TaskPageDto<'a> {
    pub(super) fn new(tasks: &'a [Record], next: Option<String>) -> Self {
        Self { items: tasks.iter().map(TaskDto::from).collect(), next }
    }
}

/// The answer to a cancel of many.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CancelledMany)]
pub(super) struct CancelledManyDto<'a> {
    matched: usize,
    cancelled: usize,
    cancelling: usize,
    not_running: usize,
    more: bool,
    tasks: Vec<CancelledTaskDto<'a>>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CancelledTask)]
pub(super) struct CancelledTaskDto<'a> {
    #[schema(value_type = i64)]
    id: TaskId,
    #[schema(value_type = String)]
    app: &'a Name,
    #[schema(value_type = String)]
    model: &'a Name,
    #[schema(value_type = StatusWord)]
    status: Status,
    #[schema(value_type = Option<StoppedByWord>, required = true)]
    stopped_by: Option<StoppedBy>,
}

impl<'a> From<&'a CancelledMany> for CancelledManyDto<'a> {
    fn from(told: &'a CancelledMany) -> Self {
        let one = |task: &'a CancelledTask| CancelledTaskDto {
            id: task.key.id,
            app: &task.key.app,
            model: &task.key.model,
            status: task.status,
            stopped_by: task.stopped_by,
        };
        Self {
            matched: told.matched,
            cancelled: told.cancelled,
            cancelling: told.cancelling,
            not_running: told.not_running,
            more: told.more,
            tasks: told.tasks.iter().map(one).collect(),
        }
    }
}

/// An answer in JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<HttpResponse, Problem> {
    Ok(respond(status, text(value)?))
}

/// The JSON of an answer.
pub(super) fn text<T: Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        Problem::internal()
    })
}

/// An answer of JSON. What it says is true now: nobody may keep it.
pub(super) fn respond(status: StatusCode, body: String) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.content_type("application/json").insert_header((CACHE_CONTROL, "no-store")).body(body)
}

#[cfg(test)]
#[path = "dto_tests.rs"]
pub(super) mod tests;
