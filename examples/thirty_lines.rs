//! An application with a task type and a user type of its own, its own scope, and a handler that starts a task.
//! `cargo run --example thirty_lines`; the lines to try stand in the README. It trusts the header that names the
//! user: an application puts its session or its tokens there.

use std::{future::Ready, future::ready, sync::Arc, time::Duration};

use actix_web::{App, Error, FromRequest, HttpRequest, HttpServer, dev::Payload, error, rt, web};
use quell::http::{HttpOptions, Principal, routes};
use quell::{Coordinator, Registry, Runtime, RuntimeSettings, StartRequest, Task, TaskContext, TaskError};

#[derive(serde::Deserialize)]
struct Countdown {}

impl Task for Countdown {
    const APP: &'static str = "shop";
    const MODEL: &'static str = "Countdown";
    type Output = &'static str;

    async fn process(&self, ctx: TaskContext) -> Result<&'static str, TaskError> {
        for left in (1..=1000).rev() {
            ctx.send_event("progress", &left).await?;
            ctx.sleep(Duration::from_secs(1)).await?; // ends at once when the task is cancelled
        }
        Ok("lift-off")
    }
}

struct User(Arc<str>);

impl FromRequest for User {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let name = request.headers().get("x-user").and_then(|name| name.to_str().ok());
        ready(name.map(|name| Self(name.into())).ok_or_else(|| error::ErrorUnauthorized("who are you?")))
    }
}

impl Principal for User {
    fn name(&self) -> Arc<str> {
        self.0.clone()
    }
}

async fn launch(quell: web::Data<Coordinator>, user: User) -> Result<String, Error> {
    let started = quell.start(StartRequest::new("shop", "Countdown", user.0)).await;
    Ok(started.map_err(error::ErrorServiceUnavailable)?.key.to_string())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new().task::<Countdown>()?;
    let quell = Runtime::start("sqlite://shop.db", registry, RuntimeSettings::default()).await?;
    let (data, jobs) = (web::Data::new(quell.clone()), quell.clone());
    let server = HttpServer::new(move || {
        let jobs = web::scope("/jobs").configure(routes::<User>(jobs.clone(), HttpOptions::default()));
        App::new().app_data(data.clone()).service(jobs).route("/launch", web::post().to(launch))
    });
    // Signals are ours: actix-web's own way would end the process before the tasks have stopped.
    let server = server.disable_signals().bind("127.0.0.1:8080")?.run();
    let handle = server.handle();
    rt::spawn(server);
    rt::signal::ctrl_c().await?;
    quell.shutdown(Duration::from_secs(10)).await;
    handle.stop(true).await;
    Ok(())
}
