//! Holds what one principal may take: requests per minute and streams at once, exactly, and others go on.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server, eventually};

#[tokio::test]
async fn i31_a_principal_may_send_so_many_requests_a_minute_over_all_connections() {
    // One more would be welcome after 6 s: all of these are sent in less, or the test says so.
    let server = Server::with(&["--rate-limit", "10"]).await;
    let begun = std::time::Instant::now();
    let alice = server.client("alice");
    let requests = (0..60).map(|_| Answer::of(alice.call(Method::POST, "/tasks/tests/ExampleTask")));
    let answers = join_all(requests).await;
    let passed = answers.iter().filter(|answer| answer.status == 202).count();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 202).collect();
    let welcome = usize::try_from(begun.elapsed().as_secs() / 6).unwrap();
    assert!((10..=10 + welcome).contains(&passed), "{passed} passed");
    for answer in &refused {
        answer.problem(429, "too-many-requests");
        let wait: u32 = answer.header("retry-after").parse().expect("seconds");
        assert!((1..=6).contains(&wait), "{wait}");
    }
    // Everybody has their own, and who is nobody is not counted.
    server.client("bob").post("/tasks/tests/ExampleTask").await.with(202);
    for _ in 0..20 {
        server.stranger().get("/tasks/tests/ExampleTask/1").await.problem(401, "unauthorized");
        assert_eq!(server.stranger().get("/health").await.status, 200);
    }
    let lines = server.err();
    let told =
        lines.lines().filter(|l| l.contains("quell::audit") && l.contains("too-many-requests")).count();
    assert_eq!(told, refused.len(), "I-30: each refused write leaves a line");
}

#[tokio::test]
async fn i31_a_principal_may_have_so_many_streams_and_each_place_comes_back() {
    let server = Server::with(&["--max-streams-per-principal", "3"]).await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let open = || alice.call(Method::GET, &task.stream()).header("accept", "text/event-stream").send();
    let all = join_all((0..24).map(|_| open())).await;
    let all: Vec<_> = all.into_iter().map(|answer| answer.expect("it answers")).collect();
    let (mut streams, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|answer| answer.status() == 200);
    assert_eq!((streams.len(), refused.len()), (3, 21));
    for answer in refused {
        assert_eq!(answer.status(), 429);
        assert!(answer.headers().contains_key("retry-after"));
        assert!(answer.text().await.unwrap().contains(":too-many-streams"));
    }
    // Somebody else has places of their own.
    let viewer = server.client("viewer").watch(&task).await;
    // A client that leaves gives its place back, and only one.
    drop(streams.pop());
    let again = eventually("a place is free again", async || {
        let answer = open().await.expect("it answers");
        (answer.status() == 200).then_some(answer)
    })
    .await;
    streams.push(again);
    assert_eq!(open().await.unwrap().status(), 429);
    // So does a stream that ends.
    alice.post(&task.cancel()).await.with(200);
    for stream in streams {
        stream.text().await.expect("it ends");
    }
    let other = alice.start("StuckTask", json!({})).await;
    eventually("all places are free again", async || {
        let open = || alice.call(Method::GET, &other.stream()).send();
        let answers: Vec<_> = join_all((0..3).map(|_| open())).await;
        answers.iter().all(|answer| answer.as_ref().is_ok_and(|a| a.status() == 200)).then_some(())
    })
    .await;
    drop(viewer);
}
