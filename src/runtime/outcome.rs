//! What the handle's commands take and answer.

use std::sync::Arc;
use std::time::Duration;

use crate::store::StoreError;
use crate::task::{Cause, JsonText, Record, StoppedBy, TaskKey, Timeout, Timestamp};

/// What a start needs.
///
/// ```
/// # use quell::StartRequest;
/// # use quell::task::{JsonText, Timeout};
/// let request = StartRequest::new("shop", "Report", "ann")
///     .input(JsonText::from_value(&serde_json::json!({ "year": 2026 }))?)
///     .timeout(Timeout::from_seconds(300.0)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The first part of the key.
    pub app: String,
    /// The second part of the key.
    pub model: String,
    /// The model's fields; none is `{}`.
    pub input: Option<JsonText>,
    /// Who starts it: the task's owner.
    pub owner: Arc<str>,
    /// Total run time; none takes the model's default, or the server's, or the longest one there is.
    pub timeout: Option<Timeout>,
    /// The longest time without a sign of life; none takes the model's default.
    pub idle_timeout: Option<Timeout>,
    /// The id of the request that starts it, where there is one: what the body logs carries it.
    pub request_id: Option<Arc<str>>,
}

impl StartRequest {
    /// A start without input and timeout: of `app/model`, for `owner`.
    pub fn new(app: impl Into<String>, model: impl Into<String>, owner: impl Into<Arc<str>>) -> Self {
        Self {
            app: app.into(),
            model: model.into(),
            input: None,
            owner: owner.into(),
            timeout: None,
            idle_timeout: None,
            request_id: None,
        }
    }

    /// With this input.
    #[must_use]
    pub fn input(mut self, input: JsonText) -> Self {
        self.input = Some(input);
        self
    }

    /// On behalf of the request of this id.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// With this timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Timeout) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// With this idle timeout.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Timeout) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }
}

/// Why a task was not started. No row was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No such task type is registered.
    #[error("no model `{app}/{model}` is registered here")]
    UnknownModel {
        /// The app.
        app: String,
        /// The model.
        model: String,
    },
    /// The input does not fit the task type.
    #[error("the input does not fit `{model}`: {reason}")]
    InvalidInput {
        /// The model.
        model: String,
        /// What is wrong, naming the field.
        reason: String,
    },
    /// A longer timeout was asked for than the server or the model allows.
    #[error("a timeout of {given} s is too long: at most {most} s are allowed for this model")]
    TimeoutTooLong {
        /// What was asked for.
        given: Timeout,
        /// The longest.
        most: Timeout,
    },
    /// The same of an idle timeout: the task could not run so long at all.
    #[error("an idle timeout of {given} s is too long: a task of this model runs {most} s at most")]
    IdleTimeoutTooLong {
        /// What was asked for.
        given: Timeout,
        /// The longest.
        most: Timeout,
    },
    /// The owner has as many tasks that run or are pending as one owner may have.
    #[error("this owner has {0} unfinished tasks, and may have no more: try again when some have ended")]
    TooManyOfOwner(usize),
    /// Too many tasks wait for room already.
    #[error("{0} tasks wait already: try again when some have run")]
    TooManyPending(usize),
    /// A request with the same `Idempotency-Key` was carried out before.
    #[error("a request with the same key was carried out before")]
    KeyTaken,
    /// The command was not taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why the runtime takes no command now. Nothing was done, but for [`Refusal::Unavailable`] of a cancel, which
/// may still take effect, and with [`StoreError::OutcomeUnknown`], which says that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The runtime is going down.
    #[error("the server is shutting down: start the task again when it is back")]
    ShuttingDown,
    /// More commands wait than the runtime holds.
    #[error("too many commands wait: try again in a second")]
    Busy,
    /// The database does not answer.
    #[error("the database does not take writes now: {0}")]
    Unavailable(StoreError),
    /// The runtime is gone.
    #[error("the runtime has stopped")]
    Stopped,
}

/// Why a command on one task was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such task.
    #[error("there is no task `{0}`")]
    NotFound(TaskKey),
    /// The task has ended; this is its row.
    #[error("`{}` has ended: it is {}", .0.key, .0.status)]
    Ended(Box<Record>),
    /// The name of a signal is malformed.
    #[error("signal name `{0}` does not match [a-z][a-z0-9_]{{0,63}}")]
    SignalName(String),
    /// The input of a task that was created earlier does not fit its model.
    #[error("`{key}` cannot run: {reason}")]
    CannotRun {
        /// The task.
        key: TaskKey,
        /// What is wrong.
        reason: String,
    },
    /// A longer timeout was asked for than the server or the model allows.
    #[error("a timeout of {given} s is too long: at most {most} s are allowed for this model")]
    TimeoutTooLong {
        /// What was asked for.
        given: Timeout,
        /// The longest.
        most: Timeout,
    },
    /// Too many signals wait for the task already.
    #[error("{0} signals wait for this task already: try again when it has taken some")]
    TooManySignals(usize),
    /// Too many tasks wait for room already.
    #[error("{0} tasks wait already: try again when some have run")]
    TooManyPending(usize),
    /// A request with the same `Idempotency-Key` was carried out before.
    #[error("a request with the same key was carried out before")]
    KeyTaken,
    /// The command was not taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What became of the start of a task that had been created before.
