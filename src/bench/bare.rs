//! The limits over HTTP: an actix-web server with nothing in it.
//!
//! It has as many workers as ours (actix-web's own number), reads the same requests, answers with as many bytes and
//! sends frames of the same size. `POST /cancel/…` echoes; `GET /stream/…` is a subscription to one broadcast; `POST
//! /go/{events}` sends so many events to it.
//!
//! The broadcast is not allowed to lose events either: its source waits where the slowest subscriber is a channel
//! behind. That is the one thing in which ours does more: nobody slows our source down.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast;

use super::BenchError;

/// Events that the slowest subscriber may be behind.
const BEHIND: usize = 1_024;

/// How often the source looks whether it may go on.
const LOOK: Duration = Duration::from_micros(100);

/// What an idle stream says, and when: as often as ours.
const KEEP_ALIVE: &str = ": keep-alive\n\n";
const SILENCE: Duration = Duration::from_secs(15);

type Frames = broadcast::Sender<Bytes>;

/// Serves until the process ends; calls back when it listens.
///
/// # Errors
/// [`BenchError::System`], where there is no port.
pub fn serve_bare(answer_bytes: usize, listening: impl FnOnce(SocketAddr)) -> Result<(), BenchError> {
    let frames: Frames = broadcast::channel(BEHIND).0;
    let answer = Bytes::from(vec![b'x'; answer_bytes]);
    actix_rt::System::new().block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listening(listener.local_addr()?);
        let app = move || {
            App::new()
                .app_data(web::Data::new(frames.clone()))
                .app_data(web::Data::new(answer.clone()))
                .route("/cancel/{app}/{model}/{id}", web::post().to(echo))
                .route("/stream/{app}/{model}/{id}", web::get().to(subscribe))
                .route("/go/{events}", web::post().to(go))
        };
        HttpServer::new(app).disable_signals().listen(listener)?.run().await?;
        Ok(())
    })
}

async fn echo(
    _path: web::Path<(String, String, u64)>,
    _body: Bytes,
    answer: web::Data<Bytes>,
) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-request-id", "0123456789abcdef-1234"))
        .body(answer.get_ref().clone())
}

async fn subscribe(frames: web::Data<Frames>) -> HttpResponse {
    let first = stream::iter([Bytes::from_static(b"retry: 1000\n\ndata: {}\n\n")]);
    let rest = stream::unfold(frames.subscribe(), async |mut frames| {
        let frame = match tokio::time::timeout(SILENCE, frames.recv()).await {
            Ok(received) => received.ok()?,
            Err(_) => Bytes::from_static(KEEP_ALIVE.as_bytes()),
        };
        Some((frame, frames))
    });
    let frames = first.chain(rest).map(Ok::<_, Infallible>);
    HttpResponse::Ok().content_type("text/event-stream").force_close().streaming(frames)
}

async fn go(events: web::Path<u32>, frames: web::Data<Frames>) -> HttpResponse {
    let events = events.into_inner();
    // A source of its own, as a body is one.
    let source = async move {
        for n in 0..events {
            while frames.len() >= BEHIND / 2 {
                tokio::time::sleep(LOOK).await;
            }
            // Err: nobody listens.
            let _ = frames.send(frame(n));
        }
    };
    actix_rt::spawn(source);
    HttpResponse::Accepted().content_type("application/json").body("{}")
}

/// As long as a frame of ours; made once for all who get it.
fn frame(n: u32) -> Bytes {
    let added = r#""_task_id":1,"_app":"bench","_model":"Emit","_timestamp":"2026-01-01T00:00:00.000000Z""#;
    format!("id: {n}\nevent: tick\ndata: {{\"n\":{n},{added}}}\n\n").into()
}
