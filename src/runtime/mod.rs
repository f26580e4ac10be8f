//! Layer 3b: the runtime: actors, what they send each other, and what bodies see of it. The only place that names
//! actix actors.
//!
//! | part | owns |
//! |---|---|
//! | [`Coordinator`] | the handle: what an application and the HTTP layer call |
//! | `CoordinatorActor`, `roster` | who runs here; admission; routing by id |
//! | `TaskActor` | one running task: feeds its ladder, carries out what that says |
//! | `DbActor`, `intake` | the one writer; group commit |
//! | `live`, [`TaskContext`] | what a body and its actor share; what the body sees of it |
//! | `shield`, [`Interrupt`] | a section that ends although it was cancelled; how to break what a body waits for |
//! | [`CommandTask`] | programs as tasks |
//! | `lost` | what abandoned bodies cost |
//! | `hub`, `tail`, [`Watch`] | committed events, and those who watch |
//! | `deadlines`, `clock` | all timers in one queue; the only reader of the time |
//! | `time_limits`, `idle` | which timeouts hold; the last sign of life |
//! | `trace` | the span in which user code runs |
//! | `metrics` | the numbers of this runtime |
//! | [`survive_file_limits`] | what happens where a file grows past a limit |
//! | `host` | notices a System that stops without a shutdown, and an actor that panicked |
//! | `listing`, `repeat`, `retention` | searches; requests that are made twice; removing what is old |
//! | `queue`, `cancel`, `cancel_many`, `signal`, `deadline`, `shutdown`, `recovery` | errands of more than one step |

mod body_end;
mod cancel;
mod cancel_many;
mod clock;
mod command;
mod context;
mod coordinator;
mod db_actor;
mod deadline;
mod deadlines;
mod end_notice;
mod file_limit;
mod handle;
mod host;
mod hub;
mod idle;
mod input;
mod intake;
mod interrupt;
mod isolated;
mod lines;
mod link;
mod listing;
mod live;
mod live_index;
mod lost;
mod messages;
mod metrics;
mod model;
mod outcome;
mod queue;
mod recovery;
mod registry;
mod repeat;
mod retention;
mod roster;
#[cfg(test)]
mod roster_lives_tests;
#[cfg(test)]
mod roster_tests;
mod runnable;
mod services;
mod shield;
mod shutdown;
mod signal;
mod start;
mod tail;
mod task_actor;
mod time_limits;
mod trace;
mod watch;

pub use crate::body::Cleaned;
pub use cancel_many::{CancelManyOptions, CancelledMany, CancelledTask, MAX_CANCELLED_AT_ONCE};
pub use clock::{Clock, SystemClock};
pub use command::{CharacterClass, Characters, CommandTask, CommandTaskError, Field, FieldKind};
pub use context::{TakenSignal, TaskContext};
/// For measurements.
#[cfg(feature = "server")]
pub(crate) use deadlines::{Deadlines, Slot};
pub use file_limit::survive_file_limits;
pub use handle::Coordinator;
pub use interrupt::Interrupt;
#[cfg(feature = "server")]
pub(crate) use isolated::main_runs_children;
pub use isolated::run_child_if_asked;
pub use listing::TaskPage;
pub use metrics::HostRecorder;
pub(crate) use metrics::{ConnectionNumbers, Cut, OpenConnection, Refused};
pub use model::{BlockingTask, ModelSettings, Task};
pub use outcome::{
    CancelOptions, CommandError, LiveStatus, Notice, PoolStatus, Readiness, Receipt, Refusal, StartError,
    StartOutcome, StartRequest,
};
pub use registry::{Registry, RegistryError};
pub(crate) use repeat::{Earlier, Place};
pub use start::{Runtime, RuntimeError, RuntimeSettings};
pub(crate) use tail::Batch;
pub(crate) use watch::Ready;
pub use watch::Watch;
