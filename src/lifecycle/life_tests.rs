//! Every (status, input) pair, legal and illegal, without a runtime.

use super::*;
use crate::task::{CancelRequest, Cause, Cleanup, Failure, JsonText, Status, StoppedBy, Timeout, Timestamp};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn ask() -> Ask {
    Ask::new(NOW, Cause::User, Some("enough"), Some("alice".into()))
}

fn request() -> CancelRequest {
    ask().request
}

fn failure() -> Failure {
    Failure::new("DemoError", "no")
}

fn end(end: BodyEnd) -> Input {
    Input::End { end, cleanup: None, ask: None }
}

/// One input of each kind.
fn inputs() -> Vec<Input> {
    vec![
        Input::Queue,
        Input::Begin,
        Input::Ask(ask()),
        end(BodyEnd::Returned(None)),
        Input::Requeue,
        Input::Lose { again: false },
        Input::Lose { again: true },
        Input::Reject(failure()),
    ]
}

/// The states a row can be in that decide differently.
fn lives() -> Vec<Life> {
    let life = |status, request: Option<CancelRequest>, queued| Life { status, request, queued };
    vec![
        life(Status::Pending, None, false),
        life(Status::Pending, None, true),
        life(Status::Running, None, false),
        life(Status::Running, Some(request()), false),
        life(Status::Completed, None, false),
        life(Status::Failed, None, false),
        life(Status::Cancelled, Some(request()), false),
    ]
}

/// A word for a decision, so that the whole table fits on a page.
fn word(result: Result<Change, Illegal>) -> String {
    match result {
        Err(_) => "-".to_owned(),
        Ok(Change::Queued) => "queued".to_owned(),
        Ok(Change::Begun) => "begun".to_owned(),
        Ok(Change::Asked(_)) => "asked".to_owned(),
        Ok(Change::AlreadyAsked) => "already asked".to_owned(),
        Ok(Change::Requeued { counts }) => format!("requeued, counts {counts}"),
        Ok(Change::Ended(ending)) => match ending.stopped_by {
            Some(by) => format!("{} by {by}", ending.status),
            None => ending.status.to_string(),
        },
    }
}

#[test]
fn every_status_answers_every_input() {
    let refused = ["-"; 8];
    let table = [
        // queue, begin, ask, end (returned), requeue, lose, lose and run again, reject
        ["queued", "begun", "cancelled by never_started", "-", "-", "-", "-", "failed"],
        ["-", "begun", "cancelled by never_started", "-", "-", "-", "-", "failed"],
        ["-", "-", "asked", "completed", "requeued, counts false", "failed", "requeued, counts true", "-"],
        [
            "-",
            "-",
            "already asked",
            "cancelled by itself",
            "-",
            "cancelled by lost",
            "cancelled by lost",
            "-",
        ],
        refused,
        refused,
        refused,
    ];
    for (life, row) in lives().into_iter().zip(table) {
        for (input, expected) in inputs().into_iter().zip(row) {
            let name = format!("{life:?} x {input:?}");
            assert_eq!(word(transition(life.clone(), input)), expected, "{name}");
        }
    }
}

#[test]
fn i01_a_terminal_row_takes_nothing_and_says_why() {
    for status in [Status::Completed, Status::Failed, Status::Cancelled] {
        for input in inputs() {
            let life = Life { status, request: None, queued: false };
            let error = transition(life, input).unwrap_err();
            assert_eq!(error.status, status);
            assert!(error.to_string().starts_with(&format!("a task that is {status} does not take")));
        }
    }
}

fn ended(life: Life, input: Input) -> Ending {
    match transition(life, input).unwrap() {
        Change::Ended(ending) => *ending,
        other => panic!("not ended: {other:?}"),
    }
}

fn running(request: Option<CancelRequest>) -> Life {
    Life { status: Status::Running, request, queued: false }
}

#[test]
fn i05_after_a_request_every_end_is_cancelled_and_keeps_what_the_body_said() {
    let value = JsonText::from_value(&7).unwrap();
    let cases = [
        (BodyEnd::Returned(Some(value.clone())), StoppedBy::Itself, Some(value), None),
        (BodyEnd::Failed(failure()), StoppedBy::Itself, None, Some(failure())),
        (BodyEnd::Cancelled, StoppedBy::Itself, None, None),
        (BodyEnd::Dropped, StoppedBy::Dropped, None, None),
        (BodyEnd::Killed, StoppedBy::Killed, None, None),
        (BodyEnd::Abandoned, StoppedBy::Abandoned, None, None),
        (BodyEnd::NeverStarted, StoppedBy::NeverStarted, None, None),
        (BodyEnd::Lost, StoppedBy::Lost, None, None),
    ];
    for (body, stopped_by, final_value, failure) in cases {
        // The request in the row already, and the request written together with the end.
        for (life, late) in [(running(Some(request())), None), (running(None), Some(ask()))] {
            let cleanup = Some(Cleanup::Done);
            let ending = ended(life, Input::End { end: body.clone(), cleanup, ask: late.clone() });
            assert_eq!(ending.status, Status::Cancelled, "{body:?}");
            assert_eq!(ending.stopped_by, Some(stopped_by));
            assert_eq!(ending.final_value, final_value);
            assert_eq!(ending.failure, failure);
            assert_eq!(ending.request, Some(request()));
            assert_eq!(ending.ask, late);
            assert_eq!(ending.cleanup, cleanup);
        }
    }
}

