//! Looks at rows over a connection that cannot write.
//!
//! Invariants: each look is one snapshot; it sees every commit that returned before it began; it never holds its
//! snapshot after it returned, so that the log can be started anew.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use diesel::dsl::{max, min};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Text};

use crate::store::schema::{task_data, task_events, tasks};
use crate::store::{Briefs, EventPage, KeptRequest, Reader, Records, Search, StoreError};
use crate::task::{Record, TaskId, Timestamp};

use super::Shared;
use super::connect::{self, Begin, in_transaction};
use super::error::Failed;
use super::rows::{EventRow, TaskRow, Values};
use super::statements::DataKind;
use super::{repeat, search};

/// Ids of one SELECT: far below SQLite's limit of 32,766 parameters.
const IDS: usize = 1_000;

/// Records that are read together for a list, and about how many bytes of them are enough.
const FEW: usize = 16;
const ENOUGH_BYTES: usize = 4 * 1024 * 1024;

/// Reads a SQLite file.
pub struct SqliteReader {
    db: SqliteConnection,
    /// Last, so that the file is ours until the connection is closed.
    _shared: Arc<Shared>,
}

impl fmt::Debug for SqliteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteReader").finish_non_exhaustive()
    }
}

impl SqliteReader {
    pub(super) fn open(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let db = connect::reading(&shared.path).map_err(StoreError::Unavailable)?;
        Ok(Self { db, _shared: shared })
    }

    fn look<T>(
        &mut self,
        body: impl FnOnce(&mut SqliteConnection) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        in_transaction(&mut self.db, Begin::Read, body).map_err(|Failed(error)| error)
    }
}

