//! Holds the cancel of many: which tasks are meant, that all are asked at once, and that the answer is true.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use quell::http::HttpOptions;
use quell::server::demo::register_demo;
use quell::{Registry, RuntimeSettings, StartRequest};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Hosted, Server, Task};

async fn cancel(client: &Client, body: &Value) -> Value {
    client.post_json("/cancel", body).await.with(200)
}

fn counts(told: &Value) -> [u64; 4] {
    ["matched", "cancelled", "cancelling", "not_running"].map(|name| told[name].as_u64().expect("a number"))
}

fn ids(told: &Value) -> BTreeSet<i64> {
    told["tasks"].as_array().expect("a list").iter().map(|task| task["id"].as_i64().expect("an id")).collect()
}

#[tokio::test]
async fn the_filter_says_who_is_meant_and_each_is_told_as_it_is() {
    let server = Server::with(&["--max-running", "3"]).await;
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    let done = alice.start("ExampleTask", json!({})).await;
    let done = alice.ended(&done).await;
    let stuck = alice.start("StuckTask", json!({})).await;
    let long = alice.start("LongTask", json!({})).await;
    let theirs = bob.start("StuckTask", json!({})).await;
    let waits = alice.start("StuckTask", json!({})).await;
    let body = json!({"filter": {"model": "StuckTask"}, "reason": "enough"});
    let told = alice.post_json("/cancel", &body).await;
    let expected = format!(
        concat!(
            r#"{{"matched":2,"cancelled":2,"cancelling":0,"not_running":0,"more":false,"tasks":["#,
            r#"{{"id":{},"app":"tests","model":"StuckTask","status":"cancelled","stopped_by":"never_started"}},"#,
            r#"{{"id":{},"app":"tests","model":"StuckTask","status":"cancelled","stopped_by":"dropped"}}]}}"#
        ),
        waits.id, stuck.id
    );
    assert_eq!((told.status, told.text), (200, expected));
    for task in [&stuck, &waits] {
        let row = alice.show(task).await;
        let end = (&row["status"], &row["cancellation_reason"], &row["cancelled_by"]);
        assert_eq!(end, (&json!("cancelled"), &json!("enough"), &json!("alice")), "I-6");
    }
    assert_eq!(alice.show(&long).await["status"], "running");
    assert_eq!(bob.show(&theirs).await["status"], "running", "I-28: nobody else's");
    let again = cancel(&alice, &body).await;
    assert_eq!((counts(&again), &again["tasks"]), ([0; 4], &json!([])));
    let foreign = cancel(&alice, &json!({"filter": {"owner": "bob"}})).await;
    assert_eq!(counts(&foreign), [0; 4]);
    let ended = cancel(&alice, &json!({"filter": {"status": "completed"}})).await;
    assert_eq!(counts(&ended), [0; 4], "only unfinished tasks are meant");
    assert_eq!(alice.get(&format!("/tasks/tests/ExampleTask/{}", done["id"])).await.json(), done);
    let told = cancel(&server.client("canceller"), &json!({"all": true})).await;
    assert_eq!((counts(&told), ids(&told)), ([2, 2, 0, 0], BTreeSet::from([long.id, theirs.id])));
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let tasks = [alice.start("StuckTask", json!({})).await, alice.start("LongTask", json!({})).await];
    let told = cancel(&alice, &json!({"all": true, "dry_run": true})).await;
    assert_eq!((counts(&told), &told["more"]), ([2, 0, 0, 0], &json!(false)));
    assert_eq!(ids(&told), tasks.iter().map(|task| task.id).collect());
    for task in told["tasks"].as_array().expect("a list") {
        assert_eq!((&task["status"], &task["stopped_by"]), (&json!("running"), &Value::Null));
    }
    for task in &tasks {
        assert!(alice.show(task).await["cancel_requested_at"].is_null());
    }
}

#[tokio::test]
async fn an_empty_filter_must_be_meant_and_every_member_is_checked() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    alice.post("/cancel").await.names(400, "invalid-body", "filter");
    for (body, field) in [
        (json!({}), "filter"),
        (json!({"filter": {}}), "filter"),
        (json!({"filter": {"app": null, "owner": null}, "all": false}), "filter"),
        (json!({"filter": []}), "filter"),
        (json!({"filter": {"app": "a/b"}}), "app"),
        (json!({"filter": {"app": 1}}), "app"),
        (json!({"filter": {"model": ""}}), "model"),
        (json!({"filter": {"status": "stuck"}}), "status"),
        (json!({"filter": {"owner": "a\u{0}"}}), "owner"),
        (json!({"filter": {"id": 5}}), "id"),
        (json!({"all": 1}), "all"),
        (json!({"all": true, "dry_run": "yes"}), "dry_run"),
        (json!({"all": true, "reason": 5}), "reason"),
        (json!({"all": true, "force": true}), "force"),
    ] {
        alice.post_json("/cancel", &body).await.names(400, "invalid-body", field);
    }
    alice.post("/cancel?all=true").await.names(400, "invalid-path", "all");
    server.stranger().post_json("/cancel", &json!({"all": true})).await.problem(401, "unauthorized");
    assert_eq!(alice.show(&task).await["status"], "running");
}

#[tokio::test]
async fn what_still_stops_when_the_wait_is_over_is_counted_as_cancelling() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let slow = alice.start("CleanupTask", json!({"cleanup_ms": 3000})).await;
    let quick = alice.start("StuckTask", json!({})).await;
    alice.watch(&slow).await.until("running").await;
    let request = alice.call(Method::POST, "/cancel").header("prefer", "wait=1").json(&json!({"all": true}));
    let answer = Answer::of(request).await;
    let told = answer.with(200);
    assert_eq!((counts(&told), answer.header("preference-applied")), ([2, 1, 1, 0], "wait=1"));
    let of =
        |task: &Task| told["tasks"].as_array().expect("a list").iter().find(|t| t["id"] == task.id).cloned();
    assert_eq!(of(&slow).expect("it is told")["status"], "running");
    assert_eq!(of(&quick).expect("it is told")["status"], "cancelled");
    assert!(
        !alice.show(&slow).await["cancel_requested_at"].is_null(),
        "I-5: it was durable before it was told"
    );
    assert_eq!(alice.ended(&slow).await["status"], "cancelled");
}

#[tokio::test]
async fn a_thousand_share_commits_and_more_than_a_thousand_take_another_call() {
    let registry = register_demo(Registry::new()).expect("models");
    let host = Hosted::start(registry, RuntimeSettings::default(), HttpOptions::default()).await;
    let (quell, alice) = (&host.coordinators[0], host.client("alice"));
    let start = || quell.start(StartRequest::new("tests", "StuckTask", "alice"));
    for started in join_all((0..1_200).map(|_| start())).await {
        started.expect("it starts");
    }
    let begun = Instant::now();
    let told = cancel(&alice, &json!({"all": true})).await;
    let took = begun.elapsed();
    assert_eq!((counts(&told), &told["more"]), ([1_000, 1_000, 0, 0], &json!(true)));
    assert_eq!(ids(&told).len(), 1_000);
    // Far below the default wait, though a busy disk takes milliseconds for each of as many single commits.
    assert!(took < Duration::from_secs(8), "{took:?}");
    let told = cancel(&alice, &json!({"all": true})).await;
    assert_eq!((counts(&told), &told["more"]), ([200, 200, 0, 0], &json!(false)));
    host.stop().await;
}
