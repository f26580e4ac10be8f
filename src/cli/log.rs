//! Owns where the log goes: standard error, for people or for programs.
//!
//! Invariants: as JSON, each line of standard error is one object, also what is told to the person who started the
//! server, and a panic. The text of a body's panic is not logged (it is in the task's row and event, for those who may
//! see the task); where it panicked is, and in which task.
//!
//! Nobody has to read it: a line that cannot be written is lost, and nothing else is.

use std::any::Any;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write as _};
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::thread;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::server::settings::{LogFormat, LogSettings};

/// The threads on which user code runs: what panics there says so in its task.
const OF_BODIES: [&str; 2] = ["quell-body-", "quell-blocking-"];

/// The format of this process, once its log was started.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Starts the log of this process. Its filter is known to be well formed.
pub(super) fn start(settings: &LogSettings) {
    // Its own complaints go to standard error with `eprintln!`, which panics where that is closed: in whichever
    // thread had something to log, the one that waits for SIGTERM among them.
    let log = fmt().log_internal_errors(false).with_writer(io::stderr);
    let log = log.with_env_filter(EnvFilter::new(&settings.filter));
    // It fails only where a log was started before: then that one goes on.
    let _ = match settings.format {
        LogFormat::Pretty => log.with_ansi(settings.colour && io::stderr().is_terminal()).try_init(),
        // The list of spans has the current one as well.
        LogFormat::Json => log.json().with_current_span(false).with_ansi(false).try_init(),
    };
    let _ = FORMAT.set(settings.format);
    panic::set_hook(Box::new(log_panic));
}

/// Tells the person who started the server: a line of text, or an object in a log of objects.
pub(super) fn tell(line: &dyn Display) {
    let line = match FORMAT.get() {
        Some(LogFormat::Json) => {
            let fields = serde_json::json!({ "message": line.to_string() });
            serde_json::json!({ "timestamp": now(), "level": "INFO", "fields": fields, "target": "quell" })
                .to_string()
        }
        Some(LogFormat::Pretty) | None => line.to_string(),
    };
    // A closed pipe is no reason to fall over: these lines may be lost, the server goes on.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The time as the log writes it.
fn now() -> String {
    let mut text = String::new();
    // Err: none when a string is written to.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name");
    let at = panic.location().map(ToString::to_string);
    if OF_BODIES.iter().any(|prefix| name.starts_with(prefix)) {
        tracing::warn!(thread = name, at, "user code panicked");
    } else {
        tracing::error!(thread = name, at, message_of_panic = text_of(panic.payload()), "a panic");
    }
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}
