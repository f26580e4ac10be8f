//! Starting, showing, patching and signalling one task.
//!
//! Invariant: once a start is durable, it is answered as started, whatever happens while the client waits.

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{Error, HttpResponse};

use crate::task::Record;
use crate::{CommandError, Coordinator, StartRequest};

use super::auth::Principal;
use super::call::Call;
use super::dto::{ReceiptDto, SignalDto, TaskDto, json};
use super::prefer::Wait;
use super::problem::Problem;
use super::{bodies, path};

/// `POST /tasks/{app}/{model}`
pub(super) async fn start_task<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let (app, model) = call.model()?;
    let user: U = call.user().await?;
    let body = bodies::start(call.body().await?.as_deref())?;
    call.check_start(&user, &app, &model)?;
    let mut request = StartRequest::new(app.as_str(), model.as_str(), user.name());
    (request.input, request.timeout, request.idle_timeout) = (body.input, body.timeout, body.idle_timeout);
    request.request_id = call.request_id();
    let started = call.coordinator().start(request).await.map_err(Problem::from)?;
    call.started(&started.key);
    let wait = Wait::of(call.headers());
    let record = match wait {
        Some(wait) => at_the_end_of(wait, call.coordinator(), started).await,
        None => started,
    };
    let status = if record.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut answer = json(status, &TaskDto::from(&record))?;
    let location = path::location(call.request().path(), &record.key);
    add_header(&mut answer, LOCATION.as_str(), location);
    if let Some((name, value)) = wait.map(Wait::applied) {
        add_header(&mut answer, name, value);
    }
    Ok(answer)
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
    let record = call.coordinator().set_timeout(&key, timeout).await.map_err(Problem::from)?;
    call.done("patched");
    Ok(json(StatusCode::OK, &TaskDto::from(&record))?)
}

/// `POST /tasks/{app}/{model}/{id}/signals/{name}`
pub(super) async fn signal_task<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let key = call.task()?;
    let name = path::signal(call.request())?;
    let user: U = call.user().await?;
    let data = bodies::signal(call.body().await?.as_deref())?;
    call.check_existing(&user, &key).await?;
    match call.coordinator().signal(&key, &name, data).await {
        Ok(()) => {
            call.done("accepted");
            Ok(json(StatusCode::ACCEPTED, &SignalDto::accepted(key.id, &name))?)
        }
        Err(CommandError::Ended(record)) => {
            let told = ReceiptDto::not_running(&record);
            call.done(told.word());
            Ok(json(told.status(), &told)?)
        }
        Err(error) => Err(Problem::from(error).into()),
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
