//! What can be wrong with a database: when it is opened, and later.

use std::path::PathBuf;

/// Why a database was not opened. The file is as it was; each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address names no database that this build knows.
    #[error("cannot use the database url `{0}`: it must begin with sqlite:// and name a file")]
    Url(String),
    /// The folder of the file does not exist.
    #[error("cannot open the database {path}: its folder does not exist; create it first", path = .0.display())]
    NoFolder(PathBuf),
    /// Another process has the file.
    #[error(
        "cannot open the database {path}: another process is using it; stop that one first, or use another file",
        path = .0.display()
    )]
    InUse(PathBuf),
    /// The file or its folder cannot be written.
    #[error("cannot write the database {path}: {reason}; check the permissions", path = .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is damaged, or no database at all.
    #[error("cannot use the database {path}: {reason}; restore it from a backup", path = .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is a database of another program.
    #[error("cannot use the database {path}: it was not made by quell; use another file", path = .0.display())]
    Foreign(PathBuf),
    /// The schema is newer than this program.
    #[error(
        "cannot use the database {path}: its schema {found} is newer than this program knows; use a newer quell",
        path = .path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The unknown migration.
        found: String,
    },
    /// The SQLite library can lose commits.
    #[error("cannot use SQLite {0}: versions before 3.51.3 can lose commits; build with the bundled one")]
    UnsafeLibrary(String),
    /// Anything else that the database said.
    #[error("cannot open the database {path}: {reason}", path = .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the database said.
        reason: String,
    },
}

/// Why a group of writes or a read was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database does not take it now: the disk is full, an fsync failed, a stranger holds a lock. Nothing of
    /// the group is there. It may be tried again.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// The commit was sent, and whether it took effect is not known: an fsync failed, an answer was lost. The group
    /// is there as a whole or not at all; [`Store::resolve`](super::Store::resolve) finds out which.
    #[error("the outcome of a commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// The database is damaged or gone: trying again cannot help.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// One of the writes breaks a rule of the schema: a defect of this program. Nothing of the group is there.
    #[error("the database refused a write: {0}")]
    Refused(String),
    /// A row holds what no version of this program writes.
    #[error("task {id} has a row that cannot be read: {reason}")]
    BadRow {
        /// The task.
        id: i64,
        /// What is wrong with it.
        reason: String,
    },
}
