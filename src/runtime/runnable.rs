//! A task with its input, its own type erased: how its body and its cleanup are run, and what its result comes to.
//!
//! Past it nobody knows the types of the user. All of it is called inside a panic boundary.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::body::{self, Cleaned};
use crate::task::TaskError;

use super::{BlockingTask, Task, TaskContext};

/// The most bytes that a result may have as JSON.
const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// A task's input, ready to run.
pub(crate) trait Runnable: Send + Sync {
    /// The body as a future.
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd>;

    /// The body as a blocking function.
    fn run_blocking(&self, ctx: &TaskContext) -> body::BodyEnd;

    /// The body of a process, seen from the server: starts it, speaks with it, and comes back when it is gone.
    #[cfg(target_os = "linux")]
    fn run_process(
        self: Arc<Self>,
        ctx: TaskContext,
        seat: body::process::Seat,
    ) -> BoxFuture<'static, body::BodyEnd> {
        let _ = (ctx, seat);
        Box::pin(async { failed("Internal", "a body without a process was given to one".to_owned()) })
    }

    /// The cleanup on cancel.
    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>>;
}

/// A task's input. Its drop is user code too, and runs on whichever thread had it last: also the coordinator's.
struct Held<T>(Option<T>);

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        body::release("input", self.0.take());
    }
}

/// A task whose body is a future.
pub(super) struct AsyncTask<T>(Held<T>);

impl<T> AsyncTask<T> {
    pub(super) fn new(task: T) -> Self {
        Self(Held(Some(task)))
    }
}

impl<T: Task> Runnable for AsyncTask<T> {
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd> {
        Box::pin(async move {
            match &self.0.0 {
                Some(task) => end_of(task.process(ctx).await),
                None => gone(),
            }
        })
    }

    fn run_blocking(&self, _ctx: &TaskContext) -> body::BodyEnd {
        failed("Internal", "an async body was given to a blocking thread".to_owned())
    }

    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
        Box::pin(async move {
            match &self.0.0 {
                Some(task) => task.on_cancel(ctx).await,
                None => Ok(Cleaned::Nothing),
            }
        })
    }
}

/// A task whose body blocks.
pub(super) struct Blocking<T>(Held<T>);

impl<T> Blocking<T> {
    pub(super) fn new(task: T) -> Self {
        Self(Held(Some(task)))
    }
}

impl<T: BlockingTask> Runnable for Blocking<T> {
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd> {
        Box::pin(async move { self.run_blocking(&ctx) })
    }

    fn run_blocking(&self, ctx: &TaskContext) -> body::BodyEnd {
        self.0.0.as_ref().map_or_else(gone, |task| end_of(task.process(ctx)))
    }

    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
        Box::pin(async move {
            match &self.0.0 {
                Some(task) => task.on_cancel(ctx).await,
                None => Ok(Cleaned::Nothing),
            }
        })
    }
}

/// A body that runs in a process of its own: the process reads the same text.
pub(super) struct Isolated {
    inner: Arc<dyn Runnable>,
    input: Arc<str>,
}

impl Isolated {
    pub(super) fn of(inner: Arc<dyn Runnable>, input: &str) -> Arc<dyn Runnable> {
        Arc::new(Self { inner, input: input.into() })
    }
}

impl Runnable for Isolated {
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd> {
        Arc::clone(&self.inner).run(ctx)
    }

    fn run_blocking(&self, ctx: &TaskContext) -> body::BodyEnd {
        self.inner.run_blocking(ctx)
    }

    #[cfg(target_os = "linux")]
    fn run_process(
        self: Arc<Self>,
        ctx: TaskContext,
        seat: body::process::Seat,
    ) -> BoxFuture<'static, body::BodyEnd> {
        super::isolated::run(ctx, seat, Arc::clone(&self.input))
    }

    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
        Arc::clone(&self.inner).clean_up(ctx)
    }
}

/// Only its drop takes an input away: this is not reached.
fn gone() -> body::BodyEnd {
    failed("Internal", "the input is gone".to_owned())
}

fn end_of<T: Serialize>(result: Result<T, TaskError>) -> body::BodyEnd {
    match result {
        Ok(value) => match serde_json::to_string(&value) {
            Ok(json) if json == "null" => body::BodyEnd::Returned(None),
            Ok(json) if json.len() > MAX_RESULT_BYTES => failed(
                "ResultTooLarge",
                format!("the result has {} bytes as JSON, more than {MAX_RESULT_BYTES}", json.len()),
            ),
            Ok(json) => body::BodyEnd::Returned(Some(json)),
            Err(error) => failed("ResultNotJson", format!("the result cannot be written as JSON: {error}")),
        },
        Err(error) => match error.into_failure() {
            None => body::BodyEnd::Cancelled,
            Some(failure) => failed(&failure.error_type, failure.message),
        },
    }
}

/// The end of a body that could not be run, or whose result cannot be kept.
pub(crate) fn failed(error_type: &str, message: String) -> body::BodyEnd {
    body::BodyEnd::Failed { error_type: error_type.to_owned(), message }
}
