//! Tricks with the path: what it names is either well formed or refused, and never something else.

use super::{head, is_problem, is_sound, is_unharmed, sent};
use crate::server::Server;

#[tokio::test]
async fn a_path_with_tricks_is_refused_and_not_reflected() {
    let server = Server::start().await;
    for (path, status, name) in [
        ("/tasks/../health", 405, "method-not-allowed"),
        ("/tasks/%2e%2e/health", 405, "method-not-allowed"),
        ("/tasks/tests/../../health/1", 404, "route-not-found"),
        ("/tasks/tests/%2e%2e/1", 400, "invalid-path"),
        ("/tasks/tests/LongTask/1/..", 404, "route-not-found"),
        ("/tasks/tests/LongTask/%2e%2e", 400, "invalid-task-id"),
        ("/tasks/tests/LongTask/1%00", 400, "invalid-task-id"),
        ("/tasks/tests/%00/1", 400, "invalid-path"),
        ("//tasks/tests/LongTask/1", 404, "route-not-found"),
        ("/tasks//LongTask/1", 404, "route-not-found"),
        ("/tasks/tests/LongTask/1/", 404, "route-not-found"),
        ("/tasks/tests/LongTask/1;a=b", 400, "invalid-task-id"),
        ("/tasks/tests;x/LongTask/1", 400, "invalid-path"),
        ("/tasks/tests/LongTask/%c0%b1", 400, "invalid-task-id"),
        ("/tasks/tests/%c0%ae%c0%ae/1", 400, "invalid-path"),
        ("/tasks/tests/LongTask%2f1", 405, "method-not-allowed"),
        ("/tasks/tests/LongTask%2f1/1", 400, "invalid-path"),
        ("/tasks/tests/Long%5cTask/1", 400, "invalid-path"),
        ("/tasks/tests/LongTask/%zz", 400, "invalid-task-id"),
        ("/tasks/tests/LongTask/1%", 400, "invalid-task-id"),
        ("/tasks/tests/%4/1", 400, "invalid-path"),
        ("/tasks/tests/LongTask/1%0d%0ax-injected:%20y", 400, "invalid-task-id"),
        ("/tasks/tests/%0d%0ax-injected:%20y/1", 400, "invalid-path"),
        ("/tasks/tests/%e2%80%a8/1", 400, "invalid-path"),
        ("/tasks/tests/%e2%80%ae/1", 400, "invalid-path"),
        ("/tasks/tests/L%d0%beng%d0%a2ask/1", 400, "invalid-path"),
        ("/tasks/tests/LongTask/%ef%bc%91", 400, "invalid-task-id"),
        ("/tasks/tests/LongTask/%d9%a1", 400, "invalid-task-id"),
        ("/tasks/tests/%f0%9f%98%80/1", 400, "invalid-path"),
        ("/tasks/te%cc%81sts/LongTask/1", 400, "invalid-path"),
        ("/tasks/tests/LongTask/1?%ff=%0d%0a", 400, "invalid-path"),
        ("/tasks/tests/LongTask/1?a%00b=1", 400, "invalid-path"),
        ("/stream/tests/LongTask/1?after=1%0d%0a", 400, "invalid-path"),
        ("/%2e%2e/%2e%2e/etc/passwd", 404, "route-not-found"),
        ("/health/", 404, "route-not-found"),
        ("/HEALTH", 404, "route-not-found"),
    ] {
        let reply = sent(&server, head("GET", path, "")).await;
        is_problem(&reply, status, name, path);
        assert!(!reply.text.contains("x-injected: y\r\n"), "{path}: {reply:?}");
    }
    is_unharmed(&server).await;
}

#[tokio::test]
async fn a_percent_encoded_name_is_the_name() {
    let server = Server::start().await;
    let reply = sent(&server, head("POST", "/tasks/t%65sts/Stuck%54ask", "content-length: 0\r\n")).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert!(
        reply.head().to_ascii_lowercase().contains("\r\nlocation: /tasks/tests/stucktask/1"),
        "{reply:?}"
    );
    let reply = sent(&server, head("GET", "/%74asks/tests/StuckTask/%31", "")).await;
    is_sound(&reply, "an encoded route");
    is_unharmed(&server).await;
}

#[tokio::test]
async fn raw_bytes_in_a_path_harm_nothing() {
    let server = Server::start().await;
    for bytes in [
        &b"/tasks/tests/\xff\xfe/1"[..],
        b"/tasks/tests/\xe2\x80\xa8/1",
        b"/\xc3\xbc",
        b"/a\tb",
        b"/a\x01b",
        b"/a\x7fb",
        b"/a\0b",
        b"/a b",
    ] {
        let path =
            [b"POST ", bytes, b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"]
                .concat();
        let reply = sent(&server, path).await;
        is_sound(&reply, &format!("{bytes:?}"));
        assert!((400..500).contains(&reply.status), "{reply:?}");
    }
    let long = format!("/tasks/tests/{}/1", "x".repeat(60_000));
    is_problem(
        &sent(&server, head("POST", &format!("/cancel{}", &long[6..]), "content-length: 0\r\n")).await,
        400,
        "invalid-path",
        "long",
    );
    is_unharmed(&server).await;
}
