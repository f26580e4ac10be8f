//! Starting the runtime: open the database, settle what an earlier process left, start the actors.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Arbiter};

use crate::body::{Pool, PoolSettings};
use crate::store::{
    Answer, Faults, OpenError, Readers, SqliteDatabase, SqliteOptions, Store, StoreError, Synchronous, Write,
};

use super::coordinator::{CoordinatorActor, ID_BLOCK};
use super::db_actor::DbActor;
use super::host::look_after;
use super::isolated;
use super::messages::Expired;
use super::metrics::{HostRecorder, Metrics};
use super::recovery::{Recovered, created, recover};
use super::roster::{Bounds, Roster};
use super::services::{OnFailure, Services};
use super::{Clock, Coordinator, Registry, SystemClock, retention, time_limits};
use crate::task::{TaskId, Timeout};

/// Settings of a runtime; all have defaults.
///
/// ```
/// # use quell::RuntimeSettings;
/// let settings = RuntimeSettings { max_running: 500, body_threads: 4, ..RuntimeSettings::default() };
/// ```
#[derive(Clone)]
pub struct RuntimeSettings {
    /// How many tasks run at once; the rest waits as `pending`. 100,000 by default; with 0 nothing ever runs. A model
    /// may have places of its own ([`ModelSettings::max_running`](crate::ModelSettings::max_running)).
    pub max_running: usize,
    /// How many tasks may wait for room; past it a start is refused. 100,000 by default.
    pub max_pending: usize,
    /// How many tasks of one owner run or are pending, those that were only created too; past it a start or a create is
    /// refused. None, the default, is no limit: an application whose tasks all belong to one account has none to share
    /// out. The count is exact, and taken from the database at the start.
    pub max_running_per_owner: Option<usize>,
    /// The timeout of a task for which neither its start nor its model says one; none by default. Cut to the model's
    /// maximum.
    pub default_timeout: Option<Timeout>,
    /// The longest timeout that a task may have; none by default. With one no task is without a timeout. Tasks that
    /// were started before it was set keep theirs.
    pub max_timeout: Option<Timeout>,
    /// Threads that poll async bodies; 0, the default, is one for each core.
    pub body_threads: usize,
    /// The most threads for async bodies: past `body_threads` one is added where bodies that do not yield keep all
    /// there are and others wait, and leaves when it is not needed any more. 64 by default; never fewer than
    /// `body_threads`. So many threads of abandoned blocking bodies are replaced, too.
    pub max_body_threads: usize,
    /// Blocking bodies at once, each on a thread of its own; the rest waits in line, `running`. 512 by default.
    pub max_blocking: usize,
    /// Processes of isolated bodies and commands at once; the rest waits in line, `running`. 256 by default.
    pub max_processes: usize,
    /// The soft limit of open files that each of these processes begins with, where its model sets none
    /// ([`ModelSettings::open_files_limit`](crate::ModelSettings::open_files_limit)); none, the default, is that of this
    /// process. For a host that raises its own: many a program goes through all numbers up to that limit.
    pub process_open_files: Option<u64>,
    /// How many of each task's newest events are kept; 10,000 by default, at least 1.
    pub keep_events: i64,
    /// How long a finished task is kept, with its events; none, the default, keeps it for ever. Older ones are
    /// removed a few at a time. The file does not shrink: its room is used again.
    pub retention: Option<Duration>,
    /// `synchronous=NORMAL` instead of FULL: acknowledged writes may be lost when the power fails.
    pub synchronous_normal: bool,
    /// Wall time, as it goes into rows and events; the system's by default. A jump of it moves no deadline of a task
    /// that runs; after a restart it decides what is over.
    pub clock: Arc<dyn Clock>,
    /// Where the runtime's numbers go: none, the default, keeps them for `GET /metrics` and
    /// [`Coordinator::metrics`]; a recorder of the host has them alone, beside the host's own. Two runtimes in one
    /// recorder share their numbers there: give each a recorder that adds a label of its own.
    pub recorder: Option<HostRecorder>,
    /// Commits that fail when a test asks for it; none by default.
    pub faults: Faults,
    /// Called with one line when a part of the runtime failed for good. Live bodies cannot be rebuilt from a
    /// database, so the default logs the line and ends the process with exit code 70; the next start recovers.
    /// Whatever else is put here should end the process too: the runtime does not work any more.
    pub on_failure: OnFailure,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            max_running: 100_000,
            max_pending: 100_000,
            max_running_per_owner: None,
            default_timeout: None,
            max_timeout: None,
            body_threads: 0,
            max_body_threads: 64,
            max_blocking: 512,
            max_processes: 256,
            process_open_files: None,
            keep_events: 10_000,
            retention: None,
            synchronous_normal: false,
            clock: Arc::new(SystemClock),
            recorder: None,
            faults: Faults::default(),
            on_failure: Arc::new(end_process),
        }
    }
}

