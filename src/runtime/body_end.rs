//! A body's end and its cleanup's, as the pool tells them, in the words of the life cycle.

use crate::body::{self, BodyEnd};
use crate::lifecycle::{self, CleanupState};
use crate::task::{Cleanup, Failure, JsonText};

/// The most bytes of an error's or panic's text that a row keeps.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// A body's end, in the words of the life cycle.
pub(crate) fn end_of(end: BodyEnd) -> lifecycle::BodyEnd {
    match end {
        BodyEnd::Returned(json) => lifecycle::BodyEnd::Returned(json.map(|json| JsonText::trusted(&json))),
        BodyEnd::Failed { error_type, message } => failed(clip(error_type), message),
        BodyEnd::Panicked { message } => failed("panic".to_owned(), message),
        BodyEnd::Cancelled => lifecycle::BodyEnd::Cancelled,
        BodyEnd::Dropped => lifecycle::BodyEnd::Dropped,
        BodyEnd::NeverStarted => lifecycle::BodyEnd::NeverStarted,
        BodyEnd::Killed => lifecycle::BodyEnd::Killed,
    }
}

fn failed(error_type: String, message: String) -> lifecycle::BodyEnd {
    lifecycle::BodyEnd::Failed(Failure { error_type, message: clip(message) })
}

/// Bounds a text that a body chose, and takes out what no database keeps.
fn clip(mut text: String) -> String {
    if text.len() > MAX_MESSAGE_BYTES {
        let mut end = MAX_MESSAGE_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// What became of the cleanup, in the words of the life cycle.
pub(crate) fn cleanup_of(cleanup: body::CleanupEnd) -> CleanupState {
    match cleanup {
        body::CleanupEnd::NotRun => CleanupState::NotRun,
        body::CleanupEnd::Nothing => CleanupState::Nothing,
        body::CleanupEnd::Ok => CleanupState::Ran(Cleanup::Done),
        body::CleanupEnd::Failed => CleanupState::Ran(Cleanup::Failed),
        body::CleanupEnd::Panicked => CleanupState::Ran(Cleanup::Panicked),
        body::CleanupEnd::TimedOut => CleanupState::Ran(Cleanup::TimedOut),
    }
}
