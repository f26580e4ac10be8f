//! The client that behaves: start, cancel, show, over one connection, some hundred rounds a second.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Failed;
use crate::wire::Wire;

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(8);

/// A client in a thread of its own.
pub(crate) struct Honest {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Duration>, Failed>>,
}

impl Honest {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(rounds(address, &stopped))
        });
        Self { stop, thread }
    }

    /// How long each round took.
    pub(crate) fn end(self) -> Result<Vec<Duration>, Failed> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the client panicked")?
    }
}

async fn rounds(address: SocketAddr, stop: &AtomicBool) -> Result<Vec<Duration>, Failed> {
    let mut wire = Wire::open(address).await?;
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let task = wire.start("StuckTask", &json!({})).await?;
        for (method, path, body) in [("POST", "cancel", "{}"), ("GET", "tasks", "")] {
            let (status, told) = wire.call(method, &format!("/{path}/{task}"), body).await?;
            if status != 200 || !told.contains("\"cancelled\"") {
                return Err(format!("{path} of {task} was answered with {status}: {told}").into());
            }
        }
        took.push(began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(took)
}
