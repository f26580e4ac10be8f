//! The JSON of the answers: the wire form of records and receipts.
//!
//! Invariant: a task has exactly the members of the contract, in its order, nulls included. A record never goes to
//! the wire itself, so that a new column cannot leak.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use serde::Serialize;

use crate::task::{Cause, Cleanup, JsonText, Name, Record, Status, StoppedBy, TaskId, Timeout, Timestamp};
use crate::{CancelledMany, CancelledTask, Receipt};

use super::problem::Problem;

/// A task.
#[derive(Debug, Serialize)]
pub(super) struct TaskDto<'a> {
    id: TaskId,
    app: &'a Name,
    model: &'a Name,
    status: Status,
    input: &'a JsonText,
    owner: &'a str,
    timeout_seconds: Option<Timeout>,
    idle_timeout_seconds: Option<Timeout>,
    created_at: Timestamp,
    updated_at: Timestamp,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    final_value: Option<&'a JsonText>,
    error_type: Option<&'a str>,
    error_message: Option<&'a str>,
    cancel_requested_at: Option<Timestamp>,
    cancelled_at: Option<Timestamp>,
    cancellation_reason: Option<&'a str>,
    cancel_cause: Option<Cause>,
    cancelled_by: Option<&'a str>,
    stopped_by: Option<StoppedBy>,
    cleanup: Option<Cleanup>,
    attempt: u32,
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
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum ReceiptDto<'a> {
    Cancelled { task_id: TaskId, reason: &'a str, stopped_by: StoppedBy, cancelled_at: Timestamp },
    Cancelling { task_id: TaskId, reason: &'a str, cancel_requested_at: Timestamp },
    NotRunning(NotRunningDto<'a>),
}

/// What is said of a task that had ended before; the optional members stand where it was cancelled.
#[derive(Debug, Serialize)]
pub(super) struct NotRunningDto<'a> {
    task_id: TaskId,
    task_status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_cause: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_by: Option<StoppedBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Timestamp>,
}

impl<'a> ReceiptDto<'a> {
    pub(super) fn new(task_id: TaskId, receipt: &'a Receipt) -> Self {
        match receipt {
            Receipt::Cancelled { reason, cause: _, stopped_by, cancelled_at } => {
                Self::Cancelled { task_id, reason, stopped_by: *stopped_by, cancelled_at: *cancelled_at }
            }
            Receipt::Cancelling { reason, cancel_requested_at } => {
                Self::Cancelling { task_id, reason, cancel_requested_at: *cancel_requested_at }
            }
            Receipt::NotRunning(record) => Self::not_running(record),
        }
    }

    pub(super) fn not_running(record: &'a Record) -> Self {
        let cancel = record.cancel.as_ref().filter(|_| record.status == Status::Cancelled);
        Self::NotRunning(NotRunningDto {
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
            Self::Cancelled { .. } => StatusCode::OK,
            Self::Cancelling { .. } => StatusCode::ACCEPTED,
            Self::NotRunning(_) => StatusCode::NOT_FOUND,
        }
    }

    /// The word of the outcome, for the audit log.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Cancelled { .. } => "cancelled",
            Self::Cancelling { .. } => "cancelling",
            Self::NotRunning(_) => "not_running",
        }
    }
}

/// The answer to a signal.
#[derive(Debug, Serialize)]
pub(super) struct SignalDto<'a> {
    status: &'static str,
    task_id: TaskId,
    signal: &'a str,
}

impl<'a> SignalDto<'a> {
    pub(super) fn accepted(task_id: TaskId, signal: &'a str) -> Self {
        Self { status: "accepted", task_id, signal }
    }
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct TaskPageDto<'a> {
    items: Vec<TaskDto<'a>>,
    next: Option<String>,
}

impl<'a> TaskPageDto<'a> {
    pub(super) fn new(tasks: &'a [Record], next: Option<String>) -> Self {
        Self { items: tasks.iter().map(TaskDto::from).collect(), next }
    }
}

/// The answer to a cancel of many.
#[derive(Debug, Serialize)]
pub(super) struct CancelledManyDto<'a> {
    matched: usize,
    cancelled: usize,
    cancelling: usize,
    not_running: usize,
    more: bool,
    tasks: Vec<CancelledTaskDto<'a>>,
}

/// One of them.
#[derive(Debug, Serialize)]
struct CancelledTaskDto<'a> {
    id: TaskId,
    app: &'a Name,
    model: &'a Name,
    status: Status,
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
pub(super) mod tests {
    use super::*;
    use crate::task::{CancelRequest, Failure};

