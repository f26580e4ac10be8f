//! Layer 4: the HTTP API, to be mounted in any actix-web application. The only place that names actix-web.
//!
//! A handler extracts, calls the [`Coordinator`](crate::Coordinator), and maps its answer. The order of checks is
//! the same everywhere: path, credentials, body, existence, permission.
//!
//! Invariants: every answer is JSON, an event stream, a line of text or a [`Problem`]; nothing is looked up for a
//! caller without credentials; every accepted write and every refusal leaves one line in the audit log; nothing is
//! kept in the host's `app_data`, so that several runtimes can be mounted side by side.
//!
//! It deliberately does not: decide anything about tasks (the runtime does), know any user but by [`Principal`],
//! answer what actix-web refuses before routing (a request head that is no HTTP).
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//! use quell::http::{HttpOptions, TokenPrincipal, TokenTable, on_connect, routes};
//!
//! # async fn run(coordinator: quell::Coordinator) -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = TokenTable::parse("alice=a-token-of-16-or-more")?;
//! HttpServer::new(move || {
//!     let jobs = routes::<TokenPrincipal>(coordinator.clone(), HttpOptions::default());
//!     App::new().app_data(tokens.clone()).service(web::scope("/api/jobs").configure(jobs))
//! })
//! .on_connect(on_connect)
//! .h1_allow_half_closed(false)
//! .bind("127.0.0.1:8888")?
//! .run()
//! .await?;
//! # Ok(())
//! # }
//! ```

mod accept;
mod action;
mod audit;
mod auth;
mod bodies;
mod body;
mod call;
mod cancel;
mod cancel_many;
mod carried;
mod connection;
mod cursor;
mod dto;
mod fields;
mod gate;
mod health;
mod index;
mod limits;
mod list;
#[cfg(test)]
mod matrix_tests;
mod numbers;
mod openapi;
mod options;
mod path;
mod prefer;
mod problem;
mod proxies;
mod query;
mod refusals;
mod repeat;
mod request;
mod routes;
mod stream;
mod tasks;

#[cfg(feature = "jwt")]
pub use auth::{JwtKeyError, JwtKeys, JwtPrincipal};
pub use auth::{
    Principal, Scope, TaskRef, TokenEntry, TokenPermissions, TokenPrincipal, TokenTable, TokenTableError,
};
pub use connection::{Connections, on_connect};
pub use options::HttpOptions;
pub use problem::{FieldError, Problem};
pub use proxies::{TrustedProxies, TrustedProxiesError};
pub use routes::routes;
