//! What a child process may use at most. Plain data, on every system.

use std::time::Duration;

/// Limits that the system keeps for one child process. None of them, by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ChildLimits {
    /// Bytes of address space.
    pub(crate) memory: Option<u64>,
    /// Time on processors, over all its threads.
    pub(crate) cpu: Option<Duration>,
    /// Open files.
    pub(crate) files: Option<u64>,
}

impl ChildLimits {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
