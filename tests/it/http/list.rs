//! Holds the list of tasks: what is in it, for whom, in which order, and how it goes on.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::{Error, FromRequest, HttpRequest, dev};
use quell::http::{HttpOptions, Principal, Scope, TaskRef, routes};
use quell::server::demo::register_demo;
use quell::{Registry, RuntimeSettings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Hosted, Server};

fn ids(page: &Value) -> Vec<i64> {
    page["items"].as_array().expect("a list").iter().map(|item| item["id"].as_i64().expect("an id")).collect()
}

async fn page(client: &Client, query: &str) -> Value {
    client.get(&format!("/tasks{query}")).await.with(200)
}

/// All pages, each checked against the limit.
async fn all(client: &Client, query: &str) -> Vec<i64> {
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = page(client, &format!("?limit=3{query}{after}")).await;
        let found = ids(&page);
        assert!(found.len() <= 3);
        seen.extend(found);
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn a_list_holds_the_tasks_as_they_are_shown_newest_first() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let empty = alice.get("/tasks").await;
    assert_eq!((empty.status, &*empty.text), (200, r#"{"items":[],"next":null}"#));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(alice.start("ExampleTask", json!({"message": "m"})).await);
    }
    tasks.push(alice.start("StuckTask", json!({})).await);
    let mut rows = Vec::new();
    for task in tasks.iter().rev().skip(1) {
        rows.push(alice.ended(task).await);
    }
    let told = page(&alice, "?status=completed").await;
    assert_eq!(told, json!({"items": rows, "next": null}));
    let expected: Vec<_> = tasks.iter().rev().map(|task| task.id).collect();
    assert_eq!(ids(&page(&alice, "").await), expected);
    assert_eq!(all(&alice, "").await, expected);
    assert_eq!(
        ids(&page(&alice, "?app=tests&model=StuckTask&status=running&owner=alice").await),
        expected[..1]
    );
    for nothing in ["?app=other", "?model=Other", "?status=cancelled", "?status=pending"] {
        assert_eq!(ids(&page(&alice, nothing).await), [0; 0], "{nothing}");
    }
}

#[tokio::test]
async fn i28_a_list_holds_only_what_its_reader_may_see() {
    let server = Server::start().await;
    let mut started = Vec::new();
    for name in ["alice", "bob", "alice"] {
        started.push((name, server.client(name).start("ExampleTask", json!({})).await.id));
    }
    let of = |name: &str| -> Vec<i64> {
        started.iter().rev().filter(|(owner, _)| *owner == name).map(|(_, id)| *id).collect()
    };
    let everybody: Vec<i64> = started.iter().rev().map(|(_, id)| *id).collect();
    for (name, query, expected) in [
        ("alice", "", of("alice")),
        ("alice", "?owner=bob", vec![]),
        ("bob", "", of("bob")),
        ("canceller", "", vec![]),
        ("viewer", "", everybody.clone()),
        ("viewer", "?owner=bob", of("bob")),
        ("root", "", everybody),
    ] {
        assert_eq!(ids(&page(&server.client(name), query).await), expected, "{name}{query}");
    }
    server.stranger().get("/tasks?limit=x").await.names(400, "invalid-path", "limit");
    server.stranger().get("/tasks").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn going_through_the_pages_misses_nothing_and_repeats_nothing() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let mut old = Vec::new();
    for _ in 0..10 {
        old.push(alice.start("ExampleTask", json!({})).await.id);
    }
    old.reverse();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let told = page(&alice, &format!("?limit=3{after}")).await;
        seen.extend(ids(&told));
        alice.start("ExampleTask", json!({})).await;
        match told["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, old);
}

#[tokio::test]
async fn a_malformed_question_is_refused_by_name() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let foreign = "0100000000000000ff";
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=1&limit=1", "limit"),
        ("after=x", "after"),
        ("after=1", "after"),
        ("after=%00", "after"),
        (&format!("after={foreign}"), "after"),
        ("status=stuck", "status"),
        ("app=..%2F", "app"),
        ("model=a%20b", "model"),
        ("owner=a%00", "owner"),
        ("sort=id", "sort"),
    ] {
        alice.get(&format!("/tasks?{query}")).await.names(400, "invalid-path", field);
    }
    alice.post("/tasks").await.problem(405, "method-not-allowed");
}

/// A guest who sees each third task.
struct Picky;

impl FromRequest for Picky {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(_: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

fn is_third(task: &TaskRef<'_>) -> bool {
    task.key.id.get() % 3 == 0
}

impl Principal for Picky {
    fn name(&self) -> Arc<str> {
        "picky".into()
    }

    fn may_view(&self, task: &TaskRef<'_>) -> bool {
        is_third(task)
    }

    fn may_cancel(&self, task: &TaskRef<'_>) -> bool {
        is_third(task)
    }

    fn view_scope(&self) -> Scope {
        Scope::Each
    }

    fn cancel_scope(&self) -> Scope {
        Scope::Each
    }
}

#[tokio::test]
async fn a_user_whose_rules_ask_about_each_task_gets_those_and_no_other() {
    let demo = (register_demo(Registry::new()).expect("models"), RuntimeSettings::default());
    let host = Hosted::mount(vec![demo], |coordinators, config| {
        config.configure(routes::<Picky>(coordinators[0].clone(), HttpOptions::default()));
    })
    .await;
    let picky = Client::stranger(host.base());
    for _ in 0..20 {
        picky.start("StuckTask", json!({})).await;
    }
    assert_eq!(ids(&page(&picky, "").await), [18, 15, 12, 9, 6, 3]);
    assert_eq!(all(&picky, "").await, [18, 15, 12, 9, 6, 3]);
    assert_eq!(all(&picky, "&status=completed").await, [0; 0]);
    let all_of_them = json!({"filter": {"owner": "picky"}});
    let told = Answer::of(picky.call(Method::POST, "/cancel").json(&all_of_them)).await.with(200);
    assert_eq!((&told["matched"], &told["cancelled"], &told["more"]), (&json!(6), &json!(6), &json!(false)));
    assert_eq!(all(&picky, "&status=running").await, [0; 0], "what picky sees has stopped");
    let left =
        host.coordinators[0].list(&quell::task::TaskFilter::default(), None, 100).await.expect("a page");
    let running = left.tasks.iter().filter(|task| !task.status.is_terminal()).count();
    assert_eq!(running, 14, "what picky may not cancel goes on");
    host.stop().await;
}
