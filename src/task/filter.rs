//! Which tasks are meant, where many are.

use std::sync::Arc;

use super::{Name, Record, Status, TaskKey};

/// Which tasks are meant. What is none does not matter; all that is given must fit.
///
/// ```
/// # use quell::task::{Status, TaskFilter};
/// let filter = TaskFilter { owner: Some("ann".into()), status: Some(Status::Failed), ..TaskFilter::default() };
/// assert!(!filter.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    /// The first part of the key.
    pub app: Option<Name>,
    /// The second part of the key.
    pub model: Option<Name>,
    /// The status.
    pub status: Option<Status>,
    /// Who started it.
    pub owner: Option<Arc<str>>,
}

impl TaskFilter {
    /// Whether every task fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this task fits.
    #[must_use]
    pub fn fits(&self, task: &Record) -> bool {
        self.app.as_ref().is_none_or(|app| *app == task.key.app)
            && self.model.as_ref().is_none_or(|model| *model == task.key.model)
            && self.status.is_none_or(|status| status == task.status)
            && self.owner.as_ref().is_none_or(|owner| *owner == task.owner)
    }
}

/// What a search says of a task that it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskBrief {
    /// Its key.
    pub key: TaskKey,
    /// Its status.
    pub status: Status,
    /// Who started it.
    pub owner: Arc<str>,
}
