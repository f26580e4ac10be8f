//! The API from outside: a client written from the contract against the real program, or against a server inside the
//! test where the program has no setting for what is tested.

mod at_once;
mod auth;
mod away;
mod cancel;
mod cancel_many;
mod connections;
mod corpus;
mod documented;
mod embedding;
mod endless;
mod host;
mod limits;
mod list;
mod metrics;
mod patch;
mod refusals;
mod repeat;
mod retention;
mod show;
mod shutdown;
mod signals;
mod start;
mod stream;
mod watchers;
