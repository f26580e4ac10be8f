//! What an attempt can come to: plain data, handed to the runtime in one [`Report`].
//!
//! Distinct causes are distinct variants: a returned error is not a panic, and a body that noticed its
//! cancellation is not one that was dropped. It does not say what becomes of the row; that is decided above.

/// What the body did at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// It returned a value, as JSON text; none for `null`.
    Returned(Option<String>),
    /// It returned an error of its own.
    Failed {
        /// The name of the error's type.
        error_type: String,
        /// The error's text.
        message: String,
    },
    /// It panicked, while being made or while being polled.
    Panicked {
        /// The panic's text.
        message: String,
    },
    /// It returned the error of its own cancellation check.
    Cancelled,
    /// It was dropped at an await, or before its first poll.
    Dropped,
    /// It was called off while it waited for a thread or a process: no user code of it ran.
    NeverStarted,
    /// Its process died by one of our signals.
    Killed,
}

/// What became of the cleanup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CleanupEnd {
    /// Nobody asked for it.
    NotRun,
    /// The model has none.
    Nothing,
    /// It returned without an error.
    Ok,
    /// It returned an error.
    Failed,
    /// It panicked, while being made or while being polled.
    Panicked,
    /// Its limit passed and it was dropped at an await.
    TimedOut,
}

/// What a cleanup on cancel says when it returns without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleaned {
    /// It did its work: the row's `cleanup` becomes `ok`.
    Done,
    /// There was nothing to do: `cleanup` stays null. What a model without a cleanup says.
    Nothing,
}

/// The end of an attempt, told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// What the body did at last.
    pub(crate) end: BodyEnd,
    /// What became of its cleanup.
    pub(crate) cleanup: CleanupEnd,
}
