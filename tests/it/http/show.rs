//! Holds what can be read without waiting: a task, and the three routes of health.

use reqwest::Method;

use crate::server::{Answer, Server, Task};
use serde_json::json;

#[tokio::test]
async fn a_task_is_shown_by_its_whole_key_only() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    assert_eq!(alice.show(&task).await["id"], task.id);
    for path in [
        Task::new("LongTask", task.id).path(),
        Task::new("NoModel", task.id).path(),
        Task::new("StuckTask", task.id + 1000).path(),
        Task::new("StuckTask", 9_007_199_254_740_991).path(),
        format!("/tasks/other/StuckTask/{}", task.id),
    ] {
        alice.get(&path).await.problem(404, "task-not-found");
    }
}

#[tokio::test]
async fn health_needs_no_credentials_and_is_one_line_of_text() {
    let server = Server::start().await;
    let stranger = server.stranger();
    for path in ["/health", "/livez", "/readyz"] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with("text/plain"), "{path}");
        assert_eq!(answer.text.lines().count(), 1, "{path}");
        let answer = stranger.post(path).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "GET, HEAD", "{path}");
    }
    assert_eq!(stranger.get("/health").await.text, "OK");
}

#[tokio::test]
async fn what_is_true_only_now_is_kept_by_nobody() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ExampleTask", json!({})).await;
    alice.ended(&task).await;
    for path in [task.path(), task.stream(), "/readyz".to_owned()] {
        assert_eq!(alice.get(&path).await.header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn an_input_comes_back_as_it_was_given() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let input = r#"{"items": [1.50, 12345678901234567890, "\u00fc\n", {"b":1, "a":[]}, -0.0]}"#;
    let body = format!("{{\"input\":{input}}}");
    let answer = alice.post_bytes("/tasks/tests/SyncGeneratorTask", body).await;
    assert!(answer.text.contains(input), "{answer:?}");
    let task = Task::new("SyncGeneratorTask", answer.with(202)["id"].as_i64().unwrap());
    alice.ended(&task).await;
    assert!(alice.get(&task.path()).await.text.contains(input));
}

#[tokio::test]
async fn a_path_of_another_shape_leads_nowhere() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for path in [
        "/nothing",
        "/tasks/tests",
        "/tasks/tests/LongTask/1/more",
        "/tasks/tests/LongTask/1/signals",
        "/tasks/tests/LongTask/1/signals/go/on",
        "/cancel/tests/LongTask",
        "/cancel/tests/LongTask/1/2",
        "/stream/tests",
        "/tasks/tests/LongTask/1/",
        "//tasks/tests/LongTask/1",
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = Answer::of(alice.call(method, path)).await;
            answer.problem(404, "route-not-found");
        }
    }
}
