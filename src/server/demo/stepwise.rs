//! Owns the demo models that go step by step and look at each one whether they were asked to stop.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::runtime::{ModelSettings, Task, TaskContext};
use crate::task::TaskError;

use super::APP;

/// Many steps, with a check at each: it stops by itself within its grace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LongTask {
    /// How many steps.
    pub steps: u64,
    /// How long each takes.
    pub step_ms: u64,
}

impl Default for LongTask {
    fn default() -> Self {
        Self { steps: 1000, step_ms: 1000 }
    }
}

impl Task for LongTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "LongTask";
    type Output = String;

    fn settings() -> ModelSettings {
        ModelSettings::new().grace(Duration::from_secs(1))
    }

    async fn process(&self, ctx: TaskContext) -> Result<String, TaskError> {
        ctx.send_event("start", &json!({ "total_steps": self.steps })).await?;
        for step in 0..self.steps {
            ctx.check_cancellation()?;
            ctx.sleep(Duration::from_millis(self.step_ms)).await?;
            ctx.send_event("progress", &json!({ "step": step })).await?;
        }
        ctx.send_event("complete", &json!({})).await?;
        Ok(format!("Completed all {} steps", self.steps))
    }
}

/// Cancels itself at a step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmartTask {
    /// At which step.
    pub stop_at: u64,
}

impl Default for SmartTask {
    fn default() -> Self {
        Self { stop_at: 3 }
    }
}

impl Task for SmartTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "SmartTask";
    type Output = ();

    fn settings() -> ModelSettings {
        ModelSettings::new().grace(Duration::from_secs(1))
    }

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        for step in 0..=self.stop_at {
            ctx.check_cancellation()?;
            ctx.sleep(Duration::from_millis(10)).await?;
            if step == self.stop_at {
                ctx.request_cancellation(&format!("Stopped itself at step {step}")).await?;
                ctx.check_cancellation()?;
            }
            ctx.send_event("progress", &json!({ "step": step })).await?;
        }
        Ok(())
    }
}
