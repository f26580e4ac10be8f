//! The one writer: a group is one transaction.
//!
//! Invariants: after an error nothing of the group is in memory, nor, unless its outcome is unknown, in the file, and
//! the next group is taken as if it had not been; of an unknown outcome everything is kept that tells whether it is
//! there; a group is not begun on a file that was deleted or replaced.
//!
//! It neither retries nor waits, but for a stranger's lock: its caller decides what to do about an error.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::store::{Committed, Fault, Faults, Store, StoreError, Write};

use super::Shared;
use super::connect::{self, Begin, in_transaction, in_transaction_ended_by};
use super::error::{Failed, commit_error};
use super::file::Guard;
use super::group::{Done, Group};
use super::live::Live;
use super::statements;
use super::witness::Witness;

/// Writes groups to a SQLite file.
pub struct SqliteWriter {
    pub(super) db: SqliteConnection,
    live: HashMap<i64, Live>,
    /// The state of the file that `live` is true of; none where it has to be read anew.
    version: Option<i64>,
    /// The group whose commit had no answer.
    doubt: Option<Doubt>,
    faults: Faults,
    guard: Guard,
    keep_events: i64,
    /// Last, so that the file is ours until the connection is closed.
    _shared: Arc<Shared>,
}

/// What would have been answered, and what shows whether it is true.
struct Doubt {
    committed: Committed,
    witness: Option<Witness>,
}

impl fmt::Debug for SqliteWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteWriter").field("live", &self.live.len()).finish_non_exhaustive()
    }
}

impl SqliteWriter {
    pub(super) fn open(shared: Arc<Shared>, faults: Faults) -> Result<Self, StoreError> {
        let mut db =
            connect::writing(&shared.path, shared.options.synchronous).map_err(StoreError::Unavailable)?;
        // The first look makes the log, which the guard is to know.
        in_transaction(&mut db, Begin::Read, data_version).map_err(|Failed(error)| error)?;
        let guard = Guard::new(&shared.path);
        let keep_events = shared.options.keep_events.max(1);
        let live = HashMap::new();
        Ok(Self { db, live, version: None, doubt: None, faults, guard, keep_events, _shared: shared })
    }
}

impl Store for SqliteWriter {
    fn check(&mut self) -> Result<(), StoreError> {
        self.guard.check()
    }

    fn settle(&mut self) {
        if self.guard.check().is_ok()
            && let Err(error) = connect::run(&mut self.db, "PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(error, "the log (-wal) stays beside the database file: they belong together");
        }
    }

    fn commit(&mut self, group: &[Write]) -> Result<Committed, StoreError> {
        if group.is_empty() {
            return Ok(Committed::default());
        }
        self.doubt = None;
        self.guard.check()?;
        // Stays empty where the group fails: then everything is read anew.
        let known_version = self.version.take();
        let (live, faults, keep_events) = (&mut self.live, &self.faults, self.keep_events);
        // Kept outside: of a commit whose answer is lost, it is all that is known.
        let mut decided = None;
        let body = |db: &mut SqliteConnection| {
            let version = data_version(db)?;
            if known_version != Some(version) {
                live.clear();
            }
            let mut group_of = Group::new(db, live);
            for write in group {
                group_of.take(write)?;
            }
            decided = Some(group_of.carry_out(keep_events)?);
            Ok(version)
        };
        let done = in_transaction_ended_by(&mut self.db, Begin::Write, body, |db| end(db, faults));
        match (done, decided) {
            (Ok(version), Some(done)) => {
                self.version = Some(version);
                for (id, live) in done.touched {
                    match live {
                        Some(live) => self.live.insert(id, live),
                        None => self.live.remove(&id),
                    };
                }
                Ok(done.committed)
            }
            // A transaction that was committed was decided.
            (Ok(_), None) => Ok(Committed::default()),
            (Err(Failed(error)), decided) => {
                if matches!(error, StoreError::OutcomeUnknown(_)) {
                    self.doubt = decided.map(|Done { committed, witness, .. }| Doubt { committed, witness });
                }
                self.guard.check()?;
                Err(error)
            }
        }
    }

    fn resolve(&mut self) -> Result<Option<Committed>, StoreError> {
        let Some(Doubt { committed, witness }) = self.doubt.take() else { return Ok(None) };
        self.guard.check()?;
        let faults = &self.faults;
        let look = |db: &mut SqliteConnection| {
            let there = witness.map_or(Ok(true), |witness| witness.is_there(db))?;
            // A commit behind it settles it for good: what a failed one has left in the log is written over. It has to
            // change something, for no page is written that stays as it was: an id is given up.
            statements::reserve_ids(db, 1)?;
            Ok(there)
        };
        match in_transaction_ended_by(&mut self.db, Begin::Write, look, |db| end(db, faults)) {
            Ok(there) => Ok(there.then_some(committed)),
            Err(Failed(error)) => {
                self.doubt = Some(Doubt { committed, witness });
                Err(error)
            }
        }
    }
}

/// Commits, unless a test asks for an error.
fn end(db: &mut SqliteConnection, faults: &Faults) -> Result<(), Failed> {
    let asked = || "a test asked for it".to_owned();
    let fault = faults.meet();
    match fault {
        Some(Fault::Refuse) => return Err(Failed(StoreError::Unavailable(asked()))),
        Some(Fault::LoseCommit) => return Err(Failed(StoreError::OutcomeUnknown(asked()))),
        Some(Fault::LoseAnswer) | None => {}
    }
    db.batch_execute("COMMIT").map_err(|error| Failed(commit_error(&error)))?;
    if fault.is_some() { Err(Failed(StoreError::OutcomeUnknown(asked()))) } else { Ok(()) }
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
