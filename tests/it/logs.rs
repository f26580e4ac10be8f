//! The log of the program: as JSON one object a line, and every record of a request and of a task names it.

use std::fs::File;

use quell::Cleaned;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Home, Server, Task, refusal_of};
use crate::support::{Child, Graced, Plain, World, blocking_request, is_child_of, request};

/// The lines of a log of objects; each must be one.
fn records(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| {
            let record: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: no JSON: {line}"));
            for member in ["timestamp", "level", "target"] {
                assert!(record[member].is_string(), "{line}");
            }
            assert!(record["fields"].is_object(), "{line}");
            record
        })
        .collect()
}

/// What the spans of a record say under that name, innermost first.
fn in_span<'a>(record: &'a Value, span: &str, name: &str) -> Option<&'a Value> {
    let spans = record["spans"].as_array()?;
    spans.iter().rev().find(|found| found["name"] == span).and_then(|found| found.get(name))
}

async fn json_server(home: &Home, filter: &str) -> Server {
    let mut command = home.command(&["--log-format", "json"]);
    command.env("RUST_LOG", filter);
    Server::of(home, command).await
}

fn key(task: &Task) -> String {
    format!("tests/{}/{}", task.model, task.id)
}

#[tokio::test]
async fn a_log_of_objects_has_one_object_a_line_and_nothing_else() {
    let home = Home::new();
    let server = json_server(&home, "trace").await;
    let alice = server.client("alice");
    for model in ["ExampleTask", "FailTask", "PanicTask"] {
        let task = alice.start(model, json!({})).await;
        alice.ended(&task).await;
    }
    alice.get("/nowhere").await.problem(404, "route-not-found");
    server.terminate();
    let ended = server.ended().await;
    assert!(records(&ended.err).len() > 20);
    let mut command = home.command(&["--log-format", "json"]);
    command.env("QUELL_DATABASE_URL", "sqlite:///dev/null/quell.db");
    let refused = refusal_of(command).await;
    assert_eq!((refused.code, records(&refused.err).len()), (Some(1), 1), "{}", refused.err);
}

#[tokio::test]
async fn each_answer_has_the_id_of_its_request_and_so_has_each_of_its_records() {
    let server = json_server(&Home::new(), "warn,quell=debug").await;
    let alice = server.client("alice");
    let started =
        Answer::of(alice.call(Method::POST, "/tasks/tests/PanicTask").header("x-request-id", "order-4711"))
            .await;
    assert_eq!(started.header("x-request-id"), "order-4711");
    let task = Task::new("PanicTask", started.with(202)["id"].as_i64().unwrap());
    alice.ended(&task).await;
    let mut made = std::collections::HashSet::new();
    for path in ["/health", "/readyz", "/nowhere", "/metrics", "/tasks/tests/PanicTask", &task.path()] {
        for client in [&alice, &server.stranger()] {
            let answer = client.get(path).await;
            assert!(made.insert(answer.header("x-request-id").to_owned()), "{answer:?}");
            assert!(!answer.header("x-request-id").is_empty(), "{answer:?}");
        }
    }
    server.terminate();
    let log = records(&server.ended().await.err);
    let audit: Vec<_> = log.iter().filter(|record| record["target"] == "quell::audit").collect();
    let start = audit.iter().find(|record| record["fields"]["action"] == "start").unwrap();
    assert_eq!(start["fields"]["request_id"], "order-4711");
    assert_eq!(start["fields"]["task"], key(&task));
    let access: Vec<_> = log.iter().filter(|record| record["target"] == "quell::access").collect();
    let start = access.iter().find(|r| in_span(r, "request", "request_id") == Some(&json!("order-4711")));
    let start = start.expect("a line for the start");
    assert_eq!(start["fields"]["status"], 202);
    assert_eq!(in_span(start, "request", "route"), Some(&json!("/tasks/{app}/{model}")));
    assert_eq!(in_span(start, "request", "method"), Some(&json!("POST")));
    assert_eq!(in_span(start, "request", "task"), Some(&json!(key(&task))));
    for id in &made {
        let named = |record: &&&Value| in_span(record, "request", "request_id") == Some(&json!(id));
        assert_eq!(access.iter().filter(named).count(), 1, "{id}");
    }
    // What user code does is logged within its task, which follows from the request.
    let panicked = log.iter().find(|r| r["fields"]["message"] == "user code panicked").unwrap();
    assert_eq!(in_span(panicked, "task", "task"), Some(&json!(key(&task))));
    assert_eq!(in_span(panicked, "task", "request_id"), Some(&json!("order-4711")));
    assert_eq!(in_span(panicked, "task", "attempt"), Some(&json!(1)));
}

#[tokio::test]
async fn a_filter_that_lets_warnings_through_lets_their_task_through() {
    let server = json_server(&Home::new(), "warn").await;
    let alice = server.client("alice");
    let task = alice.start("PanicTask", json!({})).await;
    alice.ended(&task).await;
    server.terminate();
    let log = records(&server.ended().await.err);
    // Besides what the person who started it is told.
    assert!(log.iter().all(|record| record["level"] == "WARN" || record["target"] == "quell"), "{log:?}");
    let panicked = log.iter().find(|r| r["fields"]["message"] == "user code panicked").unwrap();
    assert_eq!(in_span(panicked, "task", "task"), Some(&json!(key(&task))));
}

/// For the child, whose log is its own: code of a user in all places where there may be some.
#[test]
fn helper_logs_from_user_code() {
    let Some(folder) = is_child_of() else { return };
    let file = File::create(folder.join("log")).unwrap();
    tracing_subscriber::fmt().json().with_writer(std::sync::Mutex::new(file)).init();
    let world = World::at(&folder);
    world.body("logs", |ctx, stage| async move {
        tracing::info!("body");
        ctx.spawn(async { tracing::info!("spawned") });
        tokio::task::yield_now().await;
        tracing::info!("body after an await");
        stage.mark("waits");
        std::future::pending().await
    });
    world.cleanup("logs", |_, _| async {
        tokio::task::yield_now().await;
        tracing::info!("cleanup");
        Ok(Cleaned::Done)
    });
    world.blocking("logs", |_, _| {
        tracing::info!("blocking");
        Ok(json!(null))
    });
    world.run(async |s| {
        let key = s.start(request::<Graced>("logs").request_id("order-1")).await.unwrap().key;
        s.stage().reached("waits", 1).await;
        s.stop(&key, "enough").await;
        let request = blocking_request::<Plain>("logs").request_id("order-1");
        let blocking = s.start(request).await.unwrap().key;
        s.ended(&blocking).await;
        Child::ready(&folder).await;
    });
}

#[test]
fn what_user_code_logs_names_its_task_and_the_request_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    Child::start("logs::helper_logs_from_user_code", folder.path()).kill();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let log = records(&log);
    for (message, model) in [
        ("body", "Graced"),
        ("spawned", "Graced"),
        ("body after an await", "Graced"),
        ("cleanup", "Graced"),
        ("blocking", "BlockingPlain"),
    ] {
        let found: Vec<_> = log.iter().filter(|r| r["fields"]["message"] == message).collect();
        assert_eq!(found.len(), 1, "{message}");
        let task = in_span(found[0], "task", "task").and_then(Value::as_str).expect(message);
        assert!(task.starts_with(&format!("tests/{model}/")), "{message}: {task}");
        assert_eq!(in_span(found[0], "task", "request_id"), Some(&json!("order-1")), "{message}");
    }
}