impl fmt::Debug for RuntimeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeSettings")
            .field("max_running", &self.max_running)
            .field("max_pending", &self.max_pending)
            .field("max_running_per_owner", &self.max_running_per_owner)
            .field("default_timeout", &self.default_timeout)
            .field("max_timeout", &self.max_timeout)
            .field("body_threads", &self.body_threads)
            .field("max_body_threads", &self.max_body_threads)
            .field("max_blocking", &self.max_blocking)
            .field("max_processes", &self.max_processes)
            .field("process_open_files", &self.process_open_files)
            .field("keep_events", &self.keep_events)
            .field("retention", &self.retention)
            .field("synchronous_normal", &self.synchronous_normal)
            .finish_non_exhaustive()
    }
}

impl RuntimeSettings {
    pub(crate) fn times(&self) -> time_limits::Bounds {
        time_limits::Bounds { default: self.default_timeout, max: self.max_timeout }
    }
}

fn end_process(reason: &str) {
    tracing::error!(reason, "quell failed for good: the process ends, and the next start settles its tasks");
    std::process::exit(70)
}

/// Why a runtime did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The database was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database was opened, but the tasks of an earlier process could not be settled.
    #[error("cannot settle the tasks of an earlier process: {0}")]
    Recover(#[from] StoreError),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// Two settings contradict each other.
    #[error(
        "the default timeout is {default} s and the longest {max} s: the default must not be above the maximum"
    )]
    DefaultAboveMaximum {
        /// The default.
        default: Timeout,
        /// The maximum.
        max: Timeout,
    },
    /// This process was started for the body of one task, and its `main` did not say so.
    #[error(
        "this process was started for one isolated task: call quell::run_child_if_asked at the top of main"
    )]
    InChild,
    /// There is no actix `System` here.
    #[error("quell runs inside an actix System: start it in #[actix_web::main] or System::new().block_on(…)")]
    NoSystem,
}

/// Starts runtimes; a running one is reached by its [`Coordinator`].
#[derive(Debug)]
pub struct Runtime;

impl Runtime {
    /// Opens the database (`sqlite://path`; the file is made if missing), settles every task that an earlier
    /// process left running, and starts the actors.
    ///
    /// Call it inside an actix `System`, once for each database file. Several runtimes may stand side by side in
    /// one process, each with a file of its own.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the database may be opened, its tasks settled, and closed again.
    ///
    /// # Errors
    /// [`RuntimeError`]; a database that is refused is left as it was.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), quell::RuntimeError> {
    /// use quell::{Registry, Runtime, RuntimeSettings};
    /// let coordinator = Runtime::start("sqlite://tasks.db", Registry::new(), RuntimeSettings::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(
        database_url: &str,
        registry: Registry,
        settings: RuntimeSettings,
    ) -> Result<Coordinator, RuntimeError> {
        if isolated::is_child() {
            return Err(RuntimeError::InChild);
        }
        if actix::System::try_current().is_none() {
            return Err(RuntimeError::NoSystem);
        }
        if let Some((default, max)) = settings.times().contradiction() {
            return Err(RuntimeError::DefaultAboveMaximum { default, max });
        }
        let url = database_url.to_owned();
        let options = SqliteOptions {
            synchronous: if settings.synchronous_normal { Synchronous::Normal } else { Synchronous::Full },
            keep_events: settings.keep_events,
        };
        let (clock, faults) = (Arc::clone(&settings.clock), settings.faults.clone());
        let metrics = Metrics::new(&registry, settings.recorder.as_ref());
        let with_created = settings.max_running_per_owner.is_some();
        let open = move || {
            let mut opened = open(&url, options, registry, metrics, &*clock, faults)?;
            if with_created {
                opened.created = created(&mut opened.database.reader()?)?;
            }
            Ok::<_, RuntimeError>(opened)
        };
        let opened = actix_rt::task::spawn_blocking(open);
        let opened = opened.await.map_err(|_| RuntimeError::NoSystem)??;
        connect(opened, &settings).await
    }
}

