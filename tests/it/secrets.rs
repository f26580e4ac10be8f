//! Secrets: tokens are in no log, no row, no file, no answer and no argument of the process; what people put in a wrong
//! place, and what is a task's own data, is in no log and no number.

use std::path::Path;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::json;

use crate::server::{Answer, Home, Server, token};

/// What a client with a wrong token sends.
const WRONG: &str = "wrong-canary-0123456789";

/// Requests of all kinds, right and wrong, with tokens in the places where people put them by mistake.
async fn use_it(server: &Server) -> Vec<Answer> {
    let alice = server.client("alice");
    let mut answers = Vec::new();
    let stuck = alice.start("StuckTask", json!({})).await;
    for model in ["ExampleTask", "FailTask", "PanicTask"] {
        let task = alice.start(model, json!({})).await;
        alice.ended(&task).await;
        answers.push(alice.get(&task.path()).await);
    }
    answers.push(server.client("bob").cancel(&stuck, &json!({})).await);
    answers.push(server.client("viewer").get(&stuck.path()).await);
    answers.push(alice.cancel(&stuck, &json!({ "reason": "enough" })).await);
    answers.push(alice.post_bytes("/tasks/tests/StuckTask", "{").await);
    answers.push(alice.get(&format!("{}?token={}", stuck.path(), token("alice"))).await);
    for value in [format!("Bearer {WRONG}"), format!("Basic {WRONG}"), WRONG.to_owned()] {
        let request = server.stranger().call(Method::GET, &stuck.path()).header(AUTHORIZATION, value);
        answers.push(Answer::of(request).await);
    }
    answers
}

/// Every file below a folder, whatever is in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

#[actix_web::test]
async fn i29_no_token_is_in_any_log_row_answer_or_argument() {
    let home = Home::new();
    let mut command = home.command(&[]);
    command.env("RUST_LOG", "trace");
    let server = Server::of(&home, command).await;
    let mut places = vec![("arguments".to_owned(), std::fs::read(server.proc("cmdline")).unwrap())];
    for answer in use_it(&server).await {
        places.push(("an answer".to_owned(), format!("{:?}{}", answer.headers, answer.text).into_bytes()));
    }
    server.terminate();
    let ended = server.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("quell::audit"), "the log is there");
    places.push(("the log".to_owned(), ended.err.into_bytes()));
    places.extend(files(home.path()));
    let secrets = ["alice", "bob", "viewer"].map(token);
    for secret in secrets.iter().map(String::as_str).chain([WRONG]) {
        for (place, bytes) in &places {
            assert!(!holds(bytes, secret), "`{secret}` is in {place}");
        }
    }
}

/// What is put into every place where a secret, or a task's own data, may stand.
const CANARY: &str = "canary-4f1d-0123456789";

/// Requests with the canary in places where it must be refused, ignored, or kept as data and nowhere else.
async fn scatter(server: &Server) {
    let alice = server.client("alice");
    let data = json!({ "input": { "message": CANARY } });
    for model in ["ExampleTask", "FailTask"] {
        let task = alice.start_with(model, &data).await;
        alice.ended(&task).await;
    }
    let stuck = alice.start("StuckTask", json!({})).await;
    for path in [
        format!("{}?token={CANARY}", stuck.path()),
        format!("{}?{CANARY}=1", stuck.path()),
        format!("/tasks/tests/StuckTask/{CANARY}"),
        format!("/tasks/{CANARY}/StuckTask/1"),
        format!("/{CANARY}/{CANARY}"),
        format!("/metrics?key={CANARY}"),
    ] {
        alice.get(&path).await;
        server.stranger().get(&path).await;
        alice.post(&path).await;
        let method = Method::from_bytes(b"CANARY-4F1D").unwrap();
        Answer::of(alice.call(method, &path)).await;
    }
    for (name, value) in [
        ("cookie", format!("session={CANARY}")),
        ("x-request-id", format!("{CANARY} <b>")),
        ("idempotency-key", CANARY.to_owned()),
        ("last-event-id", CANARY.to_owned()),
        ("prefer", format!("wait={CANARY}")),
        ("accept", CANARY.to_owned()),
        ("authorization", format!("Bearer eyJhbGciOiJub25lIn0.{CANARY}.x")),
    ] {
        Answer::of(alice.call(Method::GET, &stuck.path()).header(name, &value)).await;
        let stranger = server.stranger();
        Answer::of(stranger.call(Method::POST, "/tasks/tests/StuckTask").header(name, &value)).await;
    }
    alice.post_bytes("/tasks/tests/StuckTask", format!("{{\"input\": {CANARY}")).await;
    alice.post_json("/tasks/tests/StuckTask", &json!({ "input": { CANARY: CANARY } })).await;
    alice.post_json(&stuck.signal("go"), &json!(CANARY)).await;
    alice.cancel(&stuck, &json!({ "reason": CANARY })).await;
}

#[actix_web::test]
async fn i29_what_stands_in_a_wrong_place_or_is_a_tasks_own_is_in_no_log_and_no_number() {
    for format in ["pretty", "json"] {
        let home = Home::new();
        let mut command = home.command(&["--log-format", format]);
        command.env("RUST_LOG", "trace");
        let server = Server::of(&home, command).await;
        scatter(&server).await;
        let metrics = server.client("viewer").get("/metrics").await;
        assert_eq!(metrics.status, 200);
        server.terminate();
        let ended = server.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        for (place, text) in [("the numbers", &metrics.text), ("the log", &ended.err)] {
            let line = text.lines().find(|line| line.to_lowercase().contains("canary"));
            assert_eq!(line, None, "in {place} ({format})");
        }
        assert!(
            ended.err.contains("quell::audit") && ended.err.contains("quell::access"),
            "the log is there"
        );
    }
}

#[actix_web::test]
async fn i29_a_panics_text_is_in_the_row_and_not_in_the_log() {
    let home = Home::new();
    let server = home.server(&["--log-format", "json"]).await;
    let alice = server.client("alice");
    let task = alice.start("PanicTask", json!({})).await;
    let text = alice.ended(&task).await["error_message"].as_str().unwrap().to_owned();
    server.terminate();
    let ended = server.ended().await;
    assert!(!text.is_empty() && !ended.err.contains(&text), "{}", ended.err);
    assert!(ended.err.contains("user code panicked"), "{}", ended.err);
}

#[actix_web::test]
async fn i29_a_refused_start_shows_no_password_of_its_database() {
    for format in ["pretty", "json"] {
        let home = Home::new();
        let mut command = home.command(&["--log-format", format]);
        command.env("QUELL_DATABASE_URL", format!("postgres://quell:{CANARY}@127.0.0.1/quell"));
        let refused = crate::server::refusal_of(command).await;
        assert_eq!(refused.code, Some(1));
        assert!(!refused.err.contains(CANARY), "{}", refused.err);
    }
}