#[derive(Debug, Clone, PartialEq)]
pub enum StartOutcome {
    /// It was started: it runs, or waits for room. This is its row.
    Started(Box<Record>),
    /// It had been started before and has not ended.
    AlreadyRunning,
    /// It has ended.
    AlreadyEnded,
}

/// How to cancel.
///
/// ```
/// # use std::time::Duration;
/// # use quell::CancelOptions;
/// let options = CancelOptions {
///     reason: Some("the shop has closed".to_owned()),
///     by: Some("night shift".into()),
///     wait: Duration::from_secs(30),
///     ..CancelOptions::default()
/// };
/// ```
#[derive(Debug, Clone)]
pub struct CancelOptions {
    /// The words; none or empty takes the default.
    pub reason: Option<String>,
    /// Who asks.
    pub by: Option<Arc<str>>,
    /// Which kind of stop; [`Cause::User`] by default.
    pub cause: Cause,
    /// How long to wait for the task to stop before answering [`Receipt::Cancelling`]; 10 s by default. The
    /// answer may come up to 5 s later than that: nobody hears of a request before it is durable.
    pub wait: Duration,
}

impl Default for CancelOptions {
    fn default() -> Self {
        Self { reason: None, by: None, cause: Cause::User, wait: Duration::from_secs(10) }
    }
}

/// The truthful answer to a cancel. Whatever it says is durable.
///
/// ```
/// # use quell::Receipt;
/// fn words(receipt: &Receipt) -> String {
///     match receipt {
///         Receipt::Cancelled { stopped_by, .. } => format!("stopped: {stopped_by}"),
///         Receipt::Cancelling { .. } => "asked, and still stopping".to_owned(),
///         Receipt::NotRunning(row) => format!("it was over: {}", row.status),
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Receipt {
    /// The task has stopped.
    Cancelled {
        /// The stored reason: that of the first request.
        reason: Arc<str>,
        /// The stored cause.
        cause: Cause,
        /// The rung that stopped it.
        stopped_by: StoppedBy,
        /// When it had stopped.
        cancelled_at: Timestamp,
    },
    /// The request is in the row and the task still stops.
    Cancelling {
        /// The stored reason.
        reason: Arc<str>,
        /// When the first accepted request was asked.
        cancel_requested_at: Timestamp,
    },
    /// It had ended before; this is its row.
    NotRunning(Box<Record>),
}

impl Receipt {
    /// Whether the task has stopped because it was asked to.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

/// A task's row, and what only memory knows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveStatus {
    /// The durable row.
    pub record: Record,
    /// Where the task stands on the ladder, where it runs here: `recording`, `running`, `grace`, `stopping`,
    /// `cleaning`, `ending` or `over`.
    pub rung: Option<&'static str>,
    /// When its body last gave a sign of life, where it runs here.
    pub last_sign_of_life: Option<Timestamp>,
}

/// Whether the runtime takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// It does.
    Ready,
    /// It settles what an earlier process left behind.
    Recovering,
    /// It is going down.
    Draining,
    /// The database does not take writes.
    NoDatabase,
    /// Bodies that cannot be stopped keep every thread there may be.
    PoolFull,
}

impl Readiness {
    /// A line for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Recovering => "recovering: tasks of an earlier process are being settled",
            Self::Draining => "draining: the server is shutting down",
            Self::NoDatabase => "without a database: writes fail at the moment",
            Self::PoolFull => {
                "at the pool's thread limit: bodies that do not yield keep every thread there may be"
            }
        }
    }
}

/// The threads that run bodies, and what abandoned bodies cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Threads that poll async bodies: as many as was set, and those that were added for bodies that keep theirs.
    pub body_threads: usize,
    /// Threads that abandoned bodies hold now, of both kinds.
    pub abandoned_threads: usize,
    /// Async bodies that were abandoned since the start.
    pub abandoned_async: u64,
    /// Blocking bodies that were abandoned since the start.
    pub abandoned_blocking: u64,
    /// Bodies in processes of their own that were written off.
    pub abandoned_processes: u64,
    /// Events of abandoned bodies that were refused.
    pub late_events: u64,
    /// Ends of abandoned bodies that were refused.
    pub late_results: u64,
}

/// What a watcher of a task sees.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A committed event.
    Event(Arc<crate::task::Event>),
    /// Older events than asked for are gone: the log goes on from this number.
    Reset {
        /// The number of the oldest event that is kept.
        from: i64,
    },
    /// The runtime goes down and the task goes on elsewhere or later. Nothing follows.
    Shutdown,
}
