//! The one writer: a group is one transaction.
//!
//! Invariants: after an error nothing of the group is in the file or in memory, and the next group is taken as if
//! it had not been; a group is not begun on a file that was deleted or replaced.
//!
//! It neither retries nor waits, but for a stranger's lock: its caller decides what to do about an error.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use diesel::SqliteConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::store::{Committed, Store, StoreError, Write};

use super::Shared;
use super::connect::{self, Begin, in_transaction};
use super::error::Failed;
use super::file::Guard;
use super::group::Group;
use super::live::Live;

/// Writes groups to a SQLite file.
pub struct SqliteWriter {
    pub(super) db: SqliteConnection,
    live: HashMap<i64, Live>,
    /// The state of the file that `live` is true of; none where it has to be read anew.
    version: Option<i64>,
    guard: Guard,
    keep_events: i64,
    /// Last, so that the file is ours until the connection is closed.
    _shared: Arc<Shared>,
}

impl fmt::Debug for SqliteWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteWriter").field("live", &self.live.len()).finish_non_exhaustive()
    }
}

impl SqliteWriter {
    pub(super) fn open(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let mut db =
            connect::writing(&shared.path, shared.options.synchronous).map_err(StoreError::Unavailable)?;
        // The first look makes the log, which the guard is to know.
        in_transaction(&mut db, Begin::Read, data_version).map_err(|Failed(error)| error)?;
        let guard = Guard::new(&shared.path);
        let keep_events = shared.options.keep_events.max(1);
        Ok(Self { db, live: HashMap::new(), version: None, guard, keep_events, _shared: shared })
    }
}

impl Store for SqliteWriter {
    fn check(&mut self) -> Result<(), StoreError> {
        self.guard.check()
    }

    fn commit(&mut self, group: &[Write]) -> Result<Committed, StoreError> {
        if group.is_empty() {
            return Ok(Committed::default());
        }
        self.guard.check()?;
        // Stays empty where the group fails: then everything is read anew.
        let known_version = self.version.take();
        let (live, keep_events) = (&mut self.live, self.keep_events);
        let done = in_transaction(&mut self.db, Begin::Write, |db| {
            let version = data_version(db)?;
            if known_version != Some(version) {
                live.clear();
            }
            let mut decided = Group::new(db, live);
            for write in group {
                decided.take(write)?;
            }
            Ok((version, decided.carry_out(keep_events)?))
        });
        match done {
            Ok((version, done)) => {
                self.version = Some(version);
                for (id, live) in done.touched {
                    match live {
                        Some(live) => self.live.insert(id, live),
                        None => self.live.remove(&id),
                    };
                }
                Ok(done.committed)
            }
            Err(Failed(error)) => {
                self.guard.check()?;
                Err(error)
            }
        }
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

/// A number that changes when another connection has changed the database, and only then.
fn data_version(db: &mut SqliteConnection) -> Result<i64, Failed> {
    let row: Version = diesel::sql_query("PRAGMA data_version").get_result(db)?;
    Ok(row.data_version)
}
