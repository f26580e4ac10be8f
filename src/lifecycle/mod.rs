//! Layer 1: what may happen to a task, decided and nothing else.
//!
//! Two pure machines. [`transition`] says what an input does to a *row*: every (status, input) pair has an
//! answer, and a terminal row has only one. `Ladder` says what a running task *does next* on its way to an
//! end: one way down for cancel, timeout and shutdown. Neither waits, reads a clock or writes anything.

mod ask;
mod events;
mod ladder;
#[cfg(test)]
mod ladder_tests;
mod life;
#[cfg(test)]
mod life_tests;

pub use ask::Ask;
pub(crate) use events::events_of;
pub(crate) use ladder::{
    AskedHow, CleanupState, Effect, Ladder, Limits, Probe, Signal as LadderInput, Timer,
};
pub use life::{BodyEnd, Change, Ending, Illegal, Input, Life, transition};
