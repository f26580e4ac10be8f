//! The priority of threads that run user code: lower than that of the threads that keep order among them.
//!
//! It is a request to the system: where that refuses, the threads run like all others.

use rustix::process::{getpriority_process, setpriority_process};

/// How much nicer than the thread that made the pool: on a busy machine a third of its share.
const NICER: i32 = 5;

/// The nicest there is.
const NICEST: i32 = 19;

/// A priority for threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Priority(i32);

impl Priority {
    /// That of bodies, seen from the thread that makes the pool. Absolute: a thread inherits the priority of the
    /// one that starts it, and would else be nicer at each step.
    pub(crate) fn of_bodies() -> Self {
        Self(getpriority_process(None).unwrap_or(0).saturating_add(NICER).min(NICEST))
    }

    /// Gives it to this thread. On Linux "the calling process" is the calling thread.
    pub(crate) fn apply(self) {
        if let Err(error) = setpriority_process(None, self.0) {
            tracing::debug!(%error, "cannot lower the priority of a thread for bodies");
        }
    }
}
