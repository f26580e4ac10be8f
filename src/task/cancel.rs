//! A request to stop, its cause, and the truth about how the task stopped.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A word in a row that belongs to no known value: the row is refused, not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} `{word}`")]
pub struct UnknownWord {
    kind: &'static str,
    word: String,
}

impl UnknownWord {
    pub(crate) fn new(kind: &'static str, word: &str) -> Self {
        Self { kind, word: word.to_owned() }
    }
}

/// Declares an enum whose variants each have one word, the same in rows, JSON and logs.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $kind:literal { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in rows, JSON and logs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ other => Err(UnknownWord::new($kind, other)) }
            }
        }
    };
}

words! {
    /// Who or what asked for the stop.
    Cause, "cancel cause" {
        /// A person or program, through the API.
        User = "user",
        /// The body itself.
        Itself = "self",
        /// The task's total run time ran out.
        Timeout = "timeout",
        /// The task gave no sign of life for too long.
        Idle = "idle",
        /// The task that started this one ended. Tasks of this version start no others.
        Parent = "parent",
        /// The server is going down.
        Shutdown = "shutdown",
        /// The runtime, for a reason of its own.
        System = "system",
    }
}

words! {
    /// The rung of the ladder that stopped the body.
    StoppedBy, "stopped_by" {
        /// The body returned.
        Itself = "itself",
        /// The future was dropped at an await.
        Dropped = "dropped",
        /// The process of the body died by one of our signals.
        Killed = "killed",
        /// The body still ran past its stop limit, or had got no thread until then, and was written off.
        Abandoned = "abandoned",
        /// The body was never polled.
        NeverStarted = "never_started",
        /// The process of the body had died.
        Lost = "lost",
    }
}

words! {
    /// How the model's cleanup on cancel went.
    Cleanup, "cleanup" {
        /// It returned.
        Done = "ok",
        /// It returned an error.
        Failed = "failed",
        /// It panicked.
        Panicked = "panicked",
        /// It did not end within its limit.
        TimedOut = "timed_out",
    }
}

/// The reason that a row gets where nobody gave one.
///
/// `Cancelled by system` for the causes [`Cause::Shutdown`] and [`Cause::System`], else `Cancelled by user`.
#[must_use]
pub fn default_reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Shutdown | Cause::System => "Cancelled by system",
        Cause::User | Cause::Itself | Cause::Timeout | Cause::Idle | Cause::Parent => "Cancelled by user",
    }
}

/// The first accepted request to stop a task; later ones change nothing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// When it was asked.
    pub at: Timestamp,
    /// The words, never empty.
    pub reason: Arc<str>,
    /// Which kind of stop.
    pub cause: Cause,
    /// The principal who asked; none where nobody did.
    pub by: Option<Arc<str>>,
}

impl CancelRequest {
    /// Builds a request; an empty or missing reason becomes the default of the cause.
    #[must_use]
    pub fn new(at: Timestamp, cause: Cause, reason: Option<&str>, by: Option<Arc<str>>) -> Self {
        let reason = reason.filter(|r| !r.is_empty()).unwrap_or_else(|| default_reason(cause));
        Self { at, reason: reason.into(), cause, by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_its_value() {
        for cause in Cause::ALL {
            assert_eq!(cause.as_str().parse::<Cause>().unwrap(), *cause);
        }
        for stopped_by in StoppedBy::ALL {
            assert_eq!(stopped_by.as_str().parse::<StoppedBy>().unwrap(), *stopped_by);
        }
        for cleanup in Cleanup::ALL {
            assert_eq!(cleanup.as_str().parse::<Cleanup>().unwrap(), *cleanup);
        }
        assert_eq!("Lost".parse::<StoppedBy>().unwrap_err().to_string(), "unknown stopped_by `Lost`");
    }

    #[test]
    fn an_empty_reason_counts_as_none() {
        let at = Timestamp::from_micros(1);
        assert_eq!(&*CancelRequest::new(at, Cause::User, Some(""), None).reason, "Cancelled by user");
        assert_eq!(&*CancelRequest::new(at, Cause::Shutdown, None, None).reason, "Cancelled by system");
        assert_eq!(&*CancelRequest::new(at, Cause::User, Some(" "), None).reason, " ");
    }
}
