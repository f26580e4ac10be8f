//! Owns the settings of the server binary: flag, then environment, then `quell.toml`, then default.
//!
//! - [`resolve`] is a plain function of flags, variables and the file's text; only `gather` reads the outside, and
//!   it is the only reader of the environment in the crate.
//! - What is unknown is refused: a flag, a variable that begins with `QUELL_`, a key of the file.
//! - A secret comes from a variable or a file, never from a flag; no error and no `Debug` shows one.
//!
//! It does not look at the values' world: whether the port is free, the folder there or the token file readable is
//! seen where each is used.

mod auth;
mod commands;
#[cfg(test)]
mod commands_tests;
mod error;
mod flags;
mod gather;
mod http;
mod keys;
mod layers;
mod parse;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::runtime::CommandTask;
use crate::task::Timeout;

pub use auth::{AuthSettings, JwtKeySource, JwtSettings, TokenSource};
pub use error::{SettingsError, Source};
pub use flags::Flags;
pub(super) use gather::is_strangers;
pub use gather::load;
pub use http::HttpSettings;
pub use secret::Secret;

use error::shown;
use layers::{Given, Layers};

/// What is logged unless `RUST_LOG` says otherwise. A request that is no HTTP is the client's doing, and the dispatcher
/// calls each an error: anybody could fill the log and set off alarms.
const USUAL_FILTER: &str = "info,actix_http::h1::dispatcher=off";

/// All settings of `quell serve`, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `HOST:PORT` to listen on.
    pub bind: String,
    /// The database, as the runtime takes it.
    pub database_url: String,
    /// The file that it names.
    pub database_file: PathBuf,
    /// How callers are known.
    pub auth: AuthSettings,
    /// What clients of the HTTP layer may do and take.
    pub http: HttpSettings,
    /// Whether the demo models are registered.
    pub demo: bool,
    /// The folder that `HashFileTask` may read.
    pub data_dir: Option<PathBuf>,
    /// The most that the whole shutdown may take.
    pub shutdown_grace: Duration,
    /// How many tasks run at once.
    pub max_running: usize,
    /// How many tasks may wait for room.
    pub max_pending: usize,
    /// How many tasks of one owner run or are pending.
    pub max_running_per_owner: usize,
    /// The timeout of a task for which neither its start nor its model says one.
    pub default_timeout: Option<Timeout>,
    /// The longest timeout.
    pub max_timeout: Option<Timeout>,
    /// How long a finished task is kept; none keeps all.
    pub retention: Option<Duration>,
    /// The most threads for async bodies.
    pub max_body_threads: usize,
    /// How many blocking bodies run at once.
    pub max_blocking: usize,
    /// How many processes of isolated bodies and commands there are at once.
    pub max_processes: usize,
    /// Whether a commit waits for the disk.
    pub synchronous: Synchronous,
    /// The commands that the file names.
    pub commands: Vec<CommandTask>,
    /// How the log is written.
    pub log: LogSettings,
}

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// It does: what was acknowledged survives a power loss.
    Full,
    /// It does not: a power loss may take acknowledged writes.
    Normal,
}

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// For people or for programs.
    pub format: LogFormat,
    /// What is logged: `RUST_LOG`, known to be well formed.
    pub filter: String,
    /// Whether a terminal gets colours.
    pub colour: bool,
}

/// For whom the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For programs: one JSON object a line.
    Json,
}

/// The text of `quell.toml`, and who may read it.
#[derive(Debug, Clone)]
pub struct TomlFile {
    /// Where it is, for messages.
    pub path: PathBuf,
    /// What it says.
    pub text: Secret,
    /// Whether other users than its owner may read or change it.
    pub others_may_read: bool,
    /// Whether others than the server's user and root may change it.
    pub others_may_write: bool,
}

