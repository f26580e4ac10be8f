//! Owns the demo models that turn a stream or an iterator into `progress` events.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::runtime::{Task, TaskContext};
use crate::task::TaskError;

use super::APP;

/// A stream of `progress` events; returns how many there were.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AsyncGeneratorTask {
    /// How many.
    pub count: u64,
}

impl Default for AsyncGeneratorTask {
    fn default() -> Self {
        Self { count: 5 }
    }
}

impl Task for AsyncGeneratorTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "AsyncGeneratorTask";
    type Output = u64;

    async fn process(&self, ctx: TaskContext) -> Result<u64, TaskError> {
        let steps = stream::iter(0..self.count).then(|step| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            json!({ "step": step })
        });
        ctx.progress_stream(steps).await
    }
}

/// An iterator of `progress` events; returns how many there were.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyncGeneratorTask {
    /// The data of each event.
    pub items: Vec<Value>,
}

impl Task for SyncGeneratorTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "SyncGeneratorTask";
    type Output = u64;

    async fn process(&self, ctx: TaskContext) -> Result<u64, TaskError> {
        ctx.progress_iter(&self.items).await
    }
}
