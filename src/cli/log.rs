//! Owns where the log goes: standard error, for people or for programs.
//!
//! Nobody has to read it: a line that cannot be written is lost, and nothing else is.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::server::settings::{LogFormat, LogSettings};

/// Starts the log of this process. Its filter is known to be well formed.
pub(super) fn start(settings: &LogSettings) {
    // Its own complaints go to standard error with `eprintln!`, which panics where that is closed: in whichever
    // thread had something to log, the one that waits for SIGTERM among them.
    let log = fmt().log_internal_errors(false).with_writer(io::stderr);
    let log = log.with_env_filter(EnvFilter::new(&settings.filter));
    // It fails only where a log was started before: then that one goes on.
    let _ = match settings.format {
        LogFormat::Pretty => log.with_ansi(settings.colour && io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().with_ansi(false).try_init(),
    };
}
