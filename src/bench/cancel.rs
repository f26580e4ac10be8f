//! Cancel: one running task after the other, and many at once.
//!
//! A cancel is over when its receipt says that the task has stopped: then request, end and both events are
//! durable. Beside it stands what the disk takes for those same rows, without a body, an actor or a thread to
//! wake. Cancels and plain commits of one kind take turns, so that noise meets both.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use crate::runtime::{CancelOptions, Coordinator, Task};
use crate::store::Write;
use crate::task::{TaskId, TaskKey};

use super::folder::Folder;
use super::library::{Idle, Library, inside};
use super::plain::{GROUP, Plain};
use super::rows::Rows;
use super::sample::{median, median_share, quantiles, share, tenths};
use super::{Bar, BenchError, Cancelled, Options, Scenario, Storm};

/// Cancels in flight at once: below the number of commands that the runtime lets wait.
const AT_ONCE: usize = 40_000;

/// The runtime's number of groups that it has committed.
const COMMITS: &str = "quell_db_commit_seconds_count";

/// What the runtime may take beside the commit, at the median.
const OVER_MICROS: u32 = 120;

/// The most commits of a cancel, at the mean: one, and room for a body that was slow to stop.
const MOST_COMMITS: f64 = 1.05;

/// Up to so many are to end within a tenth of a second.
const FEW: u32 = 5_000;

/// How long one cancel may take.
const WAIT: Duration = Duration::from_secs(120);

pub(super) fn one_by_one(options: &Options, cancels: u32) -> Result<Cancelled, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let (ours, plain) = (folder.file("runtime.db"), folder.file("plain.db"));
    let synchronous = options.synchronous;
    let (times, limits, commits) = inside(Scenario::Cancel, async move || {
        let mut library = Library::start(&ours, synchronous).await?;
        let mut plain = Plain::open(&plain, synchronous, Idle::MODEL)?;
        let keys = library.start_idle(Idle::MODEL, cancels).await?;
        let ids = plain.begin_many(cancels)?;
        let (mut times, mut limits) = (Vec::new(), Vec::new());
        let before = library.number(COMMITS)?;
        for (key, id) in keys.iter().zip(ids) {
            let began = Instant::now();
            one(&library.coordinator, key).await?;
            times.push(began.elapsed());
            let write = Rows::cancel(id)?;
            let began = Instant::now();
            plain.commit(&[write])?;
            limits.push(began.elapsed());
        }
        let commits = library.number(COMMITS)?.saturating_sub(before);
        library.stop().await;
        Ok((times, limits, commits))
    })?;
    // As many as fit: it is about one of each.
    let commits = f64::from(u32::try_from(commits).unwrap_or(u32::MAX));
    let commits_each = share(commits, f64::from(cancels.max(1)));
    let (micros, limit_micros) = (quantiles(times), quantiles(limits));
    let over_limit_micros = tenths(micros.p50 - limit_micros.p50);
    let bar =
        Some(Bar::new(format!("≤ limit + {OVER_MICROS} µs"), over_limit_micros <= f64::from(OVER_MICROS)));
    let p99_bar = Some(Bar::new("≤ 2 × p50", micros.p99 <= 2.0 * micros.p50));
    let commits_bar = Some(Bar::new("one, not two", commits_each <= MOST_COMMITS));
    Ok(Cancelled {
        cancels,
        micros,
        limit_micros,
        over_limit_micros,
        bar,
        p99_bar,
        commits_each,
        commits_bar,
    })
}

pub(super) fn at_once(options: &Options, tasks: u32, rounds: u32) -> Result<Storm, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let (ours, plain) = (folder.file("runtime.db"), folder.file("plain.db"));
    let synchronous = options.synchronous;
    let (times, limits) = inside(Scenario::Storm, async move || {
        let mut library = Library::start(&ours, synchronous).await?;
        let mut plain = Plain::open(&plain, synchronous, Idle::MODEL)?;
        let (mut times, mut limits) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let keys = library.start_idle(Idle::MODEL, tasks).await?;
            times.push(cancel_all(&library.coordinator, &keys).await?.as_secs_f64());
            let ids = plain.begin_many(tasks)?;
            limits.push(end_all(&mut plain, &ids)?.as_secs_f64());
        }
        library.stop().await;
        Ok((times, limits))
    })?;
    let (seconds, limit_seconds) = (median(&times), median(&limits));
    let share_of_limit = median_share(&limits, &times);
    let most = if tasks <= FEW { 0.1 } else { 1.5 };
    let bar = Some(Bar::new(format!("≤ {most} s"), seconds <= most));
    Ok(Storm { tasks, seconds, limit_seconds, share_of_limit, bar, times, limits })
}

