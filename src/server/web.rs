//! Owns the HTTP server of the binary: the routes of the library behind static tokens, on a socket that is given.
//!
//! It is the one place of the binary that names the HTTP layer. It decides no route, no answer and no principal.

use std::io;
use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::{App, HttpServer};

use crate::http::{HttpOptions, TokenPrincipal, TokenTable, on_connect, routes};
use crate::runtime::Coordinator;

use super::TokenError;
use super::settings::Secret;

/// Who may call: the table of static tokens.
#[derive(Clone)]
pub(super) struct Auth {
    table: TokenTable,
}

impl Auth {
    /// Reads `alice=TOKEN;root=TOKEN:view_any_task+cancel_any_task`.
    pub(super) fn new(table: &Secret) -> Result<Self, TokenError> {
        let table =
            TokenTable::parse(table.expose()).map_err(|error| TokenError::Table(error.to_string()))?;
        Ok(Self { table })
    }
}

/// Starts to serve; the caller polls the server and owns the signals.
pub(super) fn start(listener: TcpListener, coordinator: Coordinator, auth: Auth) -> io::Result<Server> {
    let server = HttpServer::new(move || {
        let jobs = routes::<TokenPrincipal>(coordinator.clone(), HttpOptions::default());
        App::new().app_data(auth.table.clone()).configure(jobs)
    })
    .on_connect(on_connect)
    .disable_signals()
    .h1_allow_half_closed(false)
    .shutdown_timeout(1)
    .listen(listener)?;
    Ok(server.run())
}
