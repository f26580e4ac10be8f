//! Holds the wire forms against the contract, member by member.

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
