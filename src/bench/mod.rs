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
mod checks;
mod child;
mod client;
mod disk;
mod events;
mod finished;
mod folder;
mod growth;
mod http;
mod idle;
mod library;
mod listeners;
mod machine;
mod memory;
mod models;
mod over_http;
mod pending;
mod plain;
mod processes;
mod recovery;
mod report;
mod rows;
mod sample;
mod served;
mod sizes;
mod spinners;
mod start;
mod streams;
mod table;
mod table_over_http;
mod timeouts;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::runtime::{CommandError, RegistryError, RuntimeError, StartError, main_runs_children};
use crate::store::{OpenError, StoreError, Synchronous};

pub use bar::Bar;
pub use bare::serve_bare;
pub use bodies::{Bodies, Engine};
pub use checks::Checked;
pub use events::Sent;
pub use finished::Finished;
pub use growth::Grown;
pub use machine::Machine;
pub use models::register_measured;
pub use over_http::{CancelledOverHttp, CpuOfOne, Idled, Loaded, Recovered, Streamed};
pub use pending::Pending;
pub use processes::{Killed, register_isolated};
pub use report::{Cancelled, Disk, Memory, Quantiles, Ran, Report, RunFacts, Started, Storm};
pub use spinners::Beside;
pub use timeouts::TimedOut;

use served::over_http;
use sizes::Sizes;

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scenario {
    /// Bytes of a deadline that waits.
    Pending,
    /// Growth of the memory over tasks that have ended.
    Finished,
    /// Bytes of an idle running task.
    Memory,
    /// The pool of bodies: spawns and yields, beside tokio's scheduler.
    Bodies,
    /// Timeouts and new tasks beside bodies that never yield.
    Spinners,
    /// Tasks in processes of their own, started and killed. Left out in a program whose `main` does not run children.
    Processes,
    /// A plain write and sync: what a commit cannot be faster than.
    Disk,
    /// Start and complete a task that does nothing.
    Start,
    /// Cancel of running tasks, one after the other.
    Cancel,
    /// Cancel of many running tasks at once.
    Storm,
    /// Tasks whose time is over within one second.
    Timeouts,
    /// Events that bodies send.
    Events,
    /// Start and complete, with few and with many rows in the table.
    Growth,
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
        Self::Pending,
        Self::Finished,
        Self::Memory,
        Self::Bodies,
        Self::Spinners,
        Self::Processes,
        Self::Disk,
        Self::Start,
        Self::Cancel,
        Self::Storm,
        Self::Timeouts,
        Self::Events,
        Self::Growth,
        Self::Http,
        Self::Streams,
        Self::Idle,
        Self::Recovery,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Finished => "finished",
            Self::Memory => "memory",
            Self::Bodies => "bodies",
            Self::Spinners => "spinners",
            Self::Processes => "processes",
            Self::Disk => "disk",
            Self::Start => "start",
            Self::Cancel => "cancel",
            Self::Storm => "storm",
            Self::Timeouts => "timeouts",
            Self::Events => "events",
            Self::Growth => "growth",
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
    /// Cancel 100,000 at once too, and all else that takes minutes.
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
        Scenario::Pending => {
            progress(&format!("{} deadlines that wait", sizes.deadlines));
            report.pending = Some(pending::measure(sizes.deadlines, sizes.wait)?);
        }
        Scenario::Finished => {
            let (first, all) = sizes.finished;
            progress(&format!("memory over {all} finished tasks"));
            report.finished = Some(finished::measure(options, first, all)?);
        }
        Scenario::Memory => {
            progress(&format!("memory of {} idle tasks", sizes.idle));
            report.memory = Some(memory::measure(options, sizes.idle)?);
        }
        Scenario::Bodies => {
            progress("bodies on the pool, and on tokio's scheduler");
            report.bodies = both_kinds(sizes)?;
            report.checks = Some(checks::measure(options, sizes.checks, sizes.rounds)?);
        }
        Scenario::Spinners => {
            progress("timeouts and new tasks beside bodies that never yield");
            report.spinners = Some(spinners::measure(options)?);
        }
        Scenario::Processes if !main_runs_children() => {
            progress("nothing in processes: the main of this program does not run children");
        }
        Scenario::Processes => {
            progress("tasks in processes of their own");
            report.processes.push(processes::measure(options, 0)?);
            if options.large {
                progress("the same in a process of 2 GiB");
                report.processes.push(processes::measure(options, 2_048)?);
            }
        }
        Scenario::Http | Scenario::Streams | Scenario::Idle | Scenario::Recovery => {
            over_http(scenario, options, &sizes.served, report, progress)?;
        }
        _ => on_disk(scenario, options, sizes, report, progress)?,
    }
    Ok(())
}

/// Carries out a scenario that writes rows; the others are not its business.
fn on_disk(
    scenario: Scenario,
    options: &Options,
    sizes: &Sizes,
    report: &mut Report,
    progress: &mut impl FnMut(&str),
) -> Result<(), BenchError> {
    match scenario {
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
        Scenario::Timeouts => {
            for (tasks, rounds) in &sizes.timeouts {
                progress(&format!("{tasks} timeouts within one second"));
                report.timeouts.push(timeouts::measure(options, *tasks, *rounds)?);
            }
        }
        Scenario::Events => {
            for (tasks, each) in &sizes.events {
                progress(&format!("events of {tasks} tasks"));
                report.events.push(events::measure(options, *tasks, *each, sizes.rounds)?);
            }
        }
        Scenario::Growth => {
            progress("start and complete, with many rows in the table");
            report.growth = growth::measure(options, &sizes.rows, &sizes.grown_lives, sizes.rounds)?;
        }
        _ => {}
    }
    Ok(())
}

fn both_kinds(sizes: &Sizes) -> Result<Vec<Ran>, BenchError> {
    let (spawns, yields, rounds) = (sizes.spawns, sizes.yields, sizes.rounds);
    let spawned = bodies::measure("spawn and end", spawns, rounds, |bodies| bodies.spawns(spawns))?;
    let yielded =
        bodies::measure("yield, 64 bodies", 64 * yields, rounds, |bodies| bodies.yields(64, yields))?;
    Ok(vec![spawned.with_bars(100, None), yielded.with_bars(50, Some(95))])
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
            Err("no scenario `https`: there are pending, finished, memory, bodies, spinners, processes, disk, start, cancel, \
                 storm, timeouts, events, growth, http, streams, idle, recovery".to_owned())
        );
    }
}
