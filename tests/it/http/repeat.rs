//! Holds `Idempotency-Key`: a request that is repeated with it is carried out once, over restarts too.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::future::join_all;
use quell::http::HttpOptions;
use quell::server::demo::register_demo;
use quell::task::Timestamp;
use quell::{Clock, Registry, RuntimeSettings, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Hosted, Server, Socket, Task, eventually, token};

const START: &str = "/tasks/tests/StuckTask";

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    Answer::of(client.call(Method::POST, path).header("idempotency-key", key).json(body)).await
}

async fn count(client: &Client) -> usize {
    client.get("/tasks?limit=500").await.with(200)["items"].as_array().expect("a list").len()
}

fn same(one: &Answer, other: &Answer) {
    let told = |answer: &Answer| (answer.status, answer.header("location").to_owned(), answer.text.clone());
    assert_eq!(told(one), told(other));
}

#[tokio::test]
async fn i03_any_number_of_starts_with_one_key_make_one_task() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let body = json!({"timeout_seconds": 500});
    let answers = join_all((0..60).map(|_| post(&alice, START, "one", &body))).await;
    let (done, under_way): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    assert!(!done.is_empty());
    for answer in &done {
        same(&done[0], answer);
        assert!(answer.header("location").starts_with("/tasks/tests/StuckTask/"));
    }
    for answer in under_way {
        answer.problem(409, "key-in-use");
    }
    same(&done[0], &post(&alice, START, "one", &body).await);
    assert_eq!(count(&alice).await, 1);
    // Other bytes, another path, another owner.
    for (path, other) in [(START, json!({"timeout_seconds": 501})), ("/tasks/tests/LongTask", body.clone())] {
        post(&alice, path, "one", &other).await.names(422, "key-reused", "Idempotency-Key");
    }
    let task = Task::new("StuckTask", done[0].json()["id"].as_i64().expect("an id"));
    post(&alice, &task.cancel(), "one", &json!({})).await.problem(422, "key-reused");
    post(&server.client("bob"), START, "one", &body).await.with(202);
    post(&alice, START, "two", &body).await.with(202);
    assert_eq!(count(&alice).await, 2);
    // The audit log tells them apart.
    eventually("the replays are in the log", async || {
        let log = server.err();
        let accepted = log.lines().filter(|l| l.contains("quell::audit") && l.contains("started")).count();
        let replayed = log.lines().filter(|l| l.contains("quell::audit") && l.contains("replayed")).count();
        (accepted == 3 && replayed == done.len()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn i03_a_key_holds_over_kill_9_whether_its_answer_was_kept_or_not() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let kept = post(&alice, START, "kept", &json!({})).await;
    let id = kept.with(202)["id"].as_i64().expect("an id");
    // This one's answer is not sent, and so not kept, before the server dies: the client waits for an end.
    let waiting = {
        let client = alice.clone();
        tokio::spawn(async move {
            let request = client
                .call(Method::POST, START)
                .header("idempotency-key", "lost")
                .header("prefer", "wait=60");
            Answer::try_of(request.json(&json!({}))).await
        })
    };
    eventually("it is started", async || (count(&alice).await == 2).then_some(())).await;
    post(&alice, START, "lost", &json!({})).await.problem(409, "key-in-use");
    let server = server.kill().await.server(&[]).await;
    assert!(waiting.await.expect("no panic").is_err(), "it was never answered");
    let alice = server.client("alice");
    same(&kept, &post(&alice, START, "kept", &json!({})).await);
    let body = json!({});
    let answers = join_all((0..10).map(|_| post(&alice, START, "lost", &body))).await;
    let found: Vec<_> = answers.iter().filter(|answer| answer.status != 409).collect();
    for answer in &found {
        same(found[0], answer);
        let row = answer.with(200);
        assert_eq!((&row["status"], &row["error_type"]), (&json!("failed"), &json!("lost")));
        assert_eq!(answer.header("location"), format!("/tasks/tests/StuckTask/{}", row["id"]));
        assert_ne!(row["id"], id);
    }
    assert!(!found.is_empty());
    assert_eq!(count(&alice).await, 2);
}

#[tokio::test]
async fn i03_a_client_that_left_finds_its_task_again() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for leave in [Socket::close, Socket::reset] {
        let before = count(&alice).await;
        let (key, token) = (format!("left-{before}"), token("alice"));
        let head = format!(
            "POST {START} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nprefer: wait=60\r\n\
             idempotency-key: {key}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        let mut socket = Socket::open(server.address()).await;
        socket.send(head).await;
        eventually("it is started", async || (count(&alice).await > before).then_some(())).await;
        leave(socket);
        let again = eventually("the first one is given up", async || {
            let again = post(&alice, START, &key, &json!({})).await;
            (again.status != 409).then_some(again)
        })
        .await;
        assert_eq!(again.with(202)["status"], "running");
        same(&again, &post(&alice, START, &key, &json!({})).await);
        assert_eq!(count(&alice).await, before + 1);
    }
}

#[tokio::test]
async fn the_first_answer_to_a_cancel_and_a_signal_is_given_again() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ContinueTask", json!({"wait_seconds": 60})).await;
    let signalled = post(&alice, &task.signal("other"), "signal", &json!(1)).await;
    signalled.with(202);
    same(&signalled, &post(&alice, &task.signal("other"), "signal", &json!(1)).await);
    post(&alice, &task.signal("other"), "signal", &json!(2)).await.problem(422, "key-reused");
    post(&alice, &task.signal("another"), "signal", &json!(1)).await.problem(422, "key-reused");
    let cancelled = post(&alice, &task.cancel(), "cancel", &json!({"reason": "r"})).await;
    assert_eq!(cancelled.with(200)["status"], "cancelled");
    same(&cancelled, &post(&alice, &task.cancel(), "cancel", &json!({"reason": "r"})).await);
    // Without the key, or with another one, the truth of now; which is kept in its turn.
    assert_eq!(alice.cancel(&task, &json!({"reason": "r"})).await.with(404)["status"], "not_running");
    let over = post(&alice, &task.cancel(), "late", &json!({})).await;
    assert_eq!(over.with(404)["status"], "not_running");
    let signal = post(&alice, &task.signal("other"), "late-signal", &json!(1)).await;
    assert_eq!(signal.with(404)["status"], "not_running");
    let many = post(&alice, "/cancel", "many", &json!({"all": true})).await;
    assert_eq!(many.with(200)["matched"], 0);
    alice.start("StuckTask", json!({})).await;
    let server = server.kill().await.server(&[]).await;
    let alice = server.client("alice");
    same(&cancelled, &post(&alice, &task.cancel(), "cancel", &json!({"reason": "r"})).await);
    same(&signalled, &post(&alice, &task.signal("other"), "signal", &json!(1)).await);
    same(&over, &post(&alice, &task.cancel(), "late", &json!({})).await);
    same(&signal, &post(&alice, &task.signal("other"), "late-signal", &json!(1)).await);
    same(&many, &post(&alice, "/cancel", "many", &json!({"all": true})).await);
}

#[tokio::test]
async fn a_signal_that_is_repeated_comes_once() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ContinueTask", json!({"wait_seconds": 60})).await;
    let (path, body) = (task.signal("other"), json!({}));
    let answers = join_all((0..20).map(|_| post(&alice, &path, "s", &body))).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 202 | 409)));
    assert!(answers.iter().any(|answer| answer.status == 202));
    // Kept until it is taken: the database has it once.
    let home = server.kill().await;
    let database = home.database();
    let mut db =
        <diesel::SqliteConnection as diesel::Connection>::establish(database.to_str().expect("text"))
            .expect("a database");
    let left = diesel::RunQueryDsl::execute(diesel::sql_query("DELETE FROM signals"), &mut db);
    assert_eq!(left.expect("it deletes"), 1);
}

