//! Looking at the database, apart from the writer. What was answered by a commit is seen by every later look.

use std::sync::Arc;

use crate::task::{Event, Record, TaskId};

use super::StoreError;

/// A stretch of a task's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventPage {
    /// The number of the oldest event that is kept; 0 where there is none.
    pub oldest: i64,
    /// Events in the order of their numbers, without gaps.
    pub events: Vec<Arc<Event>>,
}

/// Looks at rows.
pub trait Reader: Send {
    /// One task.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Damaged`]; [`StoreError::BadRow`] for a row that was changed
    /// by hand into nonsense.
    fn task(&mut self, id: TaskId) -> Result<Option<Record>, StoreError>;

    /// Up to `limit` events with numbers above `after`.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn events(&mut self, id: TaskId, after: i64, limit: u32) -> Result<EventPage, StoreError>;

    /// The number of the newest event; 0 where there is none.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn last_event(&mut self, id: TaskId) -> Result<i64, StoreError>;

    /// Up to `limit` rows that are `running`, with ids above `after`, lowest first.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn running(&mut self, after: i64, limit: u32) -> Result<Vec<Record>, StoreError>;

    /// Up to `limit` rows that are `pending` and queued, with ids above `after`, lowest first.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn queued(&mut self, after: i64, limit: u32) -> Result<Vec<Record>, StoreError>;

    /// How many rows are `pending`, queued or not.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn pending(&mut self) -> Result<u64, StoreError>;

    /// Up to `limit` rows that are `pending` and that nobody has started, with ids above `after`, lowest first: which
    /// they are, and whose.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn created(&mut self, after: i64, limit: u32) -> Result<Vec<(TaskId, Arc<str>)>, StoreError>;
}
