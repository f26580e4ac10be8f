//! Holds the answers to a cancel: each outcome with its exact body, and that it is true.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Server, Socket, Task, token};

/// The task's end, as its receipt tells it.
fn receipt(task: &Task, row: &Value) -> Value {
    json!({
        "status": "cancelled",
        "task_id": task.id,
        "reason": row["cancellation_reason"],
        "stopped_by": row["stopped_by"],
        "cancelled_at": row["cancelled_at"],
    })
}

async fn cancel_with(client: &Client, task: &Task, prefer: &str) -> Answer {
    Answer::of(client.call(Method::POST, &task.cancel()).header("prefer", prefer)).await
}

#[tokio::test]
async fn seed_usage_example_1_cancel_via_api() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("LongTask", json!({})).await;
    let answer = alice.cancel(&task, &json!({"reason": "User requested cancellation"})).await;
    let told = answer.with(200);
    assert_eq!(told["status"], "cancelled");
    assert_eq!(told["reason"], "User requested cancellation");
    let row = alice.show(&task).await;
    assert_eq!(told, receipt(&task, &row));
    let end = (&row["status"], &row["cancel_cause"], &row["cancelled_by"], &row["stopped_by"]);
    assert_eq!(end, (&json!("cancelled"), &json!("user"), &json!("alice"), &json!("itself")));
    assert!(row["completed_at"].is_string() && row["cancel_requested_at"].is_string());
    assert!(row["final_value"].is_null() && row["error_type"].is_null());
}

#[tokio::test]
async fn a_stopped_task_is_told_in_exactly_these_members() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let answer = alice.post(&task.cancel()).await;
    let at = answer.with(200)["cancelled_at"].as_str().unwrap().to_owned();
    let body = format!(
        r#"{{"status":"cancelled","task_id":{},"reason":"Cancelled by user","stopped_by":"dropped","cancelled_at":"{at}"}}"#,
        task.id
    );
    assert_eq!(answer.text, body);
    assert_eq!(alice.show(&task).await["cancelled_at"], at.as_str(), "I-6");
}

#[tokio::test]
async fn a_task_that_had_ended_is_left_as_it_is_and_the_answer_says_how() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for (model, status) in [("ExampleTask", "completed"), ("FailTask", "failed")] {
        let task = alice.start(model, json!({})).await;
        let row = alice.ended(&task).await;
        let answer = alice.cancel(&task, &json!({"reason": "too late"})).await;
        let body = format!(r#"{{"status":"not_running","task_id":{},"task_status":"{status}"}}"#, task.id);
        assert_eq!(
            (answer.status, answer.header("content-type"), &*answer.text),
            (404, "application/json", &*body)
        );
        assert_eq!(alice.show(&task).await, row, "I-1");
    }
    let task = alice.start("StuckTask", json!({})).await;
    let told = alice.cancel(&task, &json!({"reason": "first"})).await.with(200);
    let row = alice.show(&task).await;
    let answer = alice.cancel(&task, &json!({"reason": "second"})).await;
    let body = format!(
        r#"{{"status":"not_running","task_id":{},"task_status":"cancelled","reason":"first","cancel_cause":"user","stopped_by":"dropped","cancelled_at":{}}}"#,
        task.id, told["cancelled_at"]
    );
    assert_eq!((answer.status, answer.text), (404, body));
    assert_eq!(alice.show(&task).await, row, "I-1");
    alice.post(&Task::new("StuckTask", 4711).cancel()).await.problem(404, "task-not-found");
    alice.post(&Task::new("LongTask", task.id).cancel()).await.problem(404, "task-not-found");
}

#[tokio::test]
async fn i09_a_task_that_waits_is_cancelled_before_it_began() {
    let server = Server::with(&["--max-running", "1"]).await;
    let alice = server.client("alice");
    let first = alice.start("StuckTask", json!({})).await;
    let task = alice.start("ExampleTask", json!({})).await;
    assert_eq!(alice.show(&task).await["started_at"], Value::Null);
    let told = alice.cancel(&task, &json!({"reason": "r"})).await.with(200);
    assert_eq!((&told["status"], &told["stopped_by"]), (&json!("cancelled"), &json!("never_started")));
    let row = alice.show(&task).await;
    assert_eq!(told, receipt(&task, &row));
    assert_eq!((&row["started_at"], &row["cleanup"]), (&Value::Null, &Value::Null));
    let kinds: Vec<_> = alice.watch(&task).await.rest().await.into_iter().map(|frame| frame.event).collect();
    assert_eq!(kinds, ["cancellation_requested", "cancelled"]);
    alice.post(&first.cancel()).await.with(200);
    assert_eq!(alice.show(&task).await, row);
}