impl Reader for SqliteReader {
    fn pending(&mut self) -> Result<u64, StoreError> {
        let count: i64 =
            self.look(|db| Ok(tasks::table.filter(tasks::status.eq("pending")).count().get_result(db)?))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn task(&mut self, id: TaskId) -> Result<Option<Record>, StoreError> {
        self.look(|db| Ok(records(db, &[id.get()])?.pop()))
    }

    fn events(&mut self, id: TaskId, after: i64, limit: u32) -> Result<EventPage, StoreError> {
        self.look(|db| {
            let log = task_events::table.filter(task_events::task_id.eq(id.get()));
            let oldest = log.select(min(task_events::seq)).first::<Option<i64>>(db)?.unwrap_or(0);
            let rows = log
                .filter(task_events::seq.gt(after))
                .order(task_events::seq)
                .limit(i64::from(limit))
                .select(EventRow::as_select())
                .load(db)
                .map_err(|error| match error {
                    Error::DeserializationError(error) => {
                        Failed(StoreError::BadRow { id: id.get(), reason: error.to_string() })
                    }
                    error => error.into(),
                })?;
            let mut expected = after.max(oldest.saturating_sub(1));
            let mut events = Vec::with_capacity(rows.len());
            for row in rows {
                expected = expected.saturating_add(1);
                if row.seq != expected {
                    let reason = format!("event {expected} is missing");
                    return Err(Failed(StoreError::BadRow { id: id.get(), reason }));
                }
                events.push(Arc::new(row.into_event(id).map_err(Failed)?));
            }
            Ok(EventPage { oldest, events })
        })
    }

    fn last_event(&mut self, id: TaskId) -> Result<i64, StoreError> {
        self.look(|db| {
            let log = task_events::table.filter(task_events::task_id.eq(id.get()));
            Ok(log.select(max(task_events::seq)).first::<Option<i64>>(db)?.unwrap_or(0))
        })
    }

    fn running(&mut self, after: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.look(|db| {
            let ids = ids(db, RUNNING, after, limit)?;
            records(db, &ids)
        })
    }

    fn queued(&mut self, after: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.look(|db| {
            let ids = ids(db, QUEUED, after, limit)?;
            records(db, &ids)
        })
    }

    fn created(&mut self, after: i64, limit: u32) -> Result<Vec<(TaskId, Arc<str>)>, StoreError> {
        self.look(|db| {
            let rows: Vec<OwnedRow> = diesel::sql_query(CREATED)
                .bind::<BigInt, _>(after)
                .bind::<BigInt, _>(i64::from(limit))
                .load(db)?;
            let owned = |OwnedRow { id, owner }: OwnedRow| TaskId::new(id).map(|id| (id, owner.into()));
            Ok(rows.into_iter().filter_map(owned).collect())
        })
    }

    fn search(&mut self, wanted: &Search) -> Result<Briefs, StoreError> {
        self.look(|db| Ok(search::search(db, wanted)?))
    }

    fn records(&mut self, ids: &[TaskId]) -> Result<Records, StoreError> {
        self.look(|db| {
            let (mut found, mut bytes) = (Records::default(), 0);
            for ids in ids.chunks(FEW) {
                let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
                let rank = |record: &Record| ids.iter().position(|id| *id == record.key.id.get());
                let mut records = readable(db, &ids)?;
                records.sort_by_key(rank);
                bytes += records.iter().map(bytes_of).sum::<usize>();
                found.tasks.extend(records);
                found.looked_at += ids.len();
                if bytes >= ENOUGH_BYTES {
                    break;
                }
            }
            Ok(found)
        })
    }

    fn old_tasks(
        &mut self,
        after: i64,
        ended: Timestamp,
        limit: u32,
    ) -> Result<Vec<(TaskId, bool)>, StoreError> {
        let ended = ended.as_micros();
        self.look(|db| {
            let rows = tasks::table
                .filter(tasks::id.gt(after))
                .order(tasks::id)
                .limit(i64::from(limit))
                .select((tasks::id, tasks::created_at, tasks::completed_at))
                .load::<(i64, i64, Option<i64>)>(db)?;
            let old = rows.into_iter().take_while(|(_, made, _)| *made <= ended);
            Ok(old
                .filter_map(|(id, _, end)| Some((TaskId::new(id)?, end.is_some_and(|at| at <= ended))))
                .collect())
        })
    }

    fn request(&mut self, owner: &str, key: &str) -> Result<Option<KeptRequest>, StoreError> {
        self.look(|db| Ok(repeat::find(db, owner, key)?))
    }
}

// The index is named, because SQLite would rather go through all rows, finished ones too, in the order of the key.
pub(super) const RUNNING: &str = "SELECT id FROM tasks INDEXED BY tasks_running
    WHERE status = 'running' AND id > ? ORDER BY id LIMIT ?";
pub(super) const QUEUED: &str = "SELECT id FROM tasks INDEXED BY tasks_queued
    WHERE status = 'pending' AND queued = 1 AND id > ? ORDER BY id LIMIT ?";
pub(super) const CREATED: &str = "SELECT id, owner FROM tasks INDEXED BY tasks_created
    WHERE status = 'pending' AND queued = 0 AND id > ? ORDER BY id LIMIT ?";

#[derive(QueryableByName)]
struct OwnedRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    owner: String,
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

fn ids(db: &mut SqliteConnection, sql: &str, after: i64, limit: u32) -> QueryResult<Vec<i64>> {
    let rows: Vec<IdRow> =
        diesel::sql_query(sql).bind::<BigInt, _>(after).bind::<BigInt, _>(i64::from(limit)).load(db)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// The same without those that cannot be read: one bad row must not hide all others.
fn readable(db: &mut SqliteConnection, ids: &[i64]) -> Result<Vec<Record>, Failed> {
    match records(db, ids) {
        Err(Failed(error @ StoreError::BadRow { .. })) if ids.len() == 1 => {
            tracing::error!(%error, "it is left out of a list");
            Ok(Vec::new())
        }
        Err(Failed(StoreError::BadRow { .. })) => {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.extend(readable(db, &[*id])?);
            }
            Ok(found)
        }
        read => read,
    }
}

fn bytes_of(record: &Record) -> usize {
    record.input.as_str().len() + record.final_value.as_ref().map_or(0, |value| value.as_str().len())
}

/// The records of these ids, lowest first; without those that are not there.
fn records(db: &mut SqliteConnection, ids: &[i64]) -> Result<Vec<Record>, Failed> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS) {
        let (rows, mut values) = match load(db, ids) {
            // A text that is not UTF-8: one by one, to name the task.
            Err(Error::DeserializationError(_)) if ids.len() > 1 => {
                for id in ids {
                    found.extend(records(db, &[*id])?);
                }
                continue;
            }
            Err(Error::DeserializationError(error)) => {
                let id = ids.first().copied().unwrap_or_default();
                return Err(Failed(StoreError::BadRow { id, reason: error.to_string() }));
            }
            loaded => loaded?,
        };
        for row in rows {
            let values = values.remove(&row.id).unwrap_or_default();
            found.push(row.into_record(values).map_err(Failed)?);
        }
    }
    Ok(found)
}

fn load(db: &mut SqliteConnection, ids: &[i64]) -> QueryResult<(Vec<TaskRow>, HashMap<i64, Values>)> {
    let (rows, data) = match ids {
        // The everyday case, with statements that stay prepared.
        [id] => (
            tasks::table.find(*id).select(TaskRow::as_select()).load(db)?,
            task_data::table.filter(task_data::task_id.eq(*id)).load(db)?,
        ),
        _ => (
            tasks::table
                .filter(tasks::id.eq_any(ids))
                .order(tasks::id)
                .select(TaskRow::as_select())
                .load(db)?,
            task_data::table.filter(task_data::task_id.eq_any(ids)).load(db)?,
        ),
    };
    Ok((rows, values_by_task(data)))
}

fn values_by_task(data: Vec<(i64, String, String)>) -> HashMap<i64, Values> {
    let mut values: HashMap<i64, Values> = HashMap::with_capacity(data.len());
    for (id, kind, text) in data {
        let values = values.entry(id).or_default();
        if kind == DataKind::FinalValue.as_str() {
            values.final_value = Some(text);
        } else {
            values.input = Some(text);
        }
    }
    values
}
