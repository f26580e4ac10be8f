//! Holds what an fsync that fails does, with the real program on a disk that says so: a library in front of the C
//! library's (`LD_PRELOAD`) reads from a file what is to fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::served::Day;
use crate::server::{Home, Server, Task, eventually};

/// What the disk does.
#[derive(Clone, Copy)]
enum Disk {
    Works,
    /// An fsync fails; what was written stays.
    FailsToSync,
    /// The first fsync fails, and from then on every write too.
    DiesAtSync,
}

/// The library, built once.
fn shim() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("disk.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path);
        compiler.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/trouble/disk.c")).arg("-ldl");
        let built = compiler.stdin(Stdio::null()).output().expect("a C compiler");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (folder, path)
    });
    path
}

fn control(home: &Home) -> PathBuf {
    home.path().join("disk")
}

fn set(home: &Home, disk: Disk) {
    let word = match disk {
        Disk::Works => "w",
        Disk::FailsToSync => "f",
        Disk::DiesAtSync => "d",
    };
    // Renamed into place: it is never empty.
    let new = home.path().join("disk.new");
    fs::write(&new, word).expect("a file");
    fs::rename(&new, control(home)).expect("a file");
}

async fn on_that_disk(home: &Home) -> Server {
    set(home, Disk::Works);
    let mut command = home.command(&[]);
    command.env("LD_PRELOAD", shim()).env("DISK_UNDER_TEST", control(home));
    Server::of(home, command).await
}

#[tokio::test]
async fn i19_an_fsync_that_fails_is_no_crash_and_loses_nothing() {
    let home = Home::new();
    let server = on_that_disk(&home).await;
    let day = Day::begin(&server).await;
    set(&home, Disk::FailsToSync);
    day.refuses(&server).await;
    set(&home, Disk::Works);
    day.heals(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn i16_a_start_whose_fsync_failed_is_unknown_and_is_either_there_or_not() {
    // The disk comes back: it is known not to be there, and its id is not used.
    let home = Home::new();
    let server = on_that_disk(&home).await;
    let alice = server.client("alice");
    let first = alice.start("StuckTask", json!({})).await;
    set(&home, Disk::FailsToSync);
    eventually("a commit fails", async || {
        let answer = alice.post("/tasks/tests/StuckTask").await;
        // Before it, the events of the first one may have met the fault.
        (answer.status == 503).then_some(())
    })
    .await;
    set(&home, Disk::Works);
    eventually("it is ready", async || (alice.get("/readyz").await.status == 200).then_some(())).await;
    let next = alice.start("StuckTask", json!({})).await;
    for id in first.id + 1..next.id {
        alice.get(&Task::new("StuckTask", id).path()).await.problem(404, "task-not-found");
    }
    server.stop().await;
}

#[tokio::test]
async fn i16_a_start_whose_fsync_failed_may_be_there_after_a_crash_and_was_not_denied() {
    let home = Home::new();
    let server = on_that_disk(&home).await;
    let alice = server.client("alice");
    let first = alice.start("CleanupTask", json!({})).await;
    alice.cancel(&first, &json!({})).await.with(200);
    // Nothing else writes: the start is the first to meet the fault.
    set(&home, Disk::DiesAtSync);
    let answer = alice.post("/tasks/tests/StuckTask").await;
    let problem = answer.problem(503, "outcome-unknown");
    assert!(problem["detail"].as_str().expect("text").contains("Idempotency-Key"));
    assert!(!answer.header("retry-after").is_empty());
    // Nothing waits to be written: what it tries meanwhile must reach the disk, and must not take it for healed.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(alice.get("/readyz").await.status, 503);
    }
    server.kill().await;
    // The whole group was in the log, and the system had it: the crash brings it to light.
    let server = on_that_disk(&home).await;
    let row = server.client("alice").show(&Task::new("StuckTask", first.id + 1)).await;
    assert_eq!((&row["status"], &row["error_type"]), (&json!("failed"), &json!("lost")));
    server.stop().await;
}
