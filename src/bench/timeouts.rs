//! Timeouts that fall due within one second: how late each body is dropped, and when all ends are durable.
//!
//! The tasks are started ahead, so that all run when the first is due; the deadlines are spread evenly over the
//! second, in the order of the starts, as those of tasks with the same timeout are. When one is due its row says: it
//! began then, and has that long. Beside it, in turns: as many tasks on tokio's own scheduler that sleep until as many
//! instants, which shows what timers and threads take; and the same ends, committed in groups by a plain writer as they
//! fall due.
//!
//! The wall clock is what rows have, so a jump of it while this measures would show as lateness.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::runtime::Builder;

use crate::body::Priority;
use crate::runtime::{Task, TaskContext};
use crate::task::{TaskError, TaskId, Timeout, Timestamp};

use super::folder::Folder;
use super::library::{APP, Library, STARTS, inside};
use super::machine::wall;
use super::plain::{GROUP, Plain};
use super::rows::Rows;
use super::sample::{median, quantiles};
use super::{Bar, BenchError, Options, Quantiles, Scenario};

/// Within which all fall due.
const WINDOW: Duration = Duration::from_secs(1);

/// Up to so many are asked for each single lateness, more only for the last one.
const FEW: u32 = 10_000;

/// How long after it all must have ended.
const LONGEST: Duration = Duration::from_secs(60);

/// How long before the first the tasks of the round that is not counted are started.
const FIRST_LEAD: Duration = Duration::from_secs(2);

/// How often a round is tried.
const TRIES: u32 = 5;

/// The shortest timeout, where a start comes too late for its moment.
const LEAST: Duration = Duration::from_millis(1);

/// How often it is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(5);

/// The runtime's number of rows that run.
const RUNNING: &str = "quell_tasks_running";

/// Tasks whose time is over within one second.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TimedOut {
    /// How many.
    pub tasks: u32,
    /// How long after its deadline each body was dropped, in microseconds: the medians of the rounds.
    pub late_micros: Quantiles,
    /// How late as many sleeping tasks of tokio's scheduler were.
    pub limit_late_micros: Quantiles,
    /// From the first deadline to the last dropped body.
    pub dropped_seconds: f64,
    /// From the first instant to the last sleeping task.
    pub limit_dropped_seconds: f64,
    /// From the first deadline to the last durable end.
    pub durable_seconds: f64,
    /// The same ends, committed by a plain writer as they fall due.
    pub limit_durable_seconds: f64,
    /// What is asked of the median; of very many only their last is asked for.
    pub bar: Option<Bar>,
    /// What is asked of the slowest hundredth.
    pub p99_bar: Option<Bar>,
    /// What is asked of the last dropped body.
    pub dropped_bar: Option<Bar>,
    /// What is asked of the last durable end.
    pub durable_bar: Option<Bar>,
}

/// When bodies were dropped.
#[derive(Debug, Default)]
pub(super) struct Drops(Mutex<Vec<(TaskId, Timestamp)>>);

impl Drops {
    fn lock(&self) -> MutexGuard<'_, Vec<(TaskId, Timestamp)>> {
        // A push leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for ever, and notes when it is dropped.
#[derive(serde::Deserialize)]
pub(super) struct Timed {}

impl Task for Timed {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Timed";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        let _noted = ctx.state::<Drops>().map(|drops| Noted(drops, ctx.key().id));
        std::future::pending().await
    }
}

/// Part of a body: goes when it goes.
struct Noted(Arc<Drops>, TaskId);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.lock().push((self.1, wall()));
    }
}

/// What one round took.
struct Round {
    /// How long all starts took; of the limit nothing.
    starting: Duration,
    late: Quantiles,
    dropped: f64,
    durable: f64,
}

