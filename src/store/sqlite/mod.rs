//! SQLite: one file, one process, one writer.
//!
//! Invariants: a [`SqliteDatabase`] and whatever was made from it hold the only claim on the file; a file that
//! cannot be used is refused before anything in it or beside it changes; a commit that returned is on the disk
//! (with [`Synchronous::Full`]).
//!
//! It does not create folders, repair files or take databases in memory.

mod connect;
mod error;
mod file;
mod group;
mod live;
mod migrate;
mod prepared;
mod probe;
mod prune;
mod reader;
mod repeat;
mod rows;
mod search;
mod statements;
mod witness;
mod writer;

#[cfg(test)]
pub(super) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::SqliteConnection;

pub use file::parse_url;
pub use reader::SqliteReader;
pub use writer::SqliteWriter;

use super::{Faults, OpenError, StoreError};
use file::Claim;
use probe::{APPLICATION_ID, Found};

/// The first SQLite that cannot lose commits when it starts its log anew (3.7.0 to 3.51.2 can).
const SAFE_LIBRARY: [u32; 3] = [3, 51, 3];

/// When a commit counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// When the disk has it.
    #[default]
    Full,
    /// When the system has it: a loss of power may take acknowledged writes back; a crash of the process not.
    Normal,
}

/// How a database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// When a commit counts as written.
    pub synchronous: Synchronous,
    /// How many of a task's newest events are kept; at least 1.
    pub keep_events: i64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { synchronous: Synchronous::Full, keep_events: 10_000 }
    }
}

/// An open database. Clones share it; the file is free for others when the last clone, writer and reader is gone.
#[derive(Debug, Clone)]
pub struct SqliteDatabase {
    shared: Arc<Shared>,
}

/// What keeps the file ours.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    options: SqliteOptions,
    node: i64,
    _claim: Claim,
}

impl SqliteDatabase {
    /// Opens the database of a file, or makes it; the folder must exist. Migrates it, and notes in `nodes` that
    /// this process has started.
    ///
    /// # Errors
    /// Any [`OpenError`] but `Url`. Then the file is as it was, byte for byte.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        check_library()?;
        let path = file::locate(path)?;
        let mut claim = Claim::take(&path)?;
        let found = probe::examine(&path)?;
        let node = prepare(&path, options, found)
            .map_err(|reason| OpenError::Failed { path: path.clone(), reason })?;
        claim.keep();
        Ok(Self { shared: Arc::new(Shared { path, options, node, _claim: claim }) })
    }

    /// A writer. One is enough; several take turns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where no further connection can be made.
    pub fn writer(&self) -> Result<SqliteWriter, StoreError> {
        self.writer_with(Faults::default())
    }

    /// A writer whose commits fail when a test asks for it.
    ///
    /// # Errors
    /// As [`SqliteDatabase::writer`].
    pub fn writer_with(&self, faults: Faults) -> Result<SqliteWriter, StoreError> {
        SqliteWriter::open(Arc::clone(&self.shared), faults)
    }

    /// A reader with a connection of its own, which cannot write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where no further connection can be made.
    pub fn reader(&self) -> Result<SqliteReader, StoreError> {
        SqliteReader::open(Arc::clone(&self.shared))
    }

    /// The number of this start of the process: the id of its row in `nodes`, larger than every earlier one.
    #[must_use]
    pub fn node(&self) -> i64 {
        self.shared.node
    }

    /// The name that stands for this start in the rows of its tasks: `n{id}`.
    #[must_use]
    pub fn node_name(&self) -> Arc<str> {
        format!("n{}", self.shared.node).into()
    }

    /// The file, absolute and with links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }
}

/// Refuses a library that can lose commits.
fn check_library() -> Result<(), OpenError> {
    let version = connect::nowhere()
        .and_then(|mut db| connect::text(&mut db, "SELECT sqlite_version() AS value"))
        .map_err(OpenError::UnsafeLibrary)?;
    if is_safe(&version) { Ok(()) } else { Err(OpenError::UnsafeLibrary(version)) }
}

fn is_safe(version: &str) -> bool {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.is_some_and(|parts| parts.as_slice() >= SAFE_LIBRARY.as_slice())
}

/// From here on the file is ours to change. Returns the node's number.
fn prepare(path: &Path, options: SqliteOptions, found: Found) -> Result<i64, String> {
    if found == Found::Nothing {
        // Before the log exists, so that the mark is always in the file itself, where `probe` looks for it.
        let mut db = connect::plain(path)?;
        connect::run(&mut db, &format!("PRAGMA application_id = {APPLICATION_ID}"))?;
    }
    let mut db = connect::writing(path, options.synchronous)?;
    migrate::migrate(&mut db)?;
    register_node(&mut db)
}

/// The id and the number in the name are the same: both are one more than any that was given before.
fn register_node(db: &mut SqliteConnection) -> Result<i64, String> {
    let sql = format!(
        "INSERT INTO nodes (name, version, process, started_at)
         VALUES ('n' || (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'nodes'),
                 '{}', {}, CAST(unixepoch('subsec') * 1000000 AS INTEGER))
         RETURNING id AS value",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    connect::number(db, &sql)
}
