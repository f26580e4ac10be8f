//! Holds the corpus: requests that no well-meaning client sends, each with what must become of it.
//!
//! Whatever comes in, no answer is a 5xx, no part of the server panics, nothing is reflected raw, and every line of
//! the log is one line.

mod heads;
mod injection;
mod json;
mod paths;

use crate::server::{Reply, Server, Socket, token};

/// A request head for alice, which closes the connection; `more` are further lines, each ended.
fn head(method: &str, path: &str, more: &str) -> String {
    let token = token("alice");
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n{more}\r\n"
    )
}

/// The same with a JSON body.
fn with_body(method: &str, path: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let more = format!("content-type: application/json\r\ncontent-length: {length}\r\n{more}");
    [head(method, path, &more).as_bytes(), body].concat()
}

async fn sent(server: &Server, bytes: impl AsRef<[u8]>) -> Reply {
    let mut socket = Socket::open(server.address()).await;
    socket.send(bytes).await;
    socket.reply().await
}

/// What holds for every answer: no 5xx, only headers that the server writes, and no control character in them.
fn is_sound(reply: &Reply, what: &str) {
    assert!((200..500).contains(&reply.status), "{what}: {reply:?}");
    let known = [
        "content-type",
        "content-length",
        "date",
        "connection",
        "allow",
        "location",
        "cache-control",
        "retry-after",
        "preference-applied",
        "www-authenticate",
        "transfer-encoding",
        "x-accel-buffering",
        "content-encoding",
        "x-request-id",
        "vary",
        "idempotency-replayed",
    ];
    for line in reply.head().split("\r\n").skip(1) {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        assert!(known.contains(&name.as_str()), "{what}: {line:?}");
        assert!(!line.chars().any(char::is_control), "{what}: {line:?}");
    }
}

/// The same, with a problem of this status and name, in one line.
fn is_problem(reply: &Reply, status: u16, name: &str, what: &str) {
    is_sound(reply, what);
    assert_eq!(reply.status, status, "{what}: {reply:?}");
    assert!(
        reply.head().to_ascii_lowercase().contains("content-type: application/problem+json"),
        "{what}: {reply:?}"
    );
    let problem: serde_json::Value =
        serde_json::from_str(reply.body()).unwrap_or_else(|e| panic!("{what}: {e}: {reply:?}"));
    assert_eq!(problem["type"], format!("urn:quell:problem:{name}"), "{what}");
    assert!(
        !reply.body().contains(|c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}')),
        "{what}: {reply:?}"
    );
}

/// The server is as it was: it answers, nothing of it panicked, and its log has only whole lines without tricks.
async fn is_unharmed(server: &Server) {
    assert_eq!(server.stranger().get("/health").await.text, "OK");
    let told = server.err();
    assert!(!told.contains("panicked"), "{told}");
    for line in told.lines() {
        let is_log = line.len() > 20 && line.starts_with("20") && line.as_bytes()[10] == b'T';
        // What the demo shows at its start.
        let is_help = ["LOC=$(curl", "curl ", "try it", "quell: ", "# first"]
            .iter()
            .any(|begin| line.starts_with(begin));
        assert!(is_log || is_help, "a line that is none of the log's: {line:?}");
        assert!(!line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{line:?}");
    }
}
