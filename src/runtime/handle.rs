//! STUB: signatures that the runtime will carry.

use std::sync::Arc;
use std::time::Duration;

use crate::store::StoreError;
use crate::task::{JsonText, Record, TaskKey, Timeout};

use super::{CancelOptions, CommandError, LiveStatus, Notice, Readiness, Receipt, StartError, StartOutcome, StartRequest};

/// The runtime, from outside. Cloning is cheap. Dropping a future of a command takes nothing back.
#[derive(Clone)]
pub struct Coordinator(Arc<()>);

/// A watch over one task's events.
pub struct Watch(());

impl Watch {
    /// The next notice; none after the terminal event. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Notice, StoreError>> { unimplemented!() }
}

impl Coordinator {
    /// Whether the model is registered.
    pub fn has_model(&self, app: &str, model: &str) -> bool { let _ = (app, model); unimplemented!() }
    /// Starts a task: answers when its row is durable.
    pub async fn start(&self, request: StartRequest) -> Result<Record, StartError> { let _ = request; unimplemented!() }
    /// Makes a row that waits until it is started.
    pub async fn create(&self, request: StartRequest) -> Result<Record, StartError> { let _ = request; unimplemented!() }
    /// Starts a created task.
    pub async fn start_task(&self, key: &TaskKey, timeout: Option<Timeout>) -> Result<StartOutcome, CommandError> { let _ = (key, timeout); unimplemented!() }
    /// Cancels a task.
    pub async fn cancel(&self, key: &TaskKey, options: CancelOptions) -> Result<Receipt, CommandError> { let _ = (key, options); unimplemented!() }
    /// Cancels a task with the usual wait.
    pub async fn cancel_task(&self, key: &TaskKey, reason: Option<&str>) -> Result<Receipt, CommandError> { let _ = (key, reason); unimplemented!() }
    /// The owner of a task: from memory where it runs here, else from the database.
    pub async fn owner(&self, key: &TaskKey) -> Result<Arc<str>, CommandError> { let _ = key; unimplemented!() }
    /// The durable row.
    pub async fn task(&self, key: &TaskKey) -> Result<Record, CommandError> { let _ = key; unimplemented!() }
    /// The durable row and live facts.
    pub async fn status(&self, key: &TaskKey) -> Result<LiveStatus, CommandError> { let _ = key; unimplemented!() }
    /// Moves the deadline of an unfinished task. [`CommandError::Ended`] otherwise.
    pub async fn set_timeout(&self, key: &TaskKey, timeout: Option<Timeout>) -> Result<Record, CommandError> { let _ = (key, timeout); unimplemented!() }
    /// Hands a signal to an unfinished task. [`CommandError::Ended`] otherwise.
    pub async fn signal(&self, key: &TaskKey, name: &str, data: JsonText) -> Result<(), CommandError> { let _ = (key, name, data); unimplemented!() }
    /// Waits for the end of a task and gives its row.
    pub async fn result(&self, key: &TaskKey) -> Result<Record, CommandError> { let _ = key; unimplemented!() }
    /// Watches the events with numbers above `after`.
    pub async fn watch(&self, key: &TaskKey, after: i64) -> Result<Watch, CommandError> { let _ = (key, after); unimplemented!() }
    /// Whether it takes work.
    pub fn readiness(&self) -> Readiness { unimplemented!() }
    /// Stops everything within the budget: drains, climbs the ladder for all, writes every row. Resolves when done.
    pub async fn shutdown(&self, budget: Duration) { let _ = budget; unimplemented!() }
    /// Skips the grace of a shutdown under way.
    pub fn hurry(&self) { unimplemented!() }
}
