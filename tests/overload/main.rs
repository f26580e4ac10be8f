//! Holds I-20 over a minute: more clients than the real program can serve, and queues that are full. Every answer comes
//! within a second and is a yes or a known no, memory stays flat, and afterwards everything is as if nothing had been.
//!
//! A binary of its own, so that it disturbs no other test: cargo runs it when those of `it` are done.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "a test says by a panic that it failed; of the shared support it uses a part"
)]

#[path = "../it/server/mod.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::json;

use server::{Answer, Client, Home, Server, Task, eventually};

/// How long it goes on.
const OVERLOAD: Duration = Duration::from_secs(60);

/// Clients that never rest: each asks again as soon as it is answered.
const CLIENTS: usize = 48;

/// Clients that watch a task, and then the next.
const WATCHERS: usize = 8;

const MAX_RUNNING: &str = "40";
const MAX_PENDING: &str = "200";

/// The longest that 99 of 100 answers may take.
const P99: Duration = Duration::from_secs(1);

/// The longest that any may take: the machine's other work, and the clients' own, stand in it.
const LONGEST: Duration = Duration::from_secs(4);

/// What the memory may grow by, besides a fifth.
const SLACK_KIB: u64 = 16 * 1024;

/// What all clients saw.
#[derive(Default)]
struct Seen {
    /// How long answers took, in microseconds.
    times: Vec<u64>,
    /// How often each answer came.
    answers: BTreeMap<String, u64>,
    /// Tasks that were started.
    started: BTreeSet<i64>,
}

/// The clients' common state.
struct Load {
    alice: Client,
    seen: Mutex<Seen>,
    until: Instant,
}

impl Load {
    async fn ask(&self, method: Method, path: &str, body: Option<&serde_json::Value>) -> Answer {
        let request = self.alice.call(method.clone(), path);
        let began = Instant::now();
        let answer = Answer::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await;
        let took = u64::try_from(began.elapsed().as_micros()).expect("it is short");
        let what = path.split('/').nth(1).unwrap_or_default();
        let kind = match answer.status {
            200 | 202 => "yes".to_owned(),
            // A cancel that came after the end.
            404 => answer.json()["status"].as_str().expect("a `not_running`").to_owned(),
            429 | 503 => {
                assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
                answer.json()["type"].as_str().expect("text").rsplit(':').next().expect("a name").to_owned()
            }
            _ => panic!("{method} {path}: {answer:?}"),
        };
        let mut seen = self.seen.lock().expect("no client panics");
        seen.times.push(took);
        *seen.answers.entry(format!("{method} {what} {kind}")).or_default() += 1;
        answer
    }

    /// Starts again and again; of what was started, looks at some and cancels some.
    async fn press(self: Arc<Self>, number: usize) {
        let body = json!({ "input": { "steps": 4, "step_ms": 100 } });
        for round in number.. {
            if Instant::now() >= self.until {
                return;
            }
            let answer = self.ask(Method::POST, "/tasks/tests/LongTask", Some(&body)).await;
            if answer.status != 202 {
                continue;
            }
            let task = Task::new("LongTask", answer.json()["id"].as_i64().expect("a number"));
            assert!(
                self.seen.lock().expect("no client panics").started.insert(task.id),
                "given twice: {task:?}"
            );
            match round % 4 {
                0 => drop(self.ask(Method::POST, &task.cancel(), None).await),
                1 => drop(self.ask(Method::GET, &task.path(), None).await),
                _ => {}
            }
        }
    }

    /// Watches the newest task to its end, and then the next; leaves some half-way.
    async fn watch(self: Arc<Self>) {
        for round in 0.. {
            let newest = self.seen.lock().expect("no client panics").started.last().copied();
            if Instant::now() >= self.until {
                return;
            }
            let Some(id) = newest else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let mut watching = self.alice.watch(&Task::new("LongTask", id)).await;
            let mut last = 0;
            while let Some(frame) = watching.frame().await {
                assert_eq!(frame.id, Some(last + 1), "a gap");
                last += 1;
                if round % 3 == 0 && last == 2 {
                    break;
                }
            }
        }
    }
}

