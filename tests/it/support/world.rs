//! A world for one test: a folder with a database, bodies, and runtimes that are started on it one after another.
//!
//! [`World::run`] is one life of the runtime: it starts in an actix `System` of its own, and is shut down when the
//! test's part is over; the next one opens the same database.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quell::store::OpenError;
use quell::task::{Cause, JsonText, Record, StoppedBy, TaskKey, Timeout};
use quell::{
    CancelOptions, Cleaned, Coordinator, Receipt, Registry, Runtime, RuntimeError, RuntimeSettings,
    StartRequest, TaskContext, TaskError,
};
use serde_json::{Value, json};

use super::bodies::{self, Bodies, End, Shape};
use super::stage::{LONG, Stage};

/// Who starts the tasks of the tests.
pub(crate) const OWNER: &str = "alice";

/// A world.
#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

struct Inner {
    path: PathBuf,
    settings: RuntimeSettings,
    stage: Arc<Stage>,
    bodies: Arc<Bodies>,
    also: fn(Registry) -> Registry,
    /// Removed with the world.
    _dir: Option<tempfile::TempDir>,
}

impl World {
    /// With four threads for bodies.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings.
    pub(crate) fn with(change: impl FnOnce(&mut RuntimeSettings)) -> Self {
        Self::with_types(change, |registry| registry)
    }

    /// With further task types.
    pub(crate) fn with_types(
        change: impl FnOnce(&mut RuntimeSettings),
        also: fn(Registry) -> Registry,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::make(dir.path().to_owned(), Some(dir), change, also)
    }

    /// On a folder that somebody else removes.
    pub(crate) fn at(path: &Path) -> Self {
        Self::make(path.to_owned(), None, |_| {}, |registry| registry)
    }

    fn make(
        path: PathBuf,
        dir: Option<tempfile::TempDir>,
        change: impl FnOnce(&mut RuntimeSettings),
        also: fn(Registry) -> Registry,
    ) -> Self {
        let stage = Arc::<Stage>::default();
        let failed = Arc::clone(&stage);
        let mut settings = RuntimeSettings {
            body_threads: 4,
            on_failure: Arc::new(move |reason| failed.mark(&format!("failed for good: {reason}"))),
            ..RuntimeSettings::default()
        };
        change(&mut settings);
        Self(Arc::new(Inner { path, settings, stage, bodies: Arc::default(), also, _dir: dir }))
    }

    /// The signals between the test and its bodies.
    pub(crate) fn stage(&self) -> Arc<Stage> {
        Arc::clone(&self.0.stage)
    }

