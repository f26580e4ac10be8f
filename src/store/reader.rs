//! Looking at the database, apart from the writer. What was answered by a commit is seen by every later look.

use std::sync::Arc;

use crate::task::{Event, Record, TaskBrief, TaskFilter, TaskId, Timestamp};

use super::{KeptRequest, StoreError};

/// A stretch of a task's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventPage {
    /// The number of the oldest event that is kept; 0 where there is none.
    pub oldest: i64,
    /// Events in the order of their numbers, without gaps.
    pub events: Vec<Arc<Event>>,
}

/// What to search for, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Which tasks.
    pub filter: TaskFilter,
    /// Only tasks that have not ended.
    pub unfinished: bool,
    /// Only ids below this one.
    pub below: Option<TaskId>,
    /// The most tasks.
    pub limit: u32,
}

/// What a search found, highest id first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Briefs {
    /// The tasks; fewer than were asked for where a look at many rows found no more.
    pub tasks: Vec<TaskBrief>,
    /// Below which id to go on; none where there is nothing more.
    pub next: Option<TaskId>,
}

/// Whole records of tasks that were found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Records {
    /// The records; without those that are gone or cannot be read.
    pub tasks: Vec<Record>,
    /// How many of the ids were looked at: not all, where the records are large.
    pub looked_at: usize,
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

    /// Searches tasks, newest first. It looks at a bounded number of rows.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn search(&mut self, search: &Search) -> Result<Briefs, StoreError>;

    /// The records of these tasks, in this order, up to a few megabytes of them.
    ///
    /// # Errors
    /// As [`Reader::task`], but for [`StoreError::BadRow`]: such a task is left out, and the log says so.
    fn records(&mut self, ids: &[TaskId]) -> Result<Records, StoreError>;

    /// Up to `limit` ids above `after`, lowest first, of tasks that were made at `ended` or earlier; each with
    /// whether the task ended at `ended` or earlier too. It stops at the first task that was made later.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn old_tasks(
        &mut self,
        after: i64,
        ended: Timestamp,
        limit: u32,
    ) -> Result<Vec<(TaskId, bool)>, StoreError>;

    /// What is kept of a request, by whose it is and its key.
    ///
    /// # Errors
    /// As [`Reader::task`].
    fn request(&mut self, owner: &str, key: &str) -> Result<Option<KeptRequest>, StoreError>;
}