pub(super) fn measure(options: &Options, tasks: u32, rounds: u32) -> Result<TimedOut, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let (ours, plain) = (folder.file("runtime.db"), folder.file("plain.db"));
    let synchronous = options.synchronous;
    let (own, limits) = inside(Scenario::Timeouts, async move || {
        let library = Library::start(&ours, synchronous).await?;
        let mut plain = Plain::open(&plain, synchronous, Timed::MODEL)?;
        // Not counted: it wakes everything up, and tells how fast tasks are started here.
        let few = (tasks / 10).max(1);
        let first = time_out(&library, few, FIRST_LEAD).await?;
        let mut lead = first.starting * (tasks / few) * 2 + Duration::from_millis(500);
        let (mut own, mut limits) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            own.push(in_time(&library, tasks, &mut lead).await?);
            limits.push(limit(&mut plain, tasks).await?);
        }
        library.stop().await;
        Ok((own, limits))
    })?;
    let late = lateness(&own);
    let (dropped, durable) = (middle(&own, |round| round.dropped), middle(&own, |round| round.durable));
    let few = tasks <= FEW;
    Ok(TimedOut {
        tasks,
        late_micros: late,
        limit_late_micros: lateness(&limits),
        dropped_seconds: dropped,
        limit_dropped_seconds: middle(&limits, |round| round.dropped),
        durable_seconds: durable,
        limit_durable_seconds: middle(&limits, |round| round.durable),
        bar: few.then(|| Bar::new("≤ 3 ms", late.p50 <= 3_000.0)),
        p99_bar: few.then(|| Bar::new("≤ 15 ms", late.p99 <= 15_000.0)),
        dropped_bar: (!few).then(|| Bar::new("≤ 1.5 s", dropped <= 1.5)),
        durable_bar: (!few).then(|| Bar::new("≤ 3 s", durable <= 3.0)),
    })
}

/// A round in which all had started before the first was due; the lead is made longer until that is so.
async fn in_time(library: &Library, tasks: u32, lead: &mut Duration) -> Result<Round, BenchError> {
    for _ in 0..TRIES {
        let round = time_out(library, tasks, *lead).await?;
        if round.starting <= *lead {
            return Ok(round);
        }
        *lead *= 2;
    }
    Err(BenchError::Unexpected("tasks are due before all have started".to_owned()))
}

fn middle(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    median(&rounds.iter().map(of).collect::<Vec<_>>())
}

fn lateness(rounds: &[Round]) -> Quantiles {
    let of = |of: fn(&Quantiles) -> f64| middle(rounds, |round| of(&round.late));
    Quantiles { p50: of(|late| late.p50), p99: of(|late| late.p99), max: of(|late| late.max) }
}

/// The moment of the window in which the task of that number is due.
fn moment(number: u32, tasks: u32) -> Duration {
    WINDOW * number / tasks
}

/// Starts tasks that are due within a second, that long from now, and waits until the end of each is durable.
async fn time_out(library: &Library, tasks: u32, lead: Duration) -> Result<Round, BenchError> {
    library.drops.lock().clear();
    let running = library.number(RUNNING)?;
    let began = Instant::now();
    let first = began + lead;
    let due = start(library, tasks, first).await?;
    let starting = began.elapsed();
    tokio::time::sleep_until(first.into()).await;
    while library.number(RUNNING)? > running {
        if first.elapsed() > LONGEST {
            return Err(BenchError::Unexpected("tasks outlive their timeouts".to_owned()));
        }
        tokio::time::sleep(LOOK).await;
    }
    let durable = first.elapsed().as_secs_f64();
    let dropped: Vec<_> = std::mem::take(&mut *library.drops.lock());
    let (Some(first), Some(last)) = (due.values().min(), dropped.iter().map(|(_, at)| at).max()) else {
        return Err(BenchError::Unexpected("nothing was due".to_owned()));
    };
    let whole = Duration::from_micros(last.micros_since(*first)).as_secs_f64();
    let late: Vec<_> = dropped
        .iter()
        .filter_map(|(id, at)| due.get(id).map(|due| Duration::from_micros(at.micros_since(*due))))
        .collect();
    if late.len() != due.len() {
        return Err(BenchError::Unexpected("bodies are missing".to_owned()));
    }
    Ok(Round { starting, late: quantiles(late), dropped: whole, durable })
}

