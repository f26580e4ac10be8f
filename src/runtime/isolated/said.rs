//! What a server and the process of an isolated body say to each other: the letter of each message and its content.
//!
//! Both are the same executable, so one version is enough; it is looked at all the same, as a process that lives
//! through an update could meet another one's.

use serde::{Deserialize, Serialize};

use crate::body::BodyEnd;
use crate::task::Cause;

/// Grows with each change of this file.
pub(super) const VERSION: u32 = 1;

/// To the child: what it is for, [`Start`]. The first message.
pub(super) const START: u8 = b'S';
/// To the child: it is asked to stop, [`Stop`].
pub(super) const STOP: u8 = b'C';
/// To the child: a signal for its body, [`Signal`].
pub(super) const SIGNAL: u8 = b'G';
/// To the child: its task is not asked to stop, for the reason in the text.
pub(super) const REFUSED: u8 = b'R';

/// From the child: it runs; the version, as text. Its first message.
pub(super) const READY: u8 = b'r';
/// From the child: an event. The length of its type in one byte, the type, the data as JSON.
pub(super) const EVENT: u8 = b'e';
/// From the child: a sign of life.
pub(super) const SIGN: u8 = b'h';
/// From the child: its body took the signal of this number, as text.
pub(super) const TOOK: u8 = b't';
/// From the child: its body asks the task to stop, for the reason in the text.
pub(super) const ASK: u8 = b'a';
/// From the child: the end of its body, [`End`]. Its last message.
pub(super) const END: u8 = b'z';

/// What a child is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) version: u32,
    pub(super) app: String,
    pub(super) model: String,
    pub(super) id: i64,
    pub(super) epoch: i64,
    pub(super) attempt: u32,
    pub(super) owner: String,
    /// JSON, as text.
    pub(super) input: String,
}

/// A request to stop.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stop {
    pub(super) cause: Cause,
    pub(super) reason: String,
}

/// A signal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Signal {
    pub(super) number: i64,
    pub(super) name: String,
    /// JSON, as text.
    pub(super) data: String,
}

/// How a body ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum End {
    Returned(Option<String>),
    Failed { error_type: String, message: String },
    Panicked { message: String },
    Cancelled,
}

impl From<BodyEnd> for End {
    fn from(end: BodyEnd) -> Self {
        match end {
            BodyEnd::Returned(json) => Self::Returned(json),
            BodyEnd::Failed { error_type, message } => Self::Failed { error_type, message },
            BodyEnd::Panicked { message } => Self::Panicked { message },
            // Nobody drops a body in its own process, where its end is the process's.
            BodyEnd::Cancelled | BodyEnd::Dropped | BodyEnd::NeverStarted | BodyEnd::Killed => {
                Self::Cancelled
            }
        }
    }
}

impl From<End> for BodyEnd {
    fn from(end: End) -> Self {
        match end {
            End::Returned(json) => Self::Returned(json),
            End::Failed { error_type, message } => Self::Failed { error_type, message },
            End::Panicked { message } => Self::Panicked { message },
            End::Cancelled => Self::Cancelled,
        }
    }
}
