//! Holds who gets in and who may do what to whose task, and that nothing is told to anybody else.

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::server::{Answer, Client, Home, Server, Task, token};

/// One request of each kind to a task, and to one that is not there.
fn requests(client: &Client, task: &Task) -> Vec<RequestBuilder> {
    vec![
        client.call(Method::GET, &task.path()),
        client.call(Method::PATCH, &task.path()).json(&json!({"timeout_seconds": 60})),
        client.call(Method::POST, &task.signal("go")),
        client.call(Method::POST, &task.cancel()),
        client.call(Method::GET, &task.stream()),
        client.call(Method::GET, &format!("{}?after=0", task.stream())),
    ]
}

fn unauthorized(answer: &Answer) -> String {
    answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    answer.text.clone()
}

#[tokio::test]
async fn i28_strangers_get_401_whether_or_not_there_is_anything() {
    let server = Server::start().await;
    let task = server.client("alice").start("StuckTask", json!({})).await;
    let stranger = server.stranger();
    let mut told = Vec::new();
    for task in [&task, &Task::new("StuckTask", 4711), &Task::new("NoModel", 1)] {
        for request in requests(&stranger, task) {
            told.push(unauthorized(&Answer::of(request).await));
        }
    }
    for path in ["/tasks/tests/StuckTask", "/tasks/tests/NoModel"] {
        told.push(unauthorized(&stranger.post(path).await));
        // Before the body is looked at, too.
        told.push(unauthorized(&stranger.post_bytes(path, "nonsense").await));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(server.client("alice").show(&task).await["status"], "running");
    assert!(server.err().lines().filter(|line| line.contains("quell::audit")).count() >= told.len());
}

#[tokio::test]
async fn wrong_credentials_of_every_kind_get_401() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let good = token("alice");
    for header in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer wrong-token-of-16-or-more".to_owned(),
        format!("Basic {good}"),
        format!("Token {good}"),
        good.clone(),
        format!("Bearer {good}x"),
        format!("Bearer {}", &good[1..]),
        format!("Bearer {good},Bearer {good}"),
        format!("Bearer\t{good}"),
    ] {
        let request = stranger.call(Method::POST, "/tasks/tests/StuckTask").header(AUTHORIZATION, &header);
        unauthorized(&Answer::of(request).await);
    }
    let two = server.client("alice").call(Method::POST, "/tasks/tests/StuckTask");
    unauthorized(&Answer::of(two.header(AUTHORIZATION, format!("Bearer {good}"))).await);
    let lower =
        stranger.call(Method::POST, "/tasks/tests/StuckTask").header(AUTHORIZATION, format!("bearer {good}"));
    Answer::of(lower).await.with(202);
    let in_the_url = format!("/tasks/tests/StuckTask?access_token={good}");
    stranger.post(&in_the_url).await.names(400, "invalid-path", "access_token");
    assert!(!server.err().contains(&good), "I-29");
}

#[tokio::test]
async fn another_ones_task_is_forbidden_without_the_permission_for_it() {
    let server = Server::start().await;
    let task = server.client("alice").start("StuckTask", json!({})).await;
    let statuses = async |name: &str| {
        let mut statuses = Vec::new();
        let client = server.client(name);
        // All but the cancel; the streams are opened and left.
        for request in requests(&client, &task).into_iter().enumerate().filter(|(at, _)| *at != 3) {
            statuses.push(request.1.send().await.unwrap().status().as_u16());
        }
        statuses
    };
    assert_eq!(statuses("bob").await, [403; 5]);
    assert_eq!(statuses("viewer").await, [200, 403, 403, 200, 200]);
    assert_eq!(statuses("canceller").await, [403, 200, 202, 403, 403]);
    assert_eq!(statuses("root").await, [200, 200, 202, 200, 200]);
    for name in ["bob", "viewer"] {
        server.client(name).post(&task.cancel()).await.problem(403, "forbidden");
    }
    assert!(server.client("alice").show(&task).await["cancel_requested_at"].is_null());
    server.client("canceller").post(&task.cancel()).await.with(200);
    let row = server.client("alice").show(&task).await;
    assert_eq!((&row["cancelled_by"], &row["owner"]), (&json!("canceller"), &json!("alice")));
}

#[tokio::test]
async fn existence_comes_before_permission_and_the_body_before_both() {
    let server = Server::start().await;
    let task = server.client("alice").start("StuckTask", json!({})).await;
    let bob = server.client("bob");
    let nothing = Task::new("StuckTask", 4711);
    for request in requests(&bob, &nothing) {
        Answer::of(request).await.problem(404, "task-not-found");
    }
    for task in [&task, &nothing] {
        bob.post_bytes(&task.cancel(), "{").await.problem(400, "invalid-body");
        bob.patch(&task.path(), &json!({"timeout_seconds": 0})).await.problem(400, "invalid-body");
    }
    server.stranger().get("/tasks/tests/StuckTask/abc").await.problem(400, "invalid-task-id");
}

#[tokio::test]
async fn each_write_and_each_refusal_leaves_one_line_in_the_audit_log() {
    let server = Server::start().await;
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    let task = alice.start("StuckTask", json!({})).await;
    bob.get(&task.path()).await.problem(403, "forbidden");
    bob.post(&task.cancel()).await.problem(403, "forbidden");
    alice.post(&task.signal("go")).await.with(202);
    alice.patch(&task.path(), &json!({"timeout_seconds": null})).await.with(200);
    alice.show(&task).await;
    alice.post(&task.cancel()).await.with(200);
    alice.post(&task.cancel()).await.with(404);
    server.terminate();
    let ended = server.ended().await;
    let key = format!("tests/StuckTask/{}", task.id);
    let lines: Vec<_> =
        ended.err.lines().filter(|line| line.contains("quell::audit") && line.contains(&key)).collect();
    let expected = [
        ("alice", "start"),
        ("bob", "show"),
        ("bob", "cancel"),
        ("alice", "signal"),
        ("alice", "patch"),
        ("alice", "cancel"),
        ("alice", "cancel"),
    ];
    assert_eq!(lines.len(), expected.len(), "I-30: {lines:#?}");
    for (line, (who, action)) in lines.iter().zip(expected) {
        assert!(line.contains(who) && line.contains(action) && line.contains("127.0.0.1:"), "{line}");
    }
}

#[tokio::test]
async fn a_token_that_the_server_made_opens_everything_and_lasts() {
    let home = Home::new();
    let start = async || {
        let mut command = home.command(&[]);
        command.env_remove("QUELL_API_TOKENS");
        Server::of(&home, command).await
    };
    let server = start().await;
    let made = std::fs::read_to_string(home.path().join("quell.db.token")).unwrap();
    let admin = |server: &Server| Client::new(&format!("http://{}", server.address()), made.trim());
    let task = admin(&server).start("StuckTask", json!({})).await;
    assert_eq!(admin(&server).show(&task).await["owner"], "admin");
    server.stop().await;
    let server = start().await;
    assert_eq!(admin(&server).show(&task).await["cancel_cause"], "shutdown");
}
