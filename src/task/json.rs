//! JSON kept as its text.
//!
//! Inputs, results and event data pass through unread between the user's types and the wire: keeping the text
//! spares a tree per task, and gives back the numbers exactly as they came.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A text is no JSON.
#[derive(Debug, thiserror::Error)]
#[error("not JSON: {0}")]
pub struct NotJson(#[from] serde_json::Error);

/// One JSON value as text, known to be well formed. Cloning shares the text.
///
/// ```
/// # use quell::task::JsonText;
/// let json = JsonText::from_value(&serde_json::json!({"steps": 3}))?;
/// assert_eq!(json.as_str(), r#"{"steps":3}"#);
/// # Ok::<(), quell::task::NotJson>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsonText(Arc<str>);

impl JsonText {
    /// Writes a value as JSON.
    ///
    /// # Errors
    /// [`NotJson`] where the value cannot be written: a map key that is no text, or the value's own refusal.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, NotJson> {
        Ok(Self(serde_json::to_string(value)?.into()))
    }

    /// Checks a text.
    ///
    /// # Errors
    /// [`NotJson`] where it is not exactly one JSON value.
    pub fn from_text(text: &str) -> Result<Self, NotJson> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self(raw.get().into()))
    }

    /// Takes a text that this crate wrote itself.
    pub(crate) fn trusted(text: &str) -> Self {
        Self(text.into())
    }

    /// The same for a text that is not needed elsewhere.
    pub(crate) fn owned(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads it as a value.
    ///
    /// # Errors
    /// [`NotJson`] where it does not fit the type; the message names the field.
    pub fn to_value<T: DeserializeOwned>(&self) -> Result<T, NotJson> {
        Ok(serde_json::from_str(&self.0)?)
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }
}

impl Default for JsonText {
    /// An empty object.
    fn default() -> Self {
        Self::trusted("{}")
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}
