//! Holds the table of errors: each malformed request with its status, the end of its `type`, the field it names, and
//! that nothing was done.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Server, Socket, Task, token};

const START: &str = "/tasks/tests/LongTask";

/// The next id shows whether a row was made.
async fn next_id(client: &Client) -> i64 {
    client.start("StuckTask", json!({})).await.id
}

#[tokio::test]
async fn a_malformed_path_is_named() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for id in
        ["abc", "-1", "0", "1.5", "01", "+1", "1e3", "9007199254740992", "12345678901234567", "%31x", "1%00"]
    {
        let task = format!("tests/LongTask/{id}");
        for (method, path) in [
            (Method::GET, format!("/tasks/{task}")),
            (Method::PATCH, format!("/tasks/{task}")),
            (Method::POST, format!("/tasks/{task}/signals/go")),
            (Method::POST, format!("/cancel/{task}")),
            (Method::GET, format!("/stream/{task}")),
        ] {
            Answer::of(alice.call(method, &path)).await.names(400, "invalid-task-id", "id");
        }
    }
    let long = "x".repeat(65);
    for (app, model, field) in [
        ("1a", "LongTask", "app"),
        ("te-sts", "LongTask", "app"),
        ("%00", "LongTask", "app"),
        ("tests", "Long.Task", "model"),
        ("tests", "%C3%BC", "model"),
        ("tests", "..%2F..%2Fetc", "model"),
        ("tests", "%FF", "model"),
        ("tests", &long, "model"),
    ] {
        alice.post(&format!("/tasks/{app}/{model}")).await.names(400, "invalid-path", field);
        alice.get(&format!("/stream/{app}/{model}/1")).await.names(400, "invalid-path", field);
    }
    for name in ["Go", "1", "_go", "go-on", "%00", &"x".repeat(65)] {
        alice.post(&Task::new("LongTask", 1).signal(name)).await.names(400, "invalid-path", "name");
    }
}

#[tokio::test]
async fn an_unknown_or_malformed_query_parameter_is_named() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    for (method, path) in [
        (Method::POST, START.to_owned()),
        (Method::GET, task.path()),
        (Method::PATCH, task.path()),
        (Method::POST, task.signal("go")),
        (Method::POST, task.cancel()),
        (Method::GET, task.stream()),
    ] {
        let answer = Answer::of(alice.call(method, &format!("{path}?nonsense=1"))).await;
        answer.names(400, "invalid-path", "nonsense");
    }
    for query in ["after=", "after=x", "after=-1", "after=1.5", "after=1&after=1", "after=%201", "after"] {
        alice.get(&format!("{}?{query}", task.stream())).await.names(400, "invalid-path", "after");
    }
    assert!(alice.show(&task).await["cancel_requested_at"].is_null());
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_and_nothing_is_done() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let first = next_id(&alice).await;
    let deep = format!("{{\"input\":{{\"steps\":{}1{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: [&[u8]; 16] = [
        b"{",
        b"nonsense",
        b"[]",
        b"\"text\"",
        b"1",
        b"null",
        b"{} {}",
        b"{\"input\":{},}",
        b"{'input':{}}",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{\"reason\":\"\xff\",\"input\":{\"message\":\"\xff\"}}",
        b"{\"input\":{\"message\":\"\\ud800\"},\"reason\":\"\\ud800\"}",
        b"{\"input\":NaN,\"reason\":NaN}",
        b"{\"\\ud800\":1}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        for path in [START.to_owned(), task.cancel()] {
            let answer = alice.post_bytes(&path, body).await;
            let problem = answer.problem(400, "invalid-body");
            assert!(problem["detail"].as_str().unwrap().len() < 600, "{shown}");
        }
        let patch = alice.call(Method::PATCH, &task.path()).header("content-type", "application/json");
        Answer::of(patch.body(body.to_vec())).await.problem(400, "invalid-body");
    }
    for body in [&b"{"[..], b"\xff", b"\"\\ud800\"", &deep.as_bytes()[9..200_010]] {
        alice.post_bytes(&task.signal("go"), body).await.problem(400, "invalid-body");
    }
    assert_eq!(next_id(&alice).await, first + 1);
    assert!(alice.show(&task).await["cancel_requested_at"].is_null());
}

