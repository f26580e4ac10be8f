//! Malformed and hostile JSON, for every route that takes a body.

use serde_json::json;

use super::{is_problem, is_sound, is_unharmed, sent, with_body};
use crate::server::Server;

/// What no route takes, whatever its body means.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    vec![
        ("lists 100,000 deep", deep("[", "]")),
        ("lists that are never closed", "[".repeat(100_000).into_bytes()),
        ("objects that are never closed", "{\"a\":".repeat(40_000).into_bytes()),
        (
            "a number beyond all bounds",
            b"{\"input\":{\"steps\":1e999999},\"reason\":1e999999,\"timeout_seconds\":1e999999}".to_vec(),
        ),
        ("a half surrogate", b"\"\\ud800\"".to_vec()),
        (
            "surrogates the wrong way round",
            b"{\"reason\":\"\\udc00\\ud800\",\"input\":{\"message\":\"\\udc00\\ud800\"}}".to_vec(),
        ),
        ("a half surrogate in a name", b"{\"\\ud800\":1}".to_vec()),
        ("bytes that are no UTF-8", b"{\"reason\":\"\xc3\x28\"}".to_vec()),
        ("an overlong slash", b"\"\xc0\xaf\"".to_vec()),
        ("a surrogate in UTF-8", b"\"\xed\xa0\x80\"".to_vec()),
        ("a BOM", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("text after the value", b"{} x".to_vec()),
        ("two values", b"{}{}".to_vec()),
        ("a raw NUL", b"{\"reason\":\"a\0b\"}".to_vec()),
        ("a NUL after the value", b"{}\0".to_vec()),
        ("a raw newline in a text", b"{\"reason\":\"a\nb\"}".to_vec()),
        ("a comment", b"{/* */}".to_vec()),
        ("a comma too many", b"{\"reason\":\"x\",}".to_vec()),
        ("NaN", b"{\"timeout_seconds\":NaN}".to_vec()),
        ("hexadecimal", b"{\"timeout_seconds\":0x10}".to_vec()),
        ("a leading zero", b"{\"timeout_seconds\":01}".to_vec()),
        ("a bad escape", b"{\"reason\":\"\\x41\"}".to_vec()),
        ("nothing but spaces", b"   ".to_vec()),
    ]
}

#[tokio::test]
async fn malformed_json_is_refused_by_every_route_and_nothing_is_done() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    for (what, body) in malformed() {
        for (method, path) in [
            ("POST", "/tasks/tests/ExampleTask".to_owned()),
            ("PATCH", task.path()),
            ("POST", task.signal("go")),
            ("POST", task.cancel()),
        ] {
            let reply = sent(&server, with_body(method, &path, "", &body)).await;
            is_problem(&reply, 400, "invalid-body", &format!("{what}: {method} {path}"));
            assert!(reply.body().len() < 1_000, "{what}: {reply:?}");
        }
    }
    let row = alice.show(&task).await;
    assert!(row["cancel_requested_at"].is_null() && row["timeout_seconds"].is_null(), "{row}");
    assert_eq!(alice.start("StuckTask", json!({})).await.id, task.id + 1, "a row was made");
    is_unharmed(&server).await;
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused_however_it_is_written() {
    let server = Server::start().await;
    let task = server.client("alice").start("StuckTask", json!({})).await;
    for body in [r#"{"reason":"a","reason":"b"}"#, r#"{"reason":"a","\u0072eason":"b"}"#] {
        let reply = sent(&server, with_body("POST", &task.cancel(), "", body.as_bytes())).await;
        is_problem(&reply, 400, "invalid-body", body);
    }
    for body in [r#"{"input":{},"input":{"x":1}}"#, r#"{"timeout_seconds":1,"timeout\u005fseconds":2}"#] {
        let reply = sent(&server, with_body("POST", "/tasks/tests/StuckTask", "", body.as_bytes())).await;
        is_problem(&reply, 400, "invalid-body", body);
    }
    is_unharmed(&server).await;
}

#[tokio::test]
async fn odd_json_that_is_well_formed_is_taken_and_comes_back() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for text in [
        "😀 \u{202e}gnirts\u{202c} e\u{301} \u{10ffff}",
        "\u{1}\u{7f}\u{85}\u{2028}\u{2029}\u{feff}",
        "\r\n\r\nid: 9\nevent: cancelled\ndata: {}\n\n",
        "</script><!-- \" ' \\ \\u0000",
    ] {
        let task = alice.start("ExampleTask", json!({ "message": text })).await;
        let row = alice.ended(&task).await;
        assert_eq!(row["final_value"], format!("Completed processing: {text}"));
    }
    let many = format!("{{{}}}", (0..9_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(","));
    let numbers = "[18446744073709551615, -9223372036854775808, 1e308, 5e-324, 0.1, -0.0, 123456789012345678901234567890]";
    let items = format!("{{\"input\":{{\"items\":[{many},{numbers}]}}}}");
    let reply =
        sent(&server, with_body("POST", "/tasks/tests/SyncGeneratorTask", "", items.as_bytes())).await;
    is_sound(&reply, "many members and odd numbers");
    assert_eq!(reply.status, 202, "{}", reply.head());
    is_unharmed(&server).await;
}
