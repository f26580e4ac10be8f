//! How user code runs: a pool of threads, a panic boundary, and the word by which a body is stopped.
//!
//! Invariants:
//! 1. Every line of user code (making a body, its polls, its drop, its cleanup, its children) runs inside
//!    [`boundary`]; a panic there ends that attempt and nothing else.
//! 2. Only a pool thread drops a body, and only between two polls. Whoever asks for the stop never waits.
//! 3. A body that keeps its thread costs others no more than that thread: the [`watchdog`] adds one for it.
//! 4. An attempt makes exactly one report, after its body *and* its children are gone; an abandoned one
//!    makes none, and says once that it has come back.
//!
//! It does not know tasks, rows, actors or clocks: limits are kept by the runtime, which calls
//! [`Control::request_stop`], [`Control::abandon`] and [`Control::stop_cleanup`] when they pass.

mod attempt;
mod blocking;
mod boundary;
mod control;
mod doze;
mod end;
mod hooks;
mod limits;
mod pool;
mod priority;
#[cfg(target_os = "linux")]
pub(crate) mod process;
mod queue;
mod seat;
#[cfg(test)]
mod tests;
mod watchdog;
mod watcher;

/// What [`doze`] and the queue's sleepers are made of here; their model is made of the same things of `loom`.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, fence};
    pub(super) use std::sync::{Mutex, MutexGuard};
    pub(super) use std::thread::{Thread, current, park, park_timeout};
}

pub(crate) use attempt::{Attempt, run, run_blocking, run_cleanup};
pub(crate) use boundary::{Contained, catch, release};
pub(crate) use control::{Asked, Control, Probe};
pub use end::Cleaned;
pub(crate) use end::{BodyEnd, CleanupEnd, Report};
pub(crate) use limits::ChildLimits;
pub(crate) use pool::{Pool, PoolSettings};
#[cfg(feature = "server")]
pub(crate) use priority::Priority;
pub(crate) use queue::Child;
#[cfg(feature = "server")]
pub(crate) use queue::Unwatched;
