//! Tokens: they are in no log, no row, no file, no answer and no argument of the process.

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
