//! Task types that only a measured server has.

use serde::Deserialize;
use serde_json::json;

use crate::runtime::{ModelSettings, Registry, RegistryError, Task, TaskContext};
use crate::task::TaskError;

use super::library::{APP, Idle, Noop};

/// Adds the task types of the measurements.
///
/// # Errors
/// [`RegistryError`], where a name is taken.
pub fn register_measured(registry: Registry) -> Result<Registry, RegistryError> {
    registry.task::<Noop>()?.task::<Idle>()?.task::<Again>()?.task::<Emit>()
}

/// Waits for ever, and again after its process died.
#[derive(Deserialize)]
pub(super) struct Again {}

impl Task for Again {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Again";
    type Output = ();

    fn settings() -> ModelSettings {
        ModelSettings::new().restart(10)
    }

    async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> {
        std::future::pending().await
    }
}

/// Sends as many events as each signal `go` says, as fast as they are taken.
#[derive(Deserialize)]
pub(super) struct Emit {}

#[derive(Deserialize)]
struct Go {
    events: u32,
}

impl Task for Emit {
    const APP: &'static str = APP;
    const MODEL: &'static str = "Emit";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        loop {
            let signal = ctx.signal("go").await?;
            let Go { events } = serde_json::from_str(signal.data.as_str())
                .map_err(|error| TaskError::new("NoNumber", error.to_string()))?;
            for n in 0..events {
                ctx.send_event("tick", &json!({ "n": n })).await?;
            }
        }
    }
}
