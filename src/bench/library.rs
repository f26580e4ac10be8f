//! The runtime as an application has it: in an actix `System`, through its handle.
//!
//! Invariant: each runtime lives in a `System` on a thread of its own, and all its threads are told to end when
//! the work is done.

use std::future::{Future, pending};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;

use crate::runtime::{
    Coordinator, Registry, RegistryError, Runtime, RuntimeSettings, StartRequest, Task, TaskContext,
};
use crate::store::Synchronous;
use crate::task::{TaskError, TaskKey};

use super::events::Sends;
use super::timeouts::{Drops, Timed};
use super::{BenchError, Scenario};

pub(super) const APP: &str = "bench";
pub(super) const OWNER: &str = "bench";

/// The longest that one scenario may take.
const LONGEST: Duration = Duration::from_secs(300);

/// What all running tasks may take to end after a scenario.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// How long bodies may take from a start's answer to their first poll.
const FIRST_POLL: Duration = Duration::from_secs(30);

/// Starts in flight where many tasks are made ready.
pub(super) const STARTS: usize = 512;

/// Bodies that were polled.
#[derive(Debug, Default)]
pub(super) struct Polled(AtomicU32);

impl Polled {
    fn note(ctx: &TaskContext) {
        if let Some(polled) = ctx.state::<Self>() {
            polled.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Does nothing.
#[derive(serde::Deserialize)]
pub(super) struct Noop {}

impl Task for Noop {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Noop";
    type Output = ();

    async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Waits for ever, for nothing.
#[derive(serde::Deserialize)]
pub(super) struct Idle {}

impl Task for Idle {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Idle";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        Polled::note(&ctx);
        pending().await
    }
}

/// Waits until it is asked to stop.
#[derive(serde::Deserialize)]
pub(super) struct Waiting {}

impl Task for Waiting {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Waiting";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        Polled::note(&ctx);
        Err(ctx.cancelled().await.into())
    }
}

/// A runtime.
pub(super) struct Library {
    pub(super) coordinator: Coordinator,
    /// When bodies were dropped that say so.
    pub(super) drops: Arc<Drops>,
    polled: Arc<Polled>,
    /// How many idle bodies there were.
    begun: u32,
}

impl Library {
    /// Starts one with a new database and room for all the tasks of a scenario.
    pub(super) async fn start(path: &Path, synchronous: Synchronous) -> Result<Self, BenchError> {
        Self::with(path, synchronous, Ok).await
    }

    /// The same with further task types.
    pub(super) async fn with(
        path: &Path,
        synchronous: Synchronous,
        more: impl FnOnce(Registry) -> Result<Registry, RegistryError>,
    ) -> Result<Self, BenchError> {
        let (polled, drops) = (Arc::new(Polled::default()), Arc::new(Drops::default()));
        let registry = Registry::new()
            .task::<Noop>()?
            .task::<Idle>()?
            .task::<Waiting>()?
            .task::<Timed>()?
            .task::<Sends>()?
            .state(Arc::clone(&polled))
            .state(Arc::clone(&drops));
        let registry = more(registry)?;
        let settings = RuntimeSettings {
            max_running: 1_000_000,
            synchronous_normal: synchronous == Synchronous::Normal,
            on_failure: Arc::new(|reason| tracing::error!(reason, "the measured runtime failed")),
            ..RuntimeSettings::default()
        };
        let url = format!("sqlite://{}", path.display());
        let coordinator = Runtime::start(&url, registry, settings).await?;
        // One life first: it reaches every part, so that a scenario does not measure how a runtime wakes up.
        let first = coordinator.start(Self::request(Noop::MODEL)).await?;
        coordinator.result(&first.key).await?;
        Ok(Self { coordinator, drops, polled, begun: 0 })
    }

    pub(super) fn request(model: &str) -> StartRequest {
        StartRequest::new(APP, model, OWNER)
    }

    /// Starts tasks that wait, and returns when the body of each has been polled.
    pub(super) async fn start_idle(&mut self, model: &str, count: u32) -> Result<Vec<TaskKey>, BenchError> {
        let mut keys = Vec::new();
        self.begin_idle(model, count, |key| keys.push(key)).await?;
        Ok(keys)
    }

    /// The same, where whoever wants the keys takes them.
    pub(super) async fn begin_idle(
        &mut self,
        model: &str,
        count: u32,
        mut started: impl FnMut(TaskKey),
    ) -> Result<(), BenchError> {
        let mut starts = stream::iter(0..count)
            .map(|_| self.coordinator.start(Self::request(model)))
            .buffer_unordered(STARTS);
        while let Some(record) = starts.next().await {
            started(record?.key);
        }
        drop(starts);
        self.begun += count;
        let began = Instant::now();
        while self.polled.0.load(Ordering::Relaxed) < self.begun {
            if began.elapsed() > FIRST_POLL {
                return Err(BenchError::Unexpected("bodies were not begun".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// One of the runtime's numbers, which count what is durable.
    pub(super) fn number(&self, name: &str) -> Result<u64, BenchError> {
        let text = self.coordinator.metrics().unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let number = found.and_then(|number| number.parse().ok());
        number.ok_or_else(|| BenchError::Unexpected(format!("the runtime has no number `{name}`")))
    }

    /// Ends it, with all its tasks.
    pub(super) async fn stop(self) {
        self.coordinator.shutdown(SHUTDOWN).await;
    }
}

/// Does something inside a new actix `System`, bounded.
pub(super) fn inside<T, W>(
    scenario: Scenario,
    work: impl FnOnce() -> W + Send + 'static,
) -> Result<T, BenchError>
where
    T: Send + 'static,
    W: Future<Output = Result<T, BenchError>>,
{
    let body = move || {
        let system = actix::System::new();
        let done = system.block_on(async {
            let done = tokio::time::timeout(LONGEST, work()).await;
            actix::System::current().stop();
            done.unwrap_or(Err(BenchError::Stuck(scenario)))
        });
        // Returns when its arbiters have been told to end.
        system.run()?;
        done
    };
    let thread = thread::Builder::new().name("quell-bench".to_owned()).spawn(body)?;
    thread.join().map_err(|_| BenchError::Unexpected(format!("the scenario `{scenario}` panicked")))?
}
