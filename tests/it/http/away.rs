//! Holds what cancels of many and requests with a key are told while a stranger locks the database: nothing that is
//! not so.

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use quell::http::HttpOptions;
use quell::server::demo::register_demo;
use quell::{Registry, RuntimeSettings};
use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Client, Hosted, eventually};

async fn host() -> Hosted {
    let models = register_demo(Registry::new()).expect("models");
    Hosted::start(models, RuntimeSettings::default(), HttpOptions::default()).await
}

fn lock(host: &Hosted) -> SqliteConnection {
    let path = host.database(0);
    let mut stranger = SqliteConnection::establish(path.to_str().expect("text")).expect("a database");
    stranger.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").expect("the lock");
    stranger
}

async fn start(client: &Client, key: &str) -> Answer {
    let request = client.call(Method::POST, "/tasks/tests/StuckTask").header("idempotency-key", key);
    Answer::of(request.json(&json!({}))).await
}

#[tokio::test]
async fn i06_a_cancel_of_many_claims_nothing_that_is_not_durable() {
    let host = host().await;
    let alice = host.client("alice");
    let mut tasks = Vec::new();
    for _ in 0..5 {
        tasks.push(alice.start("StuckTask", json!({})).await);
    }
    let mut stranger = lock(&host);
    let request = alice.call(Method::POST, "/cancel").header("prefer", "wait=0").json(&json!({"all": true}));
    let refused = Answer::of(request).await;
    refused.problem(503, "database-unavailable");
    assert!(!refused.header("retry-after").is_empty());
    for task in &tasks {
        let row = alice.show(task).await;
        assert_eq!((&row["status"], &row["cancel_requested_at"]), (&json!("running"), &json!(null)));
    }
    // A dry run only looks.
    let told = alice.post_json("/cancel", &json!({"all": true, "dry_run": true})).await.with(200);
    assert_eq!(told["matched"], 5);
    stranger.batch_execute("ROLLBACK").expect("it was ours");
    eventually("all have stopped", async || {
        let told = alice.post_json("/cancel", &json!({"all": true})).await;
        (told.status == 200 && told.json()["matched"] == 0).then_some(())
    })
    .await;
    for task in &tasks {
        assert_eq!(alice.show(task).await["status"], "cancelled");
    }
    host.stop().await;
}

#[tokio::test]
async fn i03_what_is_said_of_a_task_that_is_over_is_kept_or_not_said() {
    let host = host().await;
    let alice = host.client("alice");
    let task = alice.start("ExampleTask", json!({})).await;
    alice.ended(&task).await;
    let cancel = async |reason: &str| {
        let request = alice.call(Method::POST, &task.cancel()).header("idempotency-key", "k");
        Answer::of(request.json(&json!({"reason": reason}))).await
    };
    let mut stranger = lock(&host);
    cancel("first").await.problem(503, "database-unavailable");
    stranger.batch_execute("ROLLBACK").expect("it was ours");
    let told = eventually("the database takes keys", async || {
        let answer = cancel("second").await;
        (answer.status != 503).then_some(answer)
    })
    .await;
    assert_eq!(told.with(404)["status"], "not_running");
    cancel("first").await.problem(422, "key-reused");
    assert_eq!(cancel("second").await.with(404)["status"], "not_running");
    host.stop().await;
}

#[tokio::test]
async fn i03_a_start_that_was_not_durable_leaves_its_key_free() {
    let host = host().await;
    let alice = host.client("alice");
    let mut stranger = lock(&host);
    start(&alice, "k").await.problem(503, "database-unavailable");
    stranger.batch_execute("ROLLBACK").expect("it was ours");
    let made = eventually("the database takes starts", async || {
        let answer = start(&alice, "k").await;
        (answer.status != 503).then_some(answer)
    })
    .await;
    made.with(202);
    assert_eq!(start(&alice, "k").await.text, made.text);
    assert_eq!(alice.get("/tasks").await.with(200)["items"].as_array().expect("a list").len(), 1);
    host.stop().await;
}