/// Settles each setting: the flag wins, then the variable, then the file, then the default.
///
/// # Errors
/// The first setting that is unknown or malformed, by its name, with what is allowed.
pub fn resolve(
    flags: &Flags,
    variables: &BTreeMap<String, String>,
    file: Option<&TomlFile>,
) -> Result<Settings, SettingsError> {
    let layers = Layers::new(variables, file)?;
    let (database_url, database_file) = match layers.given("database_url", flags.database_url.as_ref()) {
        Some(given) => parse::database(&given)?,
        None => ("sqlite://quell.db".to_owned(), PathBuf::from("quell.db")),
    };
    let (default_timeout, max_timeout) = timeouts(&layers, flags)?;
    Ok(Settings {
        bind: layers.read("bind", flags.bind.as_ref(), "127.0.0.1:8888".to_owned(), parse::bind)?,
        database_url,
        database_file,
        auth: auth::auth(&layers, flags)?,
        http: http::http(&layers, flags)?,
        demo: layers.read("demo", flags.demo.as_ref(), false, parse::switch)?,
        data_dir: layers
            .read("data_dir", flags.data_dir.as_ref(), None, |given| parse::folder(given).map(Some))?,
        shutdown_grace: layers.read(
            "shutdown_grace",
            flags.shutdown_grace.as_ref(),
            Duration::from_secs(30),
            parse::grace,
        )?,
        max_running: layers
            .read("max_running", flags.max_running.as_ref(), 100_000, |given| parse::count(given, 1))?,
        max_pending: layers
            .read("max_pending", flags.max_pending.as_ref(), 100_000, |given| parse::count(given, 0))?,
        max_running_per_owner: layers.read(
            "max_running_per_owner",
            flags.max_running_per_owner.as_ref(),
            1_000,
            |given| parse::count(given, 1),
        )?,
        default_timeout,
        max_timeout,
        retention: layers.read(
            "retention",
            flags.retention.as_ref(),
            Some(Duration::from_secs(30 * 24 * 60 * 60)),
            parse::retention,
        )?,
        max_body_threads: layers
            .read("max_body_threads", flags.max_body_threads.as_ref(), 64, |given| parse::count(given, 1))?,
        max_blocking: layers
            .read("max_blocking", flags.max_blocking.as_ref(), 512, |given| parse::count(given, 1))?,
        max_processes: layers
            .read("max_processes", flags.max_processes.as_ref(), 256, |given| parse::count(given, 1))?,
        synchronous: layers.read(
            "synchronous",
            flags.synchronous.as_ref(),
            Synchronous::Full,
            parse::synchronous,
        )?,
        commands: commands::commands(layers.commands.as_ref(), file, variables)?,
        log: log(&layers, flags, variables)?,
    })
}

/// The default and the longest timeout, which must not contradict each other.
fn timeouts(layers: &Layers<'_>, flags: &Flags) -> Result<(Option<Timeout>, Option<Timeout>), SettingsError> {
    let default = layers.given("default_timeout", flags.default_timeout.as_ref());
    let max = layers.given("max_timeout", flags.max_timeout.as_ref());
    let read = |given: &Option<Given>| given.as_ref().map(parse::timeout).transpose();
    let (default_timeout, max_timeout) = (read(&default)?, read(&max)?);
    match (default.zip(default_timeout), max.zip(max_timeout)) {
        (Some((given, default)), Some((most, max))) if default > max => {
            Err(given.refuse(format!("{} allows {} at most", most.from, shown(&most.text))))
        }
        _ => Ok((default_timeout, max_timeout)),
    }
}

fn log(
    layers: &Layers<'_>,
    flags: &Flags,
    variables: &BTreeMap<String, String>,
) -> Result<LogSettings, SettingsError> {
    Ok(LogSettings {
        format: layers.read("log_format", flags.log_format.as_ref(), LogFormat::Pretty, parse::log_format)?,
        filter: match variables.get("RUST_LOG").filter(|text| !text.is_empty()) {
            Some(text) => parse::log_filter(text)?,
            None => USUAL_FILTER.to_owned(),
        },
        colour: variables.get("NO_COLOR").is_none_or(String::is_empty),
    })
}
