//! Two task types: one that everybody may start, and one for those who keep the office.

use std::time::Duration;

use quell::{Task, TaskContext, TaskError};
use serde_json::json;

pub(crate) const APP: &str = "office";

/// Writes a report, row by row.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    rows: u32,
}

impl Task for Export {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Export";
    type Output = u32;

    async fn process(&self, ctx: TaskContext) -> Result<u32, TaskError> {
        for row in 1..=self.rows {
            ctx.sleep(Duration::from_millis(100)).await?; // ends at once when the task is cancelled
            ctx.send_event("progress", &json!({ "row": row, "of": self.rows })).await?;
        }
        Ok(self.rows)
    }
}

/// Removes what is old.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Purge {}

impl Task for Purge {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Purge";
    type Output = &'static str;

    async fn process(&self, ctx: TaskContext) -> Result<&'static str, TaskError> {
        ctx.sleep(Duration::from_secs(1)).await?;
        Ok("clean")
    }
}
