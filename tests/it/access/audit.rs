//! Holds the audit log complete: one record for each accepted write and each refusal, whatever it was.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::iter;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Answer, Server, Socket, Task, eventually};

/// How many requests of each kind are sent.
const EACH: usize = 20;

/// What must stand in the log of one request: who, what, status, result. Nothing where no line belongs to it.
type Line = (Option<&'static str>, &'static str, u16, &'static str);

/// Kinds of requests that are answered, and the line that each must leave.
fn kinds(server: &Server, mine: &Task, ended: &Task) -> Vec<(RequestBuilder, Option<Line>)> {
    let (alice, bob, stranger) = (server.client("alice"), server.client("bob"), server.stranger());
    let start = "/tasks/tests/ExampleTask";
    let missing = Task::new("StuckTask", 999_999_999);
    let text = |request: RequestBuilder| request.header("content-type", "application/json");
    let post = |path: &str| alice.call(Method::POST, path);
    let large = vec![b' '; 300 * 1024];
    let long = json!({"timeout_seconds": 0});
    let none: Option<&str> = None;
    vec![
        (post(start), Some((Some("alice"), "start", 202, "started"))),
        (post(&mine.signal("go")), Some((Some("alice"), "signal", 202, "accepted"))),
        (
            alice.call(Method::PATCH, &mine.path()).json(&json!({"timeout_seconds": 60})),
            Some((Some("alice"), "patch", 200, "patched")),
        ),
        (post(&ended.cancel()), Some((Some("alice"), "cancel", 404, "not_running"))),
        (post(&ended.signal("go")), Some((Some("alice"), "signal", 404, "not_running"))),
        (
            alice.call(Method::PATCH, &ended.path()).json(&json!({"timeout_seconds": 60})),
            Some((Some("alice"), "patch", 409, "already-ended")),
        ),
        (
            alice.call(Method::PATCH, &mine.path()).json(&long),
            Some((Some("alice"), "patch", 400, "invalid-body")),
        ),
        (text(post(start)).body("{"), Some((Some("alice"), "start", 400, "invalid-body"))),
        (post(start).body("x"), Some((Some("alice"), "start", 415, "unsupported-media-type"))),
        (text(post(start)).body(large), Some((Some("alice"), "start", 413, "body-too-large"))),
        (
            post(start).json(&json!({"input": {"nope": 1}})),
            Some((Some("alice"), "start", 422, "invalid-input")),
        ),
        (post("/tasks/tests/NoModel"), Some((Some("alice"), "start", 404, "unknown-model"))),
        (post("/tasks/te-sts/NoModel"), Some((none, "start", 400, "invalid-path"))),
        (post("/cancel/tests/StuckTask/0"), Some((none, "cancel", 400, "invalid-task-id"))),
        (post(&missing.cancel()), Some((Some("alice"), "cancel", 404, "task-not-found"))),
        (bob.call(Method::POST, &mine.cancel()), Some((Some("bob"), "cancel", 403, "forbidden"))),
        (bob.call(Method::POST, &mine.signal("go")), Some((Some("bob"), "signal", 403, "forbidden"))),
        (bob.call(Method::GET, &mine.path()), Some((Some("bob"), "show", 403, "forbidden"))),
        (bob.call(Method::GET, &mine.stream()), Some((Some("bob"), "stream", 403, "forbidden"))),
        (stranger.call(Method::POST, start), Some((none, "start", 401, "unauthorized"))),
        (stranger.call(Method::GET, &mine.path()), Some((none, "show", 401, "unauthorized"))),
        (stranger.call(Method::DELETE, &mine.path()), Some((none, "none", 405, "method-not-allowed"))),
        (alice.call(Method::PUT, "/health"), Some((none, "none", 405, "method-not-allowed"))),
        (alice.call(Method::POST, "/nothing/here"), Some((none, "none", 404, "route-not-found"))),
        (alice.call(Method::GET, "/nothing/here"), None),
        (alice.call(Method::OPTIONS, &mine.path()), None),
        (alice.call(Method::GET, &mine.path()), None),
        (alice.call(Method::GET, &missing.path()), None),
        (stranger.call(Method::GET, "/health"), None),
    ]
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value["fields"][name].as_str().unwrap_or("-")
}

/// The records of a log, counted by what they say.
fn counted(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains("\"quell::audit\"")) {
        let line: Value = serde_json::from_str(line).expect("a record is JSON");
        assert!(text(&line, "from").starts_with("127.0.0.1:"), "{line}");
        assert!(!text(&line, "task").is_empty(), "{line}");
        let status = &line["fields"]["status"];
        let key =
            format!("{} {} {status} {}", text(&line, "who"), text(&line, "action"), text(&line, "result"));
        *counts.entry(key).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn i30_each_write_and_each_refusal_leaves_exactly_one_record() {
    let server = Server::with(&["--log-format", "json"]).await;
    let alice = server.client("alice");
    let mine = alice.start("StuckTask", json!({})).await;
    let ended = alice.start("StuckTask", json!({})).await;
    alice.post(&ended.cancel()).await.with(200);
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    expected.insert("alice start 202 started".to_owned(), 2);
    expected.insert("alice cancel 200 cancelled".to_owned(), 1);
    let mut requests = Vec::new();
    for _ in 0..EACH {
        for (request, line) in kinds(&server, &mine, &ended) {
            requests.push((request, line.map(|(_, _, status, _)| status)));
            if let Some((who, action, status, result)) = line {
                let key = format!("{} {action} {status} {result}", who.unwrap_or("-"));
                *expected.entry(key).or_default() += 1;
            }
        }
    }
    assert!(requests.len() > 500);
    let answers = iter(requests).map(async |(request, status)| {
        let answer = Answer::of(request).await;
        assert!(status.is_none_or(|status| status == answer.status), "{answer:?}");
    });
    answers.buffer_unordered(32).collect::<Vec<()>>().await;
    server.terminate();
    let told = counted(&server.ended().await.err);
    assert_eq!(told, expected);
}

#[tokio::test]
async fn i30_a_client_that_leaves_leaves_one_record_too() {
    let server = Server::with(&["--log-format", "json"]).await;
    let alice = server.client("alice");
    for number in 0..10 {
        let task = alice.start("CleanupTask", json!({"cleanup_ms": 300})).await;
        let mut socket = Socket::open(server.address()).await;
        let auth = format!("authorization: Bearer {}", crate::server::token("alice"));
        socket
            .send(format!(
                "POST {} HTTP/1.1\r\nhost: x\r\n{auth}\r\ncontent-length: 0\r\n\r\n",
                task.cancel()
            ))
            .await;
        alice.until(&task, "the request is there", |row| !row["cancel_requested_at"].is_null()).await;
        if number % 2 == 0 {
            socket.close();
        } else {
            socket.reset();
        }
        alice.ended(&task).await;
    }
    server.terminate();
    let told = counted(&server.ended().await.err);
    let cancels: usize =
        told.iter().filter(|(line, _)| line.contains(" cancel ")).map(|(_, count)| count).sum();
    assert_eq!(cancels, 10, "{told:?}");
    let is_told = |line: &String| line.starts_with("alice ") && !line.contains("client-left");
    assert!(told.keys().all(is_told), "{told:?}");
}

#[tokio::test]
async fn i30_a_start_that_is_waited_for_is_recorded_before_its_answer() {
    let server = Server::with(&["--log-format", "json"]).await;
    let mut socket = Socket::open(server.address()).await;
    let auth = format!("authorization: Bearer {}", crate::server::token("alice"));
    let head = "POST /tasks/tests/StuckTask HTTP/1.1\r\nhost: x\r\nconnection: close\r\nprefer: wait=2\r\ncontent-length: 0";
    socket.send(format!("{head}\r\n{auth}\r\n\r\n")).await;
    eventually("its record", async || counted(&server.err()).get("alice start null started").copied()).await;
    let answer = socket.reply().await;
    assert!(answer.head().starts_with("HTTP/1.1 202 "), "it came after its record: {}", answer.head());
    server.terminate();
    let told = counted(&server.ended().await.err);
    assert_eq!(told, BTreeMap::from([("alice start null started".to_owned(), 1)]));
}
