//! Limits, from outside: tasks of one owner, places, the queue for them, timeouts, idle timeouts.

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use futures_util::future::join_all;
use quell::http::HttpOptions;
use quell::server::demo::register_demo;
use quell::{Registry, RuntimeSettings};
use serde_json::{Value, json};

use crate::server::{Answer, Client, Home, Hosted, Server, Task, eventually};

/// A start of a task that never ends by itself, as it is answered.
async fn start(client: &Client) -> Answer {
    client.post("/tasks/tests/StuckTask").await
}

fn task(row: &Value) -> Task {
    Task::new(row["model"].as_str().expect("text"), row["id"].as_i64().expect("a number"))
}

/// Many starts at once: the tasks that were accepted, and how many were refused, each as the contract says.
async fn start_many(client: &Client) -> (Vec<Task>, usize) {
    let answers = join_all((0..200).map(|_| start(client))).await;
    let (accepted, refused): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| answer.status == 202);
    for answer in &refused {
        answer.problem(429, "too-many-tasks");
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
    }
    (accepted.iter().map(|answer| task(&answer.json())).collect(), refused.len())
}

async fn status(client: &Client, task: &Task) -> String {
    client.show(task).await["status"].as_str().expect("text").to_owned()
}

#[tokio::test]
async fn i31_of_200_parallel_starts_exactly_as_many_as_the_limit_are_accepted() {
    // Twenty run and the others are pending: both count.
    let server = Server::with(&["--max-running-per-owner", "50", "--max-running", "20"]).await;
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    let (accepted, refused) = start_many(&alice).await;
    assert_eq!((accepted.len(), refused), (50, 150));
    start(&bob).await.with(202);

    // Thirty of them end, running and pending ones alike: thirty places are free, and no more.
    let cancels = accepted[10..40].iter().map(|task| async { alice.post(&task.cancel()).await.with(200) });
    assert_eq!(join_all(cancels).await.len(), 30);
    let (again, refused) = start_many(&alice).await;
    assert_eq!((again.len(), refused), (30, 170));

    // A restart counts what is in the rows: the twenty that ran are over, and those that waited count.
    let home = server.kill().await;
    let server = home.server(&["--max-running-per-owner", "50", "--max-running", "20"]).await;
    let alice = server.client("alice");
    let mut over = 0;
    for task in accepted[..10].iter().chain(&accepted[40..]).chain(&again) {
        over += usize::from(status(&alice, task).await == "failed");
    }
    assert!((10..=20).contains(&over), "bob may have had one of the places: {over}");
    let (after, refused) = start_many(&alice).await;
    assert_eq!((after.len(), refused), (over, 200 - over));
}

#[tokio::test]
async fn i31_whoever_has_seen_an_end_finds_the_place_free() {
    let server = Server::with(&["--max-running-per-owner", "1"]).await;
    let alice = server.client("alice");
    for round in 0..40 {
        let task = task(&start(&alice).await.with(202));
        start(&alice).await.problem(429, "too-many-tasks");
        if round % 2 == 0 {
            alice.post(&task.cancel()).await.with(200);
        } else {
            // Told by the stream and by nothing else.
            let mut watching = alice.watch(&task).await;
            let path = task.cancel();
            let (frames, _) = tokio::join!(watching.rest(), alice.post(&path));
            assert_eq!(frames.last().expect("frames").event, "cancelled");
        }
    }
}

