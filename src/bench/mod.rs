//! Layer 5, beside the server: what this build does on this machine, beside what the machine allows.
//!
//! [`run`] carries out [`Scenario`]s and gives back a [`Report`]. Each figure stands beside a limit that is
//! measured in the same run, in turns with it: the same rows through the same store, without the runtime.
//!
//! Invariants: what a figure counts is durable when the clock stops; a scenario works in a folder of its own
//! that is removed at its end; each is bounded in work and in time. The memory comes first, in a process that has
//! done nothing yet: a heap that was larger before hides what tasks need. A child process would do as well, but
//! a library does not know which program it is part of.
//!
//! Where something is asked of a figure, a [`Bar`] says what, and whether this run reached it. It prints nothing, fails
//! for no figure.
//!
//! What is measured over HTTP is a server in a process of its own, the same program with a hidden verb (`child.rs`
//! says why), asked by a client of ours (`client.rs`); its limit is a bare actix-web server, another such process.

mod bar;
mod bare;
mod bodies;
mod cancel;
mod child;
mod client;
mod disk;
mod folder;
mod http;
mod idle;
mod library;
mod listeners;
mod machine;
mod memory;
mod models;
mod over_http;
mod plain;
mod recovery;
mod report;
mod rows;
mod sample;
mod start;
mod streams;
mod table;
mod table_over_http;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::runtime::{CommandError, RegistryError, RuntimeError, StartError};
use crate::store::{OpenError, StoreError, Synchronous};

pub use bar::Bar;
pub use bare::serve_bare;
pub use bodies::{Bodies, Engine};
pub use machine::Machine;
pub use models::register_measured;
pub use over_http::{CancelledOverHttp, CpuOfOne, Idled, Loaded, Recovered, Streamed};
pub use report::{Cancelled, Disk, Memory, Quantiles, Ran, Report, RunFacts, Started, Storm};

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scenario {
    /// Bytes of an idle running task.
    Memory,
    /// The pool of bodies: spawns and yields, beside tokio's scheduler.
    Bodies,
    /// A plain write and sync: what a commit cannot be faster than.
    Disk,
    /// Start and complete a task that does nothing.
    Start,
    /// Cancel of running tasks, one after the other.
    Cancel,
    /// Cancel of many running tasks at once.
    Storm,
    /// Cancel over HTTP: one after the other, and over many connections.
    Http,
    /// One task's events to many event streams.
    Streams,
    /// A server with many tasks and streams and nothing to do.
    Idle,
    /// The start of a server over what an earlier process left.
    Recovery,
}

impl Scenario {
    /// All, in the order in which they run.
    pub const ALL: &'static [Self] = &[
        Self::Memory,
        Self::Bodies,
        Self::Disk,
        Self::Start,
        Self::Cancel,
        Self::Storm,
        Self::Http,
        Self::Streams,
        Self::Idle,
        Self::Recovery,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Bodies => "bodies",
            Self::Disk => "disk",
            Self::Start => "start",
            Self::Cancel => "cancel",
            Self::Storm => "storm",
            Self::Http => "http",
            Self::Streams => "streams",
            Self::Idle => "idle",
            Self::Recovery => "recovery",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|scenario| scenario.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|scenario| scenario.as_str()).collect();
            format!("no scenario `{text}`: there are {}", names.join(", "))
        })
    }
}

/// What to measure, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder in which each scenario makes a folder of its own: measure the disk that will be used.
    pub dir: PathBuf,
    /// Small counts: shows that everything works, its figures mean little.
    pub quick: bool,
    /// Cancel 100,000 at once too.
    pub large: bool,
    /// When a commit counts as written.
    pub synchronous: Synchronous,
    /// The scenarios, in the order of [`Scenario::ALL`] whatever their order here; none is all of them.
    pub only: Vec<Scenario>,
    /// The `quell` program, which is started for whatever is measured over HTTP; none is the program that runs.
    pub program: Option<PathBuf>,
}

impl Default for Options {
    /// All scenarios, in the current folder, with commits that reach the disk.
    fn default() -> Self {
        Self {
            dir: PathBuf::from("."),
            quick: false,
            large: false,
            synchronous: Synchronous::Full,
            only: Vec::new(),
            program: None,
        }
    }
}

/// Connections that cancel at once.
const CONNECTIONS: usize = 64;

/// How much each scenario does.
#[derive(Debug, Clone)]
struct Sizes {
    /// Tasks in flight, and lives of one round.
    lives: Vec<(u32, u32)>,
    cancels: u32,
    /// Tasks cancelled at once, and rounds.
    storms: Vec<(u32, u32)>,
    idle: u32,
    syncs: u32,
    /// Bodies that are spawned, and yields of each of 64.
    spawns: u32,
    yields: u32,
    rounds: u32,
    served: ServedSizes,
}

