//! Holds what a start answers and what each demo model then does, event by event.

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Answer, Client, Frame, Server, Task};

/// The members of a task, in their order.
const MEMBERS: [&str; 24] = [
    "id",
    "app",
    "model",
    "status",
    "input",
    "owner",
    "timeout_seconds",
    "idle_timeout_seconds",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "final_value",
    "error_type",
    "error_message",
    "cancel_requested_at",
    "cancelled_at",
    "cancellation_reason",
    "cancel_cause",
    "cancelled_by",
    "stopped_by",
    "cleanup",
    "attempt",
    "node",
];

/// `2026-01-01T00:00:00.000000Z`
fn is_instant(value: &Value) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    value.as_str().is_some_and(|text| {
        text.len() == pattern.len()
            && text
                .chars()
                .zip(pattern.chars())
                .all(|(c, p)| if p == 'd' { c.is_ascii_digit() } else { c == p })
    })
}

/// The order in which the members of an object stand in a text.
fn order(text: &str) -> Vec<&'static str> {
    let mut members: Vec<_> = MEMBERS.to_vec();
    members.sort_by_key(|name| text.find(&format!("\"{name}\":")).expect("it is there"));
    members
}

/// The events that a body sent, without what the server adds.
pub(super) fn sent(frames: &[Frame]) -> Vec<(String, Value)> {
    let strip = |frame: &Frame| {
        let mut data: Map<String, Value> = serde_json::from_str(&frame.data).expect("an object");
        data.retain(|name, _| !name.starts_with('_'));
        (frame.event.clone(), Value::Object(data))
    };
    frames.iter().map(strip).collect()
}

/// All events of a task up to its end, and its row.
async fn run(client: &Client, model: &str, input: Value) -> (Vec<(String, Value)>, Value) {
    let task = client.start(model, input).await;
    let frames = client.watch(&task).await.rest().await;
    let numbers: Vec<_> = frames.iter().map(|frame| frame.id).collect();
    let expected: Vec<_> = (1..=i64::try_from(frames.len()).unwrap()).map(Some).collect();
    assert_eq!(numbers, expected, "I-22");
    assert!(frames.iter().rev().skip(1).all(|frame| !frame.is_terminal()), "I-24");
    let mut events = sent(&frames);
    assert_eq!(events.remove(0), ("running".to_owned(), json!({"attempt": 1})));
    (events, client.show(&task).await)
}

fn event(kind: &str, data: Value) -> (String, Value) {
    (kind.to_owned(), data)
}

#[tokio::test]
async fn a_start_answers_202_with_the_whole_task_and_where_it_is() {
    let server = Server::start().await;
    let answer = server.client("alice").post("/tasks/tests/StuckTask").await;
    let row = answer.with(202);
    let id = row["id"].as_i64().unwrap();
    assert_eq!(answer.header("location"), format!("/tasks/tests/StuckTask/{id}"));
    assert_eq!(row.as_object().unwrap().len(), MEMBERS.len());
    assert_eq!(order(&answer.text), MEMBERS);
    let texts = [("app", "tests"), ("model", "StuckTask"), ("status", "running"), ("owner", "alice")];
    for (member, text) in texts {
        assert_eq!(row[member], text);
    }
    assert_eq!((&row["input"], &row["attempt"]), (&json!({}), &json!(1)));
    assert!(row["node"].is_string());
    for member in ["created_at", "updated_at", "started_at"] {
        assert!(is_instant(&row[member]), "{member}: {row}");
    }
    let empty = ["timeout_seconds", "idle_timeout_seconds", "completed_at", "final_value", "error_type"];
    let rest =
        ["error_message", "cancel_requested_at", "cancelled_at", "cancellation_reason", "cancel_cause"];
    for member in empty.iter().chain(&rest).chain(&["cancelled_by", "stopped_by", "cleanup"]) {
        assert!(row[*member].is_null(), "{member}: {row}");
    }
    assert_eq!(server.client("alice").show(&Task::new("StuckTask", id)).await, row);
}

