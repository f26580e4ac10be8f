//! Owns the demo models that wait: one for a signal from outside, one for its end.

use std::future::pending;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::runtime::{Cleaned, Task, TaskContext};
use crate::task::TaskError;

use super::{APP, seconds};

/// Waits for the signal `continue`, without asking again and again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContinueTask {
    /// What it says when it begins to wait.
    pub message: String,
    /// How long it waits.
    #[serde(deserialize_with = "seconds")]
    pub wait_seconds: Duration,
}

impl Default for ContinueTask {
    fn default() -> Self {
        Self { message: "Waiting for continue signal".to_owned(), wait_seconds: Duration::from_secs(5) }
    }
}

impl Task for ContinueTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "ContinueTask";
    type Output = &'static str;

    async fn process(&self, ctx: TaskContext) -> Result<&'static str, TaskError> {
        ctx.send_event("started", &json!({ "message": self.message, "continue": false })).await?;
        if ctx.signal_within("continue", self.wait_seconds).await?.is_none() {
            ctx.send_event("timeout", &json!({ "message": "Timeout waiting for continue signal" })).await?;
            return Ok("Timeout");
        }
        ctx.send_event("final", &json!({ "message": "Continue signal received", "continue": true })).await?;
        ctx.send_event("complete", &json!({ "message": "Task completed successfully" })).await?;
        Ok("Completed")
    }
}

/// Waits for ever, and cleans up when it is cancelled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CleanupTask {
    /// How long the cleanup takes.
    pub cleanup_ms: u64,
}

impl Default for CleanupTask {
    fn default() -> Self {
        Self { cleanup_ms: 100 }
    }
}

impl Task for CleanupTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "CleanupTask";
    type Output = ();

    async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> {
        pending().await
    }

    async fn on_cancel(&self, ctx: TaskContext) -> Result<Cleaned, TaskError> {
        tokio::time::sleep(Duration::from_millis(self.cleanup_ms)).await;
        ctx.send_event("cleaned_up", &json!({ "cleanup_ms": self.cleanup_ms })).await?;
        Ok(Cleaned::Done)
    }
}
