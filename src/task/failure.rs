//! How a body fails, and the error that says it was asked to stop.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::Cause;

/// What a row keeps of a body that erred: both members of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind, for programs: `DemoError`, `panic`, `lost`.
    pub error_type: String,
    /// The words, for people.
    pub message: String,
}

impl Failure {
    /// Builds one.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into() }
    }
}

/// The task was asked to stop: what [`check_cancellation`] returns, to be passed on with `?`.
///
/// [`check_cancellation`]: crate::TaskContext::check_cancellation
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the task was asked to stop: {reason}")]
pub struct TaskCancelled {
    /// Which kind of stop.
    pub cause: Cause,
    /// The reason, as the row keeps it.
    pub reason: Arc<str>,
}

/// The error of a body: any `std::error::Error` becomes one with `?`, or one is named with [`TaskError::new`].
///
/// It is no `std::error::Error` itself, so that every other error can become one.
///
/// ```
/// # use quell::TaskError;
/// fn parse(text: &str) -> Result<u32, TaskError> {
///     Ok(text.parse::<u32>()?)
/// }
/// assert_eq!(parse("x").unwrap_err().error_type(), "ParseIntError");
/// assert_eq!(TaskError::new("NoStock", "nothing left").error_type(), "NoStock");
/// ```
pub struct TaskError(Kind);

enum Kind {
    Cancelled(TaskCancelled),
    Failed(Failure),
}

impl TaskError {
    /// Names a failure: `error_type` is the row's member of that name.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Kind::Failed(Failure::new(error_type, message)))
    }

    /// The kind, as the row will keep it; `TaskCancelled` for the error of a check.
    #[must_use]
    pub fn error_type(&self) -> &str {
        match &self.0 {
            Kind::Cancelled(_) => "TaskCancelled",
            Kind::Failed(failure) => &failure.error_type,
        }
    }

    /// The failure, or nothing where the body only passed on that it was asked to stop.
    pub(crate) fn into_failure(self) -> Option<Failure> {
        match self.0 {
            Kind::Cancelled(_) => None,
            Kind::Failed(failure) => Some(failure),
        }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Cancelled(cancelled) => cancelled.fmt(f),
            Kind::Failed(failure) => write!(f, "{}: {}", failure.error_type, failure.message),
        }
    }
}

impl<E: Error + Send + 'static> From<E> for TaskError {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        if let Some(cancelled) = any.downcast_ref::<TaskCancelled>() {
            return Self(Kind::Cancelled(cancelled.clone()));
        }
        // `alloc::boxed::Box<my::Error<T>>` becomes `Box`: the last word before any parameters.
        let full = std::any::type_name::<E>();
        let path = full.split('<').next().unwrap_or(full);
        let error_type = path.rsplit("::").next().unwrap_or(path);
        Self(Kind::Failed(Failure::new(error_type, error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_check_is_no_failure() {
        let cancelled = TaskCancelled { cause: Cause::User, reason: "enough".into() };
        assert!(TaskError::from(cancelled).into_failure().is_none());
    }

    #[test]
    fn another_error_keeps_its_type_and_words() {
        let error = "x".parse::<u32>().unwrap_err();
        let failure = TaskError::from(error).into_failure().unwrap();
        assert_eq!(failure, Failure::new("ParseIntError", "invalid digit found in string"));
    }
}
