//! Holds the retention: finished tasks go when they are old, others never, and no stream is harmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use quell::http::HttpOptions;
use quell::server::demo::register_demo;
use quell::task::{TaskKey, Timestamp};
use quell::{Clock, CommandError, Notice, Registry, RuntimeSettings, SystemClock};
use serde_json::json;

use crate::server::{Hosted, Server, Task, eventually};

#[derive(Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.wall().as_micros() + self.0.load(Ordering::SeqCst))
    }
}

const HOUR: i64 = 3_600_000_000;

async fn host() -> (Hosted, Arc<Ahead>) {
    let clock = Arc::new(Ahead::default());
    // Looks often, so that the clock alone decides; nothing of a test is as old by itself.
    let retention = Some(Duration::from_secs(60));
    let settings = RuntimeSettings { clock: clock.clone(), retention, ..RuntimeSettings::default() };
    let registry = register_demo(Registry::new()).expect("models");
    (Hosted::start(registry, settings, HttpOptions::default()).await, clock)
}

fn key(task: &Task) -> TaskKey {
    format!("tests/{}/{}", task.model, task.id).parse().expect("a key")
}

#[tokio::test]
async fn old_finished_tasks_go_and_all_others_stay() {
    let (host, clock) = host().await;
    let alice = host.client("alice");
    let done = alice.start("ExampleTask", json!({"message": "m"})).await;
    let failed = alice.start("FailTask", json!({})).await;
    let runs = alice.start("StuckTask", json!({})).await;
    for task in [&done, &failed] {
        alice.ended(task).await;
    }
    clock.0.store(HOUR, Ordering::SeqCst);
    let young = alice.start("ExampleTask", json!({})).await;
    alice.ended(&young).await;
    for task in [&done, &failed] {
        eventually("it is gone", async || (alice.get(&task.path()).await.status == 404).then_some(())).await;
        alice.get(&task.path()).await.problem(404, "task-not-found");
        alice.get(&task.stream()).await.problem(404, "task-not-found");
        alice.post(&task.cancel()).await.problem(404, "task-not-found");
    }
    assert_eq!(alice.show(&runs).await["status"], "running");
    assert_eq!(alice.show(&young).await["status"], "completed");
    assert_eq!(alice.cancel(&runs, &json!({})).await.with(200)["status"], "cancelled");
    host.stop().await;
}

#[tokio::test]
async fn i23_a_watcher_in_the_middle_of_a_pruned_log_is_told_or_ends_and_never_sees_a_gap() {
    let (host, clock) = host().await;
    let (quell, alice) = (&host.coordinators[0], host.client("alice"));
    // More events than one step removes, so that a watch may meet the log half-way.
    let items: Vec<u32> = (0..3_000).collect();
    let task = alice.start("SyncGeneratorTask", json!({ "items": items })).await;
    alice.ended(&task).await;
    let mut watch = quell.watch(&key(&task), 0).await.expect("it is there");
    let Some(Ok(Notice::Event(first))) = watch.next().await else { panic!("an event") };
    let mut last = first.seq;
    clock.0.store(HOUR, Ordering::SeqCst);
    eventually("it is gone", async || (alice.get(&task.path()).await.status == 404).then_some(())).await;
    // What the watch held it still gives; then it ends, without an error and without an end of the task.
    while let Some(notice) = watch.next().await {
        match notice.expect("no error") {
            Notice::Event(event) => {
                assert_eq!(event.seq, last + 1);
                last = event.seq;
            }
            Notice::Reset { from } => last = from - 1,
            Notice::Shutdown => panic!("it goes on"),
        }
    }
    assert!(last >= 1);
    let again = quell.watch(&key(&task), last).await.map(|_| ());
    assert!(matches!(again, Err(CommandError::NotFound(_))), "{again:?}");
    host.stop().await;
}

#[tokio::test]
async fn the_servers_setting_prunes_at_the_start_what_is_old() {
    let server = Server::with(&["--retention", "none"]).await;
    let alice = server.client("alice");
    let done = alice.start("ExampleTask", json!({})).await;
    alice.ended(&done).await;
    let server = server.kill().await.server(&["--retention", "1ms"]).await;
    let alice = server.client("alice");
    eventually("it is gone", async || (alice.get(&done.path()).await.status == 404).then_some(())).await;
    let next = alice.start("StuckTask", json!({})).await;
    assert!(next.id > done.id, "I-2: an id is never used again");
    server.stop().await;
}
