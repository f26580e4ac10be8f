//! Memory of a task that runs and does nothing.
//!
//! What counts is the growth of the memory that belongs to this process alone, between two looks, with all tasks
//! started and their bodies waiting in between: actor, address, shared part, entries in every index, and the
//! body's own future. A third as many come before the first look, so that what does not grow with tasks (the
//! page cache of the database, threads, the first size of a map) is there already.
//!
//! Beside it: the least that a future can be given by which it may be stopped, a tokio task and a token in a map.

use std::collections::HashMap;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::runtime::Task;

use super::folder::Folder;
use super::library::{Idle, Library, Waiting, inside};
use super::machine::own_bytes;
use super::sample::{share, tenths};
use super::{Bar, BenchError, Memory, Options, Scenario};

/// The most bytes of an idle task.
const MOST: u32 = 1_536;

/// What its body has by itself: the boxed future of a `pending().await`.
const BODY: u32 = 200;

pub(super) fn measure(options: &Options, tasks: u32) -> Result<Memory, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let path = folder.file("runtime.db");
    let synchronous = options.synchronous;
    inside(Scenario::Memory, async move || {
        // Kept to the end: what they give back would be used by the tasks that follow.
        let before = look()?;
        let plain = plain_tasks(tasks).await;
        let limit_bytes = growth(before, look()?, tasks);

        let mut library = Library::start(&path, synchronous).await?;
        library.start_idle(Idle::MODEL, tasks / 3).await?;
        let before = look()?;
        let keys = library.start_idle(Idle::MODEL, tasks).await?;
        let after = look()?;
        let more = tasks / 3;
        let waiting = library.start_idle(Waiting::MODEL, more).await?;
        let bytes_with_token = growth(after, look()?, more);
        // The keys are ours, not the runtime's; one that is empty would be a figure of nothing.
        let ours = u32::try_from(keys.len() + waiting.len() + plain.len()).unwrap_or(0);
        if ours != tasks + more + tasks {
            return Err(BenchError::Unexpected("tasks are missing".to_owned()));
        }
        let bytes = growth(before, after, tasks);
        library.stop().await;
        let times_limit = share(bytes, limit_bytes);
        let bar = Some(Bar::new("≤ 1,536 B + body's 200 B", bytes <= f64::from(MOST + BODY)));
        Ok(Memory { tasks, bytes, bytes_with_token, limit_bytes, times_limit, bar })
    })
}

fn look() -> Result<u64, BenchError> {
    own_bytes()
        .ok_or_else(|| BenchError::Unexpected("/proc does not tell how large this process is".to_owned()))
}

/// Bytes for each task; 0 where the process has become smaller.
fn growth(before: u64, after: u64, tasks: u32) -> f64 {
    // Whole KiB were read, and fit: 4 TiB.
    let kib = u32::try_from(after.saturating_sub(before) / 1024).unwrap_or(u32::MAX);
    tenths(f64::from(kib) * 1024.0 / f64::from(tasks.max(1)))
}

async fn plain_tasks(tasks: u32) -> HashMap<u64, (CancellationToken, JoinHandle<()>)> {
    let mut map = HashMap::new();
    for id in 0..u64::from(tasks) {
        let token = CancellationToken::new();
        let task = tokio::spawn(token.clone().cancelled_owned());
        map.insert(id, (token, task));
    }
    // Each is polled once, so that it waits.
    tokio::task::yield_now().await;
    map
}
