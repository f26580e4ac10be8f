//! The authorization matrix: everybody, every action of the table, every kind of task, against a server on a socket.
//!
//! What is expected is stated here a second time, out of the contract and without the code's own table: an action
//! that is added does not compile until it is stated too.

use std::sync::Arc;

use actix_web::{App, HttpServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::action::Action;
use super::{HttpOptions, TokenPrincipal, TokenTable, routes};
use crate::task::{Status, TaskKey};
use crate::{
    CancelOptions, Coordinator, Registry, Runtime, RuntimeSettings, StartRequest, Task, TaskContext,
    TaskError,
};

/// Runs until it is stopped.
#[derive(serde::Deserialize)]
struct Endless {}

impl Task for Endless {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "Endless";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        ctx.cancelled().await;
        Ok(())
    }
}

/// Who asks: their name, what follows their token, and what that lets them do with other people's tasks.
#[derive(Debug, Clone, Copy)]
struct Person {
    name: &'static str,
    permissions: &'static str,
    sees_all: bool,
    cancels_all: bool,
}

const PEOPLE: [Person; 4] = [
    Person { name: "alice", permissions: "", sees_all: false, cancels_all: false },
    Person { name: "viewer", permissions: ":view_any_task", sees_all: true, cancels_all: false },
    Person { name: "canceller", permissions: ":cancel_any_task", sees_all: false, cancels_all: true },
    Person { name: "root", permissions: ":view_any_task+cancel_any_task", sees_all: true, cancels_all: true },
];

/// Whose task is asked for, and how it is with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Own,
    OwnEnded,
    Foreign,
    ForeignEnded,
    Missing,
}

const TASKS: [Of; 5] = [Of::Own, Of::OwnEnded, Of::Foreign, Of::ForeignEnded, Of::Missing];

impl Of {
    fn is_foreign(self) -> bool {
        matches!(self, Self::Foreign | Self::ForeignEnded)
    }

    fn has_ended(self) -> bool {
        matches!(self, Self::OwnEnded | Self::ForeignEnded)
    }
}

/// What the contract says that an action does.
struct Stated {
    method: &'static str,
    path: String,
    body: &'static str,
    /// What it answers to whoever may, for a task that runs and for one that has ended.
    done: u16,
    ended: u16,
    who: Who,
}

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Anybody,
    /// Whoever is known: it is about no task.
    Known,
    /// Who sees all: it is about everybody's tasks.
    SeesAll,
    /// The owner, and who sees all.
    Viewer,
    /// The owner, and who cancels all.
    Canceller,
}

fn stated(action: Action, key: &TaskKey) -> Stated {
    let say = |method, path: String, body, done, ended, who| Stated { method, path, body, done, ended, who };
    match action {
        Action::Start => say("POST", "/tasks/tests/Endless".to_owned(), "", 202, 202, Who::Known),
        // Both are about whatever tasks the caller may see, or cancel: what they find is held below.
        Action::List => say("GET", "/tasks".to_owned(), "", 200, 200, Who::Known),
        Action::CancelMany => {
            say("POST", "/cancel".to_owned(), r#"{"all":true,"dry_run":true}"#, 200, 200, Who::Known)
        }
        Action::Show => say("GET", format!("/tasks/{key}"), "", 200, 200, Who::Viewer),
        Action::Patch => {
            say("PATCH", format!("/tasks/{key}"), r#"{"timeout_seconds":600}"#, 200, 409, Who::Canceller)
        }
        Action::Signal => say("POST", format!("/tasks/{key}/signals/go"), "1", 202, 404, Who::Canceller),
        Action::Cancel => say("POST", format!("/cancel/{key}"), "{}", 200, 404, Who::Canceller),
        Action::Stream => say("GET", format!("/stream/{key}"), "", 200, 200, Who::Viewer),
        Action::Metrics => say("GET", "/metrics".to_owned(), "", 200, 200, Who::SeesAll),
        Action::Health => say("GET", "/health".to_owned(), "", 200, 200, Who::Anybody),
        Action::Live => say("GET", "/livez".to_owned(), "", 200, 200, Who::Anybody),
        Action::Ready => say("GET", "/readyz".to_owned(), "", 200, 200, Who::Anybody),
        Action::OpenApi => say("GET", "/openapi.json".to_owned(), "", 200, 200, Who::Anybody),
        Action::Index => say("GET", "/".to_owned(), "", 200, 200, Who::Anybody),
    }
}

/// The status, and the name of the problem where it is one; `not_running` where it is that answer.
fn expected(stated: &Stated, person: Option<Person>, of: Of, hides: bool) -> (u16, &'static str) {
    let done = match (of.has_ended(), stated.ended) {
        (false, _) => (stated.done, ""),
        (true, 404) => (404, "not_running"),
        (true, 409) => (409, "already-ended"),
        (true, status) => (status, ""),
    };
    let Some(person) = person else {
        return if stated.who == Who::Anybody { (stated.done, "") } else { (401, "unauthorized") };
    };
    let may = match stated.who {
        Who::Anybody | Who::Known => return (stated.done, ""),
        Who::SeesAll => return if person.sees_all { (stated.done, "") } else { (403, "forbidden") },
        Who::Viewer => person.sees_all,
        Who::Canceller => person.cancels_all,
    };
    match of {
        Of::Missing => (404, "task-not-found"),
        _ if of.is_foreign() && !may => {
            if hides {
                (404, "task-not-found")
            } else {
                (403, "forbidden")
            }
        }
        _ => done,
    }
}

fn token(name: &str) -> String {
    format!("{name}-token-of-16-or-more")
}

/// A fresh task of the asked kind.
async fn task(quell: &Coordinator, person: &str, of: Of) -> TaskKey {
    let owner = if of.is_foreign() { "carol" } else { person };
    if of == Of::Missing {
        return "tests/Endless/9007199254740991".parse().unwrap();
    }
    let key = quell.start(StartRequest::new("tests", "Endless", owner)).await.unwrap().key;
    if of.has_ended() {
        quell.cancel(&key, CancelOptions::default()).await.unwrap();
        assert_eq!(quell.task(&key).await.unwrap().status, Status::Cancelled);
    }
    key
}

/// Sends a request; gives the status and what tells answers of one status apart.
async fn ask(address: &str, stated: &Stated, person: Option<Person>) -> (u16, String) {
    let (status, body) = send(address, stated, person).await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let problem = json["type"].as_str().and_then(|kind| kind.strip_prefix("urn:quell:problem:"));
    let receipt = json["status"].as_str().filter(|status| *status == "not_running");
    (status, problem.or(receipt).unwrap_or_default().to_owned())
}

async fn send(address: &str, stated: &Stated, person: Option<Person>) -> (u16, String) {
    let auth = person.map(|p| format!("authorization: Bearer {}\r\n", token(p.name))).unwrap_or_default();
    let kind = if stated.body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{auth}{kind}content-length: {}\r\n\r\n{}",
        stated.method,
        stated.path,
        stated.body.len(),
        stated.body
    );
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A stream of a task that runs does not end: its head says enough.
    while socket.read_buf(&mut bytes).await.unwrap() > 0
        && !bytes.windows(17).any(|w| w == b"text/event-stream")
    {}
    let text = String::from_utf8(bytes).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap_or_default().1.to_owned())
}

