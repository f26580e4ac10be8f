//! What it costs a body to look whether it should stop, beside one load of an atomic.
//!
//! Both are done in turns by one blocking body, on its thread; each figure is the median of its rounds.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use crate::runtime::{BlockingTask, Registry, TaskContext};
use crate::task::{JsonText, TaskError};

use super::folder::Folder;
use super::library::{APP, Library, inside};
use super::sample::median;
use super::{Bar, BenchError, Options, Scenario};

/// The most nanoseconds of one look.
const MOST: f64 = 5.0;

/// Looks of a body whether it should stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// How many in one round.
    pub count: u32,
    /// Nanoseconds of each.
    pub nanos: f64,
    /// Nanoseconds of a relaxed load of an atomic, in the same loop.
    pub limit_nanos: f64,
    /// What is asked of the first.
    pub bar: Option<Bar>,
}

/// Looks so often, and tells nanoseconds of a look and of a load for each round.
#[derive(serde::Deserialize)]
struct Checks {
    count: u32,
    rounds: u32,
}

impl BlockingTask for Checks {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Checks";
    type Output = Vec<(f64, f64)>;

    fn process(&self, ctx: &TaskContext) -> Result<Vec<(f64, f64)>, TaskError> {
        let flag = AtomicBool::new(false);
        let mut rounds = Vec::new();
        for _ in 0..=self.rounds {
            let own = self.time(|| black_box(ctx).should_stop());
            let limit = self.time(|| black_box(&flag).load(Ordering::Relaxed));
            rounds.push((own, limit));
        }
        // The first one wakes the processor up.
        Ok(rounds.split_off(1))
    }
}

impl Checks {
    fn time(&self, look: impl Fn() -> bool) -> f64 {
        let began = Instant::now();
        for _ in 0..self.count {
            black_box(look());
        }
        began.elapsed().as_secs_f64() * 1e9 / f64::from(self.count)
    }
}

pub(super) fn measure(options: &Options, count: u32, rounds: u32) -> Result<Checked, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let path = folder.file("runtime.db");
    let synchronous = options.synchronous;
    let rounds = inside(Scenario::Bodies, async move || {
        let library = Library::with(&path, synchronous, Registry::blocking::<Checks>).await?;
        let input = JsonText::owned(format!(r#"{{"count":{count},"rounds":{rounds}}}"#));
        let started = library.coordinator.start(Library::request(Checks::MODEL).input(input)).await?;
        let ended = library.coordinator.result(&started.key).await?;
        library.stop().await;
        let told = ended.final_value.as_ref().map(JsonText::as_str).unwrap_or_default();
        serde_json::from_str::<Vec<(f64, f64)>>(told)
            .map_err(|_| BenchError::Unexpected(format!("`{}` is {}", ended.key, ended.status)))
    })?;
    let (own, limits): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let nanos = hundredths(median(&own));
    let bar = Some(Bar::new("≤ 5 ns", nanos <= MOST));
    Ok(Checked { count, nanos, limit_nanos: hundredths(median(&limits)), bar })
}

/// Nanoseconds of a few: a tenth of one would be a large part.
fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
