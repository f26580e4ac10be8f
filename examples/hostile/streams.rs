//! Ten thousand streams of tasks that send nothing: what each costs, and how long the server takes to end them all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failed;
use crate::report::Report;
use crate::server::Server;
use crate::wire::{Wire, head};

const TASKS: usize = 100;
const STREAMS_OF_EACH: usize = 100;
const STREAMS: usize = TASKS * STREAMS_OF_EACH;

/// KiB of the server for each.
const KIB_OF_EACH: f64 = 16.0;

/// From the signal to the end.
const END: Duration = Duration::from_secs(3);

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failed> {
    let mut server = Server::start()?;
    let mut wire = Wire::open(server.address).await?;
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        tasks.push(wire.start("CleanupTask", &json!({})).await?);
    }
    // What is made once is made before the first reading.
    drop(opened(server.address, &tasks, 1).await?);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = server.memory_kib()?;
    let streams = opened(server.address, &tasks, STREAMS_OF_EACH).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = server.memory_kib()?;
    let each = of_each(after.saturating_sub(before));
    report.row(
        format!("{STREAMS} idle streams, memory of each"),
        format!("{each:.1} KiB"),
        format!("{KIB_OF_EACH} KiB"),
        each <= KIB_OF_EACH,
    );
    let mut reading = JoinSet::new();
    for mut stream in streams {
        reading.spawn(async move {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&rest).contains("event: cancelled"))
        });
    }
    server.terminate()?;
    let began = Instant::now();
    let code = server.ended(Duration::from_secs(40)).await?;
    let took = began.elapsed();
    let mut told = 0;
    while let Some(ended) = reading.join_next().await {
        told += usize::from(matches!(ended?, Ok(true)));
    }
    report.row(
        "  SIGTERM with all of them open, until it has ended",
        format!("{:.2} s, code {code:?}", took.as_secs_f64()),
        format!("{} s, code Some(0)", END.as_secs()),
        took <= END && code == Some(0),
    );
    report.row(
        "  streams that ended with their task's end",
        told.to_string(),
        STREAMS.to_string(),
        told == STREAMS,
    );
    Ok(())
}

/// So many streams of each task, each up to its first event.
async fn opened(address: SocketAddr, tasks: &[String], of_each: usize) -> Result<Vec<TcpStream>, Failed> {
    let mut open = Vec::new();
    for task in tasks {
        let mut opening = JoinSet::new();
        for _ in 0..of_each {
            let task = task.clone();
            opening.spawn(async move { stream(address, &task).await });
        }
        while let Some(stream) = opening.join_next().await {
            open.push(stream??);
        }
    }
    Ok(open)
}

async fn stream(address: SocketAddr, task: &str) -> Result<TcpStream, Failed> {
    let mut stream = TcpStream::connect(address).await?;
    let head = head("GET", &format!("/stream/{task}"), "accept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains("event: running") {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err("a stream ended at its beginning".into());
        }
    }
    Ok(stream)
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a figure for people")]
fn of_each(kib: u64) -> f64 {
    kib as f64 / STREAMS as f64
}
