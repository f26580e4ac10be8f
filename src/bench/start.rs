//! Start and complete: lives of a task that does nothing, through the handle, with a number of clients at once.
//!
//! A client starts a task, waits for its result, and starts the next: a life is two commits, and whoever started
//! it has its final row. Beside it the same number of clients has the same two writes made durable by a plain
//! writer, one after the other. The two take turns in short rounds; each figure is the median of its rounds.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::runtime::{Coordinator, Task};
use crate::task::Status;

use super::folder::Folder;
use super::library::{Library, Noop, inside};
use super::plain::{Plain, Served};
use super::rows::Rows;
use super::sample::{median, median_share, rate};
use super::{Bar, BenchError, Options, Scenario, Started};

/// No round takes longer; what was not begun by then is not counted.
const ROUND: Duration = Duration::from_secs(20);

pub(super) fn measure(
    options: &Options,
    in_flight: u32,
    lives: u32,
    rounds: u32,
) -> Result<Started, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let (ours, plain) = (folder.file("runtime.db"), folder.file("plain.db"));
    let synchronous = options.synchronous;
    let (rates, limits) = inside(Scenario::Start, async move || {
        let library = Library::start(&ours, synchronous).await?;
        let mut plain = Plain::open(&plain, synchronous, Noop::MODEL)?;
        let (mut rates, mut limits) = (Vec::new(), Vec::new());
        // The first round fills caches and is not counted.
        for round in 0..=rounds {
            let lives = if round == 0 { in_flight.max(lives / 10) } else { lives };
            let own = through_runtime(&library.coordinator, in_flight, lives).await?;
            let (limit, back) = through_plain(plain, in_flight, lives).await?;
            plain = back;
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
    let bar = least(in_flight).map(|least| Bar::at_least_percent(share_of_limit, least));
    Ok(Started { in_flight, lives, per_second, limit_per_second, share_of_limit, bar, rates, limits })
}

/// What is asked, in hundredths of the limit: one alone has nothing to share its commits with.
fn least(in_flight: u32) -> Option<u32> {
    match in_flight {
        64 => Some(45),
        512 => Some(60),
        _ => None,
    }
}

/// What clients take their work from.
struct Work {
    left: Cell<u32>,
    done: Cell<u32>,
    began: Instant,
}

impl Work {
    fn new(lives: u32) -> Self {
        Self { left: Cell::new(lives), done: Cell::new(0), began: Instant::now() }
    }

    fn take(&self) -> bool {
        let left = self.left.get();
        if left == 0 || self.began.elapsed() > ROUND {
            return false;
        }
        self.left.set(left - 1);
        true
    }

    fn note_done(&self) {
        self.done.set(self.done.get() + 1);
    }

    fn rate(&self) -> f64 {
        rate(self.done.get(), self.began.elapsed())
    }
}

async fn through_runtime(coordinator: &Coordinator, in_flight: u32, lives: u32) -> Result<f64, BenchError> {
    let work = Work::new(lives);
    let client = || async {
        while work.take() {
            let started = coordinator.start(Library::request(Noop::MODEL)).await?;
            let ended = coordinator.result(&started.key).await?;
            if ended.status != Status::Completed {
                return Err(BenchError::Unexpected(format!("`{}` is {}", ended.key, ended.status)));
            }
            work.note_done();
        }
        Ok(())
    };
    try_join_all((0..in_flight).map(|_| client())).await?;
    Ok(work.rate())
}

async fn through_plain(plain: Plain, in_flight: u32, lives: u32) -> Result<(f64, Plain), BenchError> {
    let (served, serving) = plain.serve(usize::try_from(in_flight).unwrap_or(usize::MAX))?;
    let Served { rows, orders } = served;
    let rows = RefCell::new(rows);
    let work = Work::new(lives);
    let client = || async {
        while work.take() {
            let (id, begin) = rows.borrow_mut().begin()?;
            orders.commit(begin).await?;
            orders.commit(Rows::complete(id)?).await?;
            work.note_done();
        }
        Ok::<(), BenchError>(())
    };
    try_join_all((0..in_flight).map(|_| client())).await?;
    let rate = work.rate();
    let plain = serving.stop(Served { rows: rows.into_inner(), orders })?;
    Ok((rate, plain))
}
