//! Line ends, NUL and U+2028 in every field that reaches a stream, a header or a log.

use serde_json::json;

use super::{head, is_problem, is_sound, is_unharmed, sent, with_body};
use crate::server::{Frame, Server};

/// Texts that would end a line, a frame, a header or a log line, and begin another.
const TEXTS: [&str; 6] = [
    "a\r\n\r\nid: 99\nevent: cancelled\ndata: {\"forged\":true}\n\n",
    "a\rdata: forged\r\r",
    "a\u{2028}event: forged\u{2029}\u{85}",
    "a\r\nx-injected: y\r\n\r\nHTTP/1.1 200 OK\r\n",
    "\u{1b}[2J\u{1b}[31mred\u{7}\u{8}\u{7f}\u{9b}1m",
    "a\n2026-01-01T00:00:00.000000Z  INFO quell::audit: who=\"root\" action=\"cancel\"",
];

/// Numbered without gaps, of the types that the runtime and the demo send, with one end, the last.
fn is_whole(frames: &[Frame], what: &str) {
    let ids: Vec<_> = frames.iter().filter_map(|frame| frame.id).collect();
    let expected: Vec<i64> = (1..).take(frames.len()).collect();
    assert_eq!(ids, expected, "{what}: {frames:?}");
    assert_eq!(frames.iter().filter(|frame| frame.is_terminal()).count(), 1, "{what}: {frames:?}");
    assert!(frames.last().is_some_and(Frame::is_terminal), "{what}: {frames:?}");
    assert!(frames.iter().all(|frame| frame.json()["forged"].is_null()), "{what}: {frames:?}");
}

#[tokio::test]
async fn no_text_breaks_out_of_a_stream() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for text in TEXTS {
        let inputs = [
            ("ExampleTask", json!({ "message": text })),
            ("FailTask", json!({ "message": text })),
            ("SyncGeneratorTask", json!({ "items": [text, { text: text }] })),
        ];
        for (model, input) in inputs {
            let task = alice.start(model, input).await;
            let mut watching = alice.watch(&task).await;
            let frames = watching.rest().await;
            is_whole(&frames, &format!("{model}: {text:?}"));
            let shows = frames
                .iter()
                .any(|frame| frame.json().to_string().contains(json!(text).to_string().trim_matches('"')));
            assert!(shows, "{model}: {frames:?}");
        }
        let task = alice.start("StuckTask", json!({})).await;
        let answer = alice.cancel(&task, &json!({ "reason": text })).await.with(200);
        assert_eq!(answer["reason"], text);
        let frames = alice.watch(&task).await.rest().await;
        is_whole(&frames, text);
        assert_eq!(frames.last().map(|frame| frame.json()["reason"].clone()), Some(json!(text)));
        let task = alice.start("ContinueTask", json!({ "message": text })).await;
        alice.post_json(&task.signal("continue"), &json!({ text: text })).await.with(202);
        alice.ended(&task).await;
        is_whole(&alice.watch(&task).await.rest().await, text);
    }
    is_unharmed(&server).await;
}

#[tokio::test]
async fn no_header_of_a_request_comes_back_or_splits_an_answer() {
    let server = Server::start().await;
    let task = server.client("alice").start("StuckTask", json!({})).await;
    let values = [
        "\u{2028}",
        "\u{85}",
        "ü",
        "\u{1b}[2J",
        "\u{7f}",
        "a\tb",
        "",
        "\"",
        "\\",
        ",;=",
        "wait=\"1",
        "<script>",
        "\u{202e}",
    ];
    for name in [
        "prefer",
        "last-event-id",
        "x-request-id",
        "idempotency-key",
        "accept",
        "user-agent",
        "origin",
        "x-forwarded-for",
        "forwarded",
    ] {
        for value in values {
            let more = format!("{name}: {value}x-canary\r\ncontent-length: 0\r\n");
            for (method, path) in [("GET", task.path()), ("POST", task.signal("go")), ("HEAD", task.stream())]
            {
                let reply = sent(&server, head(method, &path, &more)).await;
                let what = format!("{method} {path} with {name}: {value:?}");
                is_sound(&reply, &what);
                let reflected = reply.head().contains(&format!("{value}x-canary"));
                assert!(!reflected || value.is_ascii(), "{what}: {reply:?}");
            }
        }
        // Line ends and NUL end a header, or the request: no answer takes them for a part of the value.
        for value in ["a\rb", "a\0b", "a\n b", "a\nx-injected: y"] {
            let reply = sent(&server, head("GET", &task.path(), &format!("{name}: {value}\r\n"))).await;
            is_sound(&reply, &format!("{name}: {value:?}"));
        }
    }
    let long = format!("{}: {}\r\n", "idempotency-key", "k".repeat(60_000));
    is_sound(&sent(&server, head("POST", &task.signal("go"), &long)).await, "a long key");
    is_unharmed(&server).await;
}

#[tokio::test]
async fn no_name_breaks_out_of_an_answer() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    for text in TEXTS {
        let body = json!({ text: 1 }).to_string();
        for (method, path) in
            [("POST", "/tasks/tests/StuckTask".to_owned()), ("PATCH", task.path()), ("POST", task.cancel())]
        {
            is_problem(
                &sent(&server, with_body(method, &path, "", body.as_bytes())).await,
                400,
                "invalid-body",
                text,
            );
        }
        let input = json!({ "input": { text: 1 } }).to_string();
        let reply = sent(&server, with_body("POST", "/tasks/tests/StuckTask", "", input.as_bytes())).await;
        is_problem(&reply, 422, "invalid-input", text);
        let encoded = text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        let reply = sent(&server, head("POST", &task.signal(&encoded), "content-length: 0\r\n")).await;
        is_problem(&reply, 400, "invalid-path", text);
    }
    is_unharmed(&server).await;
}

#[tokio::test]
async fn a_garbled_last_event_id_counts_as_none() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ExampleTask", json!({})).await;
    alice.ended(&task).await;
    for value in
        ["x", "-1", "1.5", "1e3", "0x1", "1,2", "ü", "\u{2028}", "١", "NaN", "+1", "1 2", "null", "%31"]
    {
        let more = format!("accept: text/event-stream\r\nlast-event-id: {value}\r\n");
        let reply = sent(&server, head("GET", &task.stream(), &more)).await;
        is_sound(&reply, value);
        assert!(reply.status == 200 && reply.body().contains("id: 1\n"), "{value}: {reply:?}");
    }
    for value in ["99999999999999999999999999", "9223372036854775807", "000000000000000099"] {
        let more = format!("accept: text/event-stream\r\nlast-event-id: {value}\r\n");
        assert_eq!(sent(&server, head("GET", &task.stream(), &more)).await.status, 204, "{value}");
    }
    is_unharmed(&server).await;
}