#[tokio::test]
async fn i20_past_the_places_tasks_wait_in_their_order_and_past_the_queue_they_are_refused_also_after_a_restart()
 {
    let limits = ["--max-running", "2", "--max-pending", "3"];
    let server = Server::with(&limits).await;
    let alice = server.client("alice");
    let mut tasks = Vec::new();
    for place in 0..5 {
        let row = start(&alice).await.with(202);
        assert_eq!(row["status"], if place < 2 { "running" } else { "pending" });
        tasks.push(task(&row));
    }
    for _ in 0..3 {
        let refused = start(&alice).await;
        refused.problem(503, "too-many-pending");
        assert!(!refused.header("retry-after").is_empty());
    }
    alice.post(&tasks[0].cancel()).await.with(200);
    alice.until(&tasks[2], "the oldest begins", |row| row["status"] == "running").await;
    for waiting in &tasks[3..] {
        assert_eq!(status(&alice, waiting).await, "pending");
    }
    let newest = task(&start(&alice).await.with(202));
    assert_eq!(status(&alice, &newest).await, "pending");

    // The two that ran are over after the crash, and the oldest two that waited run.
    let home = server.kill().await;
    let server = home.server(&limits).await;
    let alice = server.client("alice");
    for begun in &tasks[3..] {
        alice.until(begun, "the oldest begin", |row| row["status"] == "running").await;
    }
    assert_eq!(status(&alice, &newest).await, "pending");
    for _ in 0..2 {
        assert_eq!(start(&alice).await.with(202)["status"], "pending");
    }
    start(&alice).await.problem(503, "too-many-pending");
}

