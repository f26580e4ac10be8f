//! Holds what of a stream depends on settings that the program does not have: the comment in a silence, the reset of
//! a short log, the reader that takes nothing; and bodies that misbehave, seen over HTTP.

use std::time::{Duration, Instant};

use quell::http::HttpOptions;
use quell::server::demo::register_demo;
use quell::{BlockingTask, Cleaned, ModelSettings, Registry, RuntimeSettings, Task, TaskContext, TaskError};
use serde::Deserialize;
use serde_json::json;

use crate::server::{Hosted, Item, Socket, eventually, token};

const MOMENT: Duration = Duration::from_millis(100);

fn demo() -> Registry {
    register_demo(Registry::new()).expect("models")
}

#[tokio::test]
async fn a_silence_is_broken_by_comments() {
    let options = HttpOptions::default().keep_alive(MOMENT);
    let host = Hosted::start(demo(), RuntimeSettings::default(), options).await;
    let alice = host.client("alice");
    let task = alice.start("CleanupTask", json!({})).await;
    let mut watching = alice.watch(&task).await;
    watching.until("running").await;
    for _ in 0..3 {
        assert!(matches!(watching.item().await, Some(Ok(Item::Comment(_)))));
    }
    alice.post(&task.cancel()).await.with(200);
    assert_eq!(watching.rest().await.last().map(|frame| &*frame.event), Some("cancelled"));
    host.stop().await;
}

#[tokio::test]
async fn i23_whoever_asks_for_more_than_is_kept_is_told() {
    let settings = RuntimeSettings { keep_events: 10, ..RuntimeSettings::default() };
    let host = Hosted::start(demo(), settings, HttpOptions::default()).await;
    let alice = host.client("alice");
    let items: Vec<_> = (0..50).map(|at| json!({ "at": at })).collect();
    let task = alice.start("SyncGeneratorTask", json!({ "items": items })).await;
    alice.ended(&task).await;
    for after in [None, Some(1), Some(20)] {
        let mut watching = alice.watch_after(&task, after).await;
        let reset = watching.frame().await.expect("a reset");
        assert_eq!((&*reset.event, reset.id), ("reset", None));
        let from = reset.json()["from"].as_i64().unwrap();
        let numbers: Vec<_> = watching.rest().await.iter().map(|frame| frame.id.unwrap()).collect();
        assert_eq!(numbers, (from..=52).collect::<Vec<_>>());
        assert!(numbers.len() >= 10, "{numbers:?}");
    }
    let rest = alice.watch_after(&task, Some(45)).await.rest().await;
    assert_eq!(rest[0].id, Some(46), "no reset where nothing is missing");
    host.stop().await;
}

/// Sends far more events than a reader who takes nothing can be given, and no more than the test itself can read.
#[derive(Deserialize)]
struct Flood {}

impl Task for Flood {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "Flood";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        loop {
            ctx.send_event("drop", &"x".repeat(2_000)).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off_and_holds_up_nobody() {
    let patience = Duration::from_millis(300);
    let options = HttpOptions::default().reader_patience(patience);
    let registry = demo().task::<Flood>().expect("a model");
    let settings = RuntimeSettings { keep_events: 1_000_000, ..RuntimeSettings::default() };
    let host = Hosted::start(registry, settings, options).await;
    let alice = host.client("alice");
    let task = alice.start("Flood", json!({})).await;
    let mut socket = Socket::narrow(host.address()).await;
    let (path, token) = (task.stream(), token("alice"));
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    socket.send(head).await;
    // Another watcher of the same task goes on, well past what the stuck one can hold, and past its patience. Where
    // the machine itself holds it up for so long, it is cut off too, and resumes.
    let (mut watching, began) = (alice.watch(&task).await, Instant::now());
    let (mut last, mut asked) = (0, None);
    loop {
        let Some(frame) = watching.frame().await else {
            watching = alice.watch_after(&task, Some(last)).await;
            continue;
        };
        assert_eq!(frame.id, Some(last + 1), "I-23");
        last += 1;
        if frame.is_terminal() {
            break;
        }
        if asked.is_none() && last >= 2_000 && began.elapsed() > patience * 5 {
            let (alice, task) = (alice.clone(), task.clone());
            asked = Some(tokio::spawn(async move { alice.post(&task.cancel()).await }));
        }
    }
    asked.expect("it was cancelled").await.expect("no panic").with(200);
    // The stuck one wakes up: it gets what was on its way, then the end, and not all that it missed.
    let mut bytes = 0;
    eventually("the stuck stream ends", async || {
        let read = socket.read().await.unwrap_or_default();
        bytes += read.len();
        read.is_empty().then_some(())
    })
    .await;
    assert!(bytes < 1_000_000, "{bytes} bytes of {last} events of 2,000");
    host.stop().await;
}

/// Misbehaves as its input says.
#[derive(Deserialize)]
struct Unruly {
    how: String,
}

/// Panics when it is dropped.
struct Mine(bool);

impl Drop for Mine {
    fn drop(&mut self) {
        assert!(!self.0, "in its drop");
    }
}

impl Task for Unruly {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "Unruly";
    type Output = std::collections::HashMap<Vec<u8>, u8>;

