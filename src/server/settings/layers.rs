//! Owns the layers under the flags: which variables and keys there are, and which one wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::shown;
use super::{SettingsError, Source, TomlFile};

/// Every setting of the server, by its key in the file. `QUELL_` and the same in capitals is its variable.
const KEYS: [&str; 30] = [
    "api_tokens",
    "api_tokens_file",
    "auth",
    "bind",
    "cors_origin",
    "data_dir",
    "database_url",
    "default_timeout",
    "demo",
    "hide_foreign_tasks",
    "jwt_audience",
    "jwt_issuer",
    "jwt_public_key_file",
    "jwt_secret",
    "log_format",
    "max_blocking",
    "max_body_threads",
    "max_connections",
    "max_connections_per_address",
    "max_pending",
    "max_processes",
    "max_running",
    "max_running_per_owner",
    "max_timeout",
    "max_streams_per_principal",
    "rate_limit",
    "retention",
    "shutdown_grace",
    "synchronous",
    "trusted_proxy",
];

/// Those whose value is secret.
const SECRETS: [&str; 2] = ["api_tokens", "jwt_secret"];

/// Those that say who is let in: whoever may change one is. The token that the server makes stands beside its database.
const DOORS: [&str; 9] = [
    "api_tokens",
    "api_tokens_file",
    "auth",
    "database_url",
    "jwt_audience",
    "jwt_issuer",
    "jwt_public_key_file",
    "jwt_secret",
    "trusted_proxy",
];

/// Those that may be given several times: as a list in the file, with commas between in a variable.
const LISTS: [&str; 2] = ["cors_origin", "trusted_proxy"];

/// Variables that stand in no file: where the file is, and what the client verbs use.
const MORE_VARIABLES: [&str; 3] = ["QUELL_CONFIG", "QUELL_TOKEN", "QUELL_URL"];

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) from: Source,
    pub(super) text: String,
}

impl Given {
    pub(super) fn refuse(&self, allowed: impl Into<String>) -> SettingsError {
        SettingsError::Value { from: self.from.clone(), value: shown(&self.text), allowed: allowed.into() }
    }

    /// As [`Given::refuse`], for a value that may hold a secret.
    pub(super) fn refuse_hidden(&self, allowed: impl Into<String>) -> SettingsError {
        SettingsError::Hidden { from: self.from.clone(), allowed: allowed.into() }
    }
}

/// The variables and the file, with nothing unknown in them.
pub(super) struct Layers<'a> {
    variables: &'a BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    file: PathBuf,
    /// What the file says of commands.
    pub(super) commands: Option<toml::Value>,
}

impl<'a> Layers<'a> {
    pub(super) fn new(
        variables: &'a BTreeMap<String, String>,
        file: Option<&TomlFile>,
    ) -> Result<Self, SettingsError> {
        let known =
            |name: &str| MORE_VARIABLES.contains(&name) || KEYS.iter().any(|key| variable(key) == name);
        if let Some(name) = variables.keys().find(|name| name.starts_with("QUELL_") && !known(name)) {
            return Err(SettingsError::UnknownVariable(shown(name)));
        }
        let (keys, commands) = file.map(keys).transpose()?.unwrap_or_default();
        let file = file.map(|file| file.path.clone()).unwrap_or_default();
        Ok(Self { variables, keys, file, commands })
    }

    /// The value that wins.
    pub(super) fn given(&self, key: &str, flag: Option<&String>) -> Option<Given> {
        if let Some(text) = flag {
            return Some(Given {
                from: Source::Flag(format!("--{}", key.replace('_', "-"))),
                text: text.clone(),
            });
        }
        self.variable(key).or_else(|| self.key(key))
    }

    /// The value that wins, read; or the default.
    pub(super) fn read<T>(
        &self,
        key: &str,
        flag: Option<&String>,
        default: T,
        parse: impl FnOnce(&Given) -> Result<T, SettingsError>,
    ) -> Result<T, SettingsError> {
        self.given(key, flag).map_or(Ok(default), |given| parse(&given))
    }

    /// A flag that may be given several times: its values stand together as they would in a variable.
    pub(super) fn list(&self, key: &str, flags: &[String]) -> Option<Given> {
        self.given(key, (!flags.is_empty()).then(|| flags.join(",")).as_ref())
    }

    /// The first of these that is given, in any layer.
    pub(super) fn any_of(&self, keys: &[(&str, Option<&String>)]) -> Option<Given> {
        keys.iter().find_map(|(key, flag)| self.given(key, *flag))
    }

    /// Two spellings of one setting without a flag: the highest layer that has either, which must not have both.
    pub(super) fn either(
        &self,
        first: &str,
        second: &str,
    ) -> Result<(Option<Given>, Option<Given>), SettingsError> {
        let layers = [(self.variable(first), self.variable(second)), (self.key(first), self.key(second))];
        for layer in layers {
            match layer {
                (None, None) => {}
                (Some(a), Some(b)) => return Err(SettingsError::Both { first: a.from, second: b.from }),
                one => return Ok(one),
            }
        }
        Ok((None, None))
    }

    fn variable(&self, key: &str) -> Option<Given> {
        let name = variable(key);
        let text = self.variables.get(&name)?.clone();
        Some(Given { from: Source::Variable(name), text })
    }

    fn key(&self, key: &str) -> Option<Given> {
        let text = self.keys.get(key)?.clone();
        Some(Given { from: Source::Key { key: key.to_owned(), file: self.file.clone() }, text })
    }
}

fn variable(key: &str) -> String {
    format!("QUELL_{}", key.to_uppercase())
}

type Keys = (BTreeMap<String, String>, Option<toml::Value>);

fn keys(file: &TomlFile) -> Result<Keys, SettingsError> {
    let mut table = toml(file)?;
    let commands = table.remove("command");
    let secret = SECRETS.into_iter().find(|key| table.contains_key(*key));
    if let (true, Some(key)) = (file.others_may_read, secret) {
        return Err(SettingsError::OthersMayRead { key: key.to_owned(), file: file.path.clone() });
    }
    let door = DOORS.into_iter().find(|key| table.contains_key(*key));
    if let (true, Some(key)) = (file.others_may_write, door) {
        return Err(SettingsError::OthersMayDecide { key: key.to_owned(), file: file.path.clone() });
    }
    let keys = table.into_iter().map(|(key, value)| text(&file.path, key, value));
    Ok((keys.collect::<Result<_, _>>()?, commands))
}

fn toml(file: &TomlFile) -> Result<toml::Table, SettingsError> {
    let text = file.text.expose();
    // The error's own text shows the line, which may hold a token: only its words and the number are passed on.
    text.parse::<toml::Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        SettingsError::Toml {
            file: file.path.clone(),
            line: before.matches('\n').count() + 1,
            reason: shown(error.message()),
        }
    })
}

fn text(file: &Path, key: String, value: toml::Value) -> Result<(String, String), SettingsError> {
    if !KEYS.contains(&key.as_str()) {
        return Err(SettingsError::UnknownKey { key: shown(&key), file: file.to_owned() });
    }
    let text = match value {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(switch) => switch.to_string(),
        toml::Value::Array(items)
            if LISTS.contains(&key.as_str()) && items.iter().all(toml::Value::is_str) =>
        {
            items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
        }
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
            return Err(SettingsError::Hidden {
                from: Source::Key { key, file: file.to_owned() },
                allowed: "give a text, a number, or true or false".to_owned(),
            });
        }
    };
    Ok((key, text))
}
