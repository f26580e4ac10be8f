//! Long tasks for actix-web applications that you can watch, resume and really stop.

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

pub use runtime::*;
pub use task::{TaskCancelled, TaskError};