#[tokio::test]
async fn the_servers_default_and_maximum_hold_for_starts_and_moved_deadlines() {
    let server = Server::with(&["--default-timeout", "5m", "--max-timeout", "10m"]).await;
    let alice = server.client("alice");
    for (given, shown) in [(json!({}), 300), (json!({"timeout_seconds": 600}), 600)] {
        let task = alice.start_with("StuckTask", &given).await;
        assert_eq!(alice.show(&task).await["timeout_seconds"], shown);
        assert_eq!(alice.show(&task).await["idle_timeout_seconds"], Value::Null);
        let row = alice.patch(&task.path(), &json!({"timeout_seconds": null})).await.with(200);
        assert_eq!(row["timeout_seconds"], 600, "the longest, where none was asked for");
        let refused = alice.patch(&task.path(), &json!({"timeout_seconds": 601})).await;
        refused.names(400, "invalid-body", "timeout_seconds");
        assert!(refused.text.contains("600 seconds"), "{refused:?}");
        assert_eq!(alice.show(&task).await["timeout_seconds"], 600);
    }
    for field in ["timeout_seconds", "idle_timeout_seconds"] {
        let refused = alice.post_json("/tasks/tests/StuckTask", &json!({ field: 600.5 })).await;
        refused.names(400, "invalid-body", field);
        assert!(refused.text.contains("600 seconds"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_maximum_alone_is_the_timeout_of_a_task_that_names_none() {
    let server = Server::with(&["--max-timeout", "500ms"]).await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let row = alice.ended(&task).await;
    assert_eq!((&row["timeout_seconds"], &row["cancel_cause"]), (&json!(0.5), &json!("timeout")));
    assert_eq!(row["cancellation_reason"], "Timeout after 0.5s");
}

#[tokio::test]
async fn a_task_keeps_its_timeout_when_the_maximum_falls_until_it_is_moved() {
    let server = Server::with(&["--max-running", "1"]).await;
    let alice = server.client("alice");
    alice.start("StuckTask", json!({})).await;
    let long = alice.start_with("StuckTask", &json!({"timeout_seconds": 5000})).await;
    let endless = alice.start("StuckTask", json!({})).await;
    let home = server.stop().await;
    let server = home.server(&["--max-timeout", "10m"]).await;
    let alice = server.client("alice");
    for (task, kept) in [(long, json!(5000)), (endless, Value::Null)] {
        let row = alice.until(&task, "it begins", |row| row["status"] == "running").await;
        assert_eq!(row["timeout_seconds"], kept);
        let moved = alice.patch(&task.path(), &json!({"timeout_seconds": null})).await.with(200);
        assert_eq!(moved["timeout_seconds"], 600);
    }
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused_with_one_line() {
    let ended = Home::new().refusal(&["--default-timeout", "2h", "--max-timeout", "1h"]).await;
    let line = ended.one_line();
    assert!(line.contains("--default-timeout") && line.contains("--max-timeout"), "{line}");
}

#[tokio::test]
async fn a_task_that_is_idle_ends_with_that_cause_and_one_that_sends_goes_on() {
    let server = Server::start().await;
    let alice = server.client("alice");
    // It waits for a signal, which is idle; the other one sends an event each 50 ms.
    let idle = json!({"input": {"wait_seconds": 3600}, "idle_timeout_seconds": 0.5});
    let busy = json!({"input": {"steps": 80, "step_ms": 50}, "idle_timeout_seconds": 2});
    let (idle, busy) =
        (alice.start_with("ContinueTask", &idle).await, alice.start_with("LongTask", &busy).await);
    let mut watching = alice.watch(&idle).await;
    let row = alice.ended(&idle).await;
    assert_eq!((&row["status"], &row["cancel_cause"]), (&json!("cancelled"), &json!("idle")));
    assert_eq!((&row["cancellation_reason"], &row["cancelled_by"]), (&json!("Idle for 0.5s"), &Value::Null));
    // Its wait ends with the request, and there is no grace: whichever comes first.
    assert!(row["stopped_by"] == "itself" || row["stopped_by"] == "dropped", "{row}");
    assert_eq!(row["idle_timeout_seconds"], 0.5);
    let frames = watching.rest().await;
    let kinds: Vec<&str> = frames.iter().map(|frame| frame.event.as_str()).collect();
    assert_eq!(kinds, ["running", "started", "timeout", "cancellation_requested", "cancelled"]);
    assert_eq!(frames[2].json()["message"], "Task was idle for 0.5 seconds");
    assert_eq!(frames[3].json()["cause"], "idle");
    // 4 s of work: an idle timeout that did not see its events would have ended it.
    assert_eq!(alice.ended(&busy).await["status"], "completed");
}

#[tokio::test]
async fn an_idle_timeout_is_not_moved_by_a_patch() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start_with("StuckTask", &json!({"idle_timeout_seconds": 60})).await;
    let patch = json!({"idle_timeout_seconds": 5, "timeout_seconds": 5});
    alice.patch(&task.path(), &patch).await.names(400, "invalid-body", "idle_timeout_seconds");
    let row = alice.show(&task).await;
    assert_eq!((&row["idle_timeout_seconds"], &row["timeout_seconds"]), (&json!(60), &Value::Null));
}

#[tokio::test]
async fn i20_past_a_thousand_waiting_signals_the_answer_is_503() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let path = task.signal("go");
    let data = json!(1);
    let answers = join_all((0..1_020).map(|_| alice.post_json(&path, &data))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 1_000);
    for refused in answers.iter().filter(|answer| answer.status != 202) {
        refused.problem(503, "too-many-pending");
        assert!(!refused.header("retry-after").is_empty());
    }
}

#[tokio::test]
async fn i31_a_start_that_fails_at_its_commit_gives_its_place_back() {
    let settings =
        RuntimeSettings { max_running_per_owner: Some(4), max_running: 2, ..RuntimeSettings::default() };
    let models = register_demo(Registry::new()).expect("models");
    let host = Hosted::start(models, settings, HttpOptions::default()).await;
    let alice = host.client("alice");
    let mut stranger =
        SqliteConnection::establish(host.database(0).to_str().expect("text")).expect("a database");
    stranger.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").expect("the lock");
    for refused in join_all((0..4).map(|_| start(&alice))).await {
        refused.problem(503, "database-unavailable");
    }
    stranger.batch_execute("ROLLBACK").expect("it was ours");
    let first =
        eventually("writes work again", async || Some(start(&alice).await).filter(|a| a.status == 202)).await;
    assert_eq!(first.with(202)["status"], "running");
    let answers = join_all((0..6).map(|_| start(&alice))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 3);
    host.stop().await;
}
