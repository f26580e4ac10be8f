//! The events of a task as server-sent events.
//!
//! Invariants: nothing is sent that is not committed; a client that resumes misses nothing and gets nothing twice;
//! after the terminal event the server closes; a client that is past it gets 204, which stops an `EventSource`.

#[cfg(test)]
mod event_source;
mod feed;
mod moments;
mod wire;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpResponse};
use futures_util::StreamExt;

use super::accept::prefers_json;
use super::auth::Principal;
use super::call::Call;
use super::dto::{TaskDto, json};
use super::path;
use super::problem::Problem;

/// `GET /stream/{app}/{model}/{id}`
pub(super) async fn stream_task<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let key = call.task_of_stream()?;
    let after = path::after(call.request())?;
    let user: U = call.user().await?;
    let turn = call.coordinator().turn_to_watch().await.map_err(Problem::from)?;
    let record = call.coordinator().task(&key).await.map_err(Problem::from)?;
    call.check_task(&user, &key, &record.owner)?;
    let resumed = path::last_event_id(call.request()).or(after);
    if record.status.is_terminal() {
        if let Some(seen) = resumed {
            let last = call.coordinator().last_event(&key).await.map_err(Problem::from)?;
            if seen >= last {
                return Ok(HttpResponse::NoContent().insert_header((CACHE_CONTROL, "no-store")).finish());
            }
        }
        if prefers_json(call.headers()) {
            return Ok(json(StatusCode::OK, &TaskDto::from(&record))?);
        }
    }
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("X-Accel-Buffering", "no"))
        // Named, so that a host's compression leaves the stream alone: it would hold frames back.
        .insert_header((CONTENT_ENCODING, "identity"))
        .force_close();
    if call.request().method() == Method::HEAD {
        // A stream that nobody reads would hold the connection until the task ends.
        return Ok(answer.finish());
    }
    let place = match &call.options().stream_limit {
        Some(limit) => Some(limit.take(&user.name())?),
        None => None,
    };
    let watch = call.coordinator().watch(&key, resumed.unwrap_or(0)).await.map_err(Problem::from)?;
    drop(turn);
    let open = call.coordinator().count_stream();
    let frames = feed::frames(watch, key, call.options().keep_alive, call.options().reader_patience);
    // Open, and in its place, until actix-web drops the body, whoever ended it.
    let frames = frames.inspect(move |_| {
        let _ = (&open, &place);
    });
    Ok(answer.streaming(frames))
}