/// Starts tasks, and tells when each is due.
async fn start(
    library: &Library,
    tasks: u32,
    first: Instant,
) -> Result<HashMap<TaskId, Timestamp>, BenchError> {
    let one = async |number: u32| {
        let at = first + moment(number, tasks);
        let left = at.saturating_duration_since(Instant::now()).max(LEAST);
        let timeout = Timeout::from_seconds(left.as_secs_f64());
        let timeout = timeout.map_err(|error| BenchError::Unexpected(error.to_string()))?;
        let begun = library.coordinator.start(Library::request(Timed::MODEL).timeout(timeout)).await?;
        let since = begun.started_at.unwrap_or(begun.created_at).as_micros();
        let length = i64::try_from(timeout.duration().as_micros()).unwrap_or(i64::MAX);
        Ok::<_, BenchError>((begun.key.id, Timestamp::from_micros(since.saturating_add(length))))
    };
    let mut starts = stream::iter(0..tasks).map(one).buffer_unordered(STARTS);
    let mut due = HashMap::new();
    while let Some(started) = starts.next().await {
        let (id, at) = started?;
        due.insert(id, at);
    }
    Ok(due)
}

/// What the same takes without a runtime.
async fn limit(plain: &mut Plain, tasks: u32) -> Result<Round, BenchError> {
    let sleepers = thread::Builder::new().name("quell-sleepers".to_owned()).spawn(move || sleep(tasks))?;
    let slept = sleepers.join().map_err(|_| BenchError::Unexpected("the sleepers panicked".to_owned()))?;
    let (late, dropped) = slept?;
    let durable = end_as_due(plain, tasks).await?.as_secs_f64();
    Ok(Round { starting: Duration::ZERO, late: quantiles(late), dropped: dropped.as_secs_f64(), durable })
}

/// As many tasks of tokio's scheduler, on as many threads as the pool has, each asleep until its moment: how late
/// each was, and how long after the first moment the last one was up.
fn sleep(tasks: u32) -> Result<(Vec<Duration>, Duration), BenchError> {
    let priority = Priority::of_bodies();
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.enable_all().on_thread_start(move || priority.apply()).build()?;
    runtime.block_on(async move {
        let first = Instant::now() + Duration::from_millis(500);
        let sleeper = |number| {
            let at = first + moment(number, tasks);
            tokio::spawn(async move {
                tokio::time::sleep_until(at.into()).await;
                at.elapsed()
            })
        };
        let all: Vec<_> = (0..tasks).map(sleeper).collect();
        let late: Result<Vec<_>, _> = join_all(all).await.into_iter().collect();
        let late = late.map_err(|error| BenchError::Unexpected(error.to_string()))?;
        let last = late.iter().zip(0..).map(|(late, number)| moment(number, tasks) + *late).max();
        Ok((late, last.unwrap_or_default()))
    })
}

/// The same ends by a plain writer, in groups of what is due: how long after the first moment the last is durable.
async fn end_as_due(plain: &mut Plain, tasks: u32) -> Result<Duration, BenchError> {
    let timeout = Timeout::from_seconds(WINDOW.as_secs_f64());
    let timeout = timeout.map_err(|error| BenchError::Unexpected(error.to_string()))?;
    let ids = plain.begin_many(tasks)?;
    let writes: Result<Vec<_>, _> = ids.iter().map(|id| Rows::time_out(*id, timeout)).collect();
    let mut waiting = &*writes?;
    let (began, mut done) = (Instant::now(), 0_u32);
    while !waiting.is_empty() {
        let passed = began.elapsed();
        let due = (done..tasks).take(GROUP).take_while(|number| moment(*number, tasks) <= passed).count();
        if due == 0 {
            tokio::time::sleep_until((began + moment(done, tasks)).into()).await;
            continue;
        }
        let (group, later) = waiting.split_at(due.min(waiting.len()));
        plain.commit(group)?;
        done += u32::try_from(group.len()).unwrap_or(u32::MAX);
        waiting = later;
    }
    Ok(began.elapsed())
}
