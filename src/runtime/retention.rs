//! Removing what is older than it has to be kept: finished tasks with all that belongs to them, and keys of requests.
//!
//! Invariants: a task that has not ended is never removed; one write removes a bounded number of rows, and the next
//! one is sent after a pause as long as it took, so that others' writes never wait for more than one of them.
//!
//! There is no index by time, which every end would have to pay for. Ids grow with time, so the old tasks are the
//! first ones: a pass goes up from the lowest id and is over at the first task that was made later than what may go.
//! What it passes over are unfinished tasks and late ends, which are few.

use std::sync::Weak;
use std::time::Duration;

use crate::store::{Answer, Write, keys_over};
use crate::task::{TaskId, Timestamp};

use super::Refusal;
use super::clock::monotonic;
use super::services::Services;

/// The most rows that one write removes.
const ROWS: u32 = 500;

/// Tasks that are looked at together.
const PAGE: u32 = 200;

/// The longest and the shortest pause between two passes.
const LONGEST: Duration = Duration::from_secs(600);
const SHORTEST: Duration = Duration::from_millis(500);

/// Goes on until the runtime closes.
pub(crate) async fn run(services: Weak<Services>, retention: Option<Duration>) {
    let pause = retention.map_or(LONGEST, |time| (time / 10).clamp(SHORTEST, LONGEST));
    loop {
        let Some(alive) = services.upgrade() else { return };
        if alive.closing.is_cancelled() || alive.health.is_draining() {
            return;
        }
        if let Err(error) = pass(&alive, retention).await {
            tracing::warn!(%error, "what is too old was not removed: tried again later");
        }
        drop(alive);
        tokio::time::sleep(pause).await;
    }
}

/// Removes all that is too old now.
async fn pass(services: &Services, retention: Option<Duration>) -> Result<(), Refusal> {
    let now = services.clock.wall();
    while step(services, Write::PruneKeys { before: keys_over(now), rows: ROWS }).await?.1 {}
    let Some(retention) = retention else { return Ok(()) };
    let gone = prune_tasks(services, now.before(retention)).await?;
    if gone > 0 {
        tracing::info!(tasks = gone, "finished tasks were removed: they are older than the retention");
    }
    Ok(())
}

async fn prune_tasks(services: &Services, before: Timestamp) -> Result<u64, Refusal> {
    let (mut after, mut removed) = (0, 0);
    loop {
        let page = services.readers.read(move |reader| reader.old_tasks(after, before, PAGE)).await;
        let page = page.map_err(Refusal::Unavailable)?;
        let Some((last, _)) = page.last() else { return Ok(removed) };
        after = last.get();
        let tasks: Vec<TaskId> = page.iter().filter(|(_, over)| *over).map(|(id, _)| *id).collect();
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(0);
        let mut more = !tasks.is_empty();
        while more {
            let gone;
            (gone, more) = step(services, Write::Prune { tasks: tasks.clone(), before, rows: ROWS }).await?;
            removed += u64::from(gone);
        }
        if is_last {
            return Ok(removed);
        }
    }
}

/// One write, and a pause as long; how much is gone, and whether there is more.
async fn step(services: &Services, write: Write) -> Result<(u32, bool), Refusal> {
    if services.health.is_draining() {
        return Ok((0, false));
    }
    let begun = monotonic();
    let answer = services.commit_and_wait(write).await?;
    tokio::time::sleep(begun.elapsed()).await;
    match answer {
        Answer::Pruned { gone, more } => Ok((gone, more)),
        _ => Ok((0, false)),
    }
}