    pub(in crate::http) fn record() -> Record {
        Record {
            key: "tests/LongTask/123".parse().unwrap(),
            status: Status::Running,
            input: JsonText::from_text(r#"{"steps":  3}"#).unwrap(),
            owner: "alice".into(),
            timeout: None,
            idle_timeout: None,
            created_at: Timestamp::from_micros(1),
            updated_at: Timestamp::from_micros(2),
            started_at: None,
            completed_at: None,
            final_value: None,
            failure: None,
            cancel: None,
            cancelled_at: None,
            stopped_by: None,
            cleanup: None,
            attempt: 1,
            node: None,
            epoch: 7,
            queued: false,
        }
    }

    fn cancelled() -> Record {
        Record {
            status: Status::Cancelled,
            cancel: Some(CancelRequest::new(
                Timestamp::from_micros(4),
                Cause::User,
                Some("a \"quoted\" reason"),
                Some("bob".into()),
            )),
            cancelled_at: Some(Timestamp::from_micros(5)),
            stopped_by: Some(StoppedBy::Dropped),
            ..record()
        }
    }

    fn text<T: Serialize>(value: &T) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn a_task_has_exactly_the_members_of_the_contract_in_order() {
        assert_eq!(
            text(&TaskDto::from(&record())),
            concat!(
                r#"{"id":123,"app":"tests","model":"LongTask","status":"running","input":{"steps":  3},"#,
                r#""owner":"alice","timeout_seconds":null,"idle_timeout_seconds":null,"#,
                r#""created_at":"1970-01-01T00:00:00.000001Z","updated_at":"1970-01-01T00:00:00.000002Z","#,
                r#""started_at":null,"completed_at":null,"final_value":null,"error_type":null,"#,
                r#""error_message":null,"cancel_requested_at":null,"cancelled_at":null,"#,
                r#""cancellation_reason":null,"cancel_cause":null,"cancelled_by":null,"stopped_by":null,"#,
                r#""cleanup":null,"attempt":1,"node":null}"#
            )
        );
    }

    #[test]
    fn what_a_record_knows_stands_in_its_member() {
        let record = Record {
            timeout: Some(Timeout::from_seconds(1.5).unwrap()),
            final_value: Some(JsonText::from_text("[1]").unwrap()),
            failure: Some(Failure::new("DemoError", "as asked")),
            cleanup: Some(Cleanup::Done),
            node: Some("n1".into()),
            ..cancelled()
        };
        let task: serde_json::Value = serde_json::from_str(&text(&TaskDto::from(&record))).unwrap();
        assert_eq!(task["timeout_seconds"], 1.5);
        assert_eq!(task["final_value"], serde_json::json!([1]));
        assert_eq!((&task["error_type"], &task["error_message"]), (&"DemoError".into(), &"as asked".into()));
        assert_eq!(task["cancellation_reason"], "a \"quoted\" reason");
        assert_eq!((&task["cancel_cause"], &task["cancelled_by"]), (&"user".into(), &"bob".into()));
        assert_eq!((&task["stopped_by"], &task["cleanup"]), (&"dropped".into(), &"ok".into()));
        assert_eq!(task["cancel_requested_at"], "1970-01-01T00:00:00.000004Z");
    }

    #[test]
    fn receipts_have_the_bodies_of_the_contract() {
        let id = TaskId::new(123).unwrap();
        let at = Timestamp::from_micros(5);
        let (reason, cause, stopped_by) = ("r".into(), Cause::User, StoppedBy::Dropped);
        let stopped = Receipt::Cancelled { reason, cause, stopped_by, cancelled_at: at };
        let stopped = ReceiptDto::new(id, &stopped);
        assert_eq!(stopped.status(), StatusCode::OK);
        assert_eq!(
            text(&stopped),
            concat!(
                r#"{"status":"cancelled","task_id":123,"reason":"r","stopped_by":"dropped","#,
                r#""cancelled_at":"1970-01-01T00:00:00.000005Z"}"#
            )
        );
        let asked = Receipt::Cancelling { reason: "r".into(), cancel_requested_at: at };
        let asked = ReceiptDto::new(id, &asked);
        assert_eq!(asked.status(), StatusCode::ACCEPTED);
        assert_eq!(
            text(&asked),
            concat!(
                r#"{"status":"cancelling","task_id":123,"reason":"r","#,
                r#""cancel_requested_at":"1970-01-01T00:00:00.000005Z"}"#
            )
        );
    }

    #[test]
    fn not_running_says_more_only_where_the_task_was_cancelled() {
        let completed = Record { status: Status::Completed, ..record() };
        let told = ReceiptDto::not_running(&completed);
        assert_eq!(told.status(), StatusCode::NOT_FOUND);
        assert_eq!(text(&told), r#"{"status":"not_running","task_id":123,"task_status":"completed"}"#);
        assert_eq!(
            text(&ReceiptDto::not_running(&cancelled())),
            concat!(
                r#"{"status":"not_running","task_id":123,"task_status":"cancelled","#,
                r#""reason":"a \"quoted\" reason","cancel_cause":"user","stopped_by":"dropped","#,
                r#""cancelled_at":"1970-01-01T00:00:00.000005Z"}"#
            )
        );
    }

    #[test]
    fn a_signal_is_answered_as_the_contract_says() {
        let id = TaskId::new(123).unwrap();
        let told = text(&SignalDto::accepted(id, "continue"));
        assert_eq!(told, r#"{"status":"accepted","task_id":123,"signal":"continue"}"#);
    }
}