#[tokio::test]
async fn ids_grow_and_are_never_used_twice_also_over_a_kill() {
    let mut server = Server::start().await;
    let mut last = 0;
    for _ in 0..3 {
        for model in ["ExampleTask", "FailTask"] {
            let task = server.client("alice").start(model, json!({})).await;
            assert!(task.id > last, "{} after {last}", task.id);
            last = task.id;
        }
        server = server.kill().await.server(&[]).await;
    }
}

#[tokio::test]
async fn all_that_a_start_takes_is_optional() {
    let server = Server::start().await;
    let alice = server.client("alice");
    for body in [
        json!({}),
        json!({"input": null, "timeout_seconds": null, "idle_timeout_seconds": null}),
        json!({"input": {}}),
    ] {
        let task = alice.start_with("ExampleTask", &body).await;
        let row = alice.ended(&task).await;
        assert_eq!((&row["input"], &row["timeout_seconds"]), (&json!({}), &Value::Null));
        assert_eq!(row["final_value"], "Completed processing: Hello from ExampleTask");
    }
    let timed = alice.start_with("StuckTask", &json!({"timeout_seconds": 300})).await;
    let text = alice.get(&timed.path()).await.text;
    assert!(text.contains("\"timeout_seconds\":300,"), "{text}");
    let timed = alice.start_with("StuckTask", &json!({"timeout_seconds": 0.25})).await;
    assert_eq!(alice.ended(&timed).await["timeout_seconds"], 0.25);
}

#[tokio::test]
async fn prefer_wait_answers_with_the_end_or_with_the_task_as_it_is() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let start = async |model: &str, prefer: &str| {
        let request = alice.call(Method::POST, &format!("/tasks/tests/{model}")).header("prefer", prefer);
        Answer::of(request).await
    };
    let answer = start("ExampleTask", "wait=20").await;
    let row = answer.with(200);
    assert_eq!((&row["status"], row["completed_at"].is_null()), (&json!("completed"), false));
    let id = row["id"].as_i64().unwrap();
    assert_eq!(answer.header("location"), format!("/tasks/tests/ExampleTask/{id}"));
    assert_eq!(answer.header("preference-applied"), "wait=20");
    assert_eq!(start("FailTask", "respond-async, WAIT = 999").await.with(200)["status"], "failed");
    assert_eq!(start("StuckTask", "wait=1").await.with(202)["status"], "running");
    assert_eq!(start("StuckTask", "wait=0").await.with(202)["status"], "running");
    assert_eq!(start("StuckTask", "wait=-1").await.header("preference-applied"), "");
}

#[tokio::test]
async fn a_timeout_ends_a_task_as_cancelled_with_words_that_say_so() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start_with("StuckTask", &json!({"timeout_seconds": 0.5})).await;
    let events = sent(&alice.watch(&task).await.rest().await);
    let end: Vec<_> = events[events.len() - 3..].to_vec();
    let reason = "Timeout after 0.5s";
    assert_eq!(end[0], event("timeout", json!({"message": "Task timed out after 0.5 seconds"})));
    let asked =
        json!({"message": "Task cancellation requested", "reason": reason, "cause": "timeout", "by": null});
    assert_eq!(end[1], event("cancellation_requested", asked));
    let over = json!({"message": "Task was cancelled", "reason": reason, "cause": "timeout", "stopped_by": "dropped"});
    assert_eq!(end[2], event("cancelled", over));
    let row = alice.show(&task).await;
    assert_eq!((&row["status"], &row["cancel_cause"]), (&json!("cancelled"), &json!("timeout")));
    assert_eq!((&row["cancellation_reason"], &row["cancelled_by"]), (&json!(reason), &Value::Null));
}