    async fn process(&self, _ctx: TaskContext) -> Result<Self::Output, TaskError> {
        match &*self.how {
            "panics" => panic!("in its body"),
            "returns" => return Ok([(vec![1], 1)].into()),
            _ => {}
        }
        let _mine = Mine(self.how == "drop");
        std::future::pending().await
    }

    async fn on_cancel(&self, _ctx: TaskContext) -> Result<Cleaned, TaskError> {
        assert!(self.how != "cleanup", "in its cleanup");
        Ok(Cleaned::Done)
    }
}

#[tokio::test]
async fn i17_a_body_that_panics_anywhere_harms_nobody_else() {
    let registry = demo().task::<Unruly>().expect("a model");
    let host = Hosted::start(registry, RuntimeSettings::default(), HttpOptions::default()).await;
    let alice = host.client("alice");
    let other = alice.start("StuckTask", json!({})).await;
    let task = alice.start("Unruly", json!({"how": "panics"})).await;
    let row = alice.ended(&task).await;
    let end = (&row["status"], &row["error_type"], &row["error_message"]);
    assert_eq!(end, (&json!("failed"), &json!("panic"), &json!("in its body")));
    let task = alice.start("Unruly", json!({"how": "returns"})).await;
    assert_eq!(alice.ended(&task).await["status"], "failed");
    for (how, cleanup) in [("drop", "ok"), ("cleanup", "panicked"), ("", "ok")] {
        let task = alice.start("Unruly", json!({ "how": how })).await;
        let told = alice.post(&task.cancel()).await.with(200);
        assert_eq!(told["status"], "cancelled", "{how}");
        let row = alice.show(&task).await;
        assert_eq!((&row["status"], &row["cleanup"]), (&json!("cancelled"), &json!(cleanup)), "{how}: {row}");
    }
    assert_eq!(alice.show(&other).await["status"], "running");
    assert_eq!(alice.get("/readyz").await.status, 200);
    host.stop().await;
}

/// Blocks until the test lets it go, and never looks whether it was asked to stop.
#[derive(Deserialize)]
struct Deaf {}

impl BlockingTask for Deaf {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "Deaf";
    type Output = ();

    fn process(&self, ctx: &TaskContext) -> Result<(), TaskError> {
        ctx.send_event_blocking("started", &json!({}))?;
        if let Some(gate) = ctx.state::<Gate>() {
            let mut open = gate.open.lock().expect("no panic");
            while !*open {
                open = gate.opened.wait(open).expect("no panic");
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Gate {
    open: std::sync::Mutex<bool>,
    opened: std::sync::Condvar,
}

#[tokio::test]
async fn i25_a_body_that_blocks_for_ever_is_written_off_and_does_not_hold_the_end() {
    let gate = std::sync::Arc::new(Gate::default());
    let registry = demo().blocking::<Deaf>().expect("a model").state(std::sync::Arc::clone(&gate));
    let host = Hosted::start(registry, RuntimeSettings::default(), HttpOptions::default()).await;
    let alice = host.client("alice");
    let task = alice.start("Deaf", json!({})).await;
    alice.watch(&task).await.until("started").await;
    let told = alice.post(&task.cancel()).await.with(200);
    assert_eq!(told["stopped_by"], "abandoned");
    let stuck = alice.start("Deaf", json!({})).await;
    let mut watching = alice.watch(&stuck).await;
    watching.until("started").await;
    let began = Instant::now();
    host.coordinators[0].shutdown(Duration::from_secs(4)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let end = watching.rest().await.pop().expect("an end");
    assert_eq!((&*end.event, &end.json()["stopped_by"]), ("cancelled", &json!("abandoned")));
    *gate.open.lock().expect("no panic") = true;
    gate.opened.notify_all();
    host.stop().await;
}

/// Has a long grace, and uses all of it.
#[derive(Deserialize)]
struct Patient {}

impl Task for Patient {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "Patient";
    type Output = ();

    fn settings() -> ModelSettings {
        ModelSettings::new().grace(Duration::from_secs(20))
    }

    async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn i25_a_shutdown_in_a_hurry_skips_the_grace() {
    let registry = demo().task::<Patient>().expect("a model");
    let host = Hosted::start(registry, RuntimeSettings::default(), HttpOptions::default()).await;
    let alice = host.client("alice");
    let task = alice.start("Patient", json!({})).await;
    let mut watching = alice.watch(&task).await;
    let coordinator = host.coordinators[0].clone();
    let began = Instant::now();
    let down = tokio::spawn(async move { coordinator.shutdown(Duration::from_secs(60)).await });
    watching.until("cancellation_requested").await;
    host.coordinators[0].hurry();
    let end = watching.rest().await.pop().expect("an end");
    assert_eq!((&*end.event, &end.json()["stopped_by"]), ("cancelled", &json!("dropped")));
    down.await.expect("it goes down");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    host.stop().await;
}
