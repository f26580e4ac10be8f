//! Cancel over HTTP, of a server in a process of its own.
//!
//! A cancel is over when its answer is read: 200 says that the task has stopped and that this is durable. One at a time,
//! it takes turns with cancels through the library in this process; over many connections, with a bare actix-web server
//! that reads the same requests and answers as many bytes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::child::{Server, own_cpu};
use super::client::{Connection, load, request};
use super::folder::Folder;
use super::library::{APP, Idle, Library, inside};
use super::sample::{median, median_share, quantiles, rate, tenths};
use super::{Bar, BenchError, CancelledOverHttp, CpuOfOne, Loaded, Options, Scenario, cancel};
use crate::runtime::Task;

/// Connections by which tasks are made ready.
const STARTERS: usize = 64;

/// What HTTP may take on top of the library, at the median.
const OVER_MICROS: u32 = 150;

/// What the cancels are to reach of a bare echo, in hundredths.
const OF_ECHO: u32 = 30;

/// Starts tasks, and gives their numbers.
pub(super) fn start_tasks(address: SocketAddr, model: &str, count: u32) -> Result<Vec<u64>, BenchError> {
    let start = request("POST", &format!("/tasks/{APP}/{model}"), "");
    let starts: Vec<_> = (0..count).map(|_| start.clone()).collect();
    let begun = load(address, STARTERS, &starts, 202, true)?;
    begun.bodies.iter().map(|body| id_of(body)).collect()
}

/// The number of the task that an answer shows.
pub(super) fn id_of(answer: &str) -> Result<u64, BenchError> {
    let value: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    value
        .get("id")
        .and_then(serde_json::Value::as_u64)
        .ok_or_else(|| BenchError::Unexpected(format!("no task in the answer {answer}")))
}

fn cancel_of(id: u64) -> Vec<u8> {
    request("POST", &format!("/cancel/{APP}/{}/{id}", Idle::MODEL), "")
}

pub(super) fn one_by_one(options: &Options, cancels: u32) -> Result<CancelledOverHttp, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let (over_http, library) = (folder.file("served.db"), folder.file("library.db"));
    let server = Server::quell(options, folder.path(), &over_http)?;
    let requests: Vec<_> =
        start_tasks(server.address, Idle::MODEL, cancels)?.into_iter().map(cancel_of).collect();
    let (address, synchronous) = (server.address, options.synchronous);
    let (times, limits) = inside(Scenario::Http, async move || {
        let mut library = Library::start(&library, synchronous).await?;
        let keys = library.start_idle(Idle::MODEL, cancels).await?;
        let mut connection = Connection::open(address)?;
        let (mut times, mut limits) = (Vec::new(), Vec::new());
        for (key, request) in keys.iter().zip(&requests) {
            let began = Instant::now();
            connection.ask(request, 200)?;
            times.push(began.elapsed());
            let began = Instant::now();
            cancel::one(&library.coordinator, key).await?;
            limits.push(began.elapsed());
        }
        library.stop().await;
        Ok((times, limits))
    })?;
    let (micros, limit_micros) = (quantiles(times), quantiles(limits));
    let over_limit_micros = tenths(micros.p50 - limit_micros.p50);
    let held = over_limit_micros <= f64::from(OVER_MICROS);
    let bar = Some(Bar::new(format!("≤ limit + {OVER_MICROS} µs"), held));
    Ok(CancelledOverHttp { cancels, micros, limit_micros, over_limit_micros, bar })
}

/// Time on the processor of three, between two looks.
struct Looks {
    server: Duration,
    client: Duration,
}

impl Looks {
    fn at(server: &Server) -> Self {
        Self { server: server.cpu(), client: own_cpu() }
    }

    fn since(&self, server: &Server) -> (f64, f64) {
        let now = Self::at(server);
        let micros = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() * 1e6;
        (micros(now.server, self.server), micros(now.client, self.client))
    }
}

pub(super) fn many(
    options: &Options,
    connections: usize,
    cancels: u32,
    rounds: u32,
) -> Result<Loaded, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let server = Server::quell(options, folder.path(), &folder.file("served.db"))?;
    let first = start_tasks(server.address, Idle::MODEL, 1)?.into_iter().next().unwrap_or_default();
    let answer = Connection::open(server.address)?.ask(&cancel_of(first), 200)?.len();
    let bare = Server::bare(options, folder.path(), answer)?;
    let (mut rates, mut limits, mut cpu) = (Vec::new(), Vec::new(), CpuSum::default());
    // The first round fills caches and is not counted.
    for round in 0..=rounds {
        let cancels = if round == 0 { cancels / 10 + 1 } else { cancels };
        let requests: Vec<_> =
            start_tasks(server.address, Idle::MODEL, cancels)?.into_iter().map(cancel_of).collect();
        let look = Looks::at(&bare);
        let limit = load(bare.address, connections, &requests, 200, false)?;
        let (of_bare, _) = look.since(&bare);
        let look = Looks::at(&server);
        let own = load(server.address, connections, &requests, 200, false)?;
        let (of_server, of_client) = look.since(&server);
        if round > 0 {
            rates.push(rate(cancels, own.took));
            limits.push(rate(cancels, limit.took));
            cpu.add(f64::from(cancels), of_server, of_bare, of_client);
        }
    }
    let share_of_limit = median_share(&rates, &limits);
    Ok(Loaded {
        connections,
        cancels,
        per_second: median(&rates),
        limit_per_second: median(&limits),
        share_of_limit,
        bar: Some(Bar::at_least_percent(share_of_limit, OF_ECHO)),
        cpu: cpu.of_one(),
        rates,
        limits,
    })
}

/// Microseconds on the processor, over all rounds.
#[derive(Debug, Default)]
pub(super) struct CpuSum {
    count: f64,
    server: f64,
    bare: f64,
    client: f64,
}

impl CpuSum {
    pub(super) fn add(&mut self, count: f64, server: f64, bare: f64, client: f64) {
        self.count += count;
        self.server += server;
        self.bare += bare;
        self.client += client;
    }

    pub(super) fn of_one(&self) -> CpuOfOne {
        let of = |sum: f64| (sum / self.count.max(1.0) * 100.0).round() / 100.0;
        CpuOfOne {
            server_micros: of(self.server),
            limit_micros: of(self.bare),
            client_micros: of(self.client),
        }
    }
}

/// Does something, and gives beside what came of it the microseconds that the server and this process took.
pub(super) fn with_cpu<T>(
    server: &Server,
    work: impl FnOnce() -> Result<T, BenchError>,
) -> Result<(T, f64, f64), BenchError> {
    let look = Looks::at(server);
    let done = work()?;
    let (of_server, of_client) = look.since(server);
    Ok((done, of_server, of_client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_task_is_read_from_an_answer() {
        assert_eq!(id_of(r#"{"id":17,"app":"bench"}"#).unwrap(), 17);
        assert!(id_of("{}").is_err() && id_of("").is_err());
    }
}
