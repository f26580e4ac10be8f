//! Owns the demo model that runs in a process of its own.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::runtime::{ModelSettings, Task, TaskContext};
use crate::task::TaskError;

use super::APP;

/// An endless loop in a process of its own, which never looks whether it was asked to stop: it is killed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessTask {}

impl Task for ProcessTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "ProcessTask";
    type Output = ();

    fn settings() -> ModelSettings {
        ModelSettings::new().grace(Duration::from_secs(1))
    }

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        ctx.send_event("start", &json!({ "pid": std::process::id() })).await?;
        loop {
            std::hint::spin_loop();
        }
    }
}
