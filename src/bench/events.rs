//! Events that bodies send: durable ones for each second, of one task and of many at once.
//!
//! The clock runs from the starts to the durable ends, behind which no event is missing: start and end count as part
//! of it. Beside it, in turns: the same rows through the same store, made before the clock starts and committed in
//! full groups, one after the other.

use std::time::Instant;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::runtime::{Task, TaskContext};
use crate::store::Write;
use crate::task::{JsonText, Status, TaskError, TaskId};

use super::folder::Folder;
use super::library::{APP, Library, inside};
use super::plain::{GROUP, Plain};
use super::rows::Rows;
use super::sample::{median, median_share, rate};
use super::{Bar, BenchError, Options, Scenario};

/// The type of the events.
const KIND: &str = "step";

/// Events of bodies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sent {
    /// Tasks that send at once.
    pub tasks: u32,
    /// Events of each, in one round.
    pub each: u32,
    /// Durable events for each second: the median of the rounds.
    pub per_second: f64,
    /// The same rows in full groups by a plain writer.
    pub limit_per_second: f64,
    /// The first by the second: the median of the rounds' own.
    pub share_of_limit: f64,
    /// What is asked of that share.
    pub bar: Option<Bar>,
    /// Every round.
    pub rates: Vec<f64>,
    /// Every round of the limit.
    pub limits: Vec<f64>,
}

/// Sends so many events, one after the other.
#[derive(Deserialize)]
pub(super) struct Sends {
    count: u32,
}

/// What is sent.
#[derive(Serialize)]
struct Step {
    step: u32,
}

impl Task for Sends {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Sends";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        for step in 0..self.count {
            ctx.send_event(KIND, &Step { step }).await?;
        }
        Ok(())
    }
}

pub(super) fn measure(options: &Options, tasks: u32, each: u32, rounds: u32) -> Result<Sent, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let (ours, plain) = (folder.file("runtime.db"), folder.file("plain.db"));
    let synchronous = options.synchronous;
    let (rates, limits) = inside(Scenario::Events, async move || {
        let library = Library::start(&ours, synchronous).await?;
        let mut plain = Plain::open(&plain, synchronous, Sends::MODEL)?;
        let (mut rates, mut limits) = (Vec::new(), Vec::new());
        // The first round fills caches and is not counted.
        for round in 0..=rounds {
            let own = send_all(&library, tasks, each).await?;
            let limit = insert_all(&mut plain, tasks, each)?;
            if round > 0 {
                rates.push(own);
                limits.push(limit);
            }
        }
        library.stop().await;
        Ok((rates, limits))
    })?;
    let (per_second, limit_per_second) = (median(&rates), median(&limits));
    let share_of_limit = median_share(&rates, &limits);
    let bar = Some(Bar::at_least_percent(share_of_limit, 50));
    Ok(Sent { tasks, each, per_second, limit_per_second, share_of_limit, bar, rates, limits })
}

async fn send_all(library: &Library, tasks: u32, each: u32) -> Result<f64, BenchError> {
    let input = JsonText::from_value(&serde_json::json!({ "count": each }));
    let input = input.map_err(|error| BenchError::Unexpected(error.to_string()))?;
    let began = Instant::now();
    let sender = async |_| {
        let request = Library::request(Sends::MODEL).input(input.clone());
        let started = library.coordinator.start(request).await?;
        let ended = library.coordinator.result(&started.key).await?;
        if ended.status == Status::Completed {
            Ok(())
        } else {
            Err(BenchError::Unexpected(format!("`{}` is {}", ended.key, ended.status)))
        }
    };
    try_join_all((0..tasks).map(sender)).await?;
    Ok(rate(tasks.saturating_mul(each), began.elapsed()))
}

/// The same rows, their tasks in turns.
fn insert_all(plain: &mut Plain, tasks: u32, each: u32) -> Result<f64, BenchError> {
    let ids: Vec<TaskId> = plain.begin_many(tasks)?;
    let steps = (0..each).flat_map(|step| ids.iter().map(move |id| (step, *id)));
    let writes: Result<Vec<Write>, _> =
        steps.map(|(step, id)| Rows::event(id, KIND, &Step { step })).collect();
    let writes = writes?;
    let began = Instant::now();
    writes.chunks(GROUP).try_for_each(|group| plain.commit(group))?;
    Ok(rate(tasks.saturating_mul(each), began.elapsed()))
}
