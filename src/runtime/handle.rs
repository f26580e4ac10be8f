//! The handle: the runtime from outside.
//!
//! Commands are messages with a reply channel. What takes more than one step (look at the row, write, look again)
//! is an errand of its own, so that dropping the future that waits takes nothing back.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::task::{Record, TaskKey, Timeout};

use super::messages::{Resume, Resumed, Start, StartFields, Status};
use super::services::Services;
use super::time_limits::TimeLimits;
use super::trace::StartedBy;
use super::{
    CancelOptions, CommandError, LiveStatus, PoolStatus, Readiness, Receipt, Refusal, StartError,
    StartOutcome, StartRequest, Watch, cancel, deadline, shutdown,
};
use crate::store::RepeatableRequest;

/// The runtime, from outside. Cloning is cheap.
///
/// [`Runtime::start`](crate::Runtime::start) gives it. It checks no permission: the HTTP layer does.
///
/// # Cancel safety
/// Dropping a future of this handle takes nothing back: a command, once sent, is carried out.
#[derive(Clone)]
pub struct Coordinator(pub(super) Arc<Services>);

impl fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordinator")
            .field("node", &self.0.node)
            .field("readiness", &self.readiness())
            .finish()
    }
}

impl Coordinator {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Self(services)
    }

    pub(super) fn services(&self) -> &Services {
        &self.0
    }

    /// Whether a task type of that name is registered.
    #[must_use]
    pub fn has_model(&self, app: &str, model: &str) -> bool {
        self.0.registry.model(app, model).is_some()
    }

    /// Whether a principal of that name is one whom the task type lets start it: see
    /// [`CommandTask::may_start`](crate::CommandTask::may_start). The HTTP routes ask this; [`Coordinator::start`] does
    /// not, for there the host decides.
    #[must_use]
    pub fn may_start(&self, app: &str, model: &str, name: &str) -> bool {
        self.0.registry.model(app, model).is_some_and(|model| model.lets_start(name))
    }

    /// Starts a task, and answers with its row when that is durable: `running` where there was room, else
    /// `pending`.
    ///
    /// # Errors
    /// [`StartError`]; then no row was made, unless the refusal says
    /// [`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown).
    pub async fn start(&self, request: StartRequest) -> Result<Record, StartError> {
        self.make(request, false, None).await
    }

    /// The same for a request with a key, which is kept together with the row.
    pub(crate) async fn start_once(
        &self,
        request: StartRequest,
        once: Option<Arc<RepeatableRequest>>,
    ) -> Result<Record, StartError> {
        self.make(request, false, once).await
    }

    /// Makes a row that waits as `pending` until [`Coordinator::start_task`] starts it.
    ///
    /// # Errors
    /// As [`Coordinator::start`].
    pub async fn create(&self, request: StartRequest) -> Result<Record, StartError> {
        self.make(request, true, None).await
    }

    async fn make(
        &self,
        request: StartRequest,
        create_only: bool,
        once: Option<Arc<RepeatableRequest>>,
    ) -> Result<Record, StartError> {
        let StartRequest { app, model, input, owner, timeout, idle_timeout, request_id } = request;
        let Some(found) = self.0.registry.model(&app, &model).cloned() else {
            return Err(StartError::UnknownModel { app, model });
        };
        if self.0.health.is_draining() {
            return Err(Refusal::ShuttingDown.into());
        }
        self.0.require_writes()?;
        let limits = TimeLimits::new(self.0.times, Some(&found.settings));
        let (timeout, idle_timeout) = limits.of_start(timeout, idle_timeout)?;
        let input = input.unwrap_or_default();
        let parsed = found.parse(&input);
        let runnable =
            parsed.map_err(|reason| StartError::InvalidInput { model: found.full_name(), reason })?;
        let (reply, answer) = oneshot::channel();
        let task = StartFields { input, owner, timeout, idle_timeout, request: once };
        let by = StartedBy::here(request_id);
        self.0.command(Start { model: found, runnable, task, create_only, by, reply })?;
        self.0.answered(answer).await?
    }

    /// Starts a task that was made with [`Coordinator::create`]; a timeout given here replaces the row's. It counts for
    /// its owner since it was made, so no limit for owners refuses it.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::CannotRun`] where its input does not fit its model,
    /// [`CommandError::TimeoutTooLong`], [`CommandError::TooManyPending`], [`CommandError::Refused`].
    pub async fn start_task(
        &self,
        key: &TaskKey,
        timeout: Option<Timeout>,
    ) -> Result<StartOutcome, CommandError> {
        let (this, key) = (self.clone(), key.clone());
        self.errand(async move {
            let record = this.task(&key).await?;
            if let Some(outcome) = already(&record) {
                return Ok(outcome);
            }
            let model = this.0.registry.model(key.app.as_str(), key.model.as_str()).cloned();
            let parsed = model.ok_or_else(|| "its model is not registered here".to_owned());
            let parsed = parsed.and_then(|model| Ok((Arc::clone(&model), model.parse(&record.input)?)));
            let (model, runnable) =
                parsed.map_err(|reason| CommandError::CannotRun { key: key.clone(), reason })?;
            let timeout = TimeLimits::new(this.0.times, Some(&model.settings)).granted(timeout)?;
            this.0.require_writes()?;
            let (reply, answer) = oneshot::channel();
            let resume = Resume { record: Box::new(record), model, runnable, timeout, reply: Some(reply) };
            this.0.tell_coordinator(resume);
            let resumed = this.0.answered(answer).await??;
            let record = this.task(&key).await?;
            Ok(match resumed {
                Resumed::Started => StartOutcome::Started(Box::new(record)),
                Resumed::Stale => already(&record).unwrap_or(StartOutcome::AlreadyRunning),
            })
        })
        .await?
    }

    /// Cancels a task, and answers with the truth: stopped, still stopping after the wait, or over before.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`CommandError::Refused`], after which the cancel may still take effect.
    pub async fn cancel(&self, key: &TaskKey, options: CancelOptions) -> Result<Receipt, CommandError> {
        let (services, key) = (Arc::clone(&self.0), key.clone());
        // The common case first: it runs here, and the command is one message.
        match cancel::here(&services, &key, &options).await? {
            cancel::Found::Receipt(receipt) => Ok(receipt),
            // Its row tells: an end that took no effect has left it as it was.
            cancel::Found::Ended | cancel::Found::Elsewhere => {
                self.errand(cancel::anywhere(services, key, options)).await?
            }
        }
    }

    /// Cancels a task and waits up to ten seconds for its end.
    ///
    /// # Errors
    /// As [`Coordinator::cancel`].
    ///
    /// ```no_run
    /// # async fn example(coordinator: quell::Coordinator) -> Result<(), Box<dyn std::error::Error>> {
    /// let receipt = coordinator.cancel_task(&"tests/LongTask/123".parse()?, Some("Cancelled by admin")).await?;
    /// assert!(receipt.is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancel_task(&self, key: &TaskKey, reason: Option<&str>) -> Result<Receipt, CommandError> {
        self.cancel(key, CancelOptions { reason: reason.map(str::to_owned), ..CancelOptions::default() })
            .await
    }

    /// The owner of a task: from memory where it runs here (an owner never changes), else from the database.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Refused`].
    pub async fn owner(&self, key: &TaskKey) -> Result<Arc<str>, CommandError> {
        match self.0.live.get(key.id) {
            Some(live) if live.key() == *key => Ok(Arc::clone(&live.owner)),
            Some(_) => Err(CommandError::NotFound(key.clone())),
            None => self.task(key).await.map(|record| record.owner),
        }
    }

    /// The durable row.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Refused`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn task(&self, key: &TaskKey) -> Result<Record, CommandError> {
        let id = key.id;
        let found = self.0.readers.read(move |reader| reader.task(id)).await.map_err(Refusal::Unavailable)?;
        found.filter(|record| record.key == *key).ok_or_else(|| CommandError::NotFound(key.clone()))
    }

    /// The durable row, and what only memory knows: rung and last sign of life, where the task runs here.
    ///
    /// # Errors
    /// As [`Coordinator::task`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn status(&self, key: &TaskKey) -> Result<LiveStatus, CommandError> {
        let record = self.task(key).await?;
        let (reply, answer) = oneshot::channel();
        self.0.command(Status { id: key.id, reply })?;
        // Err: it does not run here.
        let live = answer.await.ok();
        Ok(LiveStatus { record, rung: live.map(|(rung, _)| rung), last_sign_of_life: live.map(|(_, at)| at) })
    }

    /// Moves the deadline of an unfinished task, counted from its start; none removes it, or moves it to the longest
    /// timeout where there is one. One that is past already fires at once. Gives back the row.
    ///
    /// # Errors
    /// [`CommandError::TimeoutTooLong`], [`CommandError::Ended`], [`CommandError::NotFound`],
    /// [`CommandError::Refused`].
    pub async fn set_timeout(&self, key: &TaskKey, timeout: Option<Timeout>) -> Result<Record, CommandError> {
        let (this, key) = (self.clone(), key.clone());
        self.errand(async move {
            let record = this.task(&key).await?;
            let model = this.0.registry.model(key.app.as_str(), key.model.as_str());
            let timeout = TimeLimits::new(this.0.times, model.map(|model| &model.settings)).moved(timeout)?;
            deadline::set(&this.0, record, timeout).await?;
            this.task(&key).await
        })
        .await?
    }

    /// Waits for the end of a task and gives its row.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`CommandError::Refused`] where the database cannot be read, or the runtime
    /// goes down before the task ends.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn result(&self, key: &TaskKey) -> Result<Record, CommandError> {
        // Joined before looking: an end in between is not missed.
        let mut watcher = self.0.hub.watch(key.id);
        loop {
            let going_down = self.0.closing.is_cancelled();
            // A task that is found here has not given its end to the writer: the hub will tell of it.
            let runs_here = self.0.live.get(key.id).is_some_and(|live| live.key() == *key);
            if going_down || !runs_here {
                let record = self.task(key).await?;
                if record.status.is_terminal() {
                    return Ok(record);
                }
                if going_down {
                    return Err(Refusal::Stopped.into());
                }
            }
            watcher.ended(&self.0.closing).await;
        }
    }

    /// Watches the events with numbers above `after`: 0 for all of them.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Refused`].
    ///
    /// ```no_run
    /// # async fn example(coordinator: quell::Coordinator) -> Result<(), Box<dyn std::error::Error>> {
    /// use quell::Notice;
    ///
    /// let mut watch = coordinator.watch(&"tests/LongTask/123".parse()?, 0).await?;
    /// while let Some(notice) = watch.next().await {
    ///     if let Notice::Event(event) = notice? {
    ///         println!("{}: {} {}", event.seq, event.kind, event.data.as_str());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn watch(&self, key: &TaskKey, after: i64) -> Result<Watch, CommandError> {
        let watch = Watch::new(Arc::clone(&self.0), key.id, after.max(0));
        self.task(key).await.map(|_| watch)
    }

    /// The number of the newest event of a task; 0 where there is none.
    ///
    /// # Errors
    /// As [`Coordinator::task`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn last_event(&self, key: &TaskKey) -> Result<i64, CommandError> {
        self.task(key).await?;
        let id = key.id;
        let last = self.0.readers.read(move |reader| reader.last_event(id)).await;
        Ok(last.map_err(Refusal::Unavailable)?)
    }

    /// All events of a task so far, oldest first; of a long log the newest 10,000.
    ///
    /// # Errors
    /// As [`Coordinator::task`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn events(&self, key: &TaskKey) -> Result<Vec<Arc<crate::task::Event>>, CommandError> {
        self.task(key).await?;
        let id = key.id;
        let page = self.0.readers.read(move |reader| reader.events(id, 0, u32::MAX)).await;
        Ok(page.map_err(Refusal::Unavailable)?.events)
    }

    /// Whether it takes work.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.0.readiness()
    }

    /// The threads that run bodies, and what abandoned bodies cost.
    #[must_use]
    pub fn pool_status(&self) -> PoolStatus {
        self.0.lost.status(self.0.pool.threads())
    }

    /// Stops everything within the budget: takes no more work, asks every task to stop, climbs the ladder, and
    /// writes every row. Resolves when all of that is done and watchers have been told.
    ///
    /// At the budget less 4.5 s (not before a quarter of it) the grace is skipped, at the budget less 1.5 s (not
    /// before half of it) what still runs is written off. This is the last call on a handle.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the shutdown goes on.
    pub async fn shutdown(&self, budget: Duration) {
        let services = Arc::clone(&self.0);
        // Err: it has gone down before.
        let _ = self.errand(async move { shutdown::run(&services, budget).await }).await;
    }

    /// Skips the grace of a shutdown under way: bodies are dropped at once, and what has not stopped three seconds
    /// later, cleanups too, is given up on. Does nothing before a shutdown.
    pub fn hurry(&self) {
        shutdown::hurry(&self.0);
    }

    /// Carries something out to its end, also where nobody waits for it any more.
    pub(super) async fn errand<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (tx, rx) = oneshot::channel();
        self.carry_on(async move {
            let _ = tx.send(work.await);
        });
        // Err: the errands' runtime went down with the rest.
        rx.await.map_err(|_| Refusal::Stopped)
    }

    /// The same where nobody waits for it to begin with.
    pub(crate) fn carry_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.pool.timers().spawn(work);
    }
}

/// What a start by hand finds in a row that is not waiting to be started.
fn already(record: &Record) -> Option<StartOutcome> {
    if record.status.is_terminal() {
        Some(StartOutcome::AlreadyEnded)
    } else if record.status == crate::task::Status::Running || record.queued {
        Some(StartOutcome::AlreadyRunning)
    } else {
        None
    }
}
