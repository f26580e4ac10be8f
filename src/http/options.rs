//! What a host may set about the HTTP layer. All of it has defaults.
//!
//! It deliberately has no setting for what clients are promised: sizes, formats and names.

use std::time::Duration;

/// Settings of one mount of the routes.
///
/// ```
/// # use quell::http::HttpOptions;
/// let options = HttpOptions::default().hide_foreign_tasks(true);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct HttpOptions {
    pub(super) hide_foreign_tasks: bool,
    pub(super) body_deadline: Duration,
    pub(super) keep_alive: Duration,
    pub(super) reader_patience: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            hide_foreign_tasks: false,
            body_deadline: Duration::from_secs(15),
            keep_alive: Duration::from_secs(15),
            reader_patience: Duration::from_secs(30),
        }
    }
}

impl HttpOptions {
    /// Whether a task that the caller may not touch is answered as if it did not exist (404 instead of 403).
    #[must_use]
    pub fn hide_foreign_tasks(mut self, hide: bool) -> Self {
        self.hide_foreign_tasks = hide;
        self
    }

    /// How long the body of a request may take to come; 15 s by default. Later ones are answered with 408.
    #[must_use]
    pub fn body_deadline(mut self, deadline: Duration) -> Self {
        self.body_deadline = deadline;
        self
    }

    /// After how much silence an event stream carries a comment; 15 s by default.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    /// How long the reader of an event stream may take nothing of what is ready for it; 30 s by default.
    #[must_use]
    pub fn reader_patience(mut self, patience: Duration) -> Self {
        self.reader_patience = patience;
        self
    }
}