/// Whether a foreign task is found by an action about many, and the person's own.
async fn finds(
    address: &str,
    action: Action,
    person: Person,
    own: &TaskKey,
    foreign: &TaskKey,
) -> (bool, bool) {
    let (_, body) = send(address, &stated(action, own), Some(person)).await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    let tasks = json.get("items").or(json.get("tasks")).and_then(|tasks| tasks.as_array()).unwrap();
    let holds = |key: &TaskKey| tasks.iter().any(|task| task["id"] == key.id.get());
    (holds(own), holds(foreign))
}

async fn hold(hides: bool) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("matrix.db").display());
    let settings = RuntimeSettings { on_failure: Arc::new(|_| {}), ..RuntimeSettings::default() };
    let registry = Registry::new().task::<Endless>().unwrap();
    let quell = Runtime::start(&url, registry, settings).await.unwrap();
    let people = PEOPLE.map(|p| format!("{}={}{}", p.name, token(p.name), p.permissions)).join(";");
    let (table, mounted) = (TokenTable::parse(&people).unwrap(), quell.clone());
    let options = HttpOptions::default().hide_foreign_tasks(hides);
    let server = HttpServer::new(move || {
        let jobs = routes::<TokenPrincipal>(mounted.clone(), options.clone());
        App::new().app_data(table.clone()).configure(jobs)
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0].to_string();
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let mut wrong = Vec::new();
    for action in Action::ALL {
        for person in PEOPLE.map(Some).into_iter().chain([None]) {
            for of in TASKS {
                let key = task(&quell, person.map_or("alice", |p| p.name), of).await;
                let stated = stated(action, &key);
                assert_eq!(stated.method, action.method(), "{action:?}");
                let told = ask(&address, &stated, person).await;
                let (status, name) = expected(&stated, person, of, hides);
                if told != (status, name.to_owned()) {
                    wrong.push(format!(
                        "{action:?} {:?} {of:?}: {told:?}, not {status} {name}",
                        person.map(|p| p.name)
                    ));
                }
                // Whatever was refused has changed nothing.
                if [401, 403].contains(&status) && of == Of::Foreign {
                    assert!(quell.task(&key).await.unwrap().cancel.is_none(), "{action:?}");
                }
            }
        }
    }
    for person in PEOPLE {
        let own = task(&quell, person.name, Of::Own).await;
        let foreign = task(&quell, person.name, Of::Foreign).await;
        for (action, all) in [(Action::List, person.sees_all), (Action::CancelMany, person.cancels_all)] {
            let found = finds(&address, action, person, &own, &foreign).await;
            assert_eq!(found, (true, all), "{action:?} {}", person.name);
        }
    }
    quell.shutdown(std::time::Duration::from_secs(5)).await;
    handle.stop(false).await;
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[actix_web::test]
async fn i28_everybody_may_what_the_contract_says_and_nothing_else() {
    hold(false).await;
}

#[actix_web::test]
async fn i28_the_same_with_hiding_on() {
    hold(true).await;
}
