//! Holds the way down: what still answers, what becomes of each task, and that nothing holds up the end.

use std::fs;
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::server::{Answer, Server, eventually};

/// A cleanup that takes as long as a test needs the way down to last; the cleanup limit is above it.
fn lasting() -> serde_json::Value {
    json!({"cleanup_ms": 3_000})
}

#[tokio::test]
async fn i25_on_the_way_down_it_is_not_ready_and_refuses_starts_but_answers() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("CleanupTask", lasting()).await;
    let mut watching = alice.watch(&task).await;
    server.terminate();
    watching.until("cancellation_requested").await;
    let ready = alice.get("/readyz").await;
    assert_eq!((ready.status, ready.text.contains("draining")), (503, true), "{ready:?}");
    assert_eq!(alice.get("/livez").await.status, 200);
    let refused = alice.post("/tasks/tests/ExampleTask").await;
    refused.problem(503, "shutting-down");
    assert!(!refused.header("retry-after").is_empty());
    // A cancel that comes meanwhile is answered with the truth: the shutdown was first.
    let told = alice.cancel(&task, &json!({"reason": "mine"})).await.with(200);
    assert_eq!(told["reason"], "Cancelled by system");
    let rest = watching.rest().await;
    assert_eq!(rest.last().map(|frame| &*frame.event), Some("cancelled"), "I-24");
    let home = server.home();
    let ended = server.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let row = home.server(&[]).await.client("alice").show(&task).await;
    assert_eq!((&row["status"], &row["cancel_cause"]), (&json!("cancelled"), &json!("shutdown")));
    assert_eq!((&row["cancelled_by"], &row["cleanup"]), (&json!(null), &json!("ok")));
}

#[tokio::test]
async fn a_cancel_that_waits_is_answered_before_the_end() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("CleanupTask", json!({"cleanup_ms": 1_000})).await;
    let cancel = tokio::spawn({
        let (alice, task) = (alice.clone(), task.clone());
        async move { alice.cancel(&task, &json!({"reason": "mine"})).await }
    });
    alice.until(&task, "it is asked", |row| !row["cancel_requested_at"].is_null()).await;
    server.terminate();
    let told = cancel.await.unwrap().with(200);
    assert_eq!(told["reason"], "mine");
    assert_eq!(server.ended().await.code, Some(0));
}

#[tokio::test]
async fn a_second_signal_skips_the_grace() {
    let server = Server::start().await;
    let alice = server.client("alice");
    // One that does not look for its whole grace of a second.
    let task = alice.start("LongTask", json!({"step_ms": 60_000})).await;
    alice.watch(&task).await.until("start").await;
    let began = Instant::now();
    server.signal(Signal::INT);
    server.signal(Signal::TERM);
    let ended = server.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn each_task_ends_as_its_model_says_and_restart_models_go_on_afterwards() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let stuck = alice.start("StuckTask", json!({})).await;
    let again = alice.start("RestartTask", json!({})).await;
    let asked = alice.start("CleanupTask", json!({"cleanup_ms": 500})).await;
    let cancel = alice.call(Method::POST, &asked.cancel()).header("prefer", "wait=0");
    Answer::of(cancel.json(&json!({"reason": "mine"}))).await.with(202);
    let mut watching = alice.watch(&again).await;
    watching.until("start").await;
    let before = alice.show(&again).await;
    let home = server.stop().await;
    assert_eq!(watching.rest().await.last().map(|frame| &*frame.event), Some("shutdown"));

    let server = home.server(&["--max-running", "1"]).await;
    let alice = server.client("alice");
    let row = alice.show(&stuck).await;
    let end = (&row["status"], &row["cancel_cause"], &row["cancellation_reason"], &row["stopped_by"]);
    assert_eq!(
        end,
        (&json!("cancelled"), &json!("shutdown"), &json!("Cancelled by system"), &json!("dropped"))
    );
    let row = alice.show(&asked).await;
    assert_eq!((&row["cancel_cause"], &row["cancellation_reason"]), (&json!("user"), &json!("mine")));
    let row = alice.until(&again, "it runs again", |row| row["status"] == "running").await;
    assert_eq!((&row["attempt"], &row["started_at"]), (&json!(1), &before["started_at"]));
    assert!(row["cancel_requested_at"].is_null() && row["node"] != before["node"]);
    let told = alice.cancel(&again, &json!({})).await.with(200);
    assert_eq!(told["status"], "cancelled");
}

#[tokio::test]
async fn what_waits_goes_on_waiting_and_runs_after_the_restart() {
    let server = Server::with(&["--max-running", "1"]).await;
    let alice = server.client("alice");
    alice.start("StuckTask", json!({})).await;
    let waiting = alice.start("ExampleTask", json!({})).await;
    let row = alice.show(&waiting).await;
    assert_eq!((&row["status"], &row["node"]), (&json!("pending"), &json!(null)));
    let mut watching = alice.watch(&waiting).await;
    let home = server.stop().await;
    let rest = watching.rest().await;
    assert_eq!(rest.iter().map(|frame| &*frame.event).collect::<Vec<_>>(), ["shutdown"]);
    let server = home.server(&["--max-running", "1"]).await;
    let row = server.client("alice").ended(&waiting).await;
    assert_eq!((&row["status"], &row["attempt"]), (&json!("completed"), &json!(1)));
}

#[tokio::test]
async fn a_start_that_waits_for_its_end_is_answered_at_the_shutdown() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let ids = alice.start("StuckTask", json!({})).await.id;
    let start = tokio::spawn({
        let request = alice.call(Method::POST, "/tasks/tests/RestartTask").header("prefer", "wait=60");
        async move { Answer::of(request).await }
    });
    let task = crate::server::Task::new("RestartTask", ids + 1);
    eventually("it runs", async || (alice.get(&task.path()).await.status == 200).then_some(())).await;
    server.terminate();
    let row = start.await.unwrap().with(202);
    assert_eq!((&row["id"], &row["status"]), (&json!(task.id), &json!("pending")));
    assert_eq!(server.ended().await.code, Some(0));
}

#[tokio::test]
async fn open_streams_and_idle_connections_do_not_hold_the_end() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let mut watching = Vec::new();
    for model in ["RestartTask", "StuckTask"].repeat(50) {
        let task = alice.start(model, json!({})).await;
        watching.push((model, alice.watch(&task).await));
    }
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut socket = crate::server::Socket::open(server.address()).await;
        socket.send("GET /health HTTP/1.1\r\nhost: x\r\n").await;
        idle.push(socket);
    }
    let began = Instant::now();
    let home = server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for (model, mut watching) in watching {
        let last = watching.rest().await.pop().map(|frame| frame.event);
        let expected = if model == "RestartTask" { "shutdown" } else { "cancelled" };
        assert_eq!(last.as_deref(), Some(expected), "{model}");
    }
    drop((home, idle));
}

#[tokio::test]
async fn after_an_orderly_shutdown_the_database_file_is_whole_by_itself() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ExampleTask", json!({})).await;
    alice.ended(&task).await;
    let waits = alice.start("StuckTask", json!({})).await;
    let home = server.stop().await;
    for beside in ["quell.db-wal", "quell.db-shm"] {
        // Err: it is not there.
        let _ = fs::remove_file(home.path().join(beside));
    }
    let server = home.server(&[]).await;
    let alice = server.client("alice");
    assert_eq!(alice.show(&task).await["status"], "completed");
    assert_eq!(alice.show(&waits).await["cancel_cause"], "shutdown");
    server.stop().await;
}
