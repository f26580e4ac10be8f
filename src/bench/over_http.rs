//! What was measured of a server in a process of its own, as data.

use serde::Serialize;

use super::{Bar, Quantiles};

/// Cancel over one kept connection, one after the other, in turns with cancels through the library.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CancelledOverHttp {
    /// How many.
    pub cancels: u32,
    /// From the request's first byte sent to the answer read; it says that the end is durable.
    pub micros: Quantiles,
    /// The same through the library, in this process.
    pub limit_micros: Quantiles,
    /// What HTTP takes on top, at the median.
    pub over_limit_micros: f64,
    /// What is asked of the median.
    pub bar: Option<Bar>,
}

/// Cancels over many connections at once, in turns with a bare echo.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Loaded {
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Cancels of one round.
    pub cancels: u32,
    /// Cancels for each second: the median of the rounds.
    pub per_second: f64,
    /// Answers for each second of a bare actix-web server with as many workers and bytes.
    pub limit_per_second: f64,
    /// The first by the second: the median of the rounds' own.
    pub share_of_limit: f64,
    /// What is asked of that share.
    pub bar: Option<Bar>,
    /// Time on the processor for each request.
    pub cpu: CpuOfOne,
    /// Every round.
    pub rates: Vec<f64>,
    /// Every round of the limit.
    pub limits: Vec<f64>,
}

/// Microseconds on the processor for one request, or one delivered event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CpuOfOne {
    /// Of our server.
    pub server_micros: f64,
    /// Of the bare one.
    pub limit_micros: f64,
    /// Of the client that asks our server.
    pub client_micros: f64,
}

/// One task's events to many streams, in turns with a bare broadcast.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Streamed {
    /// Streams.
    pub streams: u32,
    /// Events of one round.
    pub events: u32,
    /// Events that reached a reader for each second: the median of the rounds.
    pub per_second: f64,
    /// The same of a bare actix-web broadcast.
    pub limit_per_second: f64,
    /// The first by the second: the median of the rounds' own.
    pub share_of_limit: f64,
    /// What is asked of that share.
    pub bar: Option<Bar>,
    /// The same with one more stream that nobody reads.
    pub stalled_per_second: f64,
    /// That by the first: the median of the rounds' own.
    pub share_with_stalled: f64,
    /// What is asked of that.
    pub stalled_bar: Option<Bar>,
    /// Time on the processor for each event that reached a reader.
    pub cpu: CpuOfOne,
    /// Every round.
    pub rates: Vec<f64>,
    /// Every round of the limit.
    pub limits: Vec<f64>,
}

/// A server with nothing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Idled {
    /// Tasks that wait for ever.
    pub tasks: u32,
    /// Streams on one of them.
    pub streams: u32,
    /// How long it was looked at.
    pub seconds: f64,
    /// Its time on the processor, in hundredths of one core.
    pub percent_of_core: f64,
    /// The same of a bare actix-web server with as many streams, which break the silence as often.
    pub limit_percent_of_core: f64,
    /// What is asked of the first.
    pub bar: Option<Bar>,
}

/// A start over what an earlier process left.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Recovered {
    /// Rows of finished tasks.
    pub finished: u32,
    /// Rows of tasks that ran when the process died; half of them are to run again.
    pub running: u32,
    /// From before the process existed to its ready line: the median of the rounds.
    pub seconds: f64,
    /// A start on an empty database, and the same rows settled by a plain writer.
    pub limit_seconds: f64,
    /// What is asked of the first.
    pub bar: Option<Bar>,
    /// Every round.
    pub times: Vec<f64>,
    /// Every round of the limit.
    pub limits: Vec<f64>,
}
