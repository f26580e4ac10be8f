//! Owns how each setting is written: a plain function from the given text to the value, or to what is allowed.

use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::http::TrustedProxies;
use crate::task::Timeout;

use super::error::shown;
use super::layers::Given;
use super::{LogFormat, Secret, SettingsError, Source, Synchronous};

/// The longest shutdown.
const MAX_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest time that finished tasks are kept: a hundred years.
const MAX_RETENTION: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

pub(super) fn bind(given: &Given) -> Result<String, SettingsError> {
    let port_is_good = given.text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_is_good = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        let brackets = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
        host_is_good && brackets && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    if port_is_good {
        Ok(given.text.clone())
    } else {
        Err(given.refuse("give HOST:PORT, such as 127.0.0.1:8888 or [::1]:0"))
    }
}

/// The url and the file that it names. A url may hold a password: it is shown only where it cannot.
pub(super) fn database(given: &Given) -> Result<(String, PathBuf), SettingsError> {
    let text = given.text.as_str();
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err(given.refuse_hidden("PostgreSQL is not available in this version; use sqlite://FILE"));
    }
    match text.strip_prefix("sqlite://") {
        Some(file) if !file.is_empty() && !file.starts_with(':') && !file.contains(['?', '\0']) => {
            Ok((text.to_owned(), PathBuf::from(file)))
        }
        _ if text.contains('@') => Err(given.refuse_hidden("give sqlite://FILE, such as sqlite://quell.db")),
        _ => Err(given.refuse("give sqlite://FILE, such as sqlite://quell.db")),
    }
}

/// The text is read where the tokens are: here it only must not be empty.
pub(super) fn tokens(given: &Given) -> Result<Secret, SettingsError> {
    if given.text.trim().is_empty() {
        return Err(
            given.refuse_hidden("it is empty; give NAME=TOKEN;NAME=TOKEN:view_any_task+cancel_any_task")
        );
    }
    Ok(Secret::new(given.text.as_str()))
}

pub(super) fn text(given: &Given) -> Result<String, SettingsError> {
    let is_good = !given.text.trim().is_empty() && !given.text.contains(char::is_control);
    if is_good { Ok(given.text.clone()) } else { Err(given.refuse("give a text of one line")) }
}

/// A browser writes an origin in one way, and it is compared letter by letter.
pub(super) fn origins(given: &Given) -> Result<Vec<String>, SettingsError> {
    let parts: Vec<&str> = given.text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() || !parts.iter().all(|part| is_origin(part)) {
        let allowed = "give exact origins, such as https://app.example.com or http://localhost:5173, with commas \
                       between; `*` would let every page in";
        return Err(given.refuse(allowed));
    }
    Ok(parts.into_iter().map(str::to_owned).collect())
}

fn is_origin(text: &str) -> bool {
    let Some((scheme @ ("http" | "https"), authority)) = text.split_once("://") else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_written = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_good = match inner {
        Some(address) => {
            address.parse::<std::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address)
        }
        None => !host.is_empty() && host.chars().all(is_written),
    };
    // The port that the scheme has anyway is never written.
    let port_is_good = port.is_none_or(|port| {
        let usual = if scheme == "http" { "80" } else { "443" };
        port != usual && port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
    });
    host_is_good && port_is_good
}

pub(super) fn proxies(given: &Given) -> Result<TrustedProxies, SettingsError> {
    given.text.parse().map_err(|_| {
        given.refuse("give addresses or networks, such as 10.0.0.0/8 or ::1, with commas between")
    })
}

pub(super) fn switch(given: &Given) -> Result<bool, SettingsError> {
    match given.text.as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(given.refuse("use 1, true, 0 or false")),
    }
}

pub(super) fn folder(given: &Given) -> Result<PathBuf, SettingsError> {
    if given.text.is_empty() || given.text.contains('\0') {
        Err(given.refuse("give a path"))
    } else {
        Ok(PathBuf::from(&given.text))
    }
}

pub(super) fn grace(given: &Given) -> Result<Duration, SettingsError> {
    match duration(&given.text) {
        Some(time) if !time.is_zero() && time <= MAX_GRACE => Ok(time),
        _ => {
            Err(given
                .refuse("give a time above 0 and at most 24h, such as 30s, 500ms, 2m, or 30 for seconds"))
        }
    }
}

pub(super) fn timeout(given: &Given) -> Result<Timeout, SettingsError> {
    let allowed =
        "give a time above 0 and at most a year (8760h), such as 90s, 500ms, 30m, 2h, or 90 for seconds";
    let seconds = duration(&given.text).map(|time| time.as_secs_f64());
    seconds.and_then(|seconds| Timeout::from_seconds(seconds).ok()).ok_or_else(|| given.refuse(allowed))
}

pub(super) fn retention(given: &Given) -> Result<Option<Duration>, SettingsError> {
    if given.text == "none" {
        return Ok(None);
    }
    match duration(&given.text) {
        Some(time) if !time.is_zero() && time <= MAX_RETENTION => Ok(Some(time)),
        _ => Err(given.refuse("give a time above 0 and at most 36500d, such as 30d, 12h, 90m, or `none`")),
    }
}

pub(super) fn count(given: &Given, least: usize) -> Result<usize, SettingsError> {
    const MOST: usize = 10_000_000;
    let digits = !given.text.is_empty() && given.text.bytes().all(|b| b.is_ascii_digit());
    match given.text.parse() {
        Ok(number) if digits && (least..=MOST).contains(&number) => Ok(number),
        _ => Err(given.refuse(format!("give a whole number from {least} to {MOST}"))),
    }
}

/// A size: `512MiB`, or a plain number of bytes.
pub(super) fn bytes(given: &Given) -> Result<u64, SettingsError> {
    let digits = given.text.find(|c: char| !c.is_ascii_digit()).unwrap_or(given.text.len());
    let (number, unit) = given.text.split_at_checked(digits).unwrap_or_default();
    let factor = match unit.trim_start() {
        "" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    let allowed = "give a size above 0, such as 512MiB, 2GiB, or a number of bytes";
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| given.refuse(allowed))
}

pub(super) fn synchronous(given: &Given) -> Result<Synchronous, SettingsError> {
    match given.text.as_str() {
        "full" => Ok(Synchronous::Full),
        "normal" => Ok(Synchronous::Normal),
        _ => Err(given.refuse("use `full` or `normal`")),
    }
}

pub(super) fn log_format(given: &Given) -> Result<LogFormat, SettingsError> {
    match given.text.as_str() {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err(given.refuse("use `pretty` or `json`")),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, SettingsError> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(SettingsError::Value {
            from: Source::Variable("RUST_LOG".to_owned()),
            value: shown(text),
            allowed: "give levels, such as info or warn,quell=debug".to_owned(),
        }),
    }
}

/// `30s`, `500ms`, `2m`, `1.5h`, `30d`, or a plain number of seconds.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}