    /// Adds a body, by name.
    pub(crate) fn body<F>(
        &self,
        name: &str,
        body: impl Fn(TaskContext, Arc<Stage>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = End> + Send + 'static,
    {
        let stage = self.stage();
        self.0.bodies.add(name, move |ctx| body(ctx, Arc::clone(&stage)));
    }

    /// Adds a blocking body, by name.
    pub(crate) fn blocking(
        &self,
        name: &str,
        body: impl Fn(&TaskContext, &Stage) -> End + Send + Sync + 'static,
    ) {
        let stage = self.stage();
        self.0.bodies.add_blocking(name, move |ctx| body(ctx, &stage));
    }

    /// Adds the cleanup of a body.
    pub(crate) fn cleanup<F>(
        &self,
        name: &str,
        cleanup: impl Fn(TaskContext, Arc<Stage>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<Cleaned, TaskError>> + Send + 'static,
    {
        let stage = self.stage();
        self.0.bodies.add_cleanup(name, move |ctx| cleanup(ctx, Arc::clone(&stage)));
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.path.join("quell.db")
    }

    /// Its task types.
    pub(crate) fn registry(&self) -> Registry {
        (self.0.also)(bodies::registry().state(Arc::clone(&self.0.bodies)))
    }

    async fn open(&self) -> Coordinator {
        let url = format!("sqlite://{}", self.database().display());
        let until = Instant::now() + LONG;
        loop {
            match Runtime::start(&url, self.registry(), self.0.settings.clone()).await {
                Ok(coordinator) => return coordinator,
                // The runtime before this one lets go of the file when its last thread is gone.
                Err(RuntimeError::Open(OpenError::InUse(_))) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("the runtime does not start: {error}"),
            }
        }
    }

    /// One life of the runtime.
    pub(crate) fn run<T>(&self, part: impl AsyncFnOnce(Session) -> T) -> T {
        let system = actix::System::new();
        let result = system.block_on(async {
            let whole = async {
                let quell = self.open().await;
                let result = part(Session { world: self.clone(), quell: quell.clone() }).await;
                quell.shutdown(Duration::from_secs(10)).await;
                result
            };
            tokio::time::timeout(LONG * 3, whole).await.expect("a test takes two minutes at most")
        });
        actix::System::current().stop();
        system.run().unwrap();
        let failures = self.0.stage.names("failed for good");
        assert!(failures.is_empty(), "{failures:?}");
        result
    }
}

/// A running runtime in its world.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) world: World,
    pub(crate) quell: Coordinator,
}

impl Deref for Session {
    type Target = Coordinator;

    fn deref(&self) -> &Coordinator {
        &self.quell
    }
}

/// A start of the async body of that name.
pub(crate) fn request<S: Shape>(body: &str) -> StartRequest {
    StartRequest::new("tests", S::MODEL, OWNER).input(input(body))
}

/// A start of the blocking body of that name.
pub(crate) fn blocking_request<S: Shape>(body: &str) -> StartRequest {
    StartRequest::new("tests", S::BLOCKING, OWNER).input(input(body))
}

fn input(body: &str) -> JsonText {
    JsonText::from_value(&json!({ "body": body })).unwrap()
}

/// A timeout.
pub(crate) fn seconds(seconds: f64) -> Timeout {
    Timeout::from_seconds(seconds).unwrap()
}

impl Session {
    pub(crate) fn stage(&self) -> Arc<Stage> {
        self.world.stage()
    }

    /// Starts an async body.
    pub(crate) async fn begin<S: Shape>(&self, body: &str) -> TaskKey {
        self.start(request::<S>(body)).await.unwrap().key
    }

    /// Starts a blocking body.
    pub(crate) async fn begin_blocking<S: Shape>(&self, body: &str) -> TaskKey {
        self.start(blocking_request::<S>(body)).await.unwrap().key
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self, key: &TaskKey) -> Record {
        let result = tokio::time::timeout(LONG, self.result(key)).await;
        result.unwrap_or_else(|_| panic!("`{key}` does not end")).unwrap()
    }

    /// Cancels, and waits for the end.
    pub(crate) async fn stop(&self, key: &TaskKey, reason: &str) -> Receipt {
        let options =
            CancelOptions { reason: Some(reason.to_owned()), wait: LONG, ..CancelOptions::default() };
        self.cancel(key, options).await.unwrap()
    }

    /// Cancels, and waits for nothing.
    pub(crate) async fn ask(&self, key: &TaskKey, reason: &str) -> Receipt {
        let reason = Some(reason.to_owned());
        let options = CancelOptions { reason, wait: Duration::ZERO, ..CancelOptions::default() };
        self.cancel(key, options).await.unwrap()
    }

    /// The types of the events, in order; their numbers are checked.
    pub(crate) async fn kinds(&self, key: &TaskKey) -> Vec<String> {
        let events = self.events(key).await.unwrap();
        for (event, number) in events.iter().zip(1..) {
            assert_eq!(event.seq, number, "the events of `{key}` have a gap");
        }
        events.iter().map(|event| event.kind.as_str().to_owned()).collect()
    }

    /// The data of the one event of that type.
    pub(crate) async fn data(&self, key: &TaskKey, kind: &str) -> Value {
        let events = self.events(key).await.unwrap();
        let found: Vec<_> = events.iter().filter(|event| event.kind.as_str() == kind).collect();
        assert_eq!(found.len(), 1, "events of the type {kind}");
        found[0].data.to_value().unwrap()
    }
}

/// What a row says about its cancel: reason, cause, who stopped it.
pub(crate) fn stop_of(record: &Record) -> (&str, Cause, StoppedBy) {
    let cancel = record.cancel.as_ref().expect("a request in the row");
    (&cancel.reason, cancel.cause, record.stopped_by.expect("how it stopped"))
}

/// The rung that a receipt names; panics where the task has not stopped by a cancel.
pub(crate) fn stopped_by(receipt: &Receipt) -> StoppedBy {
    match receipt {
        Receipt::Cancelled { stopped_by, .. } => *stopped_by,
        other => panic!("not cancelled: {other:?}"),
    }
}

/// The row that a cancel found already ended.
pub(crate) fn not_running(receipt: Receipt) -> Record {
    match receipt {
        Receipt::NotRunning(record) => *record,
        other => panic!("it was running: {other:?}"),
    }
}