#[tokio::test]
async fn a_member_that_is_unknown_twice_or_of_a_wrong_type_is_named() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let first = next_id(&alice).await;
    for (body, field) in [
        (r#"{"nonsense":1}"#, "nonsense"),
        (r#"{"Input":{}}"#, "Input"),
        (r#"{"input":{},"input":{}}"#, "input"),
        (r#"{"timeout_seconds":1,"timeout_seconds":2}"#, "timeout_seconds"),
        (r#"{"timeout_seconds":"1"}"#, "timeout_seconds"),
        (r#"{"timeout_seconds":0}"#, "timeout_seconds"),
        (r#"{"timeout_seconds":-0.0}"#, "timeout_seconds"),
        (r#"{"timeout_seconds":-1}"#, "timeout_seconds"),
        (r#"{"timeout_seconds":31536001}"#, "timeout_seconds"),
        (r#"{"timeout_seconds":1e999}"#, "timeout_seconds"),
        (r#"{"timeout_seconds":true}"#, "timeout_seconds"),
        (r#"{"idle_timeout_seconds":"30"}"#, "idle_timeout_seconds"),
    ] {
        alice.post_bytes(START, body).await.names(400, "invalid-body", field);
    }
    for (body, field) in [
        (r#"{"nonsense":1}"#, "nonsense"),
        (r#"{"force":true}"#, "force"),
        (r#"{"reason":1}"#, "reason"),
        (r#"{"reason":["x"]}"#, "reason"),
        (r#"{"reason":"a","reason":"b"}"#, "reason"),
        (r#"{"reason":"a\u0000b"}"#, "reason"),
        (&format!(r#"{{"reason":"{}"}}"#, "ü".repeat(1001)), "reason"),
    ] {
        alice.post_bytes(&task.cancel(), body).await.names(400, "invalid-body", field);
    }
    for body in [
        json!({}),
        json!({"timeout_seconds": 0}),
        json!({"timeout_seconds": "1"}),
        json!({"timeout_seconds": []}),
    ] {
        alice.patch(&task.path(), &body).await.names(400, "invalid-body", "timeout_seconds");
    }
    alice.patch(&task.path(), &json!({"timeout_seconds": 1, "x": 1})).await.names(400, "invalid-body", "x");
    Answer::of(alice.call(Method::PATCH, &task.path())).await.names(400, "invalid-body", "timeout_seconds");
    assert_eq!(next_id(&alice).await, first + 1);
    assert!(alice.show(&task).await["cancel_requested_at"].is_null());
}

#[tokio::test]
async fn an_input_that_does_not_fit_is_422_names_its_field_and_makes_no_row() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let first = next_id(&alice).await;
    for (model, input, field) in [
        ("LongTask", r#"{"stepz":1}"#, "input.stepz"),
        ("LongTask", r#"{"steps":1,"steps":2}"#, "input.steps"),
        ("StuckTask", r#"{"x":1}"#, "input.x"),
        ("FetchTask", "{}", "input.url"),
        ("LongTask", "[]", "input"),
        ("LongTask", "[1,1]", "input"),
        ("LongTask", "\"x\"", "input"),
        ("LongTask", "0", "input"),
        ("ExampleTask", r#"{"message":"a\u0000b"}"#, "input"),
        ("SyncGeneratorTask", r#"{"items":[{"a\u0000":1}]}"#, "input"),
    ] {
        let body = format!("{{\"input\":{input}}}");
        alice.post_bytes(&format!("/tasks/tests/{model}"), body).await.names(422, "invalid-input", field);
    }
    for (model, input, field) in [
        ("LongTask", json!({"steps": "many"}), "input.steps"),
        ("LongTask", json!({"step_ms": 1, "steps": -1}), "input.steps"),
        ("LongTask", json!({"steps": 1.5}), "input.steps"),
        ("ExampleTask", json!({"message": null}), "input.message"),
        ("ContinueTask", json!({"wait_seconds": -1}), "input.wait_seconds"),
        ("FetchTask", json!({"url": "file:///etc/passwd"}), "input.url"),
    ] {
        let answer = alice.post_json(&format!("/tasks/tests/{model}"), &json!({ "input": input })).await;
        answer.names(422, "invalid-input", field);
    }
    let task = alice.start("StuckTask", json!({})).await;
    assert_eq!(task.id, first + 1);
    alice.post_bytes(&task.signal("go"), r#"{"a":"\u0000"}"#).await.problem(422, "invalid-input");
    for model in ["NoModel", "longtask"] {
        alice.post(&format!("/tasks/tests/{model}")).await.problem(404, "unknown-model");
    }
    alice.post("/tasks/other/LongTask").await.problem(404, "unknown-model");
}

#[tokio::test]
async fn another_content_type_is_415_and_a_body_over_256_kib_413() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let post = |path: &str, kind: &str, body: Vec<u8>| {
        let request = alice.call(Method::POST, path).body(body);
        if kind.is_empty() { request } else { request.header("content-type", kind) }
    };
    for kind in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/problem+json",
    ] {
        for path in [START.to_owned(), task.cancel(), task.signal("go")] {
            Answer::of(post(&path, kind, b"{}".to_vec())).await.problem(415, "unsupported-media-type");
        }
    }
    let packed = post(START, "application/json", b"{}".to_vec()).header("content-encoding", "gzip");
    Answer::of(packed).await.problem(415, "unsupported-media-type");
    Answer::of(post(START, "Application/JSON; charset=utf-8", b"{}".to_vec())).await.with(202);
    Answer::of(post(START, "text/plain", Vec::new())).await.with(202);

    let sized = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes();
    alice.post_bytes(&task.signal("go"), sized(256 * 1024)).await.with(202);
    for bytes in [256 * 1024 + 1, 1024 * 1024] {
        for path in [START.to_owned(), task.cancel(), task.signal("go")] {
            alice.post_bytes(&path, sized(bytes)).await.problem(413, "body-too-large");
        }
    }
    assert!(alice.show(&task).await["cancel_requested_at"].is_null());
}

#[tokio::test]
async fn a_body_in_chunks_has_the_same_limits_and_a_broken_one_does_nothing() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let head = |path: &str, more: &str| {
        let token = token("alice");
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
             content-type: application/json\r\n{more}\r\n"
        )
    };
    let sent = async |bytes: String| {
        let mut socket = Socket::open(server.address()).await;
        socket.send(bytes).await;
        socket.reply().await
    };
    let chunked = "transfer-encoding: chunked\r\n";
    let reply = sent(head(START, chunked) + "2\r\n{}\r\n0\r\n\r\n").await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let reply = sent(head(&task.cancel(), chunked) + "zz\r\n{}\r\n0\r\n\r\n").await;
    assert_eq!(reply.status, 400, "{reply:?}");
    let mut large = head(&task.cancel(), chunked);
    for _ in 0..40 {
        large.push_str("4000\r\n");
        large.push_str(&" ".repeat(0x4000));
        large.push_str("\r\n");
    }
    let reply = sent(large + "0\r\n\r\n").await;
    assert_eq!(reply.status, 413, "{reply:?}");
    let reply = sent(head(&task.cancel(), "content-length: 2\r\ncontent-length: 3\r\n") + "{}x").await;
    assert_eq!(reply.status, 400, "{reply:?}");
    // A body that breaks off: the half of it that came is no cancel.
    let mut socket = Socket::open(server.address()).await;
    socket.send(head(&task.cancel(), "content-length: 20\r\n") + "{}").await;
    socket.close();
    assert!(alice.show(&task).await["cancel_requested_at"].is_null());
}

#[tokio::test]
async fn another_method_is_405_with_the_list_of_those_that_are_known() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let all = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    for (path, known) in [
        (START.to_owned(), "POST"),
        (task.path(), "GET, HEAD, PATCH"),
        (task.signal("go"), "POST"),
        (task.cancel(), "POST"),
        (task.stream(), "GET, HEAD"),
    ] {
        for method in all.iter().filter(|method| !known.contains(method.as_str())) {
            let answer = Answer::of(alice.call(method.clone(), &path)).await;
            answer.problem(405, "method-not-allowed");
            assert_eq!(answer.header("allow"), known, "{method} {path}");
        }
    }
    assert!(alice.show(&task).await["cancel_requested_at"].is_null());
}

#[tokio::test]
async fn no_answer_shows_a_clients_text_whole() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let long = "<script>".repeat(10_000);
    let mut members = serde_json::Map::new();
    members.insert(long.clone(), Value::Null);
    let answer = alice.post_json(START, &Value::Object(members.clone())).await;
    assert_eq!(answer.problem(400, "invalid-body")["status"], 400);
    assert!(answer.text.len() < 2_000, "{}", answer.text.len());
    let answer = alice.post_json(START, &json!({ "input": members })).await;
    answer.problem(422, "invalid-input");
    assert!(answer.text.len() < 2_000, "{}", answer.text.len());
}
