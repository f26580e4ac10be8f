//! Bodies that cannot be stopped, against the real program: they hurt nobody else, end as `abandoned`, and hold up
//! no shutdown.

use std::num::NonZero;
use std::time::{Duration, Instant};

use chrono::DateTime;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Server, Task, eventually};

async fn spin(client: &Client, count: usize) -> Vec<Task> {
    let mut tasks = Vec::new();
    for _ in 0..count {
        tasks.push(client.start("SpinTask", json!({})).await);
    }
    tasks
}

/// Starts an `ExampleTask`, waits for its end, and tells how long that took.
async fn example(client: &Client) -> Duration {
    let began = Instant::now();
    let start = client.call(Method::POST, "/tasks/tests/ExampleTask").header("prefer", "wait=60");
    let row = Answer::of(start).await.with(200);
    assert_eq!(row["final_value"], "Completed processing: Hello from ExampleTask");
    began.elapsed()
}

fn at(row: &Value, member: &str) -> DateTime<chrono::FixedOffset> {
    DateTime::parse_from_rfc3339(row[member].as_str().unwrap_or_else(|| panic!("{member}: {row}"))).unwrap()
}

/// How late the timeout of a task was asked for.
fn lateness(row: &Value) -> Duration {
    let ran = (at(row, "cancel_requested_at") - at(row, "started_at")).to_std().unwrap();
    ran.saturating_sub(Duration::from_secs_f64(row["timeout_seconds"].as_f64().unwrap()))
}

#[tokio::test]
async fn i21_eight_endless_loops_hurt_nobody_else() {
    let server = Server::start().await;
    let alice = server.client("alice");
    spin(&alice, 8).await;
    // The machine may be busy with other things: the best of a few is what the loops allow.
    let mut best = example(&alice).await;
    for _ in 0..4 {
        best = best.min(example(&alice).await);
    }
    assert!(best < Duration::from_secs(2), "{best:?}");

    let mut timed = Vec::new();
    for _ in 0..20 {
        timed.push(alice.start_with("StuckTask", &json!({"timeout_seconds": 0.5})).await);
    }
    let mut late = Vec::new();
    for task in &timed {
        let row = alice.ended(task).await;
        assert_eq!((&row["cancel_cause"], &row["stopped_by"]), (&json!("timeout"), &json!("dropped")));
        late.push(lateness(&row));
    }
    late.sort();
    assert!(late[10] < Duration::from_millis(250), "{late:?}");

    for (model, stopped_by) in [("LongTask", "itself"), ("StuckTask", "dropped")] {
        let task = alice.start(model, json!({})).await;
        let told = alice.cancel(&task, &json!({})).await.with(200);
        assert_eq!(told["stopped_by"], stopped_by, "{model}");
    }
    assert_eq!(alice.get("/health").await.text, "OK");
    assert_eq!(alice.get("/readyz").await.status, 200, "there is room for more threads");
}

/// Starts a task and cancels it until its body had begun: the row says running before a thread has taken the body, and
/// on a busy machine a cancel may be faster.
async fn cancelled_in_its_body(client: &Client, model: &str) -> (Task, Value) {
    for _ in 0..20 {
        let task = client.start(model, json!({})).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let told = client.cancel(&task, &json!({"reason": "enough"})).await.with(200);
        if told["stopped_by"] != "dropped" && told["stopped_by"] != "never_started" {
            return (task, told);
        }
    }
    panic!("no {model} ever began");
}

#[tokio::test]
async fn i07_an_endless_body_is_written_off_in_time_and_the_answer_says_so() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for model in ["SpinTask", "BlockTask"] {
        let (task, told) = cancelled_in_its_body(&alice, model).await;
        assert_eq!((&told["stopped_by"], &told["reason"]), (&json!("abandoned"), &json!("enough")));
        let row = alice.show(&task).await;
        assert_eq!((&row["status"], &row["stopped_by"]), (&json!("cancelled"), &json!("abandoned")));
        assert!(row["cleanup"].is_null() && row["final_value"].is_null() && row["error_type"].is_null());
        let took = (at(&row, "cancelled_at") - at(&row, "cancel_requested_at")).to_std().unwrap();
        assert!(took >= Duration::from_secs(2), "not before its stop limit: {took:?}");
        let named = format!("tests/{model}/{}", task.id);
        eventually("the log names it", async || server.err().contains(&named).then_some(())).await;
    }
}

#[tokio::test]
async fn i25_abandoned_and_endless_bodies_do_not_hold_up_the_end() {
    let server = Server::with(&["--shutdown-grace", "6s"]).await;
    let alice = server.client("alice");
    let tasks = spin(&alice, 4).await;
    let blocked = alice.start("BlockTask", json!({})).await;
    alice.cancel(&tasks[0], &json!({})).await.with(200);
    alice.cancel(&blocked, &json!({})).await.with(200);
    let began = Instant::now();
    server.terminate();
    let home = server.home();
    let ended = server.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    let server = home.server(&[]).await;
    let alice = server.client("alice");
    for task in &tasks {
        let row = alice.show(task).await;
        assert_eq!(row["status"], "cancelled", "{row}");
    }
}

#[tokio::test]
async fn at_the_thread_limit_it_is_not_ready_and_says_why() {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let server = Server::with(&["--max-body-threads", "1"]).await;
    let alice = server.client("alice");
    assert_eq!(alice.get("/readyz").await.status, 200);
    spin(&alice, threads).await;
    let full = eventually("it is not ready", async || {
        let answer = alice.get("/readyz").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert!(full.text.contains("thread limit"), "{}", full.text);
    assert_eq!(alice.get("/livez").await.status, 200);
}
