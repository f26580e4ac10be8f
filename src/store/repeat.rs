//! Requests that their clients may repeat, and what is kept of them.

use std::sync::Arc;
use std::time::Duration;

use crate::task::{TaskId, Timestamp};

/// How long a key and its answer are kept.
pub const KEEP_ANSWERS: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer to a request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A request with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatableRequest {
    /// Whose key it is.
    pub owner: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// What tells this request from every other one: a digest of its owner, key, method, path and body.
    pub digest: [u8; 32],
    /// The answer, where it is known before the request is carried out.
    pub answer: Option<KeptAnswer>,
}

/// What is kept of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRequest {
    /// Its digest.
    pub digest: Vec<u8>,
    /// When it was first made.
    pub at: Timestamp,
    /// The task that it was about.
    pub task: Option<TaskId>,
    /// Its answer; none where the process died before it was kept.
    pub answer: Option<KeptAnswer>,
}

/// The instant up to which keys are over.
pub(crate) fn keys_over(now: Timestamp) -> Timestamp {
    now.before(KEEP_ANSWERS)
}