/// Kilobytes of memory of a process.
fn resident_kib(status: &Path) -> u64 {
    let text = std::fs::read_to_string(status).expect("it lives");
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel says it");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// The largest of the samples of this part of the time.
fn largest(samples: &[(Duration, u64)], from: u64, to: u64) -> u64 {
    let part = Duration::from_secs(from)..Duration::from_secs(to);
    samples.iter().filter(|(at, _)| part.contains(at)).map(|(_, kib)| *kib).max().expect("a sample")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i20_a_minute_of_overload_is_answered_within_a_second_and_leaves_no_trace() {
    let home = Home::new();
    let server = home
        .server(&["--max-running", MAX_RUNNING, "--max-pending", MAX_PENDING, "--log-format", "json"])
        .await;
    let began = Instant::now();
    let load =
        Arc::new(Load { alice: server.client("alice"), seen: Mutex::default(), until: began + OVERLOAD });
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|number| tokio::spawn(Arc::clone(&load).press(number))).collect();
    clients.extend((0..WATCHERS).map(|_| tokio::spawn(Arc::clone(&load).watch())));
    let mut samples = Vec::new();
    while Instant::now() < load.until {
        tokio::time::sleep(Duration::from_millis(250)).await;
        samples.push((began.elapsed(), resident_kib(&server.proc("status"))));
    }
    for client in clients {
        client.await.expect("a client does not fail");
    }
    let seen = std::mem::take(&mut *load.seen.lock().expect("no client panics"));
    speed(&seen);
    flat(&samples);
    let alice = server.client("alice");
    right(&alice, &seen).await;
    assert_eq!(server.stranger().get("/readyz").await.status, 200);
    let last = alice.start("ExampleTask", json!({})).await;
    assert_eq!(alice.ended(&last).await["status"], "completed");
    // With tasks that run and wait: it drains.
    for _ in 0..100 {
        alice.start("LongTask", json!({"steps": 600, "step_ms": 1000})).await;
    }
    server.stop().await;
}

fn speed(seen: &Seen) {
    let mut times = seen.times.clone();
    times.sort_unstable();
    let at = |share: usize| Duration::from_micros(times[(times.len() - 1) * share / 1000]);
    println!("{} answers, p50 {:?}, p99 {:?}, longest {:?}", times.len(), at(500), at(990), at(1000));
    println!("{:?}", seen.answers);
    assert!(at(990) < P99, "{:?}", at(990));
    assert!(at(1000) < LONGEST, "{:?}", at(1000));
    assert!(
        seen.answers.get("POST tasks too-many-pending").is_some_and(|count| *count > 1_000),
        "it was no overload"
    );
    assert!(seen.answers.get("POST tasks yes").is_some_and(|count| *count > 1_000), "it took nothing");
    let known = |name: &&String| {
        ["yes", "not_running", "too-many-pending", "too-many-requests"]
            .iter()
            .any(|known| name.ends_with(known))
    };
    assert!(seen.answers.keys().all(|name| known(&name)), "{:?}", seen.answers);
}

fn flat(samples: &[(Duration, u64)]) {
    let (early, late) = (largest(samples, 10, 30), largest(samples, 40, 60));
    println!("memory: {early} KiB in the first half minute, {late} KiB in the last third");
    assert!(late <= early * 6 / 5 + SLACK_KIB, "{samples:?}");
}

/// Every task that was started has ended, each as it was asked; and there is no other.
async fn right(alice: &Client, seen: &Seen) {
    let rows = futures_util::stream::iter(seen.started.iter().copied())
        .map(|id| {
            let alice = alice.clone();
            async move { alice.ended(&Task::new("LongTask", id)).await }
        })
        .buffer_unordered(16);
    let statuses: Vec<_> = rows.map(|row| row["status"].as_str().expect("text").to_owned()).collect().await;
    let count = |status: &str| statuses.iter().filter(|found| *found == status).count();
    assert_eq!(count("completed") + count("cancelled"), seen.started.len(), "each ended in one of two ways");
    assert!(count("completed") > 0 && count("cancelled") > 0);
    let last = *seen.started.last().expect("some");
    let missing = (1..=last).filter(|id| !seen.started.contains(id)).count();
    assert_eq!(missing, 0, "a start that was refused has a row, or an id");
    alice.get(&Task::new("LongTask", last + 1).path()).await.problem(404, "task-not-found");
}
