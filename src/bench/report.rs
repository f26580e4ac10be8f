//! What was measured, as data.
//!
//! Every figure has its unit in its name and its limit beside it. `share_of_limit` is 1 where the runtime costs
//! nothing on top of what the machine needs. What is asked of a figure stands beside it as its `bar`.

use serde::Serialize;

use crate::store::Synchronous;
use crate::task::Timestamp;

use super::machine::wall;
use super::over_http::{CancelledOverHttp, Idled, Loaded, Recovered, Streamed};
use super::{
    Bar, BenchError, Beside, Checked, Finished, Grown, Killed, Machine, Options, Pending, Sent, TimedOut,
    table,
};

/// All that one run measured; what was left out is none or empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// When, and what.
    pub run: RunFacts,
    /// Deadlines that wait.
    pub pending: Option<Pending>,
    /// Memory over tasks that have ended.
    pub finished: Option<Finished>,
    /// The pool of bodies, by kind of work.
    pub bodies: Vec<Ran>,
    /// Looks of a body whether it should stop.
    pub checks: Option<Checked>,
    /// What others notice of bodies that never yield.
    pub spinners: Option<Beside>,
    /// Tasks in processes of their own, by the size of the process that starts them.
    pub processes: Vec<Killed>,
    /// A plain write and sync.
    pub disk: Option<Disk>,
    /// Start and complete, by tasks in flight.
    pub start: Vec<Started>,
    /// Cancel of one task after the other.
    pub cancel: Option<Cancelled>,
    /// Cancel of many at once, by their number.
    pub storm: Vec<Storm>,
    /// Tasks whose time is over within one second, by their number.
    pub timeouts: Vec<TimedOut>,
    /// Events of bodies, by the number of tasks that send them.
    pub events: Vec<Sent>,
    /// Start and complete beside so many rows.
    pub growth: Vec<Grown>,
    /// Memory of idle tasks.
    pub memory: Option<Memory>,
    /// Cancel over HTTP, one after the other.
    pub http_cancel: Option<CancelledOverHttp>,
    /// Cancels over many connections.
    pub http_load: Option<Loaded>,
    /// One task's events to many streams.
    pub streams: Option<Streamed>,
    /// A server with nothing to do.
    pub idle: Option<Idled>,
    /// A start over what an earlier process left.
    pub recovery: Option<Recovered>,
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunFacts {
    /// When it began.
    pub at: Timestamp,
    /// The version of this crate.
    pub version: &'static str,
    /// The commit that it was built from, where `QUELL_COMMIT` said so at build time.
    pub commit: Option<&'static str>,
    /// `release` or `debug`: figures of the second mean nothing.
    pub build: &'static str,
    /// When a commit counts as written: `full` or `normal`.
    pub synchronous: &'static str,
    /// Small counts: the figures mean little.
    pub quick: bool,
}

/// How times are spread, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half of them are not above this.
    pub p50: f64,
    /// 99 of 100 are not above this.
    pub p99: f64,
    /// None is above this.
    pub max: f64,
}

/// Work of bodies on the pool, beside the same work elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ran {
    /// Which work.
    pub what: &'static str,
    /// How many steps of it in one round.
    pub count: u32,
    /// Steps for each second, on the pool: the median of the rounds.
    pub per_second: f64,
    /// On the pool's queue without a watchdog.
    pub unwatched_per_second: f64,
    /// On tokio's multi-thread scheduler.
    pub tokio_per_second: f64,
    /// The first by the second: what the watchdog leaves. The median of the rounds' own.
    pub share_of_unwatched: f64,
    /// The first by the third.
    pub share_of_tokio: f64,
    /// What is asked of the share of tokio's.
    pub bar: Option<Bar>,
    /// What is asked of the share that the watchdog leaves.
    pub unwatched_bar: Option<Bar>,
}

