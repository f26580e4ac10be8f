//! The integration tests: one binary, so that it links once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says by a panic that it failed"
)]

mod architecture;
mod bench;
mod documents;
mod events;
mod everything_ends;
mod ladder;
mod library_traps;
mod licences;
mod races;
mod restart;
mod seed;
mod serve;
mod source;
mod storage;
mod support;
mod time;
