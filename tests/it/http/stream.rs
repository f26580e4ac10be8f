//! Holds event streams: their framing, resuming, ends, and that watchers neither hold up tasks nor each other.

use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Client, Frame, Item, Parser, Server, Socket, Task, Watching, token};

fn numbers(frames: &[Frame]) -> Vec<i64> {
    frames.iter().map(|frame| frame.id.expect("it is numbered")).collect()
}

fn kinds(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| frame.event.as_str()).collect()
}

async fn stream_answer(client: &Client, task: &Task, accept: &str, last: Option<&str>) -> Answer {
    let mut request = client.call(Method::GET, &task.stream()).header("accept", accept);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    Answer::of(request).await
}

#[test]
fn the_parser_of_these_tests_reads_what_the_standard_says() {
    let text = "retry: 10\r\n: c\n\nid: 1\nevent: x\rdata: a\ndata:b\n\ndata:  c\nevent:y\r\n\r\nid: 2\n\n";
    let frame = |id, event: &str, data: &str| {
        Item::Frame(Frame { id, event: event.to_owned(), data: data.to_owned() })
    };
    let expected =
        [Item::Retry(10), Item::Comment("c".to_owned()), frame(Some(1), "x", "a\nb"), frame(None, "y", " c")];
    for size in [1, 2, 3, 1000] {
        let mut parser = Parser::default();
        let items: Vec<_> = text.as_bytes().chunks(size).flat_map(|chunk| parser.take(chunk)).collect();
        assert_eq!(items, expected, "{size}");
    }
}

#[tokio::test]
async fn a_stream_is_framed_as_the_contract_shows_byte_for_byte() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("LongTask", json!({"steps": 1, "step_ms": 1})).await;
    alice.ended(&task).await;
    let answer = stream_answer(&alice, &task, "text/event-stream", None).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-store");
    let mut parts = answer.text.split("\n\n");
    assert!(parts.next().unwrap().starts_with("retry: "), "{}", answer.text);
    let sent = [
        "{\"attempt\":1",
        "{\"total_steps\":1",
        "{\"step\":0",
        "{",
        "{\"final_value\":\"Completed all 1 steps\"",
    ];
    let kinds = ["running", "start", "progress", "complete", "completed"];
    for (at, (kind, data)) in kinds.iter().zip(sent).enumerate() {
        let frame = parts.next().unwrap();
        let comma = if data == "{" { "" } else { "," };
        let whole = format!(
            "id: {}\nevent: {kind}\ndata: {data}{comma}\"_task_id\":{},\"_app\":\"tests\",\"_model\":\"LongTask\",\"_timestamp\":\"",
            at + 1,
            task.id
        );
        let rest = frame.strip_prefix(&whole).unwrap_or_else(|| panic!("{frame} is not {whole}"));
        assert!(rest.len() == "2026-01-01T00:00:00.000000Z\"}".len() && rest.ends_with("Z\"}"), "{rest}");
    }
    assert_eq!((parts.next(), parts.next()), (Some(""), None));
}

#[tokio::test]
async fn the_first_frame_says_when_to_come_back() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let mut watching = alice.watch(&task).await;
    assert!(matches!(watching.item().await, Some(Ok(Item::Retry(_)))));
    assert!(watching.headers().get("content-length").is_none());
}

#[tokio::test]
async fn i23_resuming_misses_nothing_and_repeats_nothing() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("LongTask", json!({"steps": 20, "step_ms": 20})).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|frame: &Frame| !frame.is_terminal()) {
        let last = seen.last().and_then(|frame: &Frame| frame.id);
        let mut watching = alice.watch_after(&task, last).await;
        for _ in 0..3 {
            seen.extend(watching.frame().await);
        }
    }
    assert_eq!(numbers(&seen), (1..=24).collect::<Vec<_>>());
    for after in [0, 1, 22, 23] {
        let request = alice.call(Method::GET, &format!("{}?after={after}", task.stream()));
        let rest = Watching::open(request.header("accept", "text/event-stream")).await.rest().await;
        assert_eq!(rest, seen[usize::try_from(after).unwrap()..], "{after}");
    }
    // The header wins; one that is malformed counts as none.
    for (header, from) in [("20", 21), ("x", 11), ("-1", 11), ("", 11), ("1.5", 11)] {
        let request = alice.call(Method::GET, &format!("{}?after=10", task.stream()));
        let request = request.header("accept", "text/event-stream").header("last-event-id", header);
        assert_eq!(numbers(&Watching::open(request).await.rest().await)[0], from, "{header}");
    }
}

