//! What a host may set about the HTTP layer. All of it has defaults.
//!
//! It deliberately has no setting for what clients are promised: sizes, formats and names.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::carried::MAX_LEFT;
use super::gate::Gate;
use super::limits::{RateLimit, StreamLimit};
use super::proxies::TrustedProxies;

/// Settings of one mount of the routes. Where a limit is set, make them once, outside of the application's factory, which
/// runs for each worker: clones count together, others do not.
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
    pub(super) gate: Gate,
    pub(super) proxies: TrustedProxies,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) stream_limit: Option<StreamLimit>,
    /// Places for commands whose clients have left.
    pub(super) left: Arc<Semaphore>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            hide_foreign_tasks: false,
            body_deadline: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
            reader_patience: Duration::from_secs(30),
            gate: Gate::default(),
            proxies: TrustedProxies::default(),
            rate_limit: None,
            stream_limit: None,
            left: Arc::new(Semaphore::new(MAX_LEFT)),
        }
    }
}

impl HttpOptions {
    /// Whether a task that the caller may not touch is answered as if it did not exist (404 instead of 403), and a
    /// command whose list of starters they are not on as one that is not registered.
    #[must_use]
    pub fn hide_foreign_tasks(mut self, hide: bool) -> Self {
        self.hide_foreign_tasks = hide;
        self
    }

    /// How long the body of a request may take to come; 10 s by default. Later ones are answered with 408.
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

    /// Answers only requests whose `Host` is one of these (`localhost:8888`), and that come from a page of theirs or of
    /// one of the `origins` (`https://app.example.com`), where they come from a page; 403 otherwise.
    ///
    /// For a server that knows its callers by being on their own machine: any page in a browser there can send it
    /// requests.
    #[must_use]
    pub fn only_hosts(
        mut self,
        hosts: impl IntoIterator<Item = impl Into<String>>,
        origins: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.gate = Gate {
            hosts: hosts.into_iter().map(Into::into).collect(),
            origins: origins.into_iter().map(Into::into).collect(),
        };
        self
    }

    /// The proxies whose word is taken for where a request comes from, in the audit log; none by default.
    ///
    /// They must set `X-Forwarded-For` or `Forwarded` themselves, and pass on neither as it came.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// How many requests each principal may send a minute: that many at once, then as many a minute, evenly. 0 is no
    /// limit, the default. More are answered with 429.
    ///
    /// Requests without credentials are not counted, nor those to a malformed path.
    #[must_use]
    pub fn rate_limit(mut self, per_minute: u32) -> Self {
        self.rate_limit = NonZeroU32::new(per_minute).map(RateLimit::per_minute);
        self
    }

    /// How many event streams each principal may have open; 0 is no limit, the default. More are answered with 429.
    #[must_use]
    pub fn max_streams_per_principal(mut self, most: usize) -> Self {
        self.stream_limit = (most > 0).then(|| StreamLimit::new(most));
        self
    }
}
