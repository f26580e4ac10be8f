//! Task types: what a user writes.
//!
//! A task type is a struct of its input with an `async fn process`; a blocking one has a plain `fn process` and
//! runs on a thread of its own. [`ModelSettings`] says how it stops, how long it may run, and whether it runs
//! again after its process died.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::{ChildLimits, Cleaned};
use crate::lifecycle::Limits;
use crate::task::{TaskError, Timeout};

use super::TaskContext;
use super::time_limits::Bounds;

/// How a model stops, how long it may run, and whether it runs again.
///
/// ```
/// # use std::time::Duration;
/// # use quell::ModelSettings;
/// let settings = ModelSettings::new().grace(Duration::from_secs(1)).restart(3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelSettings {
    pub(crate) grace: Duration,
    pub(crate) stop_limit: Duration,
    pub(crate) cleanup_limit: Duration,
    pub(crate) times: Bounds,
    pub(crate) idle_timeout: Option<Timeout>,
    pub(crate) attempts: u32,
    pub(crate) max_running: Option<usize>,
    pub(crate) child: ChildLimits,
}

impl ModelSettings {
    /// No grace, 2 s to stop, 10 s to clean up, no timeouts, never run again, as many at once as there is room for.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            grace: Duration::ZERO,
            stop_limit: Duration::from_secs(2),
            cleanup_limit: Duration::from_secs(10),
            times: Bounds { default: None, max: None },
            idle_timeout: None,
            attempts: 0,
            max_running: None,
            child: ChildLimits { memory: None, cpu: None, files: None },
        }
    }

    /// How long a body may go on by itself after it was asked to stop, before its future is dropped.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long a body may take to reach an await once it is to be dropped (a blocking one: to return), before
    /// it is written off as [`abandoned`](crate::task::StoppedBy::Abandoned).
    #[must_use]
    pub const fn stop_limit(mut self, limit: Duration) -> Self {
        self.stop_limit = limit;
        self
    }

    /// How long the cleanup on cancel may take, before it is dropped at its next await.
    #[must_use]
    pub const fn cleanup_limit(mut self, limit: Duration) -> Self {
        self.cleanup_limit = limit;
        self
    }

    /// The timeout of a task that is started without one: total run time, over attempts and restarts.
    #[must_use]
    pub const fn timeout(mut self, timeout: Timeout) -> Self {
        self.times.default = Some(timeout);
        self
    }

    /// The longest timeout of a task of this model: a start that asks for more is refused, and one that asks for none
    /// gets this one where neither the model nor the server has a default. Where the server has a maximum too, the
    /// smaller one counts. A model whose default is above its own maximum cannot be registered.
    #[must_use]
    pub const fn max_timeout(mut self, timeout: Timeout) -> Self {
        self.times.max = Some(timeout);
        self
    }

    /// The idle timeout of a task that is started without one: how long its body may give no sign of life, which is
    /// an event or [`TaskContext::heartbeat`], before the task is cancelled with the cause
    /// [`idle`](crate::task::Cause::Idle). Each attempt counts by itself.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Timeout) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// The task goes back to `pending` at a shutdown, and runs again after its process died: up to `attempts`
    /// attempts in all, where those that a shutdown ended do not count. 0 is the default: it never runs again.
    /// Signals that its body had taken are not given again.
    #[must_use]
    pub const fn restart(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How many tasks of this model run at once on a node: its places. The rest waits as `pending`, oldest first, and
    /// holds up no task of another model; it counts for
    /// [`RuntimeSettings::max_pending`](crate::RuntimeSettings::max_pending). A place is free again when the end of its
    /// task is durable, also where the body was written off as
    /// [`abandoned`](crate::task::StoppedBy::Abandoned) and may run on. With 0 none ever runs.
    #[must_use]
    pub const fn max_running(mut self, tasks: usize) -> Self {
        self.max_running = Some(tasks);
        self
    }

    /// The most bytes of address space that the process of an isolated task type may have (`RLIMIT_AS`): past it it
    /// gets no more memory, which ends a Rust program. Threads reserve address space too: give some 512 MiB more than
    /// the body uses.
    #[must_use]
    pub const fn memory_limit(mut self, bytes: u64) -> Self {
        self.child.memory = Some(bytes);
        self
    }

    /// How long the process of an isolated task type may keep processors busy, over all its threads, in whole seconds
    /// (`RLIMIT_CPU`): past it the task fails with the error type `cpu_limit`.
    #[must_use]
    pub const fn cpu_limit(mut self, time: Duration) -> Self {
        self.child.cpu = Some(time);
        self
    }

    /// How many files the process of an isolated task type may have open (`RLIMIT_NOFILE`). It needs about a dozen
    /// before its body begins.
    #[must_use]
    pub const fn open_files_limit(mut self, files: u64) -> Self {
        self.child.files = Some(files);
        self
    }

    /// Whether the model runs again at all.
    pub(crate) fn restarts(&self) -> bool {
        self.attempts > 0
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            grace: self.grace,
            stop: self.stop_limit,
            cleanup: self.cleanup_limit,
            restarts: self.restarts(),
        }
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self::new()
    }
}

