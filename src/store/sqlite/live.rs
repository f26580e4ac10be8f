//! What the writer remembers of tasks that are not over, so that a write needs no look at the row.
//!
//! Invariants: an entry says what the row says, as of the last commit; it is there for live rows only, so there
//! are never more entries than live rows. The writer forgets all of them whenever another connection has changed
//! the database (`PRAGMA data_version`) or a group has failed.
//!
//! It decides nothing: `group` does.

use diesel::dsl::max;
use diesel::prelude::*;

use crate::store::schema::{signals, task_events, tasks};
use crate::task::Status;

/// What a live row is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Pending, and nobody has started it.
    Waiting,
    /// Pending, started, without room.
    Queued,
    /// Running.
    Running,
}

/// The part of a live row that writes are guarded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) stage: Stage,
    pub(super) epoch: i64,
    /// Whether the row has a request to stop.
    pub(super) asked: bool,
    /// How many signals wait.
    pub(super) signals: usize,
    /// The number of the last event; 0 before the first. Pruning leaves the newest, so it is always found again.
    pub(super) last_seq: i64,
}

impl Live {
    /// Reads what the database says of a task; nothing where it is over, unknown or in no known status.
    pub(super) fn load(db: &mut SqliteConnection, id: i64) -> QueryResult<Option<Self>> {
        let row = tasks::table
            .find(id)
            .select((tasks::status, tasks::queued, tasks::epoch, tasks::cancel_requested_at))
            .first::<(String, bool, i64, Option<i64>)>(db)
            .optional()?;
        let Some((status, queued, epoch, asked_at)) = row else { return Ok(None) };
        let stage = match (status.parse(), queued) {
            (Ok(Status::Pending), false) => Stage::Waiting,
            (Ok(Status::Pending), true) => Stage::Queued,
            (Ok(Status::Running), _) => Stage::Running,
            (Ok(Status::Completed | Status::Failed | Status::Cancelled) | Err(_), _) => return Ok(None),
        };
        let last = task_events::table.filter(task_events::task_id.eq(id)).select(max(task_events::seq));
        let last_seq = last.first::<Option<i64>>(db)?.unwrap_or(0);
        let waiting = signals::table.filter(signals::task_id.eq(id)).count().get_result::<i64>(db)?;
        let signals = usize::try_from(waiting).unwrap_or(0);
        Ok(Some(Self { stage, epoch, asked: asked_at.is_some(), signals, last_seq }))
    }
}