#[tokio::test]
async fn a_refusal_leaves_the_key_free() {
    let server = Server::start().await;
    let alice = server.client("alice");
    post(&alice, "/tasks/tests/Unknown", "k", &json!({})).await.problem(404, "unknown-model");
    post(&alice, START, "k", &json!({"timeout_seconds": 0})).await.problem(400, "invalid-body");
    post(&alice, "/tasks/tests/SlowTask", "k", &json!({"input": {"seconds": "x"}}))
        .await
        .problem(422, "invalid-input");
    post(&alice, START, "k", &json!({})).await.with(202);
    let task = Task::new("StuckTask", 4711);
    post(&alice, &task.cancel(), "c", &json!({})).await.problem(404, "task-not-found");
}

#[tokio::test]
async fn a_malformed_key_is_refused_by_name() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for key in ["", "a b", "a\tb", &"k".repeat(256)] {
        post(&alice, START, key, &json!({})).await.names(400, "invalid-path", "Idempotency-Key");
    }
    let twice = alice.call(Method::POST, START).header("idempotency-key", "a").header("idempotency-key", "b");
    Answer::of(twice).await.names(400, "invalid-path", "Idempotency-Key");
    post(&alice, START, &"k".repeat(255), &json!({})).await.with(202);
    assert_eq!(count(&alice).await, 1);
}

/// The system's clock, put forward.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.wall().as_micros() + self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_key_is_kept_for_a_day_and_free_then() {
    let clock = Arc::new(Ahead::default());
    // A short retention looks often.
    let retention = Some(std::time::Duration::from_secs(1));
    let settings = RuntimeSettings { clock: clock.clone(), retention, ..RuntimeSettings::default() };
    let registry = register_demo(Registry::new()).expect("models");
    let host = Hosted::start(registry, settings, HttpOptions::default()).await;
    let alice = host.client("alice");
    let first = post(&alice, START, "k", &json!({})).await;
    first.with(202);
    let hour = 3_600_000_000;
    clock.0.store(23 * hour, Ordering::SeqCst);
    same(&first, &post(&alice, START, "k", &json!({})).await);
    post(&alice, START, "k", &json!({"timeout_seconds": 9})).await.problem(422, "key-reused");
    clock.0.store(24 * hour, Ordering::SeqCst);
    let second = post(&alice, START, "k", &json!({"timeout_seconds": 900_000})).await;
    assert_ne!(second.with(202)["id"], first.json()["id"]);
    assert_eq!(count(&alice).await, 2);
    // And old rows are removed.
    clock.0.store(49 * hour, Ordering::SeqCst);
    let path = host.database(0);
    eventually("the keys are gone", async || {
        let mut db = <diesel::SqliteConnection as diesel::Connection>::establish(path.to_str()?).ok()?;
        let count = diesel::sql_query("SELECT 1 FROM idempotency_keys");
        let found = diesel::RunQueryDsl::load::<Found>(count, &mut db).ok()?;
        found.is_empty().then_some(())
    })
    .await;
    assert_eq!(count(&alice).await, 2, "a task that runs is older than the retention, and stays");
    host.stop().await;
}

#[derive(diesel::QueryableByName)]
struct Found {}