#[tokio::test]
async fn a_task_that_still_stops_is_told_as_such_and_then_ends() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("CleanupTask", json!({"cleanup_ms": 1500})).await;
    let answer = cancel_with(&alice, &task, "wait=0").await;
    let told = answer.with(202);
    let at = told["cancel_requested_at"].as_str().unwrap();
    let body = format!(
        r#"{{"status":"cancelling","task_id":{},"reason":"Cancelled by user","cancel_requested_at":"{at}"}}"#,
        task.id
    );
    assert_eq!(answer.text, body);
    assert_eq!(answer.header("preference-applied"), "wait=0");
    let row = alice.show(&task).await;
    assert_eq!((&row["status"], &row["cancel_requested_at"]), (&json!("running"), &json!(at)), "I-6");
    assert!(row["cancelled_at"].is_null() && row["stopped_by"].is_null());
    // Asked again meanwhile: the first reason stays, and the answer is that of the end.
    let again = alice.cancel(&task, &json!({"reason": "again"})).await.with(200);
    assert_eq!(again["reason"], "Cancelled by user");
    let row = alice.show(&task).await;
    assert_eq!(again, receipt(&task, &row));
    assert_eq!((&row["stopped_by"], &row["cleanup"]), (&json!("dropped"), &json!("ok")));
    let frames = alice.watch(&task).await.rest().await;
    let kinds: Vec<_> = frames.iter().map(|frame| frame.event.as_str()).collect();
    assert_eq!(kinds, ["running", "cancellation_requested", "cleaned_up", "cancelled"]);
    assert_eq!(frames[1].json()["by"], "alice");
}

#[tokio::test]
async fn two_clients_that_cancel_at_once_get_the_same_answer() {
    let server = Server::start().await;
    let (alice, root) = (server.client("alice"), server.client("root"));
    for model in ["StuckTask", "LongTask", "CleanupTask"].repeat(10) {
        let task = alice.start(model, json!({})).await;
        let (mine, theirs) = (json!({"reason": "mine"}), json!({"reason": "theirs"}));
        let (one, other) = tokio::join!(alice.cancel(&task, &mine), root.cancel(&task, &theirs));
        let row = alice.show(&task).await;
        let by = if row["cancellation_reason"] == "mine" { "alice" } else { "root" };
        assert_eq!(row["cancelled_by"], by, "the first one's reason and name stand together");
        // On a busy machine one may come when all is over; both tell of the same end all the same.
        assert!(one.status == 200 || other.status == 200);
        for told in [one, other] {
            if told.status == 200 {
                assert_eq!(told.json(), receipt(&task, &row), "{model}");
            } else {
                let told = told.with(404);
                let end = (&told["status"], &told["reason"], &told["cancelled_at"]);
                assert_eq!(end, (&json!("not_running"), &row["cancellation_reason"], &row["cancelled_at"]));
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_its_cancel_takes_nothing_back() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for leave in [Socket::close, Socket::reset] {
        let task = alice.start("CleanupTask", json!({"cleanup_ms": 300})).await;
        let mut socket = Socket::open(server.address()).await;
        let body = r#"{"reason":"and gone"}"#;
        let (path, token, length) = (task.cancel(), token("alice"), body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        socket.send(head).await;
        alice.until(&task, "it is asked", |row| !row["cancel_requested_at"].is_null()).await;
        leave(socket);
        let row = alice.ended(&task).await;
        assert_eq!((&row["status"], &row["cancellation_reason"]), (&json!("cancelled"), &json!("and gone")));
        assert_eq!(row["cleanup"], "ok");
    }
}

#[tokio::test]
async fn a_reason_is_kept_as_it_was_given() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let thousand = "🛑".repeat(1000);
    for reason in ["ü \u{202e}x", "a\n\r\tb", " ", "\u{1b}[31m", "\"\\", "\u{feff}", &thousand] {
        let task = alice.start("StuckTask", json!({})).await;
        let told = alice.cancel(&task, &json!({ "reason": reason })).await.with(200);
        assert_eq!(told["reason"], reason);
        assert_eq!(alice.show(&task).await["cancellation_reason"], reason);
        let frames = alice.watch(&task).await.rest().await;
        assert_eq!(frames.last().unwrap().json()["reason"], reason);
    }
    for body in [json!({}), json!({"reason": null}), json!({"reason": ""})] {
        let task = alice.start("StuckTask", json!({})).await;
        assert_eq!(alice.cancel(&task, &body).await.with(200)["reason"], "Cancelled by user");
    }
}

#[tokio::test]
async fn i05_a_cancel_that_was_told_as_under_way_decides_after_a_kill() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("CleanupTask", json!({"cleanup_ms": 9000})).await;
    let asked = Answer::of(
        alice.call(Method::POST, &task.cancel()).header("prefer", "wait=0").json(&json!({"reason": "kept"})),
    );
    asked.await.with(202);
    let server = server.kill().await.server(&[]).await;
    let row = server.client("alice").show(&task).await;
    let end = (&row["status"], &row["stopped_by"], &row["cancellation_reason"], &row["cancelled_by"]);
    assert_eq!(end, (&json!("cancelled"), &json!("lost"), &json!("kept"), &json!("alice")));
}
