//! Holds that who may not see a task does not learn whether there is one.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Answer, Client, Server, Task};

/// One request of each kind to a task, with each kind of body that it takes.
fn requests(client: &Client, task: &Task) -> Vec<RequestBuilder> {
    let mut requests = Vec::new();
    for (method, path, bodies) in [
        (Method::GET, task.path(), vec![]),
        (Method::GET, task.stream(), vec![]),
        (Method::GET, format!("{}?after=1", task.stream()), vec![]),
        (
            Method::PATCH,
            task.path(),
            vec![json!({"timeout_seconds": 60}), json!({"timeout_seconds": 0}), json!({})],
        ),
        (Method::POST, task.signal("go"), vec![json!({"go": true}), json!(null)]),
        (Method::POST, task.signal("No"), vec![json!(1)]),
        (
            Method::POST,
            task.cancel(),
            vec![json!({"reason": "x"}), json!({"reason": 1}), json!({"force": true})],
        ),
        (Method::DELETE, task.path(), vec![]),
        (Method::PUT, task.cancel(), vec![json!({})]),
    ] {
        let call = || client.call(method.clone(), &path);
        requests.extend(bodies.iter().map(|body: &Value| call().json(body)));
        requests.push(call());
        requests.push(call().header("prefer", "wait=1").header("last-event-id", "1"));
        requests.push(call().header("accept", "text/event-stream"));
        requests.push(call().header("content-type", "text/plain").body("x"));
        requests.push(call().header("content-type", "application/json").body("{"));
    }
    requests
}

/// All of an answer that a client can tell apart, with the id of the task left out. Whether the connection is kept
/// depends on whether a body that nobody reads had come already.
async fn seen(request: RequestBuilder, task: &Task) -> (u16, Vec<(String, String)>, String) {
    let answer = Answer::of(request).await;
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["connection", "date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect();
    headers.sort();
    (answer.status, headers, answer.text.replace(&format!("/{}`", task.id), "/ID`"))
}

/// A task of alice's that runs, one that has ended, and one that is not there, all with ids of one length.
async fn tasks(server: &Server) -> [Task; 3] {
    let alice = server.client("alice");
    let running = alice.start("StuckTask", json!({})).await;
    let ended = alice.start("StuckTask", json!({})).await;
    alice.post(&ended.cancel()).await.with(200);
    [running, ended, Task::new("StuckTask", 9)]
}

#[tokio::test]
async fn i28_with_hiding_on_no_answer_tells_whether_there_is_a_task() {
    let server = Server::with(&["--hide-foreign-tasks"]).await;
    let tasks = tasks(&server).await;
    let bob = server.client("bob");
    let mut told = Vec::new();
    for task in &tasks {
        let mut answers = Vec::new();
        for request in requests(&bob, task) {
            answers.push(seen(request, task).await);
        }
        told.push(answers);
    }
    assert!(told[0].iter().any(|(status, ..)| *status == 404));
    assert!(told[0].iter().all(|(status, ..)| ![200, 202, 403].contains(status)), "{:?}", told[0]);
    assert_eq!(told[0], told[2], "a task that runs");
    assert_eq!(told[1], told[2], "a task that has ended");
}

#[tokio::test]
async fn i28_what_one_may_not_do_is_hidden_though_what_one_may_is_not() {
    let server = Server::with(&["--hide-foreign-tasks"]).await;
    let [task, ..] = tasks(&server).await;
    let (viewer, canceller) = (server.client("viewer"), server.client("canceller"));
    viewer.get(&task.path()).await.with(200);
    viewer.post(&task.cancel()).await.problem(404, "task-not-found");
    viewer.post(&task.signal("go")).await.problem(404, "task-not-found");
    viewer.patch(&task.path(), &json!({"timeout_seconds": 60})).await.problem(404, "task-not-found");
    for path in [task.path(), task.stream()] {
        canceller.get(&path).await.problem(404, "task-not-found");
    }
    assert!(viewer.show(&task).await["cancel_requested_at"].is_null());
    canceller.post(&task.cancel()).await.with(200);
}

#[tokio::test]
async fn i28_strangers_get_one_answer_for_what_is_and_what_is_not() {
    for arguments in [&[][..], &["--hide-foreign-tasks=true"]] {
        let server = Server::with(arguments).await;
        let tasks = tasks(&server).await;
        let mut told = Vec::new();
        for task in &tasks {
            let mut answers = Vec::new();
            for request in requests(&server.stranger(), task) {
                answers.push(seen(request, task).await);
            }
            told.push(answers);
        }
        assert_eq!(told[0], told[2]);
        assert_eq!(told[1], told[2]);
        // Without a look at the body: what is wrong with it is told to nobody without credentials.
        let other: Vec<u16> = told[0].iter().map(|(status, ..)| *status).filter(|s| *s != 401).collect();
        assert!(other.iter().all(|status| [400, 405].contains(status)), "{other:?}");
        assert!(other.iter().filter(|status| **status == 400).count() <= 6, "only the malformed signal name");
    }
}

#[tokio::test]
async fn without_hiding_a_foreign_task_is_forbidden() {
    let server = Server::start().await;
    let task = server.client("alice").start("StuckTask", json!({})).await;
    server.client("bob").get(&task.path()).await.problem(403, "forbidden");
}
