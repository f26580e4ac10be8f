//! Holds signals: accepted, kept in order, taken once, refused when all is over.

use serde_json::json;

use super::start::sent;
use crate::server::Server;

#[tokio::test]
async fn a_signal_goes_to_the_task_that_waits_for_it() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ContinueTask", json!({"wait_seconds": 60})).await;
    let mut watching = alice.watch(&task).await;
    watching.until("started").await;
    let answer = alice.post(&task.signal("other")).await;
    let body = format!(r#"{{"status":"accepted","task_id":{},"signal":"other"}}"#, task.id);
    assert_eq!((answer.status, answer.text), (202, body));
    alice.post_json(&task.signal("continue"), &json!({"any": ["thing"]})).await.with(202);
    let events = sent(&watching.rest().await);
    let expected = [
        ("final".to_owned(), json!({"message": "Continue signal received", "continue": true})),
        ("complete".to_owned(), json!({"message": "Task completed successfully"})),
        ("completed".to_owned(), json!({"final_value": "Completed"})),
    ];
    assert_eq!(events, expected);
    assert_eq!(alice.show(&task).await["final_value"], "Completed");
}

#[tokio::test]
async fn without_its_signal_a_task_says_that_it_waited_in_vain() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ContinueTask", json!({"message": "m", "wait_seconds": 0.1})).await;
    let events = sent(&alice.watch(&task).await.rest().await);
    let kinds: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["running", "started", "timeout", "completed"]);
    assert_eq!(events[1].1["message"], "m");
    let row = alice.show(&task).await;
    assert_eq!((&row["status"], &row["final_value"]), (&json!("completed"), &json!("Timeout")));
}

#[tokio::test]
async fn any_json_is_a_signal_and_no_body_too() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    for body in ["null", "1", "\"\"", "[]", "{}", "true", " {\"a\":1e300} ", "123456789012345678901234567890"]
    {
        alice.post_bytes(&task.signal("go"), body).await.with(202);
    }
    alice.post(&task.signal(&"x".repeat(64))).await.with(202);
}

#[tokio::test]
async fn a_signal_waits_for_a_task_that_waits_and_over_a_kill() {
    let server = Server::with(&["--max-running", "1"]).await;
    let alice = server.client("alice");
    alice.start("StuckTask", json!({})).await;
    let task = alice.start("ContinueTask", json!({"wait_seconds": 60})).await;
    alice.post(&task.signal("continue")).await.with(202);
    assert_eq!(alice.show(&task).await["status"], "pending");
    let server = server.kill().await.server(&["--max-running", "1"]).await;
    let row = server.client("alice").ended(&task).await;
    assert_eq!(row["final_value"], "Completed");
}

#[tokio::test]
async fn a_finished_task_takes_no_signal_and_says_how_it_ended() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ExampleTask", json!({})).await;
    alice.ended(&task).await;
    let answer = alice.post(&task.signal("go")).await;
    let body = format!(r#"{{"status":"not_running","task_id":{},"task_status":"completed"}}"#, task.id);
    assert_eq!((answer.status, answer.text), (404, body));
    let task = alice.start("StuckTask", json!({})).await;
    alice.cancel(&task, &json!({"reason": "r"})).await.with(200);
    let told = alice.post(&task.signal("go")).await.with(404);
    assert_eq!((&told["reason"], &told["stopped_by"]), (&json!("r"), &json!("dropped")));
}
