//! Layer 3b: the runtime: actors, what they send each other, and what bodies see of it. The only place that names
//! actix actors.

mod context;
mod handle;
mod model;
mod outcome;
mod registry;
mod runtime_stub;

pub use context::{TakenSignal, TaskContext};
pub use handle::{Coordinator, Watch};
pub use model::{BlockingTask, Cleaned, ModelSettings, Task};
pub use outcome::{
    CancelOptions, CommandError, LiveStatus, Notice, Readiness, Receipt, Refusal, StartError, StartOutcome,
    StartRequest,
};
pub use registry::{Registry, RegistryError};
pub use runtime_stub::{Runtime, RuntimeError, RuntimeSettings};
