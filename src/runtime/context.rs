//! STUB: signatures that the runtime will carry.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::task::{Cause, EventError, JsonText, TaskCancelled, TaskKey};

/// A body's link to its task.
#[derive(Clone)]
pub struct TaskContext(Arc<()>);

/// A signal that a body took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSignal {
    /// Its name.
    pub name: String,
    /// What came with it.
    pub data: JsonText,
}

impl TaskContext {
    /// The task's key.
    pub fn key(&self) -> TaskKey { unimplemented!() }
    /// The owner.
    pub fn owner(&self) -> &str { unimplemented!() }
    /// The attempt.
    pub fn attempt(&self) -> u32 { unimplemented!() }
    /// Sends an event.
    pub async fn send_event<T: Serialize + ?Sized>(&self, kind: &str, data: &T) -> Result<(), EventError> { let _ = (kind, data); unimplemented!() }
    /// The same from a blocking body.
    pub fn send_event_blocking<T: Serialize + ?Sized>(&self, kind: &str, data: &T) -> Result<(), EventError> { let _ = (kind, data); unimplemented!() }
    /// Errs once the task was asked to stop.
    pub fn check_cancellation(&self) -> Result<(), TaskCancelled> { unimplemented!() }
    /// Whether asked.
    pub fn is_cancellation_requested(&self) -> bool { unimplemented!() }
    /// The same, for blocking bodies.
    pub fn should_stop(&self) -> bool { unimplemented!() }
    /// The cause, once asked.
    pub fn cancel_cause(&self) -> Option<Cause> { unimplemented!() }
    /// Asks for its own stop (cause `self`); resolves when the request is accepted.
    pub async fn request_cancellation(&self, reason: &str) -> Result<(), crate::Refusal> { let _ = reason; unimplemented!() }
    /// Sleeps; errs as soon as the task is asked to stop.
    pub async fn sleep(&self, time: Duration) -> Result<(), TaskCancelled> { let _ = time; unimplemented!() }
    /// Resolves when the task is asked to stop.
    pub async fn cancelled(&self) -> TaskCancelled { unimplemented!() }
    /// Waits for the next signal of that name, without polling; errs as soon as the task is asked to stop.
    pub async fn signal(&self, name: &str) -> Result<TakenSignal, TaskCancelled> { let _ = name; unimplemented!() }
    /// The same with a limit: none when it passes.
    pub async fn signal_within(&self, name: &str, time: Duration) -> Result<Option<TakenSignal>, TaskCancelled> { let _ = (name, time); unimplemented!() }
    /// A sign of life.
    pub fn heartbeat(&self) { unimplemented!() }
    /// A future beside the body: stops with it.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) { let _ = future; unimplemented!() }
    /// Sends each item of a stream as a `progress` event; gives back how many.
    pub async fn progress_stream<S>(&self, stream: S) -> Result<u64, crate::TaskError> where S: futures_util::Stream + Send, S::Item: Serialize + Send + Sync { let _ = stream; unimplemented!() }
    /// The same for an iterator; checks for cancellation between the items.
    pub async fn progress_iter<I>(&self, items: I) -> Result<u64, crate::TaskError> where I: IntoIterator + Send, I::IntoIter: Send, I::Item: Serialize + Send + Sync { let _ = items; unimplemented!() }
    /// State of the host, by type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> { unimplemented!() }
}
