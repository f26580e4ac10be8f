//! Owns the demo models that cannot be stopped where they run: they end as `abandoned`.

use std::hint::spin_loop;
use std::thread::park;

use serde::Deserialize;

use crate::runtime::{BlockingTask, Task, TaskContext};
use crate::task::TaskError;

use super::APP;

/// An endless loop that never yields nor checks: it keeps a thread and a core, and nobody else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpinTask {}

impl Task for SpinTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "SpinTask";
    type Output = ();

    async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> {
        loop {
            spin_loop();
        }
    }
}

/// Blocks its thread for ever and never checks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockTask {}

impl BlockingTask for BlockTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "BlockTask";
    type Output = ();

    fn process(&self, _ctx: &TaskContext) -> Result<(), TaskError> {
        loop {
            park();
        }
    }
}
