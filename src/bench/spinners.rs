//! What others notice of bodies that never yield: how late timeouts fire, and how long a new task takes.
//!
//! In each round all spinners begin at once, more than there are threads, and the others come right behind them: the
//! time until the watchdog has added threads counts. When a timeout fired its row says: it was asked to stop then, had
//! begun and has that long. The wall clock is what rows have, so a jump of it while this measures would show.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use serde::Serialize;

use crate::runtime::{Coordinator, Task, TaskContext};
use crate::task::{Record, Status, TaskError, TaskKey, Timeout, Timestamp};

use super::folder::Folder;
use super::library::{APP, Idle, Library, inside};
use super::sample::quantiles;
use super::{Bar, BenchError, Options, Quantiles, Scenario};

/// How much one round does.
#[derive(Clone, Copy)]
struct Sizes {
    spinners: u32,
    timeouts: u32,
    examples: u32,
}

/// The most microseconds of either.
const MOST_LATE: f64 = 250_000.0;
const SLOWEST: f64 = 2_000_000.0;

/// How long the pool may take to give the threads back that it added.
const REST: Duration = Duration::from_secs(20);

/// What others notice of bodies that never yield.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Beside {
    /// How many bodies never yield.
    pub spinners: u32,
    /// How many timeouts there were.
    pub timeouts: u32,
    /// How long after each deadline its task was asked to stop, in microseconds.
    pub late_micros: Quantiles,
    /// What is asked of the slowest hundredth.
    pub bar: Option<Bar>,
    /// How long after each deadline its task had stopped.
    pub ended_micros: Quantiles,
    /// How many new tasks there were.
    pub examples: u32,
    /// From the start of each, which sleeps 30 ms, to its durable end.
    pub example_micros: Quantiles,
    /// What is asked of the slowest.
    pub example_bar: Option<Bar>,
}

/// While it is set, spinners spin. Whoever measures clears it, however that ends.
struct Spinning(Arc<AtomicBool>);

impl Drop for Spinning {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Does not yield until the flag is cleared.
#[derive(serde::Deserialize)]
struct Spins {}

impl Task for Spins {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Spins";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        let flag = ctx.state::<AtomicBool>();
        while flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            spin_loop();
        }
        Ok(())
    }
}

/// As the demo's: five events, 10 ms between.
#[derive(serde::Deserialize)]
struct Example {}

impl Task for Example {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Example";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        ctx.send_event("start", &()).await?;
        for step in 0..3 {
            ctx.sleep(Duration::from_millis(10)).await?;
            ctx.send_event("progress", &step).await?;
        }
        ctx.send_event("complete", &()).await?;
        Ok(())
    }
}

/// What one round told.
#[derive(Default)]
struct Told {
    late: Vec<Duration>,
    ended: Vec<Duration>,
    examples: Vec<Duration>,
}

pub(super) fn measure(options: &Options) -> Result<Beside, BenchError> {
    let (rounds, sizes) = if options.quick {
        (1, Sizes { spinners: 3, timeouts: 10, examples: 2 })
    } else {
        (5, Sizes { spinners: 8, timeouts: 50, examples: 6 })
    };
    let folder = Folder::new(&options.dir)?;
    let path = folder.file("runtime.db");
    let synchronous = options.synchronous;
    let told = inside(Scenario::Spinners, async move || {
        let flag = Arc::new(AtomicBool::new(false));
        let given = Arc::clone(&flag);
        let library = Library::with(&path, synchronous, move |registry| {
            Ok(registry.task::<Spins>()?.task::<Example>()?.state(given))
        });
        let library = library.await?;
        let mut told = Told::default();
        for _ in 0..rounds {
            round(&library.coordinator, sizes, &flag, &mut told).await?;
        }
        library.stop().await;
        Ok(told)
    })?;
    let (late_micros, example_micros) = (quantiles(told.late), quantiles(told.examples));
    Ok(Beside {
        spinners: sizes.spinners,
        timeouts: rounds * sizes.timeouts,
        late_micros,
        bar: Some(Bar::new("p99 ≤ 250 ms", late_micros.p99 <= MOST_LATE)),
        ended_micros: quantiles(told.ended),
        examples: rounds * sizes.examples,
        example_micros,
        example_bar: Some(Bar::new("≤ 2 s", example_micros.max <= SLOWEST)),
    })
}

async fn round(
    on: &Coordinator,
    sizes: Sizes,
    flag: &Arc<AtomicBool>,
    told: &mut Told,
) -> Result<(), BenchError> {
    let threads = on.pool_status().body_threads;
    flag.store(true, Ordering::Relaxed);
    let spinning = Spinning(Arc::clone(flag));
    let spinners = (0..sizes.spinners).map(|_| on.start(Library::request(Spins::MODEL)));
    let spinners: Vec<_> = try_join_all(spinners).await?.into_iter().map(|row| row.key).collect();
    let examples = try_join_all((0..sizes.examples).map(|_| example(on)));
    let timeouts = try_join_all(
        (0..sizes.timeouts).map(|number| timed_out(on, f64::from(number) / f64::from(sizes.timeouts))),
    );
    let (examples, rows) = try_join(examples, timeouts).await?;
    told.examples.extend(examples);
    for row in rows {
        let deadline = row.started_at.zip(row.timeout).map(|(at, timeout)| (at, timeout.duration()));
        let (asked, ended) = (row.cancel.as_ref().map(|cancel| cancel.at), row.completed_at);
        let (Some((began, timeout)), Some(asked), Some(ended)) = (deadline, asked, ended) else {
            return Err(BenchError::Unexpected(format!("`{}` is {}", row.key, row.status)));
        };
        told.late.push(after(began, asked).saturating_sub(timeout));
        told.ended.push(after(began, ended).saturating_sub(timeout));
    }
    drop(spinning);
    have_ended(on, &spinners).await?;
    rest(on, threads).await
}

/// Starts a new task, and tells how long it took to its durable end.
async fn example(on: &Coordinator) -> Result<Duration, BenchError> {
    let began = Instant::now();
    let key = on.start(Library::request(Example::MODEL)).await?.key;
    let row = on.result(&key).await?;
    if row.status == Status::Completed {
        return Ok(began.elapsed());
    }
    Err(BenchError::Unexpected(format!("`{key}` is {}", row.status)))
}

/// Starts a task that runs into its timeout, so far into a second, and gives its row.
async fn timed_out(on: &Coordinator, part: f64) -> Result<Record, BenchError> {
    let timeout =
        Timeout::from_seconds(0.2 + part).map_err(|error| BenchError::Unexpected(error.to_string()))?;
    let key = on.start(Library::request(Idle::MODEL).timeout(timeout)).await?.key;
    Ok(on.result(&key).await?)
}

async fn have_ended(on: &Coordinator, keys: &[TaskKey]) -> Result<(), BenchError> {
    for key in keys {
        on.result(key).await?;
    }
    Ok(())
}

/// Waits until the pool has given the threads back that it added.
async fn rest(on: &Coordinator, threads: usize) -> Result<(), BenchError> {
    let began = Instant::now();
    while on.pool_status().body_threads > threads {
        if began.elapsed() > REST {
            return Err(BenchError::Unexpected("the pool keeps the threads that it added".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn after(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::from_micros(later.micros_since(earlier))
}
