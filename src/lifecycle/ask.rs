//! Asking a task to stop: the request, and the limit that ran out where a clock did the asking.

use std::sync::Arc;

use crate::task::{CancelRequest, Cause, Timeout, Timestamp};

/// A request to stop, as it enters the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What the row will keep.
    pub request: CancelRequest,
    /// The timeout that ran out, for the causes `timeout` and `idle`.
    pub limit: Option<Timeout>,
}

impl Ask {
    /// A request of a person, of the body itself, or of the runtime.
    #[must_use]
    pub fn new(at: Timestamp, cause: Cause, reason: Option<&str>, by: Option<Arc<str>>) -> Self {
        Self { request: CancelRequest::new(at, cause, reason, by), limit: None }
    }

    /// The total run time ran out: `Timeout after 1s`.
    #[must_use]
    pub fn timeout(at: Timestamp, limit: Timeout) -> Self {
        let reason = format!("Timeout after {limit}s");
        Self { request: CancelRequest::new(at, Cause::Timeout, Some(&reason), None), limit: Some(limit) }
    }

    /// No sign of life for too long: `Idle for 1s`.
    #[must_use]
    pub fn idle(at: Timestamp, limit: Timeout) -> Self {
        let reason = format!("Idle for {limit}s");
        Self { request: CancelRequest::new(at, Cause::Idle, Some(&reason), None), limit: Some(limit) }
    }
}
