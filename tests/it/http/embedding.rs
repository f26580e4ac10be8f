//! Holds what a host application may do with the routes: mount them under its own paths, decide with its own users,
//! and mount several runtimes side by side.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::error::ErrorUnauthorized;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, dev, web};
use quell::http::{HttpOptions, Principal, Problem, TaskRef, routes};
use quell::server::demo::register_demo;
use quell::{Registry, RuntimeSettings};
use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Client, Hosted};

/// A user of the host: known by a header, with rules that are not quell's.
struct Guest {
    name: Arc<str>,
}

impl FromRequest for Guest {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        ready(match request.headers().get("x-guest").and_then(|value| value.to_str().ok()) {
            Some("expired") => Err(Problem::unauthorized("your visit is over").into()),
            Some(name) => Ok(Self { name: name.into() }),
            None => Err(ErrorUnauthorized("who?")),
        })
    }
}

impl Principal for Guest {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn may_start(&self, _app: &str, model: &str) -> bool {
        &*self.name == "chef" || model != "StuckTask"
    }

    /// Everybody sees everything but what the chef cooks.
    fn may_view(&self, task: &TaskRef<'_>) -> bool {
        task.owner != "chef" || &*self.name == "chef"
    }

    /// Only waiters cancel, and not their own.
    fn may_cancel(&self, task: &TaskRef<'_>) -> bool {
        &*self.name == "waiter" && task.owner != "waiter"
    }
}

/// Two runtimes below scopes of the host's own, beside a route of it.
async fn host(options: HttpOptions) -> Hosted {
    let demo = || (register_demo(Registry::new()).expect("models"), RuntimeSettings::default());
    Hosted::mount(vec![demo(), demo()], move |coordinators, config| {
        for (prefix, coordinator) in ["/{id}/jobs", "/more"].iter().zip(coordinators) {
            let jobs = routes::<Guest>(coordinator.clone(), options.clone());
            config.service(web::scope(prefix).configure(jobs));
        }
        config.route("/own", web::get().to(async || HttpResponse::Ok().body("the host's own")));
    })
    .await
}

async fn call(host: &Hosted, guest: &str, method: Method, path: &str) -> Answer {
    Answer::of(Client::stranger(host.base()).call(method, path).header("x-guest", guest)).await
}

