//! Holds what a second cancel is told while the end that the first one caused is on its way to the disk.
//!
//! The moment is held open by a stranger's lock on the database, for less time than the server waits for one.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use quell::http::HttpOptions;
use quell::server::demo::register_demo;
use quell::task::TaskKey;
use quell::{Receipt, Registry, RuntimeSettings};
use serde_json::json;

use crate::server::{Hosted, eventually};

/// How long the server is known to wait for a lock, with some room.
const HELD_AT_MOST: Duration = Duration::from_millis(700);

/// Cancels twice around the moment; none where the machine was too slow to hit it.
async fn twice(host: &Hosted) -> Option<[Receipt; 2]> {
    let task = host.client("alice").start("StuckTask", json!({})).await;
    let key: TaskKey = format!("tests/StuckTask/{}", task.id).parse().expect("a key");
    let coordinator = &host.coordinators[0];
    let cancel = |reason: &'static str| {
        let (coordinator, key) = (coordinator.clone(), key.clone());
        tokio::spawn(async move { coordinator.cancel_task(&key, Some(reason)).await })
    };
    let mut stranger =
        SqliteConnection::establish(host.database(0).to_str().expect("text")).expect("a database");
    stranger.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").expect("the lock");
    let held = Instant::now();
    let first = cancel("first");
    eventually("the end is on its way", async || {
        let rung = coordinator.status(&key).await.expect("it is there").rung;
        (rung == Some("ending") || held.elapsed() > HELD_AT_MOST).then_some(())
    })
    .await;
    let second = cancel("second");
    tokio::task::yield_now().await;
    // Commands are taken in their order: once this is answered, the cancel has arrived.
    coordinator.status(&key).await.expect("it is there");
    let in_time = held.elapsed() < HELD_AT_MOST;
    stranger.batch_execute("ROLLBACK").expect("it was ours");
    let (first, second) = (first.await.expect("no panic"), second.await.expect("no panic"));
    in_time.then(|| [first.expect("a receipt"), second.expect("a receipt")])
}

#[tokio::test]
async fn a_second_cancel_while_the_end_is_written_gets_the_answer_of_the_first() {
    let models = register_demo(Registry::new()).expect("models");
    let host = Hosted::start(models, RuntimeSettings::default(), HttpOptions::default()).await;
    let [first, second] = eventually("a try that was fast enough", async || twice(&host).await).await;
    assert!(first.is_cancelled(), "{first:?}");
    assert_eq!(first, second);
    host.stop().await;
}
