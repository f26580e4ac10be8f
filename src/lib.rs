//! Long tasks for actix-web applications that you can watch, resume and really stop.

mod body;
pub mod lifecycle;
pub mod runtime;
pub mod store;
pub mod task;

pub use runtime::*;
pub use task::{TaskCancelled, TaskError};
