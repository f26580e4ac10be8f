//! What the tests share: worlds, bodies written in place, signals, held threads, processes that are killed.

mod bodies;
mod child;
mod hold;
mod stage;
mod world;

pub(crate) use bodies::{
    Again, AgainPatient, Brief, Graced, Patient, Plain, Single, SingleAgain, Thorough, Triple,
};
pub(crate) use child::{Child, is_child_of};
pub(crate) use hold::{Hold, sent};
pub(crate) use stage::{LONG, MarkOnDrop, Stage, eventually, poll_once};
pub(crate) use world::{
    OWNER, Session, World, blocking_request, not_running, request, seconds, stop_of, stopped_by,
};
