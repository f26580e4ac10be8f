//! The integration tests: one binary, so that it links once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says by a panic that it failed"
)]

mod access;
mod architecture;
mod bad_days;
mod bench;
mod commands;
mod deaf_log;
mod documents;
mod events;
mod everything_ends;
mod http;
mod kill;
mod ladder;
mod library_traps;
mod licences;
mod limits;
mod logs;
mod metrics;
mod processes;
mod races;
mod restart;
mod secrets;
mod seed;
mod serve;
mod server;
mod session_login;
mod source;
mod storage;
mod support;
mod time;
mod trouble;
