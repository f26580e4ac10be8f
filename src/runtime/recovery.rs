//! After a crash: every task that was running under a dead process is settled before anything else happens.
//!
//! Runs at the start, with the store for itself. What becomes of a row is the life cycle's decision; here it is
//! only carried out, in groups.

use std::sync::Arc;

use crate::lifecycle::{Change, Input, Life, events_of, transition};
use crate::store::{Answer, Reader, Store, StoreError, Write};
use crate::task::{Record, TaskId};

use super::Clock;
use super::lines::Line;
use super::metrics::{Counted, Metrics, Was};
use super::registry::Registry;

/// Rows of one page, and so of one group.
const PAGE: u32 = 512;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Tasks that were settled.
    pub(crate) settled: usize,
    /// Tasks that wait for a place, oldest first: whose they are, and in which line.
    pub(crate) waiting: Vec<(TaskId, Arc<str>, Line)>,
}

/// Settles every row that says `running`, and finds those that wait.
pub(crate) fn recover(
    store: &mut dyn Store,
    reader: &mut dyn Reader,
    registry: &Registry,
    metrics: &Metrics,
    clock: &dyn Clock,
) -> Result<Recovered, StoreError> {
    let mut recovered = Recovered::default();
    let mut after = 0;
    loop {
        let page = reader.running(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.key.id.get();
        let settling = page.iter().filter_map(|record| Some((record, settle(record, registry, clock)?)));
        let (records, writes): (Vec<&Record>, Vec<Write>) = settling.unzip();
        recovered.settled += writes.len();
        let committed = store.commit(&writes)?;
        metrics.events_written(committed.events.len());
        for ((record, write), answer) in records.into_iter().zip(&writes).zip(&committed.answers) {
            if *answer == Answer::Applied {
                count(record, write, registry, metrics);
            }
        }
    }
    after = 0;
    loop {
        let page = reader.queued(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.key.id.get();
        recovered.waiting.extend(page.into_iter().map(|record| {
            let line = line_of(&record, registry);
            (record.key.id, record.owner, line)
        }));
    }
    metrics.found_pending(reader.pending()?);
    Ok(recovered)
}

/// Where a task waits. One whose model is not registered any more will stand aside when its turn comes.
fn line_of(record: &Record, registry: &Registry) -> Line {
    let model = registry.model(record.key.app.as_str(), record.key.model.as_str());
    model.map_or(Line::COMMON, |model| model.line)
}

/// Tasks that nobody has started yet, and their owners.
pub(crate) fn created(reader: &mut dyn Reader) -> Result<Vec<(TaskId, Arc<str>)>, StoreError> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = reader.created(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        after = last.get();
        all.extend(page);
    }
}

/// Counts what became of one row; how long after a request its body died, nobody knows.
fn count(record: &Record, write: &Write, registry: &Registry, metrics: &Metrics) {
    if let Write::End { ending, .. } = write {
        let model = registry.model(record.key.app.as_str(), record.key.model.as_str());
        let how = Counted { status: ending.status, asked: None, stopped: None };
        metrics.ended(model.and_then(|model| model.numbers()), Was::Elsewhere, how);
    }
}

/// The write that settles one row.
fn settle(record: &Record, registry: &Registry, clock: &dyn Clock) -> Option<Write> {
    let model = registry.model(record.key.app.as_str(), record.key.model.as_str());
    let again = model.is_some_and(|model| record.attempt < model.settings.attempts);
    let change = transition(Life::from(record), Input::Lose { again }).ok()?;
    let at = clock.wall();
    let events = events_of(&change, record.attempt, at);
    let (id, epoch) = (record.key.id, record.epoch);
    tracing::info!(task = %record.key, again, "a task of a dead process is settled");
    match change {
        Change::Ended(ending) => Some(Write::End { id, epoch, ending, at, events }),
        Change::Requeued { counts } => Some(Write::Requeue { id, epoch, counts, at }),
        Change::Queued | Change::Begun | Change::Asked(_) | Change::AlreadyAsked => None,
    }
}
