//! Whether what has ended leaves something behind: memory over very many tasks that were started and finished.
//!
//! So many are done before the first look that what does not grow with tasks (the page caches of the database, threads,
//! the first size of a map) is there already; what counts is the growth from there to the last.
//! Beside it the same rows through a plain writer, in the same process and before: what caches and the allocator
//! take.

use serde::Serialize;

use crate::runtime::Task;

use super::folder::Folder;
use super::library::{Library, Noop, inside};
use super::memory::look;
use super::plain::Plain;
use super::start::{through_plain, through_runtime};
use super::{Bar, BenchError, Options, Scenario};

/// The runtime's number of lives like these.
const DONE: &str = r#"quell_tasks_finished_total{model="bench/Noop",outcome="completed"}"#;

/// Clients at once.
const IN_FLIGHT: u32 = 512;

/// The most growth, in bytes: what caches and an allocator move by. A million tasks that each left the smallest
/// allocation there is would take four times as much.
const MOST: f64 = 4.0 * 1024.0 * 1024.0;

/// Lives between two looks at the time.
const PART: u32 = 50_000;

/// Memory over tasks that have ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finished {
    /// Tasks before the first look.
    pub first: u32,
    /// Tasks before the last.
    pub all: u32,
    /// Bytes between the two: less than nothing where the process has become smaller.
    pub growth_bytes: f64,
    /// The same of a plain writer.
    pub limit_growth_bytes: f64,
    /// What is asked of the first.
    pub bar: Option<Bar>,
}

pub(super) fn measure(options: &Options, first: u32, all: u32) -> Result<Finished, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let (ours, plain) = (folder.file("runtime.db"), folder.file("plain.db"));
    let synchronous = options.synchronous;
    inside(Scenario::Finished, async move || {
        let mut plain = Plain::open(&plain, synchronous, Noop::MODEL)?;
        let mut looks = Vec::new();
        for lives in [first, all - first] {
            for part in parts(lives) {
                plain = through_plain(plain, IN_FLIGHT, part).await?.1;
            }
            looks.push(look()?);
        }
        let limit_growth_bytes = growth(&looks);
        let library = Library::start(&ours, synchronous).await?;
        looks.clear();
        for lives in [first, all - first] {
            for part in parts(lives) {
                through_runtime(&library.coordinator, IN_FLIGHT, part).await?;
            }
            looks.push(look()?);
        }
        let growth_bytes = growth(&looks);
        // What is counted is durable, and counted a moment after whoever waits has heard of it.
        let done = library.number(DONE)?;
        if done.saturating_add(u64::from(IN_FLIGHT)) < u64::from(all) {
            return Err(BenchError::Unexpected(format!("only {done} tasks have finished")));
        }
        library.stop().await;
        drop(plain);
        let bar = Some(Bar::new("≤ 4 MiB", growth_bytes <= MOST));
        Ok(Finished { first, all, growth_bytes, limit_growth_bytes, bar })
    })
}

/// So many lives in parts that each end before the limit of a round.
fn parts(lives: u32) -> impl Iterator<Item = u32> {
    (0..lives).step_by(usize::try_from(PART).unwrap_or(1)).map(move |done| (lives - done).min(PART))
}

/// From the first look to the last.
fn growth(looks: &[u64]) -> f64 {
    // Whole KiB were read, and fit: 4 TiB.
    let kib = |bytes: Option<&u64>| u32::try_from(bytes.copied().unwrap_or(0) / 1024).unwrap_or(u32::MAX);
    (f64::from(kib(looks.last())) - f64::from(kib(looks.first()))) * 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_many_lives_as_the_whole() {
        for lives in [0, 1, PART, PART + 1, 1_000_000] {
            assert_eq!(parts(lives).sum::<u32>(), lives);
            assert!(parts(lives).all(|part| part <= PART));
        }
    }
}
