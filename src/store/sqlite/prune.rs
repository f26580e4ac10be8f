//! Removing tasks that ended long ago.
//!
//! Invariants: a task that has not ended is never touched; a log loses its oldest events first, and the row of the
//! task goes last, so that whoever looks in between finds a task with a shorter log, and no hole in it.

use diesel::prelude::*;

use crate::store::Answer;
use crate::store::schema::{signals, task_data, task_events, tasks};
use crate::task::{TaskId, Timestamp};

/// The rows of a task beside its events: its own, its values.
const OWN_ROWS: u32 = 3;

/// Removes tasks, one after the other, until about `rows` rows are gone.
pub(super) fn prune(
    db: &mut SqliteConnection,
    ids: &[TaskId],
    before: Timestamp,
    rows: u32,
) -> QueryResult<Answer> {
    let (mut left, mut gone) = (rows, 0);
    for id in ids.iter().map(|id| id.get()) {
        if left == 0 {
            return Ok(Answer::Pruned { gone, more: true });
        }
        // The end of its row: only terminal rows have one.
        let ended = tasks::table.find(id).filter(tasks::completed_at.le(before.as_micros()));
        if ended.select(tasks::id).first::<i64>(db).optional()?.is_none() {
            continue;
        }
        let log = task_events::table.filter(task_events::task_id.eq(id));
        let last =
            log.order(task_events::seq).limit(i64::from(left)).select(task_events::seq).load::<i64>(db)?;
        if let Some(up_to) = last.last() {
            diesel::delete(log.filter(task_events::seq.le(*up_to))).execute(db)?;
            left = left.saturating_sub(u32::try_from(last.len()).unwrap_or(u32::MAX));
            if left == 0 {
                // There may be more of it.
                return Ok(Answer::Pruned { gone, more: true });
            }
        }
        diesel::delete(task_data::table.filter(task_data::task_id.eq(id))).execute(db)?;
        diesel::delete(signals::table.filter(signals::task_id.eq(id))).execute(db)?;
        diesel::delete(tasks::table.find(id)).execute(db)?;
        left = left.saturating_sub(OWN_ROWS);
        gone += 1;
    }
    Ok(Answer::Pruned { gone, more: false })
}
