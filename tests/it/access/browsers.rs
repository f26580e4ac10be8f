//! Holds what pages of other origins may do, and who is believed about where a request comes from.

use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server};

const ORIGIN: &str = "https://app.example.com";

/// What a browser asks before it sends a request for a page.
async fn preflight(server: &Server, origin: &str, method: &str, path: &str) -> Answer {
    let request = server.stranger().call(Method::OPTIONS, path).header("origin", origin);
    let wanted = "authorization, content-type, idempotency-key, prefer, last-event-id";
    Answer::of(
        request
            .header("access-control-request-method", method)
            .header("access-control-request-headers", wanted),
    )
    .await
}

fn cors_headers(answer: &Answer) -> Vec<&str> {
    answer
        .headers
        .keys()
        .map(reqwest::header::HeaderName::as_str)
        .filter(|n| n.starts_with("access-control"))
        .collect()
}

#[tokio::test]
async fn a_page_of_a_known_origin_may_call_every_route() {
    let server = Server::with(&["--cors-origin", "http://localhost:5173", "--cors-origin", ORIGIN]).await;
    for origin in ["http://localhost:5173", ORIGIN] {
        for (method, path) in [
            ("POST", "/tasks/tests/StuckTask"),
            ("GET", "/tasks/tests/StuckTask/1"),
            ("PATCH", "/tasks/tests/StuckTask/1"),
            ("POST", "/tasks/tests/StuckTask/1/signals/go"),
            ("POST", "/cancel/tests/StuckTask/1"),
            ("GET", "/stream/tests/StuckTask/1"),
            ("GET", "/health"),
        ] {
            let answer = preflight(&server, origin, method, path).await;
            assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert!(answer.header("access-control-allow-methods").contains(method), "{answer:?}");
            let headers = answer.header("access-control-allow-headers").to_lowercase();
            for wanted in ["authorization", "content-type", "idempotency-key", "prefer", "last-event-id"] {
                assert!(headers.contains(wanted), "{wanted}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_answer_and_its_headers_are_shown_to_the_page_refusals_too() {
    let server = Server::with(&["--cors-origin", ORIGIN]).await;
    let start =
        server.client("alice").call(Method::POST, "/tasks/tests/ExampleTask").header("origin", ORIGIN);
    let started = Answer::of(start).await;
    started.with(202);
    let refused = server.stranger().call(Method::POST, "/tasks/tests/ExampleTask").header("origin", ORIGIN);
    let refused = Answer::of(refused).await;
    refused.problem(401, "unauthorized");
    let lost = server.stranger().call(Method::GET, "/nothing").header("origin", ORIGIN);
    for answer in [started, refused, Answer::of(lost).await] {
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "{answer:?}");
        let exposed = answer.header("access-control-expose-headers").to_lowercase();
        for name in ["location", "retry-after", "preference-applied", "x-request-id"] {
            assert!(exposed.contains(name), "{name}: {answer:?}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test]
async fn a_page_of_an_unknown_origin_is_shown_nothing() {
    let server = Server::with(&["--cors-origin", ORIGIN]).await;
    for origin in
        ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
    {
        let answer = preflight(&server, origin, "POST", "/tasks/tests/StuckTask").await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{answer:?}");
        assert_ne!(answer.header("x-request-id"), "", "{answer:?}");
        let start =
            server.client("alice").call(Method::POST, "/tasks/tests/ExampleTask").header("origin", origin);
        assert_eq!(Answer::of(start).await.header("access-control-allow-origin"), "", "{origin}");
    }
    let answer = preflight(&server, ORIGIN, "DELETE", "/tasks/tests/StuckTask").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("access-control-allow-methods"), "", "{answer:?}");
    // What is no browser has no origin.
    server.client("alice").post("/tasks/tests/ExampleTask").await.with(202);
}

#[tokio::test]
async fn without_the_setting_there_is_no_word_of_other_origins() {
    let server = Server::start().await;
    let answer = preflight(&server, ORIGIN, "POST", "/tasks/tests/StuckTask").await;
    answer.problem(405, "method-not-allowed");
    assert!(cors_headers(&answer).is_empty(), "{answer:?}");
    let start =
        server.client("alice").call(Method::POST, "/tasks/tests/ExampleTask").header("origin", ORIGIN);
    let answer = Answer::of(start).await;
    answer.with(202);
    assert!(cors_headers(&answer).is_empty(), "{answer:?}");
}

/// The `from` of the audit lines of a server, for starts with these headers.
async fn from(arguments: &[&str], headers: &[(&str, &str)]) -> String {
    let server = Server::with(&[arguments, &["--log-format", "json"]].concat()).await;
    let mut request = server.client("alice").call(Method::POST, "/tasks/tests/ExampleTask").json(&json!({}));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await.with(202);
    server.terminate();
    let ended = server.ended().await;
    let line = ended.err.lines().find(|line| line.contains("quell::audit")).expect("a line").to_owned();
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    line["fields"]["from"].as_str().expect("text").to_owned()
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed_about_where_a_request_comes_from() {
    let spoofed = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6")];
    assert!(from(&[], &spoofed).await.starts_with("127.0.0.1:"));
    assert!(from(&["--trusted-proxy", "10.0.0.0/8"], &spoofed).await.starts_with("127.0.0.1:"));
    let trusted = ["--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.0.0.0/8"];
    assert_eq!(from(&trusted, &[("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.1.1.1")]).await, "1.2.3.4");
    assert_eq!(
        from(&trusted, &[("forwarded", "for=6.6.6.6, for=\"[2001:db8::1]:80\"")]).await,
        "2001:db8::1"
    );
}