#[tokio::test]
async fn location_keeps_the_prefix_of_the_scope() {
    let host = host(HttpOptions::default()).await;
    for prefix in ["/shop/jobs", "/more"] {
        let answer = call(&host, "chef", Method::POST, &format!("{prefix}/tasks/tests/ExampleTask")).await;
        let id = answer.with(202)["id"].as_i64().unwrap();
        let location = answer.header("location");
        assert_eq!(location, format!("{prefix}/tasks/tests/ExampleTask/{id}"));
        assert_eq!(call(&host, "chef", Method::GET, location).await.with(200)["id"], id);
    }
    call(&host, "chef", Method::GET, "/more/nothing").await.problem(404, "route-not-found");
    assert_eq!(call(&host, "chef", Method::GET, "/own").await.text, "the host's own");
    assert_eq!(call(&host, "chef", Method::GET, "/nothing").await.text, "");
    assert_eq!(call(&host, "chef", Method::GET, "/more/readyz").await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn two_runtimes_in_one_application_know_nothing_of_each_other() {
    let host = host(HttpOptions::default()).await;
    call(&host, "chef", Method::POST, "/x/jobs/tasks/tests/StuckTask").await.with(202);
    let path = "tests/StuckTask/1";
    call(&host, "chef", Method::GET, &format!("/x/jobs/tasks/{path}")).await.with(200);
    call(&host, "chef", Method::GET, &format!("/more/tasks/{path}")).await.problem(404, "task-not-found");
    call(&host, "chef", Method::POST, "/more/tasks/tests/RestartTask").await.with(202);
    host.coordinators[1].shutdown(std::time::Duration::from_secs(1)).await;
    assert_eq!(call(&host, "chef", Method::GET, "/more/readyz").await.status, 503);
    // One that is down goes on answering: what it has, and that it takes nothing more.
    let row = call(&host, "waiter", Method::GET, "/more/tasks/tests/RestartTask/1").await;
    row.problem(403, "forbidden");
    for (method, path) in [
        (Method::POST, "/more/tasks/tests/ExampleTask"),
        (Method::POST, "/more/cancel/tests/RestartTask/1"),
        (Method::PATCH, "/more/tasks/tests/RestartTask/1"),
    ] {
        let request = Client::stranger(host.base()).call(method.clone(), path).header("x-guest", "waiter");
        let body = json!({"timeout_seconds": 60});
        let answer = Answer::of(if method == Method::PATCH { request.json(&body) } else { request }).await;
        answer.problem(503, "shutting-down");
    }
    call(&host, "chef", Method::POST, "/x/jobs/tasks/tests/ExampleTask").await.with(202);
    host.stop().await;
}

#[tokio::test]
async fn the_hosts_users_decide_everything() {
    let host = host(HttpOptions::default()).await;
    let start = |guest: &'static str, model: &str| {
        let path = format!("/more/tasks/tests/{model}");
        let host = &host;
        async move { call(host, guest, Method::POST, &path).await }
    };
    start("waiter", "StuckTask").await.problem(403, "forbidden");
    start("waiter", "NoModel").await.problem(404, "unknown-model");
    let cooked = start("chef", "StuckTask").await.with(202)["id"].clone();
    let served = start("waiter", "CleanupTask").await.with(202)["id"].clone();
    let cooked = format!("tests/StuckTask/{cooked}");
    let served = format!("tests/CleanupTask/{served}");
    for (guest, task, status) in
        [("waiter", &cooked, 403), ("chef", &cooked, 200), ("chef", &served, 200), ("anybody", &served, 200)]
    {
        assert_eq!(
            call(&host, guest, Method::GET, &format!("/more/tasks/{task}")).await.status,
            status,
            "{guest}"
        );
    }
    for (guest, task, status) in
        [("chef", &cooked, 403), ("chef", &served, 403), ("waiter", &served, 403), ("waiter", &cooked, 200)]
    {
        assert_eq!(
            call(&host, guest, Method::POST, &format!("/more/cancel/{task}")).await.status,
            status,
            "{guest}"
        );
    }
    let row = call(&host, "chef", Method::GET, &format!("/more/tasks/{cooked}")).await.with(200);
    assert_eq!((&row["owner"], &row["cancelled_by"]), (&json!("chef"), &json!("waiter")));
    let expired = call(&host, "expired", Method::GET, &format!("/more/tasks/{cooked}")).await;
    assert!(expired.problem(401, "unauthorized")["detail"].as_str().unwrap().contains("your visit is over"));
    let nobody = Client::stranger(host.base()).get(&format!("/more/tasks/{cooked}")).await;
    nobody.problem(401, "unauthorized");
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
    host.stop().await;
}

#[tokio::test]
async fn i28_with_hiding_on_a_foreign_task_and_none_are_the_same() {
    let host = host(HttpOptions::default().hide_foreign_tasks(true)).await;
    call(&host, "chef", Method::POST, "/more/tasks/tests/StuckTask").await.with(202);
    let requests = [
        (Method::GET, "/more/tasks/tests/StuckTask/1"),
        (Method::PATCH, "/more/tasks/tests/StuckTask/1"),
        (Method::POST, "/more/tasks/tests/StuckTask/1/signals/go"),
        (Method::POST, "/more/cancel/tests/StuckTask/1"),
        (Method::GET, "/more/stream/tests/StuckTask/1"),
    ];
    for (method, path) in requests {
        let ask = async |path: &str| {
            let request =
                Client::stranger(host.base()).call(method.clone(), path).header("x-guest", "anybody");
            let body = json!({"timeout_seconds": 60});
            let answer =
                Answer::of(if method == Method::PATCH { request.json(&body) } else { request }).await;
            answer.problem(404, "task-not-found");
            answer.text
        };
        let missing = ask(&path.replace("/1", "/2")).await;
        assert_eq!(ask(path).await, missing.replace("/2", "/1"), "{path}");
    }
    host.stop().await;
}
