//! Two thousand connections of a kind at once, until the server has none of them left, and what that does to the client
//! that behaves and to the server's memory.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::Failed;
use crate::honest::Honest;
use crate::report::{Report, mib, ms, quantile};
use crate::server::Server;
use crate::wire::{Wire, head};

const CONNECTIONS: usize = 2_000;

/// How long the client is looked at before each kind.
const BEFORE: Duration = Duration::from_secs(8);

/// Between two bytes.
const PAUSE: Duration = Duration::from_secs(1);

/// How long anything may last before it is given up on.
const TOO_LONG: Duration = Duration::from_secs(60);

/// How long an allocator may take to give back what is free.
const SETTLING: Duration = Duration::from_secs(12);

/// More memory than this above what it was is not what it was.
const MEMORY_KIB: u64 = 16 * 1024;

/// Connections of ours that are none of the hostile ones: the client that behaves, and the one that looks.
const OURS: usize = 2;

/// How they misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    FirstHeads,
    LaterHeads,
    NoBody,
    SlowBody,
    UnreadStreams,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::FirstHeads, Self::LaterHeads, Self::NoBody, Self::SlowBody, Self::UnreadStreams];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::FirstHeads => "first-heads",
            Self::LaterHeads => "later-heads",
            Self::NoBody => "no-body",
            Self::SlowBody => "slow-body",
            Self::UnreadStreams => "unread-streams",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::FirstHeads => "a first head a byte at a time",
            Self::LaterHeads => "a later head a byte at a time",
            Self::NoBody => "a body that never comes",
            Self::SlowBody => "a body at 1 byte/s",
            Self::UnreadStreams => "a stream that is never read",
        }
    }

    /// When none may be left. A stream is filled first, and then has 30 s without progress.
    fn bar(self) -> Duration {
        Duration::from_secs(if self == Self::UnreadStreams { 35 } else { 15 })
    }
}

/// Measures each kind against one server.
pub(crate) async fn measure(kinds: &[Kind], report: &mut Report) -> Result<(), Failed> {
    let server = Server::start()?;
    let mut look = Look { wire: Wire::open(server.address).await?, address: server.address };
    let stream = long_log(&mut look.wire).await?;
    // What is made once is made before anything is measured.
    crowd(&server, &stream, Kind::NoBody, &mut look).await?;
    for kind in kinds {
        one(&server, &stream, *kind, &mut look, report).await?;
    }
    Ok(())
}

async fn one(
    server: &Server,
    stream: &str,
    kind: Kind,
    look: &mut Look,
    report: &mut Report,
) -> Result<(), Failed> {
    look.renew().await?;
    let honest = Honest::start(server.address);
    tokio::time::sleep(BEFORE).await;
    let mut before = honest.end()?;
    let memory = server.memory_kib()?;
    let honest = Honest::start(server.address);
    let crowd = crowd(server, stream, kind, look).await?;
    let mut during = honest.end()?;
    let told = kind.told();
    let (p99, hostile) = (quantile(&mut before, 0.99), quantile(&mut during, 0.99));
    report.row(
        format!("{CONNECTIONS} × {told}: none left after"),
        format!("{:.1} s", crowd.lasted.as_secs_f64()),
        format!("{} s", kind.bar().as_secs()),
        crowd.lasted <= kind.bar(),
    );
    report.row(
        "  client that behaves, p50 before, during",
        format!("{}, {}", ms(quantile(&mut before, 0.5)), ms(quantile(&mut during, 0.5))),
        String::new(),
        true,
    );
    report.row(
        format!("  p99 before ({} rounds), during ({})", before.len(), during.len()),
        format!("{}, {}", ms(p99), ms(hostile)),
        "2 ×".to_owned(),
        hostile <= p99 * 2,
    );
    let after = settled(server, memory + MEMORY_KIB).await?;
    report.row(
        "  memory before, peak, after",
        format!("{}, {}, {}", mib(memory), mib(crowd.peak_kib), mib(after)),
        format!("+ {}", mib(MEMORY_KIB)),
        after <= memory + MEMORY_KIB,
    );
    Ok(())
}

