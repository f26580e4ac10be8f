//! What actix-web answers before any route is reached, and what is answered by us in its place: the list of the README.

use super::{head, is_problem, is_sound, is_unharmed, sent, with_body};
use crate::server::{Server, Task};

#[tokio::test]
async fn what_is_no_http_gets_an_empty_400_or_431_and_the_connection_ends() {
    let server = Server::start().await;
    let many = "x: 1\r\n".repeat(200);
    for (what, bytes, status) in [
        ("no request line", "nonsense\r\n\r\n".to_owned(), 400),
        ("no version", "GET /health\r\n\r\n".to_owned(), 400),
        ("another version", "GET /health HTTP/3.0\r\nhost: x\r\n\r\n".to_owned(), 400),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("a method that is no token", "GE(T /health HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 400),
        ("no Host", "GET /health HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("two Hosts", "GET /health HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned(), 400),
        ("a bad header name", head("GET", "/health", "a b: c\r\n"), 400),
        ("a NUL in a header", head("GET", "/health", "x: a\0b\r\n"), 400),
        (
            "two lengths",
            head("POST", "/tasks/tests/StuckTask", "content-length: 0\r\ncontent-length: 0\r\n"),
            400,
        ),
        ("a negative length", head("POST", "/tasks/tests/StuckTask", "content-length: -1\r\n"), 400),
        (
            "a length and chunks",
            head("POST", "/tasks/tests/StuckTask", "content-length: 2\r\ntransfer-encoding: chunked\r\n"),
            400,
        ),
        ("an unknown encoding", head("POST", "/tasks/tests/StuckTask", "transfer-encoding: gzip\r\n"), 400),
        ("a folded header", head("GET", "/health", "x: a\r\n b\r\n"), 400),
        ("200 headers", head("GET", "/health", &many), 431),
        ("a header of 200 KiB", head("GET", "/health", &format!("x: {}\r\n", "y".repeat(200 * 1024))), 431),
    ] {
        let reply = sent(&server, bytes).await;
        is_sound(&reply, what);
        assert_eq!((reply.status, reply.body()), (status, ""), "{what}: {reply:?}");
    }
    is_unharmed(&server).await;
}

#[tokio::test]
async fn what_reaches_a_route_gets_a_problem() {
    let server = Server::start().await;
    let start = "/tasks/tests/StuckTask";
    let chunked = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    for (what, bytes, status, name) in [
        ("an unknown method", head("FROBNICATE", "/health", ""), 405, "method-not-allowed"),
        ("OPTIONS", head("OPTIONS", start, ""), 405, "method-not-allowed"),
        ("OPTIONS of all", head("OPTIONS", "*", ""), 404, "route-not-found"),
        ("TRACE", head("TRACE", "/health", "x-secret: y\r\n"), 405, "method-not-allowed"),
        ("DELETE", head("DELETE", "/tasks/tests/StuckTask/1", ""), 405, "method-not-allowed"),
        ("a bad chunk", head("POST", start, chunked) + "zz\r\n{}\r\n0\r\n\r\n", 400, "invalid-body"),
        (
            "a length too large",
            head("POST", start, "content-type: application/json\r\ncontent-length: 99999999999\r\n"),
            413,
            "body-too-large",
        ),
        (
            "another type",
            head("POST", start, "content-type: text/html\r\ncontent-length: 2\r\n") + "{}",
            415,
            "unsupported-media-type",
        ),
    ] {
        let reply = sent(&server, bytes).await;
        is_problem(&reply, status, name, what);
    }
    let expect = with_body("POST", start, "expect: 100-continue\r\n", b"{}");
    let reply = sent(&server, expect).await;
    assert!(reply.text.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 "), "{reply:?}");
    let reply = sent(&server, with_body("POST", start, "expect: miracles\r\n", b"{}")).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    is_unharmed(&server).await;
}

#[tokio::test]
async fn head_answers_as_get_does_without_a_body() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", serde_json::json!({})).await;
    for path in ["/", "/health", "/livez", "/readyz", "/openapi.json", &task.path()] {
        let (with, without) =
            (sent(&server, head("GET", path, "")).await, sent(&server, head("HEAD", path, "")).await);
        assert_eq!((without.status, without.body()), (with.status, ""), "{path}");
        let length = |reply: &crate::server::Reply| {
            let head = reply.head().to_ascii_lowercase();
            head.split("\r\n").find(|line| line.starts_with("content-length:")).map(str::to_owned)
        };
        assert_eq!(length(&with), length(&without), "{path}");
    }
    // It does not wait for the end of the task.
    let reply = sent(&server, head("HEAD", &task.stream(), "accept: text/event-stream\r\n")).await;
    assert!(
        reply.status == 200 && reply.head().contains("text/event-stream") && reply.body().is_empty(),
        "{reply:?}"
    );
    let reply = sent(&server, head("HEAD", &Task::new("StuckTask", 77).path(), "")).await;
    assert_eq!((reply.status, reply.body()), (404, ""));
    is_unharmed(&server).await;
}
