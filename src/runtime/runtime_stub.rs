//! STUB: how an application starts and stops the runtime.

use std::path::PathBuf;

use super::{Coordinator, Registry};

/// Settings of a runtime. All have defaults.
#[derive(Debug, Clone)]
pub struct RuntimeSettings {
    /// How many tasks run at once; the rest waits as `pending`.
    pub max_running: usize,
    /// How many tasks may wait for room.
    pub max_pending: usize,
    /// Threads that poll async bodies; 0 = one for each core.
    pub body_threads: usize,
    /// Blocking bodies at once.
    pub max_blocking: usize,
    /// Newest events kept of each task.
    pub keep_events: i64,
    /// `synchronous=NORMAL` instead of FULL.
    pub synchronous_normal: bool,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self { max_running: 100_000, max_pending: 100_000, body_threads: 0, max_blocking: 512, keep_events: 10_000, synchronous_normal: false }
    }
}

/// Why a runtime did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The database.
    #[error(transparent)]
    Open(#[from] crate::store::OpenError),
    /// Threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// A running runtime is reached by its [`Coordinator`]. Must be called inside an actix System.
pub struct Runtime;

impl Runtime {
    /// Opens the database (the file is made if missing), settles what an earlier process left, starts the actors.
    /// Answers as soon as the database is open; [`Coordinator::readiness`] says when recovery is done.
    pub async fn start(database_url: &str, registry: Registry, settings: RuntimeSettings) -> Result<Coordinator, RuntimeError> { let _ = (database_url, registry, settings, PathBuf::new()); unimplemented!() }
}
