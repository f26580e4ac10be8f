//! Owns the simplest demo models: one that ends well, some that never end, one that fails and one that panics.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use crate::runtime::{ModelSettings, Task, TaskContext};
use crate::task::TaskError;

use super::APP;

const SECOND: Duration = Duration::from_secs(1);

/// Sends a few events and ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExampleTask {
    /// What it says.
    pub message: String,
}

impl Default for ExampleTask {
    fn default() -> Self {
        Self { message: "Hello from ExampleTask".to_owned() }
    }
}

impl Task for ExampleTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "ExampleTask";
    type Output = String;

    async fn process(&self, ctx: TaskContext) -> Result<String, TaskError> {
        ctx.send_event("start", &json!({ "message": self.message })).await?;
        for step in 0..3 {
            sleep(Duration::from_millis(10)).await;
            ctx.send_event("progress", &json!({ "step": step })).await?;
        }
        ctx.send_event("complete", &json!({ "message": self.message })).await?;
        Ok(format!("Completed processing: {}", self.message))
    }
}

/// Runs for ever and never looks whether it was asked to stop: it is dropped at its await.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StuckTask {}

impl Task for StuckTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "StuckTask";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        run_for_ever(&ctx).await
    }
}

/// As [`StuckTask`], but it runs again after its process died, and after a shutdown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartTask {}

impl Task for RestartTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "RestartTask";
    type Output = ();

    fn settings() -> ModelSettings {
        ModelSettings::new().restart(10)
    }

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        run_for_ever(&ctx).await
    }
}

async fn run_for_ever(ctx: &TaskContext) -> Result<(), TaskError> {
    ctx.send_event("start", &json!({ "message": "Starting infinite loop" })).await?;
    loop {
        sleep(SECOND).await;
        ctx.send_event("still_running", &json!({ "message": "Still going..." })).await?;
    }
}

/// Takes an hour, second by second.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlowTask {
    /// How many seconds.
    pub seconds: u64,
}

impl Default for SlowTask {
    fn default() -> Self {
        Self { seconds: 3600 }
    }
}

impl Task for SlowTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "SlowTask";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        for second in 0..self.seconds {
            sleep(SECOND).await;
            ctx.send_event("progress", &json!({ "seconds": second })).await?;
        }
        Ok(())
    }
}

/// Fails at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailTask {
    /// With these words.
    pub message: String,
}

impl Default for FailTask {
    fn default() -> Self {
        Self { message: "failed as asked".to_owned() }
    }
}

impl Task for FailTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "FailTask";
    type Output = ();

    async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> {
        Err(TaskError::new("DemoError", self.message.as_str()))
    }
}

/// Panics at once, which harms nobody else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PanicTask {}

impl Task for PanicTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "PanicTask";
    type Output = ();

    #[expect(clippy::panic, reason = "it is what this model is for")]
    async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> {
        panic!("panicked as asked")
    }
}
