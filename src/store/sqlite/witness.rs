//! What shows that a group is in the database: something that was not there before it, or not so.
//!
//! A group is one transaction, so one of its traces stands for all of it. No trace costs a write of its own: events
//! and new rows are their own witnesses.

use diesel::SqliteConnection;

use crate::store::{Answer, StoreError, Write, keys_over};
use crate::task::{Event, TaskId, Timeout, Timestamp};

use super::connect;
use super::error::Failed;

/// A trace of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Witness {
    /// An event of this number: the newest of its task, so that pruning has left it.
    Event(i64, i64),
    /// A row of this id.
    Row(TaskId),
    /// A row that waits for room.
    Queued(TaskId),
    /// A row with this timeout, changed then.
    Timeout(TaskId, Option<Timeout>, Timestamp),
    /// Ids are given out up to this one.
    Ids(i64),
    /// A signal of this number.
    Signal(i64),
    /// No signal of this number.
    Taken(i64),
    /// An answer to the request of this digest, in a row of its own that is not over at this time: one that is over
    /// may hold an answer of the day before.
    Kept([u8; 32], Timestamp),
}

impl Witness {
    /// The trace of an applied write, where it leaves one besides its events.
    pub(super) fn of(write: &Write, answer: &Answer) -> Option<Self> {
        match (write, answer) {
            // Of what is pruned nobody is promised anything: what is still there goes with the next pass.
            (_, Answer::Stale | Answer::KeyTaken) | (Write::PruneKeys { .. } | Write::Prune { .. }, _) => {
                None
            }
            (Write::ReserveIds { count }, Answer::Ids(first)) => Some(Self::Ids(first + i64::from(*count))),
            (Write::Create { task, .. } | Write::CreateRunning { task, .. }, _) => {
                Some(Self::Row(task.key.id))
            }
            (Write::Queue { id, .. } | Write::Requeue { id, .. }, _) => Some(Self::Queued(*id)),
            (Write::SetTimeout { id, timeout, at }, _) => Some(Self::Timeout(*id, *timeout, *at)),
            (Write::Signal { .. }, Answer::Signalled(signal)) => Some(Self::Signal(*signal)),
            (Write::TakeSignal { signal, .. }, _) => Some(Self::Taken(*signal)),
            (Write::KeepAnswer { request, at, .. }, _) => Some(Self::Kept(request.digest, *at)),
            // Each of these has events.
            (
                Write::Begin { .. }
                | Write::Ask { .. }
                | Write::End { .. }
                | Write::Event { .. }
                | Write::ReserveIds { .. }
                | Write::Signal { .. },
                _,
            ) => None,
        }
    }

    pub(super) fn of_event(event: &Event) -> Self {
        Self::Event(event.task.get(), event.seq)
    }

    /// Looks for it.
    pub(super) fn is_there(self, db: &mut SqliteConnection) -> Result<bool, Failed> {
        let sql = match self {
            Self::Event(task, seq) => format!("FROM task_events WHERE task_id = {task} AND seq = {seq}"),
            Self::Row(id) => format!("FROM tasks WHERE id = {id}"),
            Self::Queued(id) => format!("FROM tasks WHERE id = {id} AND queued = 1"),
            Self::Timeout(id, timeout, at) => {
                let (at, seconds) = (at.as_micros(), timeout.map(Timeout::as_seconds));
                let same = seconds.map_or("timeout_seconds IS NULL".to_owned(), |seconds| {
                    format!("abs(timeout_seconds - {seconds:?}) < 0.0000005")
                });
                format!("FROM tasks WHERE id = {id} AND updated_at = {at} AND {same}")
            }
            Self::Ids(next) => format!("FROM id_blocks WHERE next_id >= {next}"),
            Self::Signal(signal) => format!("FROM signals WHERE id = {signal}"),
            Self::Kept(digest, at) => {
                let over = keys_over(at).as_micros();
                let (high, low) = digest.split_at(16);
                let [high, low] = [high, low].map(|half| half.try_into().map_or(0, u128::from_be_bytes));
                format!(
                    "FROM idempotency_keys WHERE digest = x'{high:032x}{low:032x}' AND status IS NOT NULL
                     AND created_at > {over}"
                )
            }
            Self::Taken(signal) => {
                format!("FROM (VALUES (1)) WHERE NOT EXISTS (SELECT 1 FROM signals WHERE id = {signal})")
            }
        };
        let found = connect::number(db, &format!("SELECT count(*) AS value {sql}"));
        found.map(|found| found > 0).map_err(|text| Failed(StoreError::Unavailable(text)))
    }
}
