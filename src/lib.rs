//! Long tasks for actix-web applications that you can watch, resume and really stop.
//!
//! # The tour
//!
//! A **task type** is a struct of its input that implements [`Task`] (a future) or [`BlockingTask`] (a function on
//! a thread of its own). Its running code is called the *body*. A [`Registry`] holds the types,
//! [`Runtime::start`] opens the database and starts everything, and the [`Coordinator`] is the handle to it:
//!
//! ```
//! use std::time::Duration;
//!
//! use quell::{Coordinator, Receipt, Registry, Runtime, RuntimeSettings, StartRequest};
//! use quell::{Task, TaskContext, TaskError};
//! use quell::task::{Status, StoppedBy};
//!
//! #[derive(serde::Deserialize)]
//! struct Wait {}
//!
//! impl Task for Wait {
//!     const APP: &'static str = "docs";
//!     const MODEL: &'static str = "Wait";
//!     type Output = ();
//!
//!     async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
//!         ctx.send_event("waiting", &serde_json::json!({ "for": "ever" })).await?;
//!         std::future::pending().await // it never looks whether it should stop
//!     }
//! }
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("sqlite://{}", folder.path().join("tasks.db").display());
//! let registry = Registry::new().task::<Wait>()?;
//! let coordinator = Runtime::start(&url, registry, RuntimeSettings::default()).await?;
//!
//! let started = coordinator.start(StartRequest::new("docs", "Wait", "ann")).await?;
//! assert_eq!(started.status, Status::Running);
//!
//! match coordinator.cancel_task(&started.key, Some("enough")).await? {
//!     Receipt::Cancelled { reason, stopped_by, .. } => {
//!         assert_eq!(&*reason, "enough");
//!         assert_eq!(stopped_by, StoppedBy::Dropped); // at its await
//!     }
//!     other => panic!("{other:?}"),
//! }
//! coordinator.shutdown(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! | to | see |
//! |---|---|
//! | write a task | [`Task`], [`BlockingTask`], [`ModelSettings`], [`TaskError`] |
//! | run a body in a process of its own | [`Registry::isolated`], [`run_child_if_asked`] |
//! | let users start programs as tasks | [`Registry::command`], [`CommandTask`], [`Field`] |
//! | talk to the task from its body | [`TaskContext`]: events, checks, sleep, signals, children, the host's state |
//! | start, cancel, signal, watch | [`Coordinator`], [`StartRequest`], [`Receipt`], [`Watch`] |
//! | mount the HTTP API | [`http::routes`], [`http::Principal`], [`http::HttpOptions`] |
//! | bound the connections of a server | [`http::Connections`] |
//! | read rows and events | [`task::Record`], [`task::Event`] |
//! | test tasks | [`testing`]: a clock to set, a database that fails on demand |
//! | go down in order | [`Coordinator::shutdown`] |
//!
//! # How a task stops
//!
//! Cancel, timeout, shutdown and [`TaskContext::request_cancellation`] climb one ladder: *ask* (checks err and waits
//! end), *grace* (the body may finish by itself), *stop* (its future is dropped at an await), *clean up*
//! ([`Task::on_cancel`]), and, for a body that does not stop, *abandon*. The row keeps which of them it was
//! ([`task::StoppedBy`]); it says `cancelled` only after the body has stopped or was written off. An async body that
//! never awaits, or a blocking one that never checks, cannot be stopped: it is written off, and keeps its thread
//! until it returns.
//!
//! # Embedding
//!
//! - [`Runtime::start`] needs an actix `System`, as `#[actix_web::main]` makes one.
//! - The host owns the signals: call [`Coordinator::shutdown`] before the HTTP server is stopped.
//! - Where a part of the runtime fails for good, the process ends with exit code 70, unless
//!   [`RuntimeSettings::on_failure`] says otherwise; the next start recovers.
//! - A panic in a body is that task's failure, which needs `panic = "unwind"`, Rust's default.
//! - The log is [`tracing`]; accepted and refused writes go to the target `quell::audit`.
//!
//! # Features
//!
//! `server` (default) adds the `quell` binary with its settings and demo models, and their dependencies.

#[cfg(feature = "server")]
pub mod bench;
mod body;
#[cfg(feature = "server")]
pub mod cli;
pub mod http;
pub mod lifecycle;
pub mod runtime;
#[cfg(feature = "server")]
pub mod server;
pub mod store;
pub mod task;
pub mod testing;

pub use runtime::*;
pub use task::{TaskCancelled, TaskError};

/// The Rust programs of the README, compiled with the documentation's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