/// A task type whose body is a future: it stops at its next await.
///
/// The struct is the task's input: it is read from JSON at the start, and a start whose input does not fit is
/// refused. Give it `#[serde(deny_unknown_fields)]` to refuse what it does not know.
///
/// ```
/// use quell::{Task, TaskContext, TaskError};
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Count {
///     to: u32,
/// }
///
/// impl Task for Count {
///     const APP: &'static str = "docs";
///     const MODEL: &'static str = "Count";
///     type Output = u32;
///
///     async fn process(&self, ctx: TaskContext) -> Result<u32, TaskError> {
///         for step in 0..self.to {
///             ctx.check_cancellation()?;
///             ctx.send_event("progress", &serde_json::json!({ "step": step })).await?;
///         }
///         Ok(self.to)
///     }
/// }
/// ```
pub trait Task: DeserializeOwned + Send + Sync + 'static {
    /// The first part of the key.
    const APP: &'static str;
    /// The second part of the key.
    const MODEL: &'static str;
    /// What `process` returns: the row's `final_value`.
    type Output: Serialize + Send + 'static;

    /// How the model stops, how long it may run, whether it runs again.
    #[must_use]
    fn settings() -> ModelSettings {
        ModelSettings::new()
    }

    /// The work. What it returns becomes `final_value`, at most 1 MiB as JSON; `null` counts as none.
    ///
    /// # Errors
    /// An error makes the task `failed`, with the error's type and words; one that only passes on
    /// [`TaskCancelled`](crate::TaskCancelled) is no failure. After the task was asked to stop it is `cancelled`,
    /// whatever is returned here.
    ///
    /// # Cancel safety
    /// The future may be dropped at any await, once the task was asked to stop and its grace is over.
    fn process(&self, ctx: TaskContext) -> impl Future<Output = Result<Self::Output, TaskError>> + Send;

    /// The cleanup after a cancel, a timeout or a shutdown: runs once, after the body has stopped, bounded by
    /// [`ModelSettings::cleanup_limit`]; never for a body that had to be written off, and not where a shutdown
    /// puts the task back to `pending`. Its error, panic or hang is told in the row and harms nothing.
    fn on_cancel(&self, ctx: TaskContext) -> impl Future<Output = Result<Cleaned, TaskError>> + Send {
        let _ = ctx;
        async { Ok(Cleaned::Nothing) }
    }
}

/// A task type whose body blocks: it runs on a thread of its own and stops at its next check.
///
/// Its checks are [`TaskContext::should_stop`] and [`TaskContext::check_cancellation`]; a body that never checks
/// is written off after grace and stop limit, and keeps its thread until it returns.
///
/// ```
/// use quell::{BlockingTask, TaskContext, TaskError};
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Primes {
///     below: u64,
/// }
///
/// impl BlockingTask for Primes {
///     const APP: &'static str = "docs";
///     const MODEL: &'static str = "Primes";
///     type Output = usize;
///
///     fn process(&self, ctx: &TaskContext) -> Result<usize, TaskError> {
///         let mut count = 0;
///         for n in 2..self.below {
///             ctx.check_cancellation()?; // often enough: this is where it stops
///             count += usize::from((2..n).take_while(|d| d * d <= n).all(|d| n % d != 0));
///         }
///         Ok(count)
///     }
/// }
/// ```
pub trait BlockingTask: DeserializeOwned + Send + Sync + 'static {
    /// The first part of the key.
    const APP: &'static str;
    /// The second part of the key.
    const MODEL: &'static str;
    /// What `process` returns: the row's `final_value`.
    type Output: Serialize + Send + 'static;

    /// How the model stops, how long it may run, whether it runs again.
    #[must_use]
    fn settings() -> ModelSettings {
        ModelSettings::new()
    }

    /// The work. What it returns becomes `final_value`, at most 1 MiB as JSON; `null` counts as none.
    ///
    /// # Errors
    /// As [`Task::process`].
    fn process(&self, ctx: &TaskContext) -> Result<Self::Output, TaskError>;

    /// As [`Task::on_cancel`].
    fn on_cancel(&self, ctx: TaskContext) -> impl Future<Output = Result<Cleaned, TaskError>> + Send {
        let _ = ctx;
        async { Ok(Cleaned::Nothing) }
    }
}
