//! The program of the README: an actix-web application with one task type, `cargo run --example thirty_lines`.

use std::time::Duration;

use actix_web::{App, HttpServer, rt, web};
use quell::http::{HttpOptions, TokenPrincipal, TokenTable, routes};
use quell::{Registry, Runtime, RuntimeSettings, Task, TaskContext, TaskError};

#[derive(serde::Deserialize)]
struct Countdown {
    from: u32,
}

impl Task for Countdown {
    const APP: &'static str = "shop";
    const MODEL: &'static str = "Countdown";
    type Output = &'static str;

    async fn process(&self, ctx: TaskContext) -> Result<&'static str, TaskError> {
        for left in (1..=self.from).rev() {
            ctx.send_event("progress", &left).await?;
            ctx.sleep(Duration::from_secs(1)).await?; // ends at once when the task is cancelled
        }
        Ok("lift-off")
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new().task::<Countdown>()?;
    let coordinator = Runtime::start("sqlite://shop.db", registry, RuntimeSettings::default()).await?;
    let (tokens, work) = (TokenTable::parse("ann=a-token-of-16-or-more")?, coordinator.clone());
    let server = HttpServer::new(move || {
        let work = routes::<TokenPrincipal>(work.clone(), HttpOptions::default());
        App::new().app_data(tokens.clone()).service(web::scope("/work").configure(work))
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
