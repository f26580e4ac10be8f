//! STUB: signatures that the runtime will carry.

use super::{BlockingTask, Task};

/// The task types of an application, and the host's state that their bodies may reach.
#[derive(Default)]
pub struct Registry(());

/// A task type cannot be registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The name is malformed.
    #[error("`{app}/{model}` is no name of a task type: both match [A-Za-z_][A-Za-z0-9_]{{0,63}}")]
    Name {
        /// The app.
        app: &'static str,
        /// The model.
        model: &'static str,
    },
    /// The name is taken.
    #[error("`{app}/{model}` is registered twice")]
    Twice {
        /// The app.
        app: &'static str,
        /// The model.
        model: &'static str,
    },
}

impl Registry {
    /// An empty one.
    pub fn new() -> Self { Self::default() }
    /// Adds a task type.
    pub fn task<T: Task>(self) -> Result<Self, RegistryError> { Ok(self) }
    /// Adds a blocking task type.
    pub fn blocking<T: BlockingTask>(self) -> Result<Self, RegistryError> { Ok(self) }
    /// State of the host that bodies reach with `ctx.state::<T>()`.
    pub fn state<T: Send + Sync + 'static>(self, state: std::sync::Arc<T>) -> Self { let _ = state; self }
}