#[test]
fn without_a_request_a_body_completes_or_fails() {
    let ending = ended(running(None), end(BodyEnd::Returned(None)));
    assert_eq!((ending.status, ending.stopped_by, ending.request), (Status::Completed, None, None));
    let ending = ended(running(None), end(BodyEnd::Failed(failure())));
    assert_eq!((ending.status, ending.failure, ending.stopped_by), (Status::Failed, Some(failure()), None));
    let ending = ended(running(None), end(BodyEnd::Cancelled));
    assert_eq!(ending.failure.unwrap().error_type, "TaskCancelled");
    let ending = ended(running(None), end(BodyEnd::Lost));
    assert_eq!((ending.status, ending.failure.unwrap().error_type.as_str()), (Status::Failed, "lost"));
}

#[test]
fn a_body_is_not_stopped_unasked() {
    for body in [BodyEnd::Dropped, BodyEnd::Killed, BodyEnd::Abandoned, BodyEnd::NeverStarted] {
        assert!(transition(running(None), end(body.clone())).is_err(), "{body:?}");
    }
}

#[test]
fn an_earlier_request_stands_against_a_later_one() {
    let later = Ask::new(NOW, Cause::Timeout, Some("later"), None);
    let input = Input::End { end: BodyEnd::Dropped, cleanup: None, ask: Some(later) };
    let ending = ended(running(Some(request())), input);
    assert_eq!(ending.request, Some(request()));
    assert_eq!(ending.ask, None, "it is in the row already");
}

fn kinds(change: &Change) -> Vec<(String, serde_json::Value)> {
    events_of(change, 1, NOW)
        .into_iter()
        .map(|event| (event.kind.to_string(), event.data.to_value().unwrap()))
        .collect()
}

#[test]
fn the_runtimes_events_say_what_the_contract_says() {
    use serde_json::json;
    assert_eq!(kinds(&Change::Begun), [("running".to_owned(), json!({"attempt": 1}))]);
    let asked =
        json!({"message": "Task cancellation requested", "reason": "enough", "cause": "user", "by": "alice"});
    assert_eq!(kinds(&Change::Asked(ask())), [("cancellation_requested".to_owned(), asked.clone())]);
    let dropped = Input::End { end: BodyEnd::Dropped, cleanup: None, ask: Some(ask()) };
    let both = kinds(&transition(running(None), dropped).unwrap());
    let cancelled = json!({"message": "Task was cancelled", "reason": "enough", "cause": "user", "stopped_by": "dropped"});
    assert_eq!(both, [("cancellation_requested".to_owned(), asked), ("cancelled".to_owned(), cancelled)]);
    let failed = transition(running(None), end(BodyEnd::Failed(failure()))).unwrap();
    assert_eq!(kinds(&failed), [("error".to_owned(), json!({"message": "no", "error_type": "DemoError"}))]);
    let value = JsonText::from_value(&"done").unwrap();
    let completed = transition(running(None), end(BodyEnd::Returned(Some(value)))).unwrap();
    assert_eq!(kinds(&completed), [("completed".to_owned(), json!({"final_value": "done"}))]);
}

#[test]
fn a_timeout_is_told_before_the_request() {
    let half = Timeout::from_seconds(0.5).unwrap();
    let told = kinds(&Change::Asked(Ask::timeout(NOW, half)));
    assert_eq!(told[0].0, "timeout");
    assert_eq!(told[0].1["message"], "Task timed out after 0.5 seconds");
    assert_eq!(told[1].0, "cancellation_requested");
    assert_eq!(told[1].1["reason"], "Timeout after 0.5s");
    let idle = kinds(&Change::Asked(Ask::idle(NOW, Timeout::from_seconds(1.0).unwrap())));
    assert_eq!(idle[0].1["message"], "Task was idle for 1 seconds");
    assert_eq!(idle[1].1["reason"], "Idle for 1s");
}