/// What the memory falls to: an allocator gives back what is free in its own time.
async fn settled(server: &Server, goal_kib: u64) -> Result<u64, Failed> {
    let until = Instant::now() + SETTLING;
    loop {
        let memory = server.memory_kib()?;
        if memory <= goal_kib || Instant::now() > until {
            return Ok(memory);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What a crowd did.
struct Crowd {
    lasted: Duration,
    peak_kib: u64,
}

/// Opens all of them, and waits until the server has none left.
async fn crowd(server: &Server, stream: &str, kind: Kind, look: &mut Look) -> Result<Crowd, Failed> {
    let began = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (address, stream) = (server.address, stream.to_owned());
        all.spawn(async move { misbehave(kind, address, &stream).await });
    }
    let (mut peak_kib, mut came) = (0, 0);
    loop {
        let there = look.connections().await?.saturating_sub(OURS);
        came = came.max(there);
        peak_kib = peak_kib.max(server.memory_kib()?);
        let lasted = began.elapsed();
        // The look is one in ten of a second: one may have come and gone, or ours be on its way back.
        if there == 0 && came >= CONNECTIONS - CONNECTIONS / 100 {
            all.abort_all();
            return Ok(Crowd { lasted, peak_kib });
        }
        if lasted > TOO_LONG {
            return Err(format!("{there} of {came} connections are there after {lasted:?}: {kind:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Until its connection ends; or for ever, where that cannot be seen without reading.
async fn misbehave(kind: Kind, address: SocketAddr, stream: &str) -> std::io::Result<()> {
    let body = |length: usize| {
        let more = format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        head("POST", "/tasks/tests/StuckTask", &more)
    };
    let mut connection = if kind == Kind::UnreadStreams {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect(address).await?
    } else {
        TcpStream::connect(address).await?
    };
    match kind {
        Kind::FirstHeads => {}
        Kind::LaterHeads => {
            connection.write_all(head("GET", "/livez", "\r\n").as_bytes()).await?;
            let mut answer = Vec::new();
            connection.read_buf(&mut answer).await?;
        }
        Kind::NoBody => {
            connection.write_all(body(100_000).as_bytes()).await?;
            let mut end = Vec::new();
            return connection.read_to_end(&mut end).await.map(drop);
        }
        Kind::SlowBody => connection.write_all(body(100_000).as_bytes()).await?,
        Kind::UnreadStreams => {
            let path = format!("/stream/{stream}");
            let head = head("GET", &path, "accept: text/event-stream\r\n\r\n");
            connection.write_all(head.as_bytes()).await?;
            return std::future::pending().await;
        }
    }
    let (mut read, mut write) = connection.split();
    let endless = if kind == Kind::SlowBody { " ".to_owned() } else { head("GET", "/livez", "x: y\r\n") };
    let sending = async {
        for byte in endless.bytes().cycle() {
            write.write_all(&[byte]).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    let mut end = Vec::new();
    tokio::select! {
        ended = read.read_to_end(&mut end) => ended.map(drop),
        ended = sending => ended,
    }
}

/// A finished task with more events than sockets hold.
async fn long_log(wire: &mut Wire) -> Result<String, Failed> {
    let task = wire.start("LongTask", &json!({ "steps": 9_000, "step_ms": 0 })).await?;
    let began = Instant::now();
    loop {
        let (_, told) = wire.call("GET", &format!("/tasks/{task}"), "").await?;
        if told.contains("\"status\":\"completed\"") {
            return Ok(task);
        }
        if began.elapsed() > TOO_LONG {
            return Err(format!("it does not come to its end: {told}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Looks at the server's own count of connections.
struct Look {
    wire: Wire,
    address: SocketAddr,
}

impl Look {
    /// A server closes what is not used for a while.
    async fn renew(&mut self) -> Result<(), Failed> {
        self.wire = Wire::open(self.address).await?;
        Ok(())
    }

    async fn connections(&mut self) -> Result<usize, Failed> {
        let (_, text) = if let Ok(told) = self.wire.call("GET", "/metrics", "").await {
            told
        } else {
            self.renew().await?;
            self.wire.call("GET", "/metrics", "").await?
        };
        let value = text.lines().find_map(|line| line.strip_prefix("quell_connections "));
        Ok(value.ok_or("no count of connections")?.trim().parse()?)
    }
}
