//! Events: facts about a task, numbered from 1 without gaps in the order they became durable.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{JsonText, NotJson, TaskId, Timestamp};

/// The most bytes that an event's data may have as JSON.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Types that only the runtime sends. `timeout` is free: a body may say that it waited in vain.
const RESERVED: [&str; 8] =
    ["running", "cancellation_requested", "warning", "completed", "error", "cancelled", "reset", "shutdown"];

/// Why an event was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The type has a character it may not have.
    #[error("event type `{0}` does not match [a-z][a-z0-9_]{{0,63}}")]
    Type(String),
    /// The type is one of the runtime's own.
    #[error("event type `{0}` is sent by the runtime itself: choose another")]
    Reserved(String),
    /// The data is too large.
    #[error("event data has {0} bytes as JSON, more than 65536: send a reference instead")]
    TooLarge(usize),
    /// The data cannot be written as JSON.
    #[error("event data cannot be written as JSON")]
    NotJson(#[from] NotJson),
    /// The body was written off: nothing of it is recorded any more.
    #[error("the task has ended: its events are refused")]
    Ended,
}

/// Whether a text is a well-formed event type or signal name: `[a-z][a-z0-9_]{0,63}`.
#[must_use]
pub fn is_event_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && text.len() <= 64
}

/// The type of an event, fit for an `event:` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventType(Cow<'static, str>);

impl EventType {
    /// A type that a body sends.
    ///
    /// # Errors
    /// [`EventError::Type`] where it is malformed, [`EventError::Reserved`] where it is the runtime's.
    pub fn new(text: &str) -> Result<Self, EventError> {
        if !is_event_name(text) {
            return Err(EventError::Type(text.to_owned()));
        }
        if RESERVED.contains(&text) {
            return Err(EventError::Reserved(text.to_owned()));
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }

    /// A type that only the runtime sends.
    pub(crate) const fn runtime(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// A type as it stands in a row.
    pub(crate) fn stored(text: String) -> Self {
        Self(Cow::Owned(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a terminal event, the last of its task.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self.as_str(), "completed" | "error" | "cancelled")
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event that has no number yet: it gets one when it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The type.
    pub kind: EventType,
    /// The data: always a JSON object.
    pub data: JsonText,
    /// When it was sent.
    pub at: Timestamp,
}

impl NewEvent {
    /// An event of a body. A value that is no object is kept as `{"value": …}`.
    ///
    /// # Errors
    /// As [`EventType::new`]; [`EventError::TooLarge`] and [`EventError::NotJson`] for the data.
    pub fn new<T: Serialize + ?Sized>(kind: &str, data: &T, at: Timestamp) -> Result<Self, EventError> {
        let kind = EventType::new(kind)?;
        let mut data = JsonText::from_value(data)?;
        if !data.as_str().starts_with('{') {
            data = JsonText::trusted(&format!("{{\"value\":{}}}", data.as_str()));
        }
        if data.as_str().len() > MAX_EVENT_BYTES {
            return Err(EventError::TooLarge(data.as_str().len()));
        }
        Ok(Self { kind, data, at })
    }

    /// An event of the runtime itself, whose data it builds from parts that are known to be good.
    pub(crate) fn runtime(kind: &'static str, data: String, at: Timestamp) -> Self {
        Self { kind: EventType::runtime(kind), data: JsonText::owned(data), at }
    }
}

/// A committed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The task it belongs to.
    pub task: TaskId,
    /// Its number: 1, 2, 3, … within the task.
    pub seq: i64,
    /// The type.
    pub kind: EventType,
    /// The data: always a JSON object.
    pub data: JsonText,
    /// When it was sent.
    pub at: Timestamp,
}

impl Event {
    /// The members of the data, in the order they were given, each as its own JSON text.
    ///
    /// # Errors
    /// [`NotJson`] where a row was changed by hand and holds no object.
    pub fn members(&self) -> Result<Vec<(String, Box<RawValue>)>, NotJson> {
        Ok(serde_json::from_str::<Members>(self.data.as_str())?.0)
    }
}

/// An object's members in their order, also where a name stands twice.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(0);

    #[test]
    fn a_body_may_not_send_the_runtimes_types() {
        for kind in RESERVED {
            assert!(matches!(NewEvent::new(kind, &(), NOW), Err(EventError::Reserved(_))), "{kind}");
        }
        assert!(NewEvent::new("timeout", &(), NOW).is_ok());
    }

    #[test]
    fn a_type_that_could_break_a_stream_is_refused() {
        for kind in ["", "A", "a-b", "a\nb", "a\r", "1a", "_a", "é", "a b", &"a".repeat(65)] {
            assert!(matches!(NewEvent::new(kind, &(), NOW), Err(EventError::Type(_))), "{kind:?}");
        }
    }

    #[test]
    fn a_value_that_is_no_object_becomes_one() {
        let data = |value: serde_json::Value| NewEvent::new("x", &value, NOW).unwrap().data;
        assert_eq!(data(serde_json::json!(5)).as_str(), r#"{"value":5}"#);
        assert_eq!(data(serde_json::json!(null)).as_str(), r#"{"value":null}"#);
        assert_eq!(data(serde_json::json!({"a": 1})).as_str(), r#"{"a":1}"#);
    }

    #[test]
    fn data_above_64_kib_is_refused() {
        let fits = "x".repeat(MAX_EVENT_BYTES - r#"{"value":""}"#.len());
        assert!(NewEvent::new("x", &fits, NOW).is_ok());
        assert!(matches!(NewEvent::new("x", &format!("{fits}y"), NOW), Err(EventError::TooLarge(65_537))));
    }
}