#[tokio::test]
async fn the_models_that_end_by_themselves_do_what_the_table_says() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let (events, row) = run(&alice, "ExampleTask", json!({"message": "hi"})).await;
    let kinds: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["start", "progress", "progress", "progress", "complete", "completed"]);
    assert_eq!(events[5].1, json!({"final_value": "Completed processing: hi"}));
    assert_eq!((&row["status"], &row["final_value"]), (&json!("completed"), &events[5].1["final_value"]));

    let (events, row) = run(&alice, "LongTask", json!({"steps": 2, "step_ms": 1})).await;
    let expected = [
        event("start", json!({"total_steps": 2})),
        event("progress", json!({"step": 0})),
        event("progress", json!({"step": 1})),
        event("complete", json!({})),
        event("completed", json!({"final_value": "Completed all 2 steps"})),
    ];
    assert_eq!(events, expected);
    assert_eq!(row["final_value"], "Completed all 2 steps");

    let (events, _) = run(&alice, "AsyncGeneratorTask", json!({"count": 2})).await;
    let kinds: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["progress", "progress", "completed"]);
    let (events, _) = run(&alice, "SyncGeneratorTask", json!({"items": [{"a": 1}, "two", null]})).await;
    let data: Vec<_> = events.into_iter().map(|(_, data)| data).take(3).collect();
    assert_eq!(data, [json!({"a": 1}), json!({"value": "two"}), json!({"value": null})]);
    let (events, row) = run(&alice, "SlowTask", json!({"seconds": 1})).await;
    assert_eq!(events[0], event("progress", json!({"seconds": 0})));
    assert_eq!(row["status"], "completed");
}

#[tokio::test]
async fn the_models_that_go_wrong_say_how() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let (events, row) = run(&alice, "FailTask", json!({})).await;
    assert_eq!(events, [event("error", json!({"message": "failed as asked", "error_type": "DemoError"}))]);
    let told = (&row["status"], &row["error_type"], &row["error_message"]);
    assert_eq!(told, (&json!("failed"), &json!("DemoError"), &json!("failed as asked")));
    let (_, row) = run(&alice, "FailTask", json!({"message": "ü"})).await;
    assert_eq!(row["error_message"], "ü");
    let (events, row) = run(&alice, "PanicTask", json!({})).await;
    assert_eq!(events, [event("error", json!({"message": row["error_message"], "error_type": "panic"}))]);
    assert_eq!(row["status"], "failed");
    let (events, row) = run(&alice, "SmartTask", json!({})).await;
    let kinds: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["progress", "progress", "progress", "cancellation_requested", "cancelled"]);
    assert_eq!((&row["status"], &row["cancel_cause"]), (&json!("cancelled"), &json!("self")));
    assert_eq!(
        (&row["cancellation_reason"], &row["stopped_by"]),
        (&json!("Stopped itself at step 3"), &json!("itself"))
    );
    assert!(row["cancelled_by"].is_null());
}

#[tokio::test]
async fn a_page_is_fetched_and_a_connection_that_fails_is_told() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let page = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 1024]).await.unwrap();
        socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nabc").await.unwrap();
    });
    let (events, row) = run(&alice, "FetchTask", json!({ "url": url })).await;
    page.await.unwrap();
    let kinds: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["start", "progress", "complete", "completed"]);
    assert_eq!(row["final_value"], json!({"status_code": 404, "bytes": 3}));
    let (_, row) = run(&alice, "FetchTask", json!({ "url": url })).await;
    assert_eq!((&row["status"], row["error_type"].is_string()), (&json!("failed"), true));
}

#[tokio::test]
async fn a_file_is_hashed_inside_the_data_folder_only() {
    let home = crate::server::Home::new();
    let folder = home.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("abc"), "abc").unwrap();
    let server = home.server(&["--data-dir", "data"]).await;
    let alice = server.client("alice");
    let (events, row) = run(&alice, "HashFileTask", json!({"path": "abc"})).await;
    assert_eq!(events[0], event("progress", json!({"bytes": 3})));
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(row["final_value"], json!({"sha256": sha256, "bytes": 3}));
    for path in ["../quell.db", "/etc/passwd", "nothing"] {
        let (_, row) = run(&alice, "HashFileTask", json!({ "path": path })).await;
        assert_eq!(row["status"], "failed", "{path}");
    }
}
