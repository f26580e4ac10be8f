//! Owns the reading of one table of `quell.toml`, key by key: what is left at its end is unknown, and refused.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::shown;
use super::layers::Given;
use super::{SettingsError, Source};

/// A table, and where it stands.
pub(super) struct Keys {
    path: String,
    file: PathBuf,
    table: Table,
}

impl Keys {
    pub(super) fn of(path: &str, value: &Value, file: &Path) -> Result<Self, SettingsError> {
        let Value::Table(table) = value else {
            let from = Source::Key { key: path.to_owned(), file: file.to_owned() };
            return Err(SettingsError::Hidden { from, allowed: "give a table".to_owned() });
        };
        Ok(Self { path: path.to_owned(), file: file.to_owned(), table: table.clone() })
    }

    /// The keys that were not read yet.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// That nothing is left.
    pub(super) fn finish(self) -> Result<(), SettingsError> {
        match self.table.keys().next() {
            Some(key) => Err(SettingsError::UnknownKey { key: self.path_of(key), file: self.file.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn missing(&self, key: &str) -> SettingsError {
        SettingsError::MissingKey { key: self.path_of(key), file: self.file.clone() }
    }

    fn path_of(&self, key: &str) -> String {
        format!("{}.{}", self.path, shown(key))
    }

    fn source(&self, key: &str) -> Source {
        Source::Key { key: self.path_of(key), file: self.file.clone() }
    }

    fn refuse(&self, key: &str, allowed: &str) -> SettingsError {
        SettingsError::Hidden { from: self.source(key), allowed: allowed.to_owned() }
    }

    /// A text, a number or a switch, as text.
    pub(super) fn given(&mut self, key: &str) -> Result<Option<Given>, SettingsError> {
        let text = match self.table.remove(key) {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Integer(number)) => number.to_string(),
            Some(Value::Float(number)) => number.to_string(),
            Some(Value::Boolean(switch)) => switch.to_string(),
            Some(Value::Datetime(_) | Value::Array(_) | Value::Table(_)) => {
                return Err(self.refuse(key, "give a text, a number, or true or false"));
            }
        };
        Ok(Some(Given { from: self.source(key), text }))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, SettingsError> {
        match self.table.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.refuse(key, "give a text")),
        }
    }

    pub(super) fn required(&mut self, key: &str) -> Result<String, SettingsError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A list of texts; an empty one where there is none.
    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, SettingsError> {
        Ok(self.given_texts(key)?.unwrap_or_default())
    }

    /// A list of texts, where there is one.
    pub(super) fn given_texts(&mut self, key: &str) -> Result<Option<Vec<String>>, SettingsError> {
        let Some(value) = self.table.remove(key) else { return Ok(None) };
        let texts = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
        });
        texts.map(Some).ok_or_else(|| self.refuse(key, "give a list of texts, such as [\"a\", \"b\"]"))
    }

    pub(super) fn table(&mut self, key: &str) -> Result<Option<Self>, SettingsError> {
        let Some(value) = self.table.remove(key) else { return Ok(None) };
        Self::of(&self.path_of(key), &value, &self.file).map(Some)
    }

    pub(super) fn integer(&mut self, key: &str) -> Result<Option<i64>, SettingsError> {
        match self.table.remove(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(number)),
            Some(_) => Err(self.refuse(key, "give a whole number")),
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, SettingsError> {
        let number = match self.table.remove(key) {
            None => return Ok(None),
            Some(Value::Float(number)) => Some(number),
            // Written out and read again: a whole number of 64 bits is no f64 without a rounding.
            Some(Value::Integer(number)) => number.to_string().parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| self.refuse(key, "give a number"))
    }

    /// A text, a number or a switch, as JSON has it.
    pub(super) fn scalar(&mut self, key: &str) -> Result<Option<serde_json::Value>, SettingsError> {
        let value = match self.table.remove(key) {
            None => return Ok(None),
            Some(Value::String(text)) => text.into(),
            Some(Value::Integer(number)) => number.into(),
            Some(Value::Float(number)) => number.into(),
            Some(Value::Boolean(switch)) => switch.into(),
            Some(Value::Datetime(_) | Value::Array(_) | Value::Table(_)) => {
                return Err(self.refuse(key, "give a text, a number, or true or false"));
            }
        };
        Ok(Some(value))
    }
}
