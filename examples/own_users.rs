//! The routes behind a host's own user type, and tasks that the host's own handlers start:
//! `cargo run --example own_users`, then `curl -X POST localhost:8080/launch` and
//! `curl -X POST -H 'X-User: ann' localhost:8080/work/cancel/shop/Countdown/1`.
//!
//! It trusts the header that names the user: an application puts its session or its tokens there.

use std::{sync::Arc, time::Duration};

use actix_web::{App, FromRequest, HttpRequest, HttpServer, dev::Payload, error::ErrorUnauthorized, rt, web};
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
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let name = request.headers().get("x-user").and_then(|name| name.to_str().ok());
        std::future::ready(
            name.map(|name| Self(name.into())).ok_or_else(|| ErrorUnauthorized("who are you?")),
        )
    }
}

impl Principal for User {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

async fn launch(coordinator: web::Data<Coordinator>) -> Result<String, Box<dyn std::error::Error>> {
    let task = coordinator.start(StartRequest::new("shop", "Countdown", "ann")).await?;
    Ok(task.key.to_string())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new().task::<Countdown>()?;
    let coordinator = Runtime::start("sqlite://shop.db", registry, RuntimeSettings::default()).await?;
    let (data, work) = (web::Data::new(coordinator.clone()), coordinator.clone());
    let server = HttpServer::new(move || {
        let work = routes::<User>(work.clone(), HttpOptions::default());
        let app = App::new().app_data(data.clone()).route("/launch", web::post().to(launch));
        app.service(web::scope("/work").configure(work))
    });
    // Signals are ours: actix-web's own way would end the process before the tasks have stopped.
    let server = server.disable_signals().bind("127.0.0.1:8080")?.run();
    let handle = server.handle();
    rt::spawn(server);
    rt::signal::ctrl_c().await?;
    coordinator.shutdown(Duration::from_secs(10)).await;
    handle.stop(true).await;
    Ok(())
}