/// How much is done over HTTP.
#[derive(Debug, Clone)]
struct ServedSizes {
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
    fn of(options: &Options) -> Self {
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

impl Sizes {
    fn of(options: &Options) -> Self {
        let mut sizes = if options.quick {
            Self {
                lives: vec![(1, 20), (64, 640), (512, 1_024)],
                cancels: 20,
                storms: vec![(500, 1)],
                idle: 2_000,
                syncs: 20,
                spawns: 1_000,
                yields: 100,
                rounds: 1,
                served: ServedSizes::of(options),
            }
        } else {
            Self {
                lives: vec![(1, 300), (64, 4_000), (512, 12_000)],
                cancels: 1_000,
                storms: vec![(10_000, 5)],
                idle: 100_000,
                syncs: 1_000,
                spawns: 200_000,
                yields: 50_000,
                rounds: 7,
                served: ServedSizes::of(options),
            }
        };
        if options.large {
            sizes.storms.push((100_000, 1));
        }
        sizes
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The folder cannot be used.
    #[error("cannot work in {path}: {source}", path = .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no thread, or does not tell of itself.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
    /// The task types of the measurement.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The runtime did not start.
    #[error("cannot start the runtime")]
    Runtime(#[from] RuntimeError),
    /// The plain database was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The plain database takes no writes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A start was refused.
    #[error("cannot start a task")]
    Start(#[from] StartError),
    /// A command was refused.
    #[error("cannot command a task")]
    Command(#[from] CommandError),
    /// A figure would count what did not happen.
    #[error("{0}")]
    Unexpected(String),
    /// A scenario did not end within its time.
    #[error("the scenario `{0}` did not end within its time")]
    Stuck(Scenario),
}

/// Measures; tells `progress` in a few words what comes next. It blocks: about a minute, with `quick` a second.
///
/// # Errors
/// [`BenchError`] of the first scenario that failed: there is no report of a part.
///
/// ```no_run
/// use quell::bench::{Options, run};
/// let report = run(&Options { quick: true, ..Options::default() }, |what| eprintln!("{what}"))?;
/// println!("{}", report.table());
/// # Ok::<(), quell::bench::BenchError>(())
/// ```
pub fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Report, BenchError> {
    let sizes = Sizes::of(options);
    let mut report = Report::new(options)?;
    for scenario in Scenario::ALL {
        if options.only.is_empty() || options.only.contains(scenario) {
            carry_out(*scenario, options, &sizes, &mut report, &mut progress)?;
        }
    }
    Ok(report)
}

fn carry_out(
    scenario: Scenario,
    options: &Options,
    sizes: &Sizes,
    report: &mut Report,
    progress: &mut impl FnMut(&str),
) -> Result<(), BenchError> {
    match scenario {
        Scenario::Memory => {
            progress(&format!("memory of {} idle tasks", sizes.idle));
            report.memory = Some(memory::measure(options, sizes.idle)?);
        }
        Scenario::Bodies => {
            progress("bodies on the pool, and on tokio's scheduler");
            let (spawns, yields) = (sizes.spawns, sizes.yields);
            let rounds = sizes.rounds;
            report.bodies = vec![
                bodies::measure("spawn and end", spawns, rounds, |bodies| bodies.spawns(spawns))?
                    .with_bars(100, None),
                bodies::measure("yield, 64 bodies", 64 * yields, rounds, |bodies| bodies.yields(64, yields))?
                    .with_bars(50, Some(95)),
            ];
        }
        Scenario::Disk => {
            progress("plain write and sync");
            report.disk = Some(disk::measure(options, sizes.syncs)?);
        }
        Scenario::Start => {
            for (in_flight, lives) in &sizes.lives {
                progress(&format!("start and complete, {in_flight} in flight"));
                report.start.push(start::measure(options, *in_flight, *lives, sizes.rounds)?);
            }
        }
        Scenario::Cancel => {
            progress(&format!("cancel of {} tasks, one after the other", sizes.cancels));
            report.cancel = Some(cancel::one_by_one(options, sizes.cancels)?);
        }
        Scenario::Storm => {
            for (tasks, rounds) in &sizes.storms {
                progress(&format!("cancel of {tasks} tasks at once"));
                report.storm.push(cancel::at_once(options, *tasks, *rounds)?);
            }
        }
        Scenario::Http | Scenario::Streams | Scenario::Idle | Scenario::Recovery => {
            over_http(scenario, options, &sizes.served, report, progress)?;
        }
    }
    Ok(())
}

fn over_http(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_reads_back_from_its_name() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.as_str().parse(), Ok(*scenario));
        }
        assert_eq!(
            "https".parse::<Scenario>(),
            Err("no scenario `https`: there are memory, bodies, disk, start, cancel, storm, http, streams, idle, recovery".to_owned())
        );
    }
}
