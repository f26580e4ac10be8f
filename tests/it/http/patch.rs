//! Holds the moving of deadlines.

use serde_json::{Value, json};

use crate::server::{Server, Task};

#[tokio::test]
async fn a_deadline_is_moved_removed_and_shown() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start_with("StuckTask", &json!({"timeout_seconds": 300})).await;
    for (given, shown) in [
        (json!(600), json!(600)),
        (json!(0.5e3), json!(500)),
        (Value::Null, Value::Null),
        (json!(7.25), json!(7.25)),
    ] {
        let row = alice.patch(&task.path(), &json!({ "timeout_seconds": given })).await.with(200);
        assert_eq!((&row["timeout_seconds"], &row["status"]), (&shown, &json!("running")));
        assert_eq!(alice.show(&task).await, row);
    }
}

#[tokio::test]
async fn a_deadline_that_is_past_fires_at_once_and_one_that_was_removed_never() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let free = alice.start_with("StuckTask", &json!({"timeout_seconds": 1})).await;
    alice.patch(&free.path(), &json!({"timeout_seconds": null})).await.with(200);
    let task = alice.start("StuckTask", json!({})).await;
    alice.patch(&task.path(), &json!({"timeout_seconds": 0.000_001})).await.with(200);
    let row = alice.ended(&task).await;
    assert_eq!((&row["status"], &row["cancel_cause"]), (&json!("cancelled"), &json!("timeout")));
    assert_eq!(row["cancellation_reason"], "Timeout after 0.000001s");
    // Longer than the deadline that was removed, on the same clock.
    let clock = alice.start_with("StuckTask", &json!({"timeout_seconds": 1.2})).await;
    alice.ended(&clock).await;
    assert_eq!(alice.show(&free).await["status"], "running");
}

#[tokio::test]
async fn a_finished_task_is_not_patched() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ExampleTask", json!({})).await;
    let row = alice.ended(&task).await;
    for timeout in [json!(600), Value::Null] {
        alice.patch(&task.path(), &json!({ "timeout_seconds": timeout })).await.problem(409, "already-ended");
    }
    assert_eq!(alice.show(&task).await, row, "I-1");
    let nothing = Task::new("ExampleTask", task.id + 1);
    alice.patch(&nothing.path(), &json!({"timeout_seconds": 1})).await.problem(404, "task-not-found");
}

#[tokio::test]
async fn a_task_that_waits_can_be_patched_and_counts_from_its_start() {
    let server = Server::with(&["--max-running", "1"]).await;
    let alice = server.client("alice");
    let first = alice.start("StuckTask", json!({})).await;
    let second = alice.start("StuckTask", json!({})).await;
    assert_eq!(alice.show(&second).await["status"], "pending");
    let row = alice.patch(&second.path(), &json!({"timeout_seconds": 0.2})).await.with(200);
    assert_eq!((&row["status"], &row["timeout_seconds"]), (&json!("pending"), &json!(0.2)));
    alice.post(&first.cancel()).await.with(200);
    let row = alice.ended(&second).await;
    assert_eq!((&row["cancel_cause"], &row["stopped_by"]), (&json!("timeout"), &json!("dropped")));
}
