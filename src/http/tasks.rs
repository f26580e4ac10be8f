//! Starting, showing, patching and signalling one task.
//!
//! Invariant: once a start is durable, it is answered as started, whatever happens while the client waits.

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{Error, HttpResponse};

use crate::task::{Name, Record, TaskKey};
use crate::{CommandError, Coordinator, StartError, StartRequest};

use super::audit::Entry;
use super::auth::Principal;
use super::call::Call;
use super::dto::{ReceiptDto, SignalDto, TaskDto, json};
use super::prefer::Wait;
use super::problem::Problem;
use super::repeat::{Before, Once};
use super::{bodies, path};

/// `POST /tasks/{app}/{model}`
pub(super) async fn start_task<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let (app, model) = call.model()?;
    let user: U = call.user().await?;
    let sent = call.body().await?;
    let body = bodies::start(sent.as_deref())?;
    let mut once = Once::of(call, user.name(), sent.as_deref())?;
    call.check_start(&user, &app, &model)?;
    let mut request = StartRequest::new(app.as_str(), model.as_str(), user.name());
    (request.input, request.timeout, request.idle_timeout) = (body.input, body.timeout, body.idle_timeout);
    request.request_id = call.request_id();
    let started = match start_or_find(call, request, &mut once, &app, &model).await? {
        Started::Task(record) => record,
        Started::Answered(answer) => return Ok(answer),
    };
    let wait = Wait::of(call.headers());
    let record = match wait {
        Some(wait) => {
            if !wait.duration().is_zero() {
                call.write_entry();
            }
            at_the_end_of(wait, call.coordinator(), started).await
        }
        None => started,
    };
    let status = if record.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut answer = once.answer(call, Some(record.key.id), status, &TaskDto::from(&record)).await?;
    add_location(call, &mut answer, &record.key);
    if let Some((name, value)) = wait.map(Wait::applied) {
        add_header(&mut answer, name, value);
    }
    Ok(answer)
}

/// What came of a start.
enum Started {
    /// This task: a new one, or that of an earlier request whose answer was lost.
    Task(Record),
    /// The answer to an earlier request.
    Answered(HttpResponse),
}

async fn start_or_find(
    call: &mut Call,
    request: StartRequest,
    once: &mut Once,
    app: &Name,
    model: &Name,
) -> Result<Started, Problem> {
    let key = |id| TaskKey { app: app.clone(), model: model.clone(), id };
    let mut before = once.before(call).await?;
    if matches!(before, Before::Nothing) {
        let (coordinator, repeat) = (call.coordinator().clone(), once.request());
        let start = async move {
            match coordinator.start_once(request, repeat).await {
                Ok(record) => Ok(Some(record)),
                Err(StartError::KeyTaken) => Ok(None),
                Err(error) => Err(Problem::from(error)),
            }
        };
        let note = |entry: &mut Entry, made: &Option<Record>| {
            if let Some(record) = made {
                entry.task(record.key.to_string());
                entry.done("started");
            }
        };
        if let Some(record) = call.carry_out(start, note).await? {
            call.is_about(&record.key);
            return Ok(Started::Task(record));
        }
        // The client of the first one left while it was under way: it is done by now.
        before = once.before(call).await?;
    }
    match before {
        Before::Nothing => Err(Problem::key_in_use()),
        Before::Started(id) => {
            call.replayed(Some(&key(id)));
            Ok(Started::Task(call.coordinator().task(&key(id)).await?))
        }
        Before::Answer(mut answer, task) => {
            let task = task.map(key);
            call.replayed(task.as_ref());
            if let Some(task) = &task {
                add_location(call, &mut answer, task);
            }
            Ok(Started::Answered(answer))
        }
    }
}

fn add_location(call: &Call, answer: &mut HttpResponse, key: &TaskKey) {
    add_header(answer, LOCATION.as_str(), path::location(call.request().path(), key));
}