/// Cancels a task, and insists that it has stopped because of that.
pub(super) async fn one(coordinator: &Coordinator, key: &TaskKey) -> Result<(), BenchError> {
    let options = CancelOptions { wait: WAIT, ..CancelOptions::default() };
    let receipt = coordinator.cancel(key, options).await?;
    if receipt.is_cancelled() {
        return Ok(());
    }
    Err(BenchError::Unexpected(format!("the cancel of `{key}` answered {receipt:?}")))
}

async fn cancel_all(coordinator: &Coordinator, keys: &[TaskKey]) -> Result<Duration, BenchError> {
    let began = Instant::now();
    let mut cancels =
        stream::iter(keys).map(|key| one(coordinator, key)).buffer_unordered(AT_ONCE.min(keys.len()).max(1));
    while let Some(cancelled) = cancels.next().await {
        cancelled?;
    }
    Ok(began.elapsed())
}

/// The same ends, in groups, one after the other; made before the clock starts.
fn end_all(plain: &mut Plain, ids: &[TaskId]) -> Result<Duration, BenchError> {
    let writes: Result<Vec<Write>, _> = ids.iter().map(|id| Rows::cancel(*id)).collect();
    let writes = writes?;
    let began = Instant::now();
    writes.chunks(GROUP).try_for_each(|group| plain.commit(group))?;
    Ok(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::library::Noop;
    use crate::store::{Reader, Synchronous};
    use crate::task::{Event, Record, Timestamp};

    type Shape = (Record, Vec<(i64, String, String)>);

    /// What a row and its events say, but for the times and the node.
    fn shape(mut row: Record, events: &[std::sync::Arc<Event>]) -> Shape {
        let epoch = Timestamp::from_micros(0);
        (row.created_at, row.updated_at, row.node) = (epoch, epoch, None);
        row.started_at = row.started_at.map(|_| epoch);
        row.completed_at = row.completed_at.map(|_| epoch);
        row.cancelled_at = row.cancelled_at.map(|_| epoch);
        row.key.id = TaskId::new(1).unwrap();
        if let Some(cancel) = &mut row.cancel {
            cancel.at = epoch;
        }
        let events = events.iter().map(|e| (e.seq, e.kind.as_str().to_owned(), e.data.as_str().to_owned()));
        (row, events.collect())
    }

    async fn by_runtime(path: &std::path::Path) -> Result<[Shape; 2], BenchError> {
        let mut library = Library::start(path, Synchronous::Normal).await?;
        let completed = library.coordinator.start(Library::request(Noop::MODEL)).await?.key;
        library.coordinator.result(&completed).await?;
        let cancelled = library.start_idle(Idle::MODEL, 1).await?.remove(0);
        one(&library.coordinator, &cancelled).await?;
        let mut shapes = Vec::new();
        for key in [completed, cancelled] {
            let row = library.coordinator.task(&key).await?;
            shapes.push(shape(row, &library.coordinator.events(&key).await?));
        }
        library.stop().await;
        Ok(shapes.try_into().unwrap())
    }

    fn by_plain(path: &std::path::Path, model: &str, end: fn(TaskId) -> Result<Write, BenchError>) -> Shape {
        let mut plain = Plain::open(path, Synchronous::Normal, model).unwrap();
        let (id, begin) = plain.rows.begin().unwrap();
        plain.commit(&[begin]).unwrap();
        plain.commit(&[end(id).unwrap()]).unwrap();
        let mut reader = plain.reader().unwrap();
        shape(reader.task(id).unwrap().unwrap(), &reader.events(id, 0, 100).unwrap().events)
    }

    #[test]
    fn the_limit_writes_the_same_rows_as_the_runtime() {
        let folder = Folder::new(&std::env::temp_dir()).unwrap();
        let path = folder.file("runtime.db");
        let [completed, cancelled] = inside(Scenario::Cancel, async move || by_runtime(&path).await).unwrap();
        assert_eq!(completed, by_plain(&folder.file("one.db"), Noop::MODEL, Rows::complete));
        assert_eq!(cancelled, by_plain(&folder.file("two.db"), Idle::MODEL, Rows::cancel));
    }
}