#[tokio::test]
async fn i22_i23_a_stream_goes_on_over_a_kill_and_over_a_clean_restart() {
    let mut server = Server::start().await;
    let task = server.client("alice").start("RestartTask", json!({})).await;
    let mut seen: Vec<Frame> = Vec::new();
    for round in 0..4 {
        let last = seen.last().and_then(|frame| frame.id);
        let mut watching = server.client("alice").watch_after(&task, last).await;
        seen.extend(watching.until("start").await);
        if round % 2 == 0 {
            server = server.kill().await.server(&[]).await;
        } else {
            server.terminate();
            let rest = watching.rest().await;
            let (shutdown, rest) = rest.split_last().expect("it says that it goes down");
            assert_eq!((&*shutdown.event, shutdown.id), ("shutdown", None));
            seen.extend_from_slice(rest);
            let home = server.home();
            server.ended().await;
            server = home.server(&[]).await;
        }
    }
    let expected: Vec<_> = (1..=i64::try_from(seen.len()).unwrap()).collect();
    assert_eq!(numbers(&seen), expected);
    let attempts: Vec<_> = seen
        .iter()
        .filter(|frame| frame.event == "running")
        .map(|frame| frame.json()["attempt"].clone())
        .collect();
    assert_eq!(attempts, [1, 2, 2, 3], "a kill counts, a clean restart does not");
    let all = server.client("alice").watch(&task).await.until("running").await;
    assert_eq!(all[0], seen[0]);
}

#[tokio::test]
async fn after_the_end_a_client_is_told_to_stop_or_gets_the_task() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("ExampleTask", json!({})).await;
    let row = alice.ended(&task).await;
    for last in ["7", "8", "9007199254740991", "99999999999999999999"] {
        let answer = stream_answer(&alice, &task, "text/event-stream", Some(last)).await;
        assert_eq!((answer.status, &*answer.text), (204, ""), "{last}");
    }
    for accept in ["application/json", "*/*", "application/json, text/event-stream;q=0.5"] {
        assert_eq!(stream_answer(&alice, &task, accept, None).await.with(200), row, "{accept}");
    }
    let answer = stream_answer(&alice, &task, "text/event-stream, */*", Some("6")).await;
    assert!(
        answer.text.contains("\nevent: completed\n") && !answer.text.contains("id: 6"),
        "{}",
        answer.text
    );
    let running = alice.start("StuckTask", json!({})).await;
    let request = alice.call(Method::GET, &running.stream()).header("accept", "application/json");
    assert_eq!(Watching::open(request).await.until("start").await.len(), 2);
    alice.get(&Task::new("StuckTask", 4711).stream()).await.problem(404, "task-not-found");
}

#[tokio::test]
async fn a_client_that_claims_to_have_seen_the_future_is_let_go_at_the_end() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let mut watching = alice.watch_after(&task, Some(9_007_199_254_740_991)).await;
    assert!(matches!(watching.item().await, Some(Ok(Item::Retry(_)))));
    alice.post(&task.cancel()).await.with(200);
    assert_eq!(watching.rest().await, []);
}

#[tokio::test]
async fn i24_late_clients_and_a_hundred_watchers_see_the_same_to_the_end() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let mut watching = Vec::new();
    for _ in 0..100 {
        watching.push(alice.watch(&task).await);
    }
    for left in watching.drain(90..) {
        drop(left);
    }
    assert_eq!(alice.show(&task).await["status"], "running", "one that leaves stops nothing");
    alice.post(&task.cancel()).await.with(200);
    let late = alice.watch(&task).await.rest().await;
    assert!(kinds(&late).ends_with(&["cancellation_requested", "cancelled"]), "{late:?}");
    for mut watching in watching {
        assert_eq!(watching.rest().await, late);
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_slows_nobody_down() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let items: Vec<_> = (0..3_000).map(|at| json!({"at": at, "x": "x".repeat(60)})).collect();
    let text = "x".repeat(240_000);
    let slow_task = alice.start("ExampleTask", json!({ "message": text })).await;
    alice.ended(&slow_task).await;
    // Readers that never read: of much more than any buffer holds.
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut socket = Socket::narrow(server.address()).await;
        let (path, token) = (slow_task.stream(), token("alice"));
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        socket.send(head).await;
        idle.push(socket);
    }
    let task = alice.start("SyncGeneratorTask", json!({ "items": items })).await;
    let frames = alice.watch(&task).await.rest().await;
    assert_eq!(numbers(&frames), (1..=3_002).collect::<Vec<_>>());
    drop(idle);
}
