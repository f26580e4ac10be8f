//! The API from outside: a client written from the contract against the real program, or against a server inside the
//! test where the program has no setting for what is tested.

mod at_once;
mod auth;
mod cancel;
mod embedding;
mod limits;
mod metrics;
mod patch;
mod refusals;
mod show;
mod shutdown;
mod signals;
mod start;
mod stream;
mod watchers;
