//! The key of a task: `app/model/id`.
//!
//! Invariants: an `app` and a `model` match `[A-Za-z_][A-Za-z0-9_]{0,63}`; an id is between 1 and 2^53 - 1, so
//! that JavaScript holds it exactly, and is written without sign, zero in front or fraction. A [`TaskKey`] that
//! exists is therefore always fit for a path, a log line and a database column.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not three parts with a slash between them, or a name has a character it may not have.
    #[error("a task is named app/model/id, where app and model match [A-Za-z_][A-Za-z0-9_]{{0,63}}")]
    Path,
    /// The last part is no id.
    #[error("a task id is a whole number from 1 to 9007199254740991, written without sign or leading zero")]
    Id,
}

/// An app's or a model's name. Cloning shares the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`KeyError::Path`] where it does not match `[A-Za-z_][A-Za-z0-9_]{0,63}`.
    ///
    /// ```
    /// # use quell::task::Name;
    /// assert!(Name::new("LongTask").is_ok());
    /// assert!(Name::new("../etc").is_err());
    /// ```
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let goes_on = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if starts && goes_on && text.len() <= 64 { Ok(Self(text.into())) } else { Err(KeyError::Path) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name is looked up by its text.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The number of a task: unique over all models, increasing on one node, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TaskId(i64);

impl TaskId {
    /// The largest id: 2^53 - 1, the last whole number that JavaScript holds exactly.
    pub const MAX: i64 = (1 << 53) - 1;

    /// Checks a number.
    #[must_use]
    pub fn new(number: i64) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

impl FromStr for TaskId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let plain = text.len() <= 16 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        let number = if plain { text.parse().ok() } else { None };
        number.and_then(Self::new).ok_or(KeyError::Id)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `app/model/id`: the name of one task.
///
/// ```
/// # use quell::task::TaskKey;
/// let key: TaskKey = "tests/LongTask/123".parse()?;
/// assert_eq!(key.id.get(), 123);
/// assert_eq!(key.to_string(), "tests/LongTask/123");
/// # Ok::<(), quell::task::KeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskKey {
    /// The application the model belongs to.
    pub app: Name,
    /// The task type.
    pub model: Name,
    /// The task's number.
    pub id: TaskId,
}

impl TaskKey {
    /// Builds a key from its three parts as they stand in a path.
    ///
    /// # Errors
    /// [`KeyError::Path`] for a malformed name, [`KeyError::Id`] for a malformed id.
    pub fn parse(app: &str, model: &str, id: &str) -> Result<Self, KeyError> {
        Ok(Self { app: Name::new(app)?, model: Name::new(model)?, id: id.parse()? })
    }
}

impl FromStr for TaskKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(app), Some(model), Some(id), None) => Self::parse(app, model, id),
            _ => Err(KeyError::Path),
        }
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.app, self.model, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_one_way_only() {
        for good in ["1", "42", "9007199254740991"] {
            assert_eq!(good.parse::<TaskId>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "0",
            "01",
            "-1",
            "+1",
            "1.5",
            "abc",
            " 1",
            "1 ",
            "9007199254740992",
            "99999999999999999",
            "١",
        ] {
            assert_eq!(bad.parse::<TaskId>(), Err(KeyError::Id), "{bad:?}");
        }
    }

    #[test]
    fn a_name_has_no_character_that_a_path_could_misread() {
        let longest = "a".repeat(64);
        for good in ["a", "_", "LongTask", "a1_", longest.as_str()] {
            assert!(Name::new(good).is_ok(), "{good:?}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", "1a", "a-b", "a/b", "..", "a b", "a\0", "é", too_long.as_str()] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_has_exactly_three_parts() {
        assert!("tests/LongTask/1".parse::<TaskKey>().is_ok());
        for bad in ["tests/LongTask", "tests/LongTask/1/2", "/tests/LongTask/1", ""] {
            assert!(bad.parse::<TaskKey>().is_err(), "{bad:?}");
        }
    }
}