/// A database whose past is settled.
struct Opened {
    database: SqliteDatabase,
    store: Box<dyn Store>,
    registry: Registry,
    metrics: Metrics,
    recovered: Recovered,
    /// Tasks that nobody has started yet, and their owners.
    created: Vec<(TaskId, Arc<str>)>,
    first_id: i64,
}

fn open(
    url: &str,
    options: SqliteOptions,
    registry: Registry,
    metrics: Metrics,
    clock: &dyn Clock,
    faults: Faults,
) -> Result<Opened, RuntimeError> {
    let path = crate::store::parse_url(url)?;
    let database = SqliteDatabase::open(&path, options)?;
    let mut store: Box<dyn Store> = Box::new(database.writer_with(faults)?);
    let mut reader = database.reader()?;
    let recovered = recover(&mut *store, &mut reader, &registry, &metrics, clock)?;
    let reserved = store.commit(&[Write::ReserveIds { count: ID_BLOCK }])?;
    let first_id = match reserved.answers.first() {
        Some(Answer::Ids(first)) => *first,
        _ => return Err(StoreError::Refused("ids were not reserved".to_owned()).into()),
    };
    Ok(Opened { database, store, registry, metrics, recovered, created: Vec::new(), first_id })
}

async fn connect(opened: Opened, settings: &RuntimeSettings) -> Result<Coordinator, RuntimeError> {
    let Opened { database, store, registry, metrics, recovered, created, first_id } = opened;
    let defaults = PoolSettings::default();
    let threads = if settings.body_threads == 0 { defaults.threads } else { settings.body_threads };
    let pool = Pool::new(PoolSettings {
        threads,
        max_threads: settings.max_body_threads,
        blocking_limit: settings.max_blocking.max(1),
    })?;
    let node = database.node_name();
    let readers = Readers::start([database.reader()?, database.reader()?])?;
    let services = Arc::new(Services::new(node, registry, pool, readers, Arc::new(metrics), settings));

    isolated::prepare(&services, settings)?;
    let (settled, waiting) = (recovered.settled, recovered.waiting.len());
    let roster = roster(settings, services.registry.places(), &recovered, &created);

    let (db_services, coordinator_services) = (Arc::clone(&services), Arc::clone(&services));
    let arbiters = [Arbiter::new().handle(), Arbiter::new().handle()];
    let [db, coordinator] = &arbiters;
    let db = DbActor::start_in_arbiter(db, move |_| DbActor::new(store, db_services));
    let coordinator = CoordinatorActor::start_in_arbiter(coordinator, move |_| {
        CoordinatorActor::new(coordinator_services, roster, first_id)
    });
    services.connect(coordinator, db, arbiters);

    let expired = Arc::downgrade(&services);
    services.deadlines.run(move |batch| {
        if let Some(services) = expired.upgrade() {
            services.tell_coordinator(Expired(batch));
        }
    })?;
    services.actors_started().await;
    look_after(&services);
    name_long_polls(&services);
    services.health.set_ready();
    services.pool.timers().spawn(retention::run(Arc::downgrade(&services), settings.retention));
    tracing::info!(node = %services.node, settled, waiting, "the runtime is ready");
    Ok(Coordinator::new(services))
}

/// The roster as an earlier process left it.
fn roster(
    settings: &RuntimeSettings,
    places: &[usize],
    recovered: &Recovered,
    created: &[(TaskId, Arc<str>)],
) -> Roster {
    let bounds = Bounds {
        running: settings.max_running,
        pending: settings.max_pending,
        per_owner: settings.max_running_per_owner,
    };
    let mut roster = Roster::new(bounds, places);
    for (id, owner, line) in &recovered.waiting {
        roster.count(*id, owner);
        roster.find(*id, *line);
    }
    for (id, owner) in created {
        roster.count(*id, owner);
    }
    roster
}

/// Names, once for each body, those that keep a thread without yielding.
fn name_long_polls(services: &Arc<Services>) {
    let watched = Arc::downgrade(services);
    services.pool.on_long_poll(move |id| {
        let live = TaskId::new(id).and_then(|id| watched.upgrade()?.live.get(id));
        match live {
            Some(live) if live.is_first_long_poll() => {
                let task = live.key();
                tracing::warn!(%task, "the body has not yielded for a second, and keeps a thread");
            }
            Some(_) => {}
            // Its row has ended already: the log said how.
            None => tracing::debug!(id, "a body that is over still keeps a thread"),
        }
    });
}
