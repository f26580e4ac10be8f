//! Owns what can be wrong with a setting: each message is one line, names where the value came from and what is
//! allowed, and never shows a secret.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag: `--bind`.
    Flag(String),
    /// A variable: `QUELL_BIND`.
    Variable(String),
    /// A key of the file: `bind`.
    Key {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::Key { key, file } => write!(f, "`{key}` in {}", file.display()),
        }
    }
}

/// A setting is refused, and the server does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A value is malformed.
    #[error("{from} cannot be `{value}`: {allowed}")]
    Value {
        /// Where it was given.
        from: Source,
        /// The value, fit for one line.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A value that may hold a secret is malformed.
    #[error("{from} is not usable: {allowed}")]
    Hidden {
        /// Where it was given.
        from: Source,
        /// What is allowed.
        allowed: String,
    },
    /// A variable that no version with this set of settings knows.
    #[error("unknown environment variable {0}: unset it (`quell serve --help` lists what there is)")]
    UnknownVariable(String),
    /// A key that no version with this set of settings knows.
    #[error("unknown key `{key}` in {file}: remove it (`quell serve --help` lists what there is)", file = .file.display())]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
    },
    /// A key of the file that must be there is not.
    #[error("there is no key `{key}` in {file}", file = .file.display())]
    MissingKey {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
    },
    /// The file names commands and others than the server's user and root may change it.
    #[error("{file} names commands and others may change it: run `chmod go-w {file}`, and `chown` if it is another user's", file = .file.display())]
    OthersMayWrite {
        /// The file.
        file: PathBuf,
    },
    /// The file says who is let in, and others than the server's user and root may change it.
    #[error("{file} says by `{key}` who is let in, and others may change it: run `chmod go-w {file}`, and `chown` if it is another user's", file = .file.display())]
    OthersMayDecide {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
    },
    /// The file is no TOML.
    #[error("cannot read {file} as TOML: line {line}: {reason}", file = .file.display())]
    Toml {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read at all.
    #[error("cannot read the settings file {file}: {reason}", file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Two settings of one layer exclude each other.
    #[error("{first} and {second} are both set: use one of them")]
    Both {
        /// One of them.
        first: Source,
        /// The other one.
        second: Source,
    },
    /// The file holds secrets and others than its user may read it.
    #[error("{file} holds `{key}` and others may read it: run `chmod 600 {file}`", file = .file.display())]
    OthersMayRead {
        /// The secret's key.
        key: String,
        /// The file.
        file: PathBuf,
    },
    /// A setting belongs to another way to know callers than the chosen one.
    #[error("{setting} is set, and auth is `{auth}`: unset it, or set auth to `{belongs_to}`")]
    OfAnotherAuth {
        /// What is set.
        setting: Source,
        /// What was chosen.
        auth: String,
        /// What it belongs to.
        belongs_to: String,
    },
    /// Tokens of `jwt` cannot be checked without a key.
    #[error("auth is `jwt` and there is no key: set QUELL_JWT_SECRET or QUELL_JWT_PUBLIC_KEY_FILE")]
    NoJwtKey,
}

/// A value as it may stand in a message: one line, not too long.
pub(super) fn shown(value: &str) -> String {
    let mut text: String = value.chars().take(100).collect::<String>().escape_debug().to_string();
    if value.chars().nth(100).is_some() {
        text.push('…');
    }
    text
}

impl SettingsError {
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::Unreadable { file: file.to_owned(), reason: error.to_string() }
    }
}
