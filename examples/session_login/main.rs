//! An application with a login of its own: a session cookie, roles, a page with buttons, and quell's routes for the
//! tasks behind it: `cargo run --example session_login`, then open the address and sign in as it says.
//!
//! - `users` has the accounts, the user type and what each role may do.
//! - `site` has the pages, signing in and out, and the check of where a write comes from.
//! - `tasks` has the task types.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

mod site;
mod tasks;
mod users;

use std::time::Duration;

use actix_session::SessionMiddleware;
use actix_session::storage::CookieSessionStore;
use actix_web::cookie::{Key, SameSite};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, rt, web};
use quell::http::{HttpOptions, on_connect, routes};
use quell::{Registry, Runtime, RuntimeSettings};

use users::{Accounts, User};

/// The address, unless the first argument is another one.
const ADDRESS: &str = "127.0.0.1:8080";

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| ADDRESS.to_owned());
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("tasks.db").display());
    let registry = Registry::new().task::<tasks::Export>()?.task::<tasks::Purge>()?;
    // The state of the application: bodies reach what `Registry::state` was given, handlers what `app_data` was.
    let quell = Runtime::start(&url, registry, RuntimeSettings::default()).await?;
    let (accounts, passwords) = Accounts::make()?;
    let (accounts, jobs) = (web::Data::new(accounts), quell.clone());
    // Made at each start: whoever was signed in signs in again. Keep one in a file, and sessions outlive a restart.
    let key = Key::generate();
    let server = HttpServer::new(move || {
        // Sent back by the browser only where the page is of this site, and out of reach of scripts.
        let sessions = SessionMiddleware::builder(CookieSessionStore::default(), key.clone())
            .cookie_name("session".to_owned())
            .cookie_same_site(SameSite::Strict)
            .cookie_http_only(true)
            // This example speaks plain HTTP on loopback; behind TLS it must be `true`.
            .cookie_secure(false)
            .build();
        let jobs = web::scope("/jobs")
            .configure(routes::<User>(jobs.clone(), HttpOptions::default().hide_foreign_tasks(true)));
        App::new()
            .app_data(accounts.clone())
            .wrap(from_fn(site::refuse_writes_from_elsewhere))
            .wrap(sessions)
            .configure(site::pages)
            .service(jobs)
    });
    let server = server.on_connect(on_connect).h1_allow_half_closed(false).disable_signals();
    let server = server.workers(2).bind(address)?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    for (name, password) in passwords {
        println!("sign in as {name} with {password}");
    }
    let server = server.run();
    let handle = server.handle();
    rt::spawn(server);
    rt::signal::ctrl_c().await?;
    quell.shutdown(Duration::from_secs(10)).await;
    handle.stop(true).await;
    Ok(())
}
