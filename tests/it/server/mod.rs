//! Owns what tests need to meet a server from outside: the real program, a server inside the test, a client, a reader
//! of event streams, and a plain socket.
//!
//! It knows the contract's paths and nothing of the source; waiting has a deadline everywhere.

mod client;
mod hosted;
mod process;
mod raw;
mod sse;
mod wait;

pub(crate) use client::{Answer, Client, Task};
pub(crate) use hosted::Hosted;
pub(crate) use process::{Ended, Home, Server, refusal_of, token, tokens};
pub(crate) use raw::{Reply, Socket};
pub(crate) use sse::{Frame, Item, Parser, Watching};
pub(crate) use wait::eventually;
