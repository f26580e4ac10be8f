//! One task's events to many event streams, beside a bare actix-web broadcast, and with a reader that never reads.
//!
//! A round is over when every reader has every event. The source is as fast as it may be: ours as fast as the disk
//! takes its events, for a body waits for no reader; the bare one as fast as its slowest reader.

use crate::runtime::Task;

use super::child::Server;
use super::client::{Connection, request};
use super::folder::Folder;
use super::http::{CpuSum, start_tasks, with_cpu};
use super::library::APP;
use super::listeners::Listeners;
use super::models::Emit;
use super::sample::{median, median_share, rate};
use super::{Bar, BenchError, Options, Streamed};

/// What the streams are to reach of a bare broadcast, in hundredths.
const OF_BROADCAST: u32 = 50;

/// What is to be left of that beside a reader that never reads: noise is some hundredths.
const BESIDE_STALLED: u32 = 90;

/// One server with its readers.
struct Side {
    server: Server,
    listeners: Listeners,
    go: Vec<u8>,
    stream: Vec<u8>,
    streams: u32,
    events: u32,
}

impl Side {
    fn of(
        server: Server,
        (stream, go): (Vec<u8>, Vec<u8>),
        numbered: bool,
        (streams, events): (u32, u32),
    ) -> Result<Self, BenchError> {
        let count = usize::try_from(streams).unwrap_or(usize::MAX);
        let listeners = Listeners::open(server.address, count, &stream, numbered)?;
        Ok(Self { server, listeners, go, stream, streams, events })
    }

    fn ours(options: &Options, folder: &Folder, sizes: (u32, u32)) -> Result<Self, BenchError> {
        let server = Server::quell(options, folder.path(), &folder.file("served.db"))?;
        let id = start_tasks(server.address, Emit::MODEL, 1)?.into_iter().next().unwrap_or_default();
        let key = format!("{APP}/{}/{id}", Emit::MODEL);
        let go = format!("{{\"events\":{}}}", sizes.1);
        let go = request("POST", &format!("/tasks/{key}/signals/go"), &go);
        Self::of(server, (request("GET", &format!("/stream/{key}"), ""), go), true, sizes)
    }

    fn bare(options: &Options, folder: &Folder, sizes: (u32, u32)) -> Result<Self, BenchError> {
        let server = Server::bare(options, folder.path(), 2)?;
        let go = request("POST", &format!("/go/{}", sizes.1), "");
        Self::of(server, (request("GET", "/stream/bench/Emit/1", ""), go), false, sizes)
    }

    /// Events that reached a reader for each second, and what that took of the processor: server and client.
    fn round(&self) -> Result<(f64, f64, f64), BenchError> {
        let until = self.listeners.frames() + u64::from(self.events);
        let Self { server, listeners, go, .. } = self;
        // A new one each time: between two rounds a server closes what is idle.
        let mut connection = Connection::open(server.address)?;
        let (took, of_server, of_client) = with_cpu(server, || {
            connection.ask(go, 202)?;
            listeners.read_to(until)
        })?;
        Ok((rate(self.delivered(), took), of_server, of_client))
    }

    fn delivered(&self) -> u32 {
        self.streams.saturating_mul(self.events)
    }
}

pub(super) fn measure(
    options: &Options,
    streams: u32,
    events: u32,
    rounds: u32,
) -> Result<Streamed, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let ours = Side::ours(options, &folder, (streams, events))?;
    let bare = Side::bare(options, &folder, (streams, events))?;
    let (mut rates, mut limits, mut stalled) = (Vec::new(), Vec::new(), Vec::new());
    let mut cpu = CpuSum::default();
    // The first round fills caches and is not counted.
    for round in 0..=rounds {
        let (limit, of_bare, _) = bare.round()?;
        let (own, of_server, of_client) = ours.round()?;
        let never_read = ours.listeners.stall(ours.server.address, &ours.stream)?;
        let (with_stalled, ..) = ours.round()?;
        drop(never_read);
        if round > 0 {
            rates.push(own);
            limits.push(limit);
            stalled.push(with_stalled);
            cpu.add(f64::from(ours.delivered()), of_server, of_bare, of_client);
        }
    }
    let share_of_limit = median_share(&rates, &limits);
    let share_with_stalled = median_share(&stalled, &rates);
    Ok(Streamed {
        streams,
        events,
        per_second: median(&rates),
        limit_per_second: median(&limits),
        share_of_limit,
        bar: Some(Bar::at_least_percent(share_of_limit, OF_BROADCAST)),
        stalled_per_second: median(&stalled),
        share_with_stalled,
        stalled_bar: Some(Bar::at_least_percent(share_with_stalled, BESIDE_STALLED)),
        cpu: cpu.of_one(),
        rates,
        limits,
    })
}
