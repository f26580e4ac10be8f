//! Tasks in processes of their own: how many are started and killed in a minute, and how long past its grace one ends.
//!
//! A life is a start, the first event of the body, a cancel, and the durable end: the body hears nothing, so it is
//! always killed. Beside it stands what the system takes to start a small program, kill it and reap it, as many at
//! once. Bodies are those of this executable, so the scenario is left out where its `main` does not run children.

use std::future::pending;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::Serialize;

use crate::runtime::{
    CancelOptions, Coordinator, ModelSettings, Notice, Receipt, Registry, RegistryError, Task, TaskContext,
};
use crate::task::{StoppedBy, TaskError};

use super::folder::Folder;
use super::library::{APP, Library, inside};
use super::sample::{quantiles, rate, share};
use super::{Bar, BenchError, Options, Quantiles, Scenario};

/// Lives at once.
const AT_ONCE: u32 = 8;

/// The fewest lives of a minute.
const LEAST: f64 = 1_000.0;

/// What a body gets that is timed past it.
const GRACE: Duration = Duration::from_millis(100);

/// The most microseconds past it.
const MOST_LATE: f64 = 100_000.0;

/// Tasks that were started in processes of their own, and killed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Killed {
    /// How large the process that starts them was made, in MiB; 0 is as it was.
    pub parent_mib: u32,
    /// How many.
    pub tasks: u32,
    /// From start to durable end, 8 at once, in a minute.
    pub per_minute: f64,
    /// Programs that were started, killed and reaped in a minute, 8 at once.
    pub limit_per_minute: f64,
    /// The first by the second.
    pub share_of_limit: f64,
    /// What is asked of the first.
    pub bar: Option<Bar>,
    /// From the end of the grace to the durable end, in microseconds.
    pub late_micros: Quantiles,
    /// What is asked of the slowest hundredth.
    pub late_bar: Option<Bar>,
}

/// Says that it runs, and hears nothing. Without a grace.
#[derive(serde::Deserialize)]
struct Deaf {}

/// The same with a grace.
#[derive(serde::Deserialize)]
struct DeafGraced {}

async fn hears_nothing(ctx: TaskContext) -> Result<(), TaskError> {
    ctx.send_event("runs", &()).await?;
    pending().await
}

impl Task for Deaf {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Deaf";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        hears_nothing(ctx).await
    }
}

impl Task for DeafGraced {
    const APP: &'static str = APP;
    const MODEL: &'static str = "DeafGraced";
    type Output = ();

    fn settings() -> ModelSettings {
        ModelSettings::new().grace(GRACE)
    }

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        hears_nothing(ctx).await
    }
}

/// Adds the task types of the measurement whose bodies run in processes of their own: for
/// [`run_child_if_asked`](crate::run_child_if_asked) of a program that measures.
///
/// # Errors
/// [`RegistryError`], where a name is taken. On a system other than Linux nothing is added.
pub fn register_isolated(registry: Registry) -> Result<Registry, RegistryError> {
    if cfg!(target_os = "linux") {
        registry.isolated::<Deaf>()?.isolated::<DeafGraced>()
    } else {
        Ok(registry)
    }
}

pub(super) fn measure(options: &Options, parent_mib: u32) -> Result<Killed, BenchError> {
    let (tasks, graced) = if options.quick { (16, 4) } else { (800, 100) };
    let folder = Folder::new(&options.dir)?;
    let path = folder.file("runtime.db");
    let synchronous = options.synchronous;
    // Each page is written, so that a copy of this process would be as large.
    let ballast = vec![1_u8; usize::try_from(parent_mib).unwrap_or(0) << 20];
    let (took, late) = inside(Scenario::Processes, async move || {
        let library = Library::with(&path, synchronous, register_isolated).await?;
        let on = &library.coordinator;
        // Not counted: what is made once.
        life(on, Deaf::MODEL).await?;
        let began = Instant::now();
        try_join_all((0..AT_ONCE).map(|_| async {
            for _ in 0..tasks / AT_ONCE {
                life(on, Deaf::MODEL).await?;
            }
            Ok::<(), BenchError>(())
        }))
        .await?;
        let took = began.elapsed();
        let mut late = Vec::new();
        for _ in 0..graced {
            late.push(life(on, DeafGraced::MODEL).await?.saturating_sub(GRACE));
        }
        library.stop().await;
        Ok((took, late))
    })?;
    let limit_per_minute = 60.0 * rate(tasks, programs(tasks)?);
    drop(ballast);
    let (per_minute, late_micros) = (60.0 * rate(tasks, took), quantiles(late));
    Ok(Killed {
        parent_mib,
        tasks,
        per_minute,
        limit_per_minute,
        share_of_limit: share(per_minute, limit_per_minute),
        bar: Some(Bar::new("≥ 1,000 a minute", per_minute >= LEAST)),
        late_micros,
        late_bar: Some(Bar::new("p99 ≤ 100 ms", late_micros.p99 <= MOST_LATE)),
    })
}

/// One life; tells how long its cancel took.
async fn life(on: &Coordinator, model: &str) -> Result<Duration, BenchError> {
    let key = on.start(Library::request(model)).await?.key;
    let mut watch = on.watch(&key, 0).await?;
    loop {
        match watch.next().await.transpose()? {
            Some(Notice::Event(event)) if event.kind.as_str() == "runs" => break,
            Some(Notice::Event(event)) if event.kind.as_str() == "running" => {}
            other => return Err(BenchError::Unexpected(format!("`{key}` said {other:?}"))),
        }
    }
    let began = Instant::now();
    match on.cancel(&key, CancelOptions::default()).await? {
        Receipt::Cancelled { stopped_by: StoppedBy::Killed, .. } => Ok(began.elapsed()),
        other => Err(BenchError::Unexpected(format!("the cancel of `{key}` answered {other:?}"))),
    }
}

/// Starts, kills and reaps as many small programs.
fn programs(count: u32) -> Result<Duration, BenchError> {
    let began = Instant::now();
    let threads: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            thread::spawn(move || {
                (0..count / AT_ONCE).try_for_each(|_| {
                    let mut program = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn()?;
                    program.kill()?;
                    program.wait().map(drop)
                })
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| BenchError::Unexpected("a thread panicked".to_owned()))??;
    }
    Ok(began.elapsed())
}
