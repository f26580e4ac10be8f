//! The clients: of the handle, and over HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quell::task::{Status, StoppedBy};
use quell::{CancelOptions, Coordinator, StartRequest};
use serde_json::Value;

use super::Failed;
use super::models::{APP, KINDS, Kind, Then, timeout};

/// Who the HTTP clients are.
pub(crate) const TOKENS: &str = "soak=soak-token-of-16-or-more";
const BEARER: &str = "Bearer soak-token-of-16-or-more";

/// How often each model ended in each way.
#[derive(Default)]
pub(crate) struct Tally(Mutex<BTreeMap<(String, String), u64>>);

impl Tally {
    fn count(&self, what: &str, how: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((what.to_owned(), how.to_owned())).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = counts.values().sum();
        write!(f, "{all} tasks and streams")?;
        for ((what, how), count) in &*counts {
            write!(f, "\n  {what}: {how} {count}")?;
        }
        Ok(())
    }
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }

    fn kind(&mut self) -> Option<&'static Kind> {
        let place = self.below(u64::try_from(KINDS.len()).unwrap_or(1));
        KINDS.get(usize::try_from(place).unwrap_or(0))
    }
}

/// One task after the other through the handle; each end is held against what its kind allows.
pub(crate) async fn of_the_handle(
    coordinator: &Coordinator,
    tally: &Tally,
    number: u64,
    until: Instant,
) -> Result<(), String> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (number + 1));
    while Instant::now() < until {
        let kind = dice.kind().ok_or("there is no kind")?;
        let mut request = StartRequest::new(APP, kind.model, "soak");
        if let Some(timeout) = timeout().filter(|_| kind.then == Then::Timeout) {
            request = request.timeout(timeout);
        }
        let key = coordinator.start(request).await.map_err(|error| error.to_string())?.key;
        if kind.then == Then::Cancel {
            tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
            let options = CancelOptions { wait: Duration::from_secs(30), ..CancelOptions::default() };
            coordinator.cancel(&key, options).await.map_err(|error| error.to_string())?;
        }
        let record = coordinator.result(&key).await.map_err(|error| error.to_string())?;
        let end = (record.status, record.stopped_by);
        if !kind.ends.contains(&end) {
            return Err(format!("`{key}`, {:?}, ended as {end:?}", kind.then));
        }
        tally.count(kind.model, &told(end));
    }
    Ok(())
}

fn told((status, stopped_by): (Status, Option<StoppedBy>)) -> String {
    stopped_by.map_or_else(|| status.to_string(), |by| by.to_string())
}

/// Starts, watches to the end or leaves half-way, and cancels, over HTTP.
pub(crate) async fn of_http(
    address: SocketAddr,
    tally: &Tally,
    number: u64,
    until: Instant,
) -> Result<(), String> {
    let told = |error: Failed| format!("over HTTP: {error}");
    let mut dice = Dice(0x2545_f491_4f6c_dd1d ^ (number + 1));
    // A connection of its own each time: none is left open at the end.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
    let client = client.map_err(|error| told(error.into()))?;
    while Instant::now() < until {
        let leaves = dice.below(2) == 0;
        watch_one(&client, address, leaves).await.map_err(told)?;
        tally.count("stream", if leaves { "left half-way" } else { "to its end" });
    }
    Ok(())
}

async fn watch_one(client: &reqwest::Client, address: SocketAddr, leaves: bool) -> Result<(), Failed> {
    let url = |path: &str| format!("http://{address}/{path}");
    let model = if leaves { "Idle" } else { "Quick" };
    let start = client.post(url(&format!("tasks/{APP}/{model}"))).header("authorization", BEARER);
    let task: Value = start.send().await?.error_for_status()?.json().await?;
    let id = task.get("id").ok_or("a task without an id")?;
    let path = format!("{APP}/{model}/{id}");
    let stream = client.get(url(&format!("stream/{path}"))).header("authorization", BEARER);
    let mut stream = stream.header("accept", "text/event-stream").send().await?.error_for_status()?;
    let mut text = String::new();
    while let Some(chunk) = stream.chunk().await? {
        text.push_str(&String::from_utf8_lossy(&chunk));
        if leaves && text.contains("event: running") {
            break;
        }
    }
    drop(stream);
    if leaves {
        let cancel = client.post(url(&format!("cancel/{path}"))).header("authorization", BEARER);
        let receipt: Value = cancel.send().await?.error_for_status()?.json().await?;
        if receipt.get("status").is_none_or(|status| status != "cancelled") {
            return Err(format!("the receipt says {receipt}").into());
        }
    } else if !text.contains("event: completed") {
        return Err(format!("a stream without its end: {text}").into());
    }
    Ok(())
}
