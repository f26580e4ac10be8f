//! The `Prefer: wait=N` header (RFC 7240).
//!
//! Invariants: names are compared without case; more than 60 counts as 60; what is malformed is ignored, as the
//! RFC asks of preferences.

use std::time::Duration;

use actix_web::http::header::HeaderMap;

/// The longest wait that a client may ask for.
const MAX_SECONDS: u64 = 60;

/// How long a client asked to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait(u64);

impl Wait {
    /// The first well-formed `wait` of all `Prefer` headers.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all("prefer").filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| split_unquoted(line, ',')).find_map(Self::parse)
    }

    /// One preference: `name [= word] *( ; parameter )`.
    fn parse(preference: &str) -> Option<Self> {
        let preference = split_unquoted(preference, ';').next()?;
        let (name, value) = preference.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("wait") {
            return None;
        }
        let value = value.trim();
        let digits = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // Only a number beyond all bounds fails to parse here.
        Some(Self(digits.parse().unwrap_or(MAX_SECONDS).min(MAX_SECONDS)))
    }

    pub(super) fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// The value of `Preference-Applied`: the wait that counted.
    pub(super) fn applied(self) -> (&'static str, String) {
        ("Preference-Applied", format!("wait={}", self.0))
    }
}

/// Splits at a separator, but not inside quoted text.
pub(super) fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn wait(lines: &[&str]) -> Option<u64> {
        let mut request = TestRequest::default();
        for line in lines {
            request = request.append_header(("Prefer", *line));
        }
        Wait::of(request.to_http_request().headers()).map(|w| w.0)
    }

    #[test]
    fn a_wait_is_read_in_all_its_spellings() {
        for line in ["wait=5", "WAIT=5", "wait = 5", "wait=\"5\"", "respond-async, wait=5", "wait=5;x=y, foo"]
        {
            assert_eq!(wait(&[line]), Some(5), "{line}");
        }
        assert_eq!(wait(&["respond-async", "handling=lenient, wait=7"]), Some(7));
        assert_eq!(wait(&["foo=\"a, wait=9\", wait=3"]), Some(3));
        assert_eq!(wait(&["wait=1, wait=2"]), Some(1));
    }

    #[test]
    fn a_long_wait_counts_as_a_minute_and_zero_is_allowed() {
        assert_eq!(wait(&["wait=0"]), Some(0));
        assert_eq!(wait(&["wait=60"]), Some(60));
        assert_eq!(wait(&["wait=61"]), Some(60));
        assert_eq!(wait(&["wait=99999999999999999999999"]), Some(60));
    }

    #[test]
    fn a_malformed_wait_is_ignored() {
        for line in
            ["", "wait", "wait=", "wait=-1", "wait=+1", "wait=1.5", "wait=x", "waits=5", "wait=\"5", "=5"]
        {
            assert_eq!(wait(&[line]), None, "{line}");
        }
    }
}
