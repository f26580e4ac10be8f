//! Cancelling many tasks in one call.
//!
//! Invariants: all are asked at once, so that their requests and ends share commits; each receipt is as true as that
//! of a single cancel; a task whose cancel was refused is counted under no outcome. Dropping the future takes
//! nothing back.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::store::Search;
use crate::task::{Status, StoppedBy, TaskBrief, TaskFilter, TaskId, TaskKey};

use super::cancel::{self, Found};
use super::services::Services;
use super::{CancelOptions, CommandError, Coordinator, Receipt, Refusal};

/// The most tasks of one call.
pub const MAX_CANCELLED_AT_ONCE: u32 = 1_000;

/// How many of them look at their rows at once: the readers' queue is for everybody.
const LOOKING: usize = 256;

/// How to cancel many.
#[derive(Debug, Clone, Default)]
pub struct CancelManyOptions {
    /// As for each of them; the wait is that of the whole call.
    pub cancel: CancelOptions,
    /// Only look which would be asked.
    pub dry_run: bool,
}

/// What became of one of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelledTask {
    /// Its key.
    pub key: TaskKey,
    /// Its status after the cancel; in a dry run, as it was found.
    pub status: Status,
    /// The rung that stopped it, where it was cancelled.
    pub stopped_by: Option<StoppedBy>,
}

/// What became of a cancel of many.
#[derive(Debug, Default)]
pub struct CancelledMany {
    /// How many unfinished tasks were meant.
    pub matched: usize,
    /// How many of them have stopped.
    pub cancelled: usize,
    /// How many were asked, durably, and still stop.
    pub cancelling: usize,
    /// How many had ended by themselves before they were asked.
    pub not_running: usize,
    /// Whether tasks are left that were not asked: more than one call takes, or some were refused.
    pub more: bool,
    /// Those that were asked, highest id first; in a dry run, all that were found.
    pub tasks: Vec<CancelledTask>,
    /// Those that were not asked, and why. Of them nothing was promised.
    pub refused: Vec<(TaskKey, CommandError)>,
}

impl Coordinator {
    /// Cancels the unfinished tasks that fit, newest first and at most [`MAX_CANCELLED_AT_ONCE`] of them: call it
    /// again while it says [`CancelledMany::more`].
    ///
    /// Newest first, so that what waits is cancelled before it gets the places of what runs.
    ///
    /// # Errors
    /// [`Refusal`] where none could be asked though some fit.
    ///
    /// ```no_run
    /// # async fn example(coordinator: quell::Coordinator) -> Result<(), Box<dyn std::error::Error>> {
    /// use quell::CancelManyOptions;
    /// use quell::task::TaskFilter;
    ///
    /// let anns = TaskFilter { owner: Some("ann".into()), ..TaskFilter::default() };
    /// let told = coordinator.cancel_many(&anns, CancelManyOptions::default()).await?;
    /// println!("{} of {} have stopped", told.cancelled, told.matched);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancel_many(
        &self,
        filter: &TaskFilter,
        options: CancelManyOptions,
    ) -> Result<CancelledMany, Refusal> {
        let (this, filter) = (self.clone(), filter.clone());
        self.errand(async move {
            let (mut found, mut below): (Vec<TaskBrief>, Option<TaskId>) = (Vec::new(), None);
            loop {
                let left = usize::try_from(MAX_CANCELLED_AT_ONCE).unwrap_or(0).saturating_sub(found.len());
                let limit = u32::try_from(left).unwrap_or(0);
                let search = Search { filter: filter.clone(), unfinished: true, below, limit };
                let step = this.search(search).await?;
                found.extend(step.tasks);
                below = step.next;
                if below.is_none() || found.len() >= usize::try_from(MAX_CANCELLED_AT_ONCE).unwrap_or(0) {
                    break;
                }
            }
            this.cancel_found(found, below.is_some(), options).await
        })
        .await?
    }

    /// Cancels tasks that were found; carried out also where nobody waits for it.
    pub(crate) async fn cancel_found(
        &self,
        found: Vec<TaskBrief>,
        more: bool,
        options: CancelManyOptions,
    ) -> Result<CancelledMany, Refusal> {
        let mut told = CancelledMany { matched: found.len(), more, ..CancelledMany::default() };
        if options.dry_run {
            let as_found =
                |task: TaskBrief| CancelledTask { key: task.key, status: task.status, stopped_by: None };
            told.tasks = found.into_iter().map(as_found).collect();
            return Ok(told);
        }
        let services = Arc::clone(&self.0);
        self.errand(async move {
            for (key, receipt) in cancel_all(services, found, options.cancel).await {
                told.note(key, receipt);
            }
            told.settle()
        })
        .await?
    }
}

impl CancelledMany {
    fn note(&mut self, key: TaskKey, receipt: Result<Receipt, CommandError>) {
        let (status, stopped_by) = match receipt {
            Ok(Receipt::Cancelled { stopped_by, .. }) => {
                self.cancelled += 1;
                (Status::Cancelled, Some(stopped_by))
            }
            Ok(Receipt::Cancelling { .. }) => {
                self.cancelling += 1;
                (Status::Running, None)
            }
            Ok(Receipt::NotRunning(row)) => {
                self.not_running += 1;
                (row.status, row.stopped_by)
            }
            Err(error) => return self.refused.push((key, error)),
        };
        self.tasks.push(CancelledTask { key, status, stopped_by });
    }

    /// Where none could be asked, that is the answer.
    fn settle(mut self) -> Result<Self, Refusal> {
        if self.tasks.is_empty() {
            let refusal = self.refused.iter().find_map(|(_, error)| match error {
                CommandError::Refused(refusal) => Some(refusal.clone()),
                _ => None,
            });
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
        }
        self.more |= !self.refused.is_empty();
        self.tasks.sort_by_key(|task| std::cmp::Reverse(task.key.id));
        Ok(self)
    }
}

async fn cancel_all(
    services: Arc<Services>,
    found: Vec<TaskBrief>,
    options: CancelOptions,
) -> Vec<(TaskKey, Result<Receipt, CommandError>)> {
    let (until, looking) = (Instant::now() + options.wait, Semaphore::new(LOOKING));
    let (services, looking, options) = (&services, &looking, &options);
    let all: FuturesUnordered<_> = found
        .into_iter()
        .map(|task| async move {
            let receipt = cancel_one(services, &task.key, options, until, looking).await;
            (task.key, receipt)
        })
        .collect();
    all.collect().await
}

async fn cancel_one(
    services: &Arc<Services>,
    key: &TaskKey,
    options: &CancelOptions,
    until: Instant,
    looking: &Semaphore,
) -> Result<Receipt, CommandError> {
    if let Found::Receipt(receipt) = cancel::here(services, key, options).await? {
        return Ok(receipt);
    }
    // It waits, or has ended: its row tells. Never closed, so always got.
    let _place = looking.acquire().await;
    let wait = until.saturating_duration_since(Instant::now());
    cancel::anywhere(Arc::clone(services), key.clone(), CancelOptions { wait, ..options.clone() }).await
}