impl Ran {
    /// Asks for shares of tokio's and of what runs without a watchdog, in hundredths.
    pub(super) fn with_bars(mut self, of_tokio: u32, of_unwatched: Option<u32>) -> Self {
        self.bar = Some(Bar::at_least_percent(self.share_of_tokio, of_tokio));
        self.unwatched_bar = of_unwatched.map(|least| Bar::at_least_percent(self.share_of_unwatched, least));
        self
    }
}

/// A plain write of 4 KiB and its sync.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Disk {
    /// How many.
    pub syncs: u32,
    /// Microseconds of each.
    pub micros: Quantiles,
}

/// Start and complete.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Started {
    /// Clients at once.
    pub in_flight: u32,
    /// Lives of one round.
    pub lives: u32,
    /// Lives for each second: the median of the rounds.
    pub per_second: f64,
    /// The same lives through a plain writer.
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

/// Cancel, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cancelled {
    /// How many.
    pub cancels: u32,
    /// From the request to the durable end.
    pub micros: Quantiles,
    /// One commit of the same rows.
    pub limit_micros: Quantiles,
    /// What the runtime takes on top, at the median.
    pub over_limit_micros: f64,
    /// What is asked of the median.
    pub bar: Option<Bar>,
    /// What is asked of the slowest hundredth.
    pub p99_bar: Option<Bar>,
    /// Commits of the runtime for each cancel: request and end are one, unless a body was slow to stop.
    pub commits_each: f64,
    /// What is asked of those.
    pub commits_bar: Option<Bar>,
}

/// Cancel of many at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Storm {
    /// How many.
    pub tasks: u32,
    /// From the first request to the last durable end: the median of the rounds.
    pub seconds: f64,
    /// The same ends, in groups, by a plain writer.
    pub limit_seconds: f64,
    /// The second by the first: the median of the rounds' own.
    pub share_of_limit: f64,
    /// What is asked of the time.
    pub bar: Option<Bar>,
    /// Every round.
    pub times: Vec<f64>,
    /// Every round of the limit.
    pub limits: Vec<f64>,
}

/// Memory of tasks that run and wait.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// How many.
    pub tasks: u32,
    /// Bytes of each, the body being `pending().await`: its own part is its boxed future, some 200 bytes.
    pub bytes: f64,
    /// Bytes of each where the body is `ctx.cancelled().await`, which makes a token.
    pub bytes_with_token: f64,
    /// Bytes of a plain tokio task and a token in a map.
    pub limit_bytes: f64,
    /// How many times the limit the first is.
    pub times_limit: f64,
    /// What is asked of the first.
    pub bar: Option<Bar>,
}

impl Report {
    pub(super) fn new(options: &Options) -> Result<Self, BenchError> {
        let dir = &options.dir;
        std::fs::read_dir(dir).map_err(|source| BenchError::Folder { path: dir.clone(), source })?;
        Ok(Self {
            machine: Machine::here(dir),
            run: RunFacts {
                at: wall(),
                version: env!("CARGO_PKG_VERSION"),
                commit: option_env!("QUELL_COMMIT"),
                build: if cfg!(debug_assertions) { "debug" } else { "release" },
                synchronous: match options.synchronous {
                    Synchronous::Full => "full",
                    Synchronous::Normal => "normal",
                },
                quick: options.quick,
            },
            pending: None,
            finished: None,
            bodies: Vec::new(),
            checks: None,
            spinners: None,
            processes: Vec::new(),
            disk: None,
            start: Vec::new(),
            cancel: None,
            storm: Vec::new(),
            timeouts: Vec::new(),
            events: Vec::new(),
            growth: Vec::new(),
            memory: None,
            http_cancel: None,
            http_load: None,
            streams: None,
            idle: None,
            recovery: None,
        })
    }

    /// A table for people, with a line about the machine above it.
    #[must_use]
    pub fn table(&self) -> String {
        table::of(self)
    }

    /// JSON for programs.
    #[must_use]
    pub fn json(&self) -> String {
        // Names, numbers and texts: nothing that could not be written.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
