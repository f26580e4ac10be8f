//! What SQLite said, as one of our errors.
//!
//! diesel hands on SQLite's words but not its result code, except for constraints. The words come from a fixed
//! table in SQLite (`sqlite3_errstr`) and are compared whole; a test makes the library say each that matters.
//!
//! It does not decide what to do about an error: [`StoreError`] says whether trying again may help.

use diesel::result::{DatabaseErrorKind, Error};

use crate::store::StoreError;

/// BUSY, LOCKED, FULL, IOERR, CANTOPEN, READONLY, PROTOCOL, NOMEM, INTERRUPT: it may be tried again.
const PASSING: [&str; 9] = [
    "database is locked",
    "database table is locked",
    "database or disk is full",
    "disk I/O error",
    "unable to open database file",
    "attempt to write a readonly database",
    "locking protocol",
    "out of memory",
    "interrupted",
];

/// Of these, BUSY, LOCKED, FULL: the last frame of a group is not in the log.
const NOTHING_WRITTEN: [&str; 3] =
    ["database is locked", "database table is locked", "database or disk is full"];

/// CORRUPT, NOTADB, and a schema that somebody took apart.
const DAMAGE: [&str; 5] = [
    "database disk image is malformed",
    "malformed database schema",
    "file is not a database",
    "no such table",
    "no such column",
];

/// Sorts an error of a read or a write.
pub(super) fn store_error(error: &Error) -> StoreError {
    let text = error.to_string();
    match error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, _) => {}
        _ => return StoreError::Refused(text),
    }
    if PASSING.iter().any(|word| text.starts_with(word)) {
        StoreError::Unavailable(text)
    } else if DAMAGE.iter().any(|word| text.starts_with(word)) {
        StoreError::Damaged(text)
    } else {
        StoreError::Refused(text)
    }
}

/// Sorts an error of a `COMMIT` of writes.
///
/// A lock or a full disk is met before the last frame of the group is in the log. Whatever else passes (an fsync that
/// failed, a write past a limit) may leave a whole group in the log that no connection sees: a process that reads the
/// log anew, after a crash, finds it.
pub(super) fn commit_error(error: &Error) -> StoreError {
    match store_error(error) {
        StoreError::Unavailable(text) if !NOTHING_WRITTEN.iter().any(|word| text.starts_with(word)) => {
            StoreError::OutcomeUnknown(text)
        }
        other => other,
    }
}

/// What SQLite says to a `BEGIN` where the last `ROLLBACK` did not get through.
pub(super) fn is_inside_transaction(error: &Error) -> bool {
    error.to_string().starts_with("cannot start a transaction within a transaction")
}

/// A [`StoreError`] inside a transaction; diesel's own becomes one with `?`.
pub(super) struct Failed(pub(super) StoreError);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(store_error(&error))
    }
}
