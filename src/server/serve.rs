//! Owns the life of a server: signals, port, tokens, runtime, HTTP, the ready line, and the end.
//!
//! - The port is bound before the database is opened: a server that cannot serve leaves no trace.
//! - It returns only when every row is written; the caller ends the process then, for bodies that cannot be stopped
//!   still hold threads.
//!
//! It decides no exit code but [`ServeError::exit_code`], and prints nothing: see [`Said`].

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::System;

use crate::runtime::{
    Coordinator, Readiness, Registry, RegistryError, Runtime, RuntimeError, RuntimeSettings,
};

use super::auth::{Auth, AuthError};
use super::demo::{DataDir, DemoError, register_demo};
use super::files::{self, FilesError};
use super::listen::{ListenError, listen};
use super::settings::{Settings, Synchronous};
use super::shutdown::shut_down;
use super::signals::Signals;
use super::web;
use super::{Said, Say};

/// The server could not start.
const CANNOT_START: u8 = 1;

/// One of its own parts failed for good. The runtime ends the process with the same number where one of its actors
/// died or the database is lost.
pub(super) const PART_FAILED: u8 = 70;

/// How often the recovery is looked at, until it is done.
const LOOK: Duration = Duration::from_millis(5);

/// Why a server did not start, or what of it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// How callers are known.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The database or the threads.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The demo models.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// A command of the settings file, or further task types.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The folder for `HashFileTask`.
    #[error("cannot use the data folder {folder}: {reason}", folder = .folder.display())]
    DataDir {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The limit of open files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Signals cannot be taken over.
    #[error("cannot take over SIGTERM and SIGINT: {0}")]
    Signals(io::Error),
    /// The HTTP server did not start.
    #[error("cannot start the HTTP server: {0}")]
    Http(io::Error),
    /// The HTTP server ended by itself.
    #[error("the HTTP server failed: {0}")]
    HttpFailed(String),
}

impl ServeError {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::HttpFailed(_) => PART_FAILED,
            Self::Listen(_)
            | Self::Auth(_)
            | Self::Runtime(_)
            | Self::Demo(_)
            | Self::Registry(_)
            | Self::DataDir { .. }
            | Self::Files(_)
            | Self::Signals(_)
            | Self::Http(_) => CANNOT_START,
        }
    }
}

/// Adds task types to those that the settings ask for.
pub type More = fn(Registry) -> Result<Registry, RegistryError>;

/// Serves until SIGTERM or SIGINT. Blocks; the process must end after it.
///
/// # Errors
/// [`ServeError`], with the exit code that belongs to it.
pub fn serve(settings: &Settings, say: Say) -> Result<(), ServeError> {
    serve_with(settings, say, Ok)
}

/// [`serve`] with further task types.
///
/// # Errors
/// As [`serve`].
pub fn serve_with(settings: &Settings, say: Say, more: More) -> Result<(), ServeError> {
    let system = System::new();
    let served = system.block_on(run(settings, say, more));
    // Dropping it would wait for threads that nobody can stop; the process ends next. One more handle stays with it: the
    // last one would go with an arbiter's thread that ends at the same time, and wake what reads from all of them, which
    // tokio cannot do on a thread whose own variables are gone: that aborts the process.
    mem::forget(System::current());
    mem::forget(system);
    served
}

async fn run(settings: &Settings, say: Say, more: More) -> Result<(), ServeError> {
    let signals = Signals::own(settings.shutdown_grace).map_err(ServeError::Signals)?;
    let room = files::make_room(settings.http.max_connections)?;
    let listener = listen(&settings.bind).await?;
    // What is wrong with the credentials is told before the database is opened.
    let auth = Auth::find(settings, listener.local_addr().map_err(ServeError::Http)?)?;
    let registry = more(registry(settings)?)?;
    if settings.synchronous == Synchronous::Normal {
        say(&Said::MayLoseWrites);
    }
    let for_runtime = runtime_settings(settings, room.before);
    let coordinator = Runtime::start(&settings.database_url, registry, for_runtime).await?;
    let served = with_runtime(settings, say, signals, (listener, room.connections), auth, &coordinator).await;
    if served.is_err() {
        coordinator.shutdown(settings.shutdown_grace).await;
    }
    served
}

async fn with_runtime(
    settings: &Settings,
    say: Say,
    mut signals: Signals,
    (listener, max_connections): (std::net::TcpListener, usize),
    auth: Auth,
    coordinator: &Coordinator,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Http)?;
    let (auth, made) = auth.complete()?;
    if let Some(made) = made {
        say(&made);
    }
    let server = web::start(listener, coordinator, &auth, &settings.http, max_connections)
        .map_err(ServeError::Http)?;
    files::warn_if_few(settings.http.max_connections, max_connections);
    let handle = server.handle();
    let mut server = actix_rt::spawn(server);
    let ready = async {
        recovered(coordinator).await;
        if settings.demo {
            say(&Said::Demo { address, credentials: auth.credentials() });
        }
        say(&Said::Listening(address));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = signals.next() => {}
        () = ready => {}
        ended = &mut server => return Err(ServeError::HttpFailed(match ended {
            Ok(Ok(())) => "it stopped by itself".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        })),
    }
    shut_down(coordinator, &handle, &mut signals, settings.shutdown_grace).await;
    Ok(())
}

/// Resolves when the tasks of an earlier process are settled. `/readyz` answers meanwhile.
async fn recovered(coordinator: &Coordinator) {
    while coordinator.readiness() == Readiness::Recovering {
        tokio::time::sleep(LOOK).await;
    }
}

fn registry(settings: &Settings) -> Result<Registry, ServeError> {
    let mut registry = Registry::new();
    if let Some(folder) = &settings.data_dir {
        registry = registry.state(Arc::new(data_dir(folder)?));
    }
    for command in &settings.commands {
        registry = registry.command(command.clone())?;
    }
    Ok(if settings.demo { register_demo(registry)? } else { registry })
}

fn data_dir(folder: &Path) -> Result<DataDir, ServeError> {
    DataDir::open(folder)
        .map_err(|error| ServeError::DataDir { folder: folder.to_owned(), reason: error.to_string() })
}

fn runtime_settings(settings: &Settings, process_open_files: Option<u64>) -> RuntimeSettings {
    RuntimeSettings {
        max_running: settings.max_running,
        max_pending: settings.max_pending,
        max_running_per_owner: Some(settings.max_running_per_owner),
        default_timeout: settings.default_timeout,
        max_timeout: settings.max_timeout,
        retention: settings.retention,
        max_body_threads: settings.max_body_threads,
        max_blocking: settings.max_blocking,
        max_processes: settings.max_processes,
        process_open_files,
        synchronous_normal: settings.synchronous == Synchronous::Normal,
        ..RuntimeSettings::default()
    }
}
