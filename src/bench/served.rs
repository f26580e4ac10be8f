//! The scenarios over HTTP, and how much each does.

use std::time::Duration;

use super::{BenchError, Options, Report, Scenario, http, idle, recovery, streams};

/// Connections that cancel at once.
const CONNECTIONS: usize = 64;

/// How much is done over HTTP.
#[derive(Debug, Clone)]
pub(super) struct ServedSizes {
    cancels: u32,
    /// Cancels of one round over many connections.
    load: u32,
    /// Streams, and events of one round.
    streams: (u32, u32),
    /// Idle tasks and streams, and for how long.
    idle: (u32, u32, Duration),
    /// Finished and running rows.
    left: (u32, u32),
    rounds: u32,
}

impl ServedSizes {
    pub(super) fn of(options: &Options) -> Self {
        if options.quick {
            Self {
                cancels: 20,
                load: 256,
                streams: (20, 100),
                idle: (200, 20, Duration::from_millis(500)),
                left: (1_000, 100),
                rounds: 1,
            }
        } else {
            Self {
                cancels: 1_000,
                load: 20_000,
                streams: (1_000, 2_000),
                idle: (10_000, 1_000, Duration::from_secs(20)),
                left: (100_000, 10_000),
                rounds: 3,
            }
        }
    }
}

/// Carries out one of them; the others are not its business.
pub(super) fn over_http(
    scenario: Scenario,
    options: &Options,
    sizes: &ServedSizes,
    report: &mut Report,
    progress: &mut impl FnMut(&str),
) -> Result<(), BenchError> {
    match scenario {
        Scenario::Http => {
            progress(&format!("cancel of {} tasks over HTTP, one after the other", sizes.cancels));
            report.http_cancel = Some(http::one_by_one(options, sizes.cancels)?);
            progress(&format!("cancels over HTTP, {CONNECTIONS} connections"));
            report.http_load = Some(http::many(options, CONNECTIONS, sizes.load, sizes.rounds)?);
        }
        Scenario::Streams => {
            let (streams, events) = sizes.streams;
            progress(&format!("events of one task to {streams} streams"));
            report.streams = Some(streams::measure(options, streams, events, sizes.rounds)?);
        }
        Scenario::Idle => {
            let (tasks, streams, time) = sizes.idle;
            progress(&format!("a server with {tasks} idle tasks and {streams} idle streams"));
            report.idle = Some(idle::measure(options, tasks, streams, time)?);
        }
        Scenario::Recovery => {
            let (finished, running) = sizes.left;
            progress(&format!("start over {finished} finished and {running} running rows"));
            report.recovery = Some(recovery::measure(options, finished, running, sizes.rounds)?);
        }
        _ => {}
    }
    Ok(())
}
