//! A server with many tasks and streams and nothing to do: what it takes of a core.
//!
//! Beside it, over the same seconds, a bare actix-web server with as many streams that break the silence as often. This
//! process only sleeps meanwhile; what it reads of the comments comes later.

use std::time::{Duration, Instant};

use crate::runtime::Task;

use super::child::Server;
use super::client::request;
use super::folder::Folder;
use super::http::start_tasks;
use super::library::{APP, Idle};
use super::listeners::Listeners;
use super::{Bar, BenchError, Idled, Options};

/// The most that it may take, in hundredths of a core.
const MOST: f64 = 0.2;

/// Between the last request and the first look: what was asked is done by then, and written.
const SETTLED: Duration = Duration::from_secs(3);

pub(super) fn measure(
    options: &Options,
    tasks: u32,
    streams: u32,
    time: Duration,
) -> Result<Idled, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let ours = Server::quell(options, folder.path(), &folder.file("served.db"))?;
    let bare = Server::bare(options, folder.path(), 2)?;
    let ids = start_tasks(ours.address, Idle::MODEL, tasks)?;
    let id = ids.first().copied().unwrap_or_default();
    let count = usize::try_from(streams).unwrap_or(usize::MAX);
    let path = format!("/stream/{APP}/{}/{id}", Idle::MODEL);
    let request = request("GET", &path, "");
    let _listeners = [
        Listeners::open(ours.address, count, &request, false)?,
        Listeners::open(bare.address, count, &request, false)?,
    ];
    pause(if options.quick { Duration::ZERO } else { SETTLED });
    let (began, own, limit) = (Instant::now(), ours.cpu(), bare.cpu());
    pause(time);
    let (own, limit) = (ours.cpu().saturating_sub(own), bare.cpu().saturating_sub(limit));
    let took = began.elapsed();
    let percent = |cpu: Duration| {
        let share = cpu.as_secs_f64() / took.as_secs_f64().max(f64::MIN_POSITIVE);
        (share * 100_000.0).round() / 1_000.0
    };
    let percent_of_core = percent(own);
    Ok(Idled {
        tasks,
        streams,
        seconds: took.as_secs_f64(),
        percent_of_core,
        limit_percent_of_core: percent(limit),
        bar: Some(Bar::new(format!("≤ {MOST} %"), percent_of_core <= MOST)),
    })
}

#[expect(clippy::disallowed_methods, reason = "time passing is what is measured")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
