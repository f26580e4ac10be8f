//! Deadlines that are far away: bytes of each, and what the thread that waits for them takes meanwhile.
//!
//! The runtime's own queue is measured alone, with its thread: what waits in it is an entry per timer, whatever the
//! task. Its thread says itself how much of a processor it has used, when a timer that is due wakes it before and
//! after the wait. Beside it tokio-util's `DelayQueue` with as many entries, polled by a thread of its own.

use std::fs;
use std::future::poll_fn;
use std::sync::mpsc::{Receiver, sync_channel};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::time::DelayQueue;

use crate::runtime::{Deadlines, Slot};
use crate::task::TaskId;

use super::memory::{growth, look};
use super::sample::share;
use super::{Bar, BenchError};

/// How far away the deadlines are: the first this long, the last twice as long.
const FAR: Duration = Duration::from_secs(3_600);

/// The next task's deadline is so many places further on. Without a factor in common with their number, so that each
/// place is taken once.
const STRIDE: u64 = 7_919;

/// How long a thread may take to say something.
const LONGEST: Duration = Duration::from_secs(60);

/// Deadlines that wait.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Pending {
    /// How many.
    pub deadlines: u32,
    /// Bytes of each.
    pub bytes: f64,
    /// Bytes of each in a `DelayQueue`.
    pub limit_bytes: f64,
    /// How long they waited.
    pub waited_seconds: f64,
    /// What their thread used of one processor meanwhile; 1 is all of it.
    pub of_one_core: f64,
    /// What a thread that polls a `DelayQueue` used.
    pub limit_of_one_core: f64,
    /// What is asked of the bytes.
    pub bar: Option<Bar>,
    /// What is asked of the processor: nothing, but for the wakings that measure it.
    pub core_bar: Option<Bar>,
}

/// What one of the two took.
struct Took {
    bytes: f64,
    of_one_core: f64,
}

pub(super) fn measure(deadlines: u32, wait: Duration) -> Result<Pending, BenchError> {
    let own = ours(deadlines, wait)?;
    let limit = delay_queue(deadlines, wait)?;
    Ok(Pending {
        deadlines,
        bytes: own.bytes,
        limit_bytes: limit.bytes,
        waited_seconds: wait.as_secs_f64(),
        of_one_core: own.of_one_core,
        limit_of_one_core: limit.of_one_core,
        bar: Some(Bar::new("≤ 128 B", own.bytes <= 128.0)),
        core_bar: Some(Bar::new("none (< 0.1 %)", own.of_one_core < 0.001)),
    })
}

/// The runtime's queue.
fn ours(deadlines: u32, wait: Duration) -> Result<Took, BenchError> {
    let (told, cpu) = sync_channel(1);
    let queue = Deadlines::default();
    // On the queue's own thread. Err: whoever asked has given up.
    queue.run(move |_| drop(told.try_send(processor_time())))?;
    let before = look()?;
    let began = Instant::now();
    for (number, id) in (0..deadlines).zip(ids()) {
        queue.set(began + far(number, deadlines), id, Slot::Deadline);
    }
    let bytes = growth(before, look()?, deadlines);
    let now = || {
        if let Some(id) = ids().next() {
            queue.set(Instant::now(), id, Slot::Idle);
        }
        answered(&cpu)
    };
    let before = now()?;
    // Nobody sends meanwhile: it is the wait itself.
    let silent = cpu.recv_timeout(wait);
    let used = now()?.saturating_sub(before);
    queue.close();
    if silent.is_ok() {
        return Err(BenchError::Unexpected("a deadline of the next hour is over".to_owned()));
    }
    Ok(Took { bytes, of_one_core: share(used.as_secs_f64(), wait.as_secs_f64()) })
}

/// The same in a `DelayQueue`, on a thread of its own.
fn delay_queue(deadlines: u32, wait: Duration) -> Result<Took, BenchError> {
    let (told, took) = sync_channel(1);
    let body = move || {
        // Err: whoever asked has given up.
        let _ = told.try_send(wait_in_delay_queue(deadlines, wait));
    };
    thread::Builder::new().name("quell-delays".to_owned()).spawn(body)?;
    took.recv_timeout(LONGEST + wait).map_err(|_| silent())?
}

fn wait_in_delay_queue(deadlines: u32, wait: Duration) -> Result<Took, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let before = look()?;
        let mut queue = DelayQueue::new();
        for (number, id) in (0..deadlines).zip(ids()) {
            queue.insert((id, Slot::Deadline), far(number, deadlines));
        }
        let bytes = growth(before, look()?, deadlines);
        let before = processor_time()?;
        let next = poll_fn(|cx| match queue.poll_expired(cx) {
            Poll::Ready(Some(_)) => Poll::Ready(()),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        });
        let over = tokio::time::timeout(wait, next).await;
        let used = processor_time()?.saturating_sub(before);
        if over.is_ok() {
            return Err(BenchError::Unexpected("a delay of an hour is over".to_owned()));
        }
        Ok(Took { bytes, of_one_core: share(used.as_secs_f64(), wait.as_secs_f64()) })
    })
}

/// Spread over an hour, neighbours far from each other: tasks do not start in the order of their deadlines.
fn far(number: u32, deadlines: u32) -> Duration {
    let place = u64::from(number) * STRIDE % u64::from(deadlines.max(1));
    FAR + FAR * u32::try_from(place).unwrap_or(0) / deadlines.max(1)
}

fn ids() -> impl Iterator<Item = TaskId> {
    (1..).filter_map(TaskId::new)
}

/// What the thread that calls has used of a processor so far.
fn processor_time() -> Result<Duration, BenchError> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| BenchError::Unexpected("/proc tells no times".to_owned()))
}

fn answered(cpu: &Receiver<Result<Duration, BenchError>>) -> Result<Duration, BenchError> {
    cpu.recv_timeout(LONGEST).map_err(|_| silent())?
}

fn silent() -> BenchError {
    BenchError::Unexpected("the thread of the deadlines is silent".to_owned())
}