/// `GET /tasks/{app}/{model}/{id}`
pub(super) async fn show_task<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let key = call.task()?;
    let user: U = call.user().await?;
    let record = call.coordinator().task(&key).await.map_err(Problem::from)?;
    call.check_task(&user, &key, &record.owner)?;
    Ok(json(StatusCode::OK, &TaskDto::from(&record))?)
}

/// `PATCH /tasks/{app}/{model}/{id}`
pub(super) async fn patch_task<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let key = call.task()?;
    let user: U = call.user().await?;
    let timeout = bodies::patch(call.body().await?.as_deref())?;
    call.check_existing(&user, &key).await?;
    let coordinator = call.coordinator().clone();
    let patch = async move { coordinator.set_timeout(&key, timeout).await.map_err(Problem::from) };
    let record = call.carry_out(patch, |entry, _| entry.done("patched")).await?;
    Ok(json(StatusCode::OK, &TaskDto::from(&record))?)
}

/// `POST /tasks/{app}/{model}/{id}/signals/{name}`
pub(super) async fn signal_task<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let key = call.task()?;
    let name = path::signal(call.request())?;
    let user: U = call.user().await?;
    let sent = call.body().await?;
    let data = bodies::signal(sent.as_deref())?;
    let mut once = Once::of(call, user.name(), sent.as_deref())?;
    call.check_existing(&user, &key).await?;
    let accepted = SignalDto::accepted(key.id, &name);
    once.will_answer(StatusCode::ACCEPTED, &accepted)?;
    if let Before::Answer(answer, _) = once.before(call).await? {
        call.replayed(None);
        return Ok(answer);
    }
    let (coordinator, signal, repeat) = (call.coordinator().clone(), name.clone(), once.request());
    let id = key.id;
    let command = async move {
        match coordinator.signal_once(&key, &signal, data, repeat).await {
            Ok(()) => Ok(Sent::Accepted),
            Err(CommandError::Ended(record)) => Ok(Sent::Ended(record)),
            Err(CommandError::KeyTaken) => Ok(Sent::Before),
            Err(error) => Err(Problem::from(error)),
        }
    };
    match call.carry_out(command, note_signal).await? {
        Sent::Accepted => Ok(json(StatusCode::ACCEPTED, &accepted)?),
        Sent::Ended(record) => {
            let told = ReceiptDto::not_running(&record);
            Ok(once.answer(call, Some(id), told.status(), &told).await?)
        }
        // The client of the first one left while it was under way: it is done by now.
        Sent::Before => match once.before(call).await? {
            Before::Answer(answer, _) => {
                call.replayed(None);
                Ok(answer)
            }
            Before::Nothing | Before::Started(_) => Err(Problem::key_in_use().into()),
        },
    }
}

/// What came of a signal.
enum Sent {
    Accepted,
    /// Its task has ended.
    Ended(Box<Record>),
    /// It was sent by an earlier request.
    Before,
}

fn note_signal(entry: &mut Entry, sent: &Sent) {
    match sent {
        Sent::Accepted => entry.done("accepted"),
        Sent::Ended(record) => entry.done(ReceiptDto::not_running(record).word()),
        Sent::Before => {}
    }
}

/// The task at its end, or as it stands when the wait is over.
async fn at_the_end_of(wait: Wait, coordinator: &Coordinator, started: Record) -> Record {
    if wait.duration().is_zero() {
        return started;
    }
    match tokio::time::timeout(wait.duration(), coordinator.result(&started.key)).await {
        Ok(Ok(ended)) => ended,
        // The start stands: an error of this second look must not be taken for its refusal.
        Ok(Err(_)) | Err(_) => coordinator.task(&started.key).await.unwrap_or(started),
    }
}

/// Adds a header; a value that no header can carry (a host's odd path) is left out.
pub(super) fn add_header(answer: &mut HttpResponse, name: &str, value: String) {
    use actix_web::http::header::{HeaderName, HeaderValue};
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        answer.headers_mut().insert(name, value);
    }
}
