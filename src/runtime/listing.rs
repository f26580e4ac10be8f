//! Looking at many tasks: searches in bounded steps, and their records.
//!
//! Invariant: a list goes by ids, downwards. Ids grow and are never used twice, so a list that is gone through page
//! by page shows no task twice and leaves none out that was there all the time, whatever is started meanwhile.

use crate::store::{Briefs, Search};
use crate::task::{Record, TaskFilter, TaskId};

use super::{Coordinator, Refusal};

/// A page of a list, highest id first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskPage {
    /// The tasks; fewer than were asked for, even none, where many rows had to be looked at or their values are
    /// large.
    pub tasks: Vec<Record>,
    /// Below which id the list goes on; none at its end.
    pub next: Option<TaskId>,
}

impl Coordinator {
    /// Lists tasks, highest id first, up to `limit` of them below the id `below`: pass on [`TaskPage::next`] to
    /// go on. A page is bounded in rows and in bytes, so it may hold fewer; only `next` tells the end.
    ///
    /// Tasks of an owner are found by an index. Of all owners' tasks, those that wait or run are too; a rare model
    /// or status among many finished tasks takes several pages to be found.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] where the database cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe.
    ///
    /// ```no_run
    /// # async fn example(coordinator: quell::Coordinator) -> Result<(), quell::Refusal> {
    /// use quell::task::{Status, TaskFilter};
    ///
    /// let failed = TaskFilter { status: Some(Status::Failed), ..TaskFilter::default() };
    /// let mut below = None;
    /// loop {
    ///     let page = coordinator.list(&failed, below, 100).await?;
    ///     page.tasks.iter().for_each(|task| println!("{}", task.key));
    ///     below = page.next;
    ///     if below.is_none() {
    ///         return Ok(());
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn list(
        &self,
        filter: &TaskFilter,
        below: Option<TaskId>,
        limit: u32,
    ) -> Result<TaskPage, Refusal> {
        let search = Search { filter: filter.clone(), unfinished: false, below, limit };
        let found = self.search(search).await?;
        let ids = found.tasks.iter().map(|task| task.key.id).collect();
        self.page(filter, ids, found.next).await
    }

    /// Searches in one step.
    pub(crate) async fn search(&self, search: Search) -> Result<Briefs, Refusal> {
        let found = self.0.readers.read(move |reader| reader.search(&search)).await;
        found.map_err(Refusal::Unavailable)
    }

    /// The records of tasks that were found, without those that have changed meanwhile and do not fit any more.
    pub(crate) async fn page(
        &self,
        filter: &TaskFilter,
        ids: Vec<TaskId>,
        next: Option<TaskId>,
    ) -> Result<TaskPage, Refusal> {
        let (filter, wanted) = (filter.clone(), ids.clone());
        let read = self.0.readers.read(move |reader| reader.records(&wanted)).await;
        let mut read = read.map_err(Refusal::Unavailable)?;
        read.tasks.retain(|task| filter.fits(task));
        let next = if read.looked_at < ids.len() {
            // The values were large: the rest is for the next page.
            read.looked_at.checked_sub(1).and_then(|last| ids.get(last).copied())
        } else {
            next
        };
        Ok(TaskPage { tasks: read.tasks, next })
    }
}
