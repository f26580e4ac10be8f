//! Holds what the program promises of a body in a process of its own, from outside.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Client, Home, Server, Task, eventually};

/// A `ProcessTask` that loops, and the number of its process.
async fn looping(client: &Client) -> (Task, u64) {
    let task = client.start("ProcessTask", json!({})).await;
    let mut watching = client.watch(&task).await;
    let frames = watching.until("start").await;
    let told: Value = frames.last().expect("a frame").json();
    (task, told["pid"].as_u64().expect("a number"))
}

/// Whether a process lives; one that nobody has reaped yet is dead.
fn lives(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// The children of the server that are processes of tasks.
fn children(server: &Server) -> Vec<u64> {
    let tasks = std::fs::read_dir(server.proc("task")).expect("threads");
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let numbers = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let is_keeper = |pid: &u64| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("keeper"))
    };
    numbers.filter_map(|number| number.parse().ok()).filter(|pid| !is_keeper(pid)).collect()
}

#[actix_web::test]
async fn i07_an_endless_loop_in_a_process_is_killed_after_its_grace_and_reaped() {
    let server = Server::start().await;
    let client = server.client("alice");
    let (task, pid) = looping(&client).await;
    assert!(lives(pid));
    let asked = Instant::now();
    let answer = client.cancel(&task, &json!({"reason": "it turns"})).await.with(200);
    let took = asked.elapsed();
    assert_eq!(answer["stopped_by"], "killed");
    // The grace is a second; a loaded machine is given more than the 100 ms that are measured elsewhere.
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    assert!(!lives(pid));
    assert_eq!(children(&server), Vec::<u64>::new());
    server.stop().await;
}

#[actix_web::test]
async fn a_shutdown_kills_what_does_not_stop_and_writes_its_row() {
    let server = Server::start().await;
    let client = server.client("alice");
    let (task, pid) = looping(&client).await;
    let home = server.stop().await;
    assert!(!lives(pid));
    let server = home.server(&[]).await;
    let row = server.client("alice").show(&task).await;
    assert_eq!((&row["status"], &row["stopped_by"]), (&json!("cancelled"), &json!("killed")));
    assert_eq!(row["cancel_cause"], "shutdown");
}

#[actix_web::test]
async fn when_the_server_is_killed_its_processes_are_too() {
    let server = Server::start().await;
    let (task, pid) = looping(&server.client("alice")).await;
    assert!(lives(pid));
    let home = server.kill().await;
    eventually("the process is gone", async || (!lives(pid)).then_some(())).await;
    let server = home.server(&[]).await;
    assert_eq!(server.client("alice").show(&task).await["error_type"], "lost");
}

#[actix_web::test]
async fn no_more_processes_live_at_once_than_the_setting_says_and_the_next_one_takes_the_place() {
    let server = Home::new().server(&["--max-processes", "1"]).await;
    let client = server.client("alice");
    let (first, _) = looping(&client).await;
    let second = client.start("ProcessTask", json!({})).await;
    // Both run, as far as the rows are concerned; an answered request later there is still one process.
    assert_eq!(client.show(&second).await["status"], "running");
    assert_eq!(children(&server).len(), 1);
    // One that waits is called off at once: nothing runs that could stop by itself.
    let third = client.start("ProcessTask", json!({})).await;
    let receipt = client.cancel(&third, &json!({})).await.with(200);
    assert_eq!(receipt["stopped_by"], "never_started");
    client.cancel(&first, &json!({})).await.with(200);
    client.watch(&second).await.until("start").await;
    assert_eq!(children(&server).len(), 1);
    server.stop().await;
}

#[actix_web::test]
async fn input_that_does_not_fit_starts_no_process() {
    let server = Server::start().await;
    let answer =
        server.client("alice").post_json("/tasks/tests/ProcessTask", &json!({"input": {"x": 1}})).await;
    answer.names(422, "invalid-input", "input.x");
    assert_eq!(children(&server), Vec::<u64>::new());
}
