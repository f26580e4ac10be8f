//! Connections: which PRAGMAs each kind has, and small questions in plain SQL.
//!
//! Transactions are begun and ended here in SQL, not by diesel's manager: SQLite ends one by itself when a disk is
//! full or fails, after which the manager refuses every further use of the connection.
//!
//! Invariant: [`in_transaction`] leaves none open, whatever its closure returns.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Text};

use super::Synchronous;
use super::error::is_inside_transaction;

/// Pages in the log before they are copied into the file: each page is copied once however often it changed.
const CHECKPOINT_PAGES: u32 = 4_000;

/// How long to wait for a stranger's lock, in milliseconds: a quell of its own never waits for another. Whoever waits
/// for an answer meanwhile is told within a second that there is none.
const BUSY_TIMEOUT_MS: u32 = 800;

/// A connection that writes. It switches the file to a write-ahead log.
pub(super) fn writing(path: &Path, synchronous: Synchronous) -> Result<SqliteConnection, String> {
    let mut db = plain(path)?;
    run(&mut db, &format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}"))?;
    let mode: ModeRow = diesel::sql_query("PRAGMA journal_mode = WAL")
        .get_result(&mut db)
        .map_err(|error| error.to_string())?;
    if mode.journal_mode != "wal" {
        return Err(format!(
            "its journal stays in mode `{}`: is this a network file system?",
            mode.journal_mode
        ));
    }
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    run(
        &mut db,
        &format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -16384;
             PRAGMA foreign_keys = OFF;
             PRAGMA temp_store = MEMORY;"
        ),
    )?;
    Ok(db)
}

/// A connection as SQLite makes it.
pub(super) fn plain(path: &Path) -> Result<SqliteConnection, String> {
    establish(&path.to_string_lossy())
}

/// A connection that refuses every write.
pub(super) fn reading(path: &Path) -> Result<SqliteConnection, String> {
    let mut db = establish(&path.to_string_lossy())?;
    run(
        &mut db,
        &format!(
            "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};
             PRAGMA query_only = ON;
             PRAGMA temp_store = MEMORY;"
        ),
    )?;
    Ok(db)
}

/// A connection that leaves no trace: it writes nothing, locks nothing and makes no file. Only for a file that
/// nobody else writes, which the claim on it promises.
pub(super) fn probing(path: &Path, with_log: bool) -> Result<SqliteConnection, String> {
    let path = escaped(&path.to_string_lossy());
    if !with_log {
        return establish(&format!("file:{path}?mode=ro&immutable=1"));
    }
    // Without locks and shared memory SQLite reads a log through an index in its own heap.
    let mut db = establish(&format!("file:{path}?mode=ro&vfs=unix-none"))?;
    run(&mut db, "PRAGMA locking_mode = EXCLUSIVE")?;
    Ok(db)
}

/// A connection to a new database in memory.
pub(super) fn nowhere() -> Result<SqliteConnection, String> {
    establish(":memory:")
}

fn establish(address: &str) -> Result<SqliteConnection, String> {
    SqliteConnection::establish(address).map_err(|error| error.to_string())
}

/// A path as it stands in a `file:` address.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(one).collect()
}

/// Runs statements whose rows nobody wants.
pub(super) fn run(db: &mut SqliteConnection, sql: &str) -> Result<(), String> {
    db.batch_execute(sql).map_err(|error| error.to_string())
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct ModeRow {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// All texts in the column `value`.
pub(super) fn texts(db: &mut SqliteConnection, sql: &str) -> Result<Vec<String>, String> {
    let rows: Vec<TextRow> = diesel::sql_query(sql).load(db).map_err(|error| error.to_string())?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// The one text in the column `value`.
pub(super) fn text(db: &mut SqliteConnection, sql: &str) -> Result<String, String> {
    texts(db, sql)?.into_iter().next().ok_or_else(|| format!("no answer to `{sql}`"))
}

/// The one number in the column `value`.
pub(super) fn number(db: &mut SqliteConnection, sql: &str) -> Result<i64, String> {
    let row: NumberRow = diesel::sql_query(sql).get_result(db).map_err(|error| error.to_string())?;
    Ok(row.value)
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begin {
    /// One snapshot for several looks.
    Read,
    /// With the write lock from the start: a look that turns into a write can never be refused half-way.
    Write,
}

/// Runs a closure in one transaction: committed where it returns a value, else rolled back.
pub(super) fn in_transaction<T, E: From<Error>>(
    db: &mut SqliteConnection,
    begin: Begin,
    body: impl FnOnce(&mut SqliteConnection) -> Result<T, E>,
) -> Result<T, E> {
    in_transaction_ended_by(db, begin, body, |db| db.batch_execute("COMMIT").map_err(E::from))
}

/// The same with a `COMMIT` of the caller's own.
pub(super) fn in_transaction_ended_by<T, E: From<Error>>(
    db: &mut SqliteConnection,
    begin: Begin,
    body: impl FnOnce(&mut SqliteConnection) -> Result<T, E>,
    commit: impl FnOnce(&mut SqliteConnection) -> Result<(), E>,
) -> Result<T, E> {
    let sql = match begin {
        Begin::Read => "BEGIN",
        Begin::Write => "BEGIN IMMEDIATE",
    };
    if let Err(error) = db.batch_execute(sql) {
        // A panic in an earlier closure, or a rollback that failed itself.
        if !is_inside_transaction(&error) {
            return Err(error.into());
        }
        db.batch_execute("ROLLBACK")?;
        db.batch_execute(sql)?;
    }
    let done = body(db).and_then(|value| commit(db).map(|()| value));
    if done.is_err() {
        // Fails where SQLite has rolled back already; that is what is wanted.
        let _ = db.batch_execute("ROLLBACK");
    }
    done
}
