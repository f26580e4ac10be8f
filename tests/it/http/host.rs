//! Holds what a host does with the life of a runtime: it keeps actix-web's signals, stops one of two runtimes and goes
//! on with the other, starts one again, gives each a state of its own.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::rt::signal::unix::SignalKind;
use actix_web::{App, HttpServer, web};
use quell::http::{HttpOptions, TokenPrincipal, TokenTable, routes};
use quell::task::Status;
use quell::{Registry, Runtime, RuntimeSettings, StartRequest, Task, TaskContext, TaskError};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::server::{Answer, Client, Hosted, Watching, eventually, token};
use crate::support::{Plain, World, is_child_of};

/// For the child: a host that leaves the signals to actix-web, and never calls `shutdown`.
#[test]
fn helper_keeps_the_signals_of_actix_web() {
    let Some(folder) = is_child_of() else { return };
    let log = File::create(folder.join("log")).unwrap();
    tracing_subscriber::fmt().with_writer(Mutex::new(log)).with_ansi(false).init();
    let world = World::at(&folder);
    world.body("waits", |_, _| async { std::future::pending().await });
    actix_web::rt::System::new().block_on(async {
        // From here on a signal that comes too early is lost, and does not end the process.
        let _early = actix_web::rt::signal::unix::signal(SignalKind::terminate()).unwrap();
        let url = format!("sqlite://{}", folder.join("quell.db").display());
        let registry = world.registry();
        // With the default for a part that fails: it must not be taken for one.
        let quell = Runtime::start(&url, registry, RuntimeSettings::default()).await.unwrap();
        quell.start(crate::support::request::<Plain>("waits")).await.unwrap();
        let server = HttpServer::new(move || {
            let table = TokenTable::parse(&format!("alice={}", token("alice"))).unwrap();
            App::new()
                .app_data(table)
                .configure(routes::<TokenPrincipal>(quell.clone(), HttpOptions::default()))
        });
        let server = server.workers(1).bind("127.0.0.1:0").unwrap().run();
        std::fs::write(folder.join("ready"), "").unwrap();
        server.await.unwrap();
        // A host that has more to do: longer than the runtime needs to notice.
        tokio::time::sleep(Duration::from_millis(900)).await;
    });
}

#[tokio::test]
async fn a_host_that_keeps_the_signals_of_actix_web_is_told_what_it_loses() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "http::host::helper_keeps_the_signals_of_actix_web", "--test-threads", "1"])
        .env("QUELL_TEST_FOLDER", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the host serves", async || folder.path().join("ready").exists().then_some(())).await;
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let ended = eventually("the host ends", async || {
        // Again and again: the server may not have taken the signals over yet.
        let _ = kill_process(pid, Signal::TERM);
        tokio::time::sleep(Duration::from_millis(100)).await;
        child.try_wait().unwrap()
    })
    .await;
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(ended.code(), Some(0), "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("Coordinator::shutdown") && told[0].contains("running=1"), "{log}");
    settled(folder.path()).await;
}

/// The next start makes good what was cut off.
async fn settled(folder: &Path) {
    let world = World::at(folder);
    let look = move || {
        world.run(async |s| {
            let record = s.task(&"tests/Plain/1".parse().unwrap()).await.unwrap();
            assert_eq!(
                (record.status, record.failure.unwrap().error_type.as_str()),
                (Status::Failed, "lost")
            );
        });
    };
    tokio::task::spawn_blocking(look).await.unwrap();
}

/// Says which state it was given.
#[derive(serde::Deserialize)]
struct Greet {}

impl Task for Greet {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "Greet";
    type Output = String;

    async fn process(&self, ctx: TaskContext) -> Result<String, TaskError> {
        ctx.signal("go").await?;
        Ok(ctx.state::<String>().map_or_else(|| "nobody".to_owned(), |name| name.to_string()))
    }
}

fn registry(name: &str) -> Registry {
    Registry::new().state(Arc::new(name.to_owned())).task::<Greet>().unwrap()
}

async fn host() -> Hosted {
    let runtimes = ["north", "south"].map(|name| (registry(name), RuntimeSettings::default()));
    Hosted::mount(runtimes.into(), |coordinators, config| {
        config.app_data(TokenTable::parse(&format!("alice={}", token("alice"))).unwrap());
        for (prefix, quell) in ["/north", "/south"].iter().zip(coordinators) {
            let jobs = routes::<TokenPrincipal>(quell.clone(), HttpOptions::default());
            config.service(web::scope(prefix).configure(jobs));
        }
    })
    .await
}

async fn start(alice: &Client, prefix: &str) -> (String, Watching) {
    let row = alice.post(&format!("{prefix}/tasks/tests/Greet")).await.with(202);
    let path = format!("{prefix}/stream/tests/Greet/{}", row["id"]);
    let mut events =
        Watching::open(alice.call(Method::GET, &path).header("accept", "text/event-stream")).await;
    events.until("running").await;
    (format!("{prefix}/tasks/tests/Greet/{}", row["id"]), events)
}

#[tokio::test]
async fn one_of_two_runtimes_goes_down_and_the_other_goes_on() {
    let host = host().await;
    let alice = host.client("alice");
    let (north, mut northern) = start(&alice, "/north").await;
    let (south, mut southern) = start(&alice, "/south").await;
    host.coordinators[0].shutdown(Duration::from_secs(5)).await;
    assert_eq!(northern.rest().await.last().unwrap().event, "cancelled");
    assert_eq!(alice.get(&north).await.with(200)["cancel_cause"], "shutdown");
    assert_eq!(alice.get("/north/readyz").await.status, 503);
    alice.post("/north/tasks/tests/Greet").await.problem(503, "shutting-down");
    // Each with its own state, and untouched by the other's end.
    assert_eq!(alice.get("/south/readyz").await.status, 200);
    alice.post_json(&format!("{south}/signals/go"), &json!(null)).await.with(202);
    let end = southern.rest().await.pop().unwrap();
    assert_eq!((&*end.event, end.json()["final_value"].clone()), ("completed", json!("south")));
    let (second, _) = start(&alice, "/south").await;
    let cancelled = Answer::of(alice.call(Method::POST, &second.replace("/tasks/", "/cancel/"))).await;
    assert_eq!(cancelled.with(200)["status"], "cancelled");
    host.stop().await;
}

#[test]
fn a_runtime_that_was_shut_down_can_be_started_again_in_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let url = |number: u32| format!("sqlite://{}", folder.path().join(format!("{number}.db")).display());
    actix_web::rt::System::new().block_on(async {
        let settings = || RuntimeSettings { on_failure: Arc::new(|_| {}), ..RuntimeSettings::default() };
        let other = Runtime::start(&url(2), registry("other"), settings()).await.unwrap();
        let first = Runtime::start(&url(1), registry("first"), settings()).await.unwrap();
        let key = first.start(StartRequest::new("tests", "Greet", "ann")).await.unwrap().key;
        first.shutdown(Duration::from_secs(5)).await;
        drop(first);
        let again = eventually("the file is free", async || {
            Runtime::start(&url(1), registry("again"), settings()).await.ok()
        })
        .await;
        assert_eq!(again.task(&key).await.unwrap().status, Status::Cancelled);
        let next = again.start(StartRequest::new("tests", "Greet", "ann")).await.unwrap().key;
        assert!(next.id > key.id);
        assert!(other.start(StartRequest::new("tests", "Greet", "ann")).await.is_ok());
        again.shutdown(Duration::from_secs(5)).await;
        other.shutdown(Duration::from_secs(5)).await;
    });
}
