//! Whether a client that asks for the stream of a finished task wants the task as JSON instead.
//!
//! Invariants: of several ranges that fit, the most specific one decides (RFC 9110, 12.5.1); `q=0` refuses;
//! what is malformed is ignored. Who takes neither gets the stream: it is what the path is for.

use actix_web::http::header::{ACCEPT, HeaderMap};

use super::prefer::split_unquoted;

/// How much a client wants a type: its quality in thousandths, then how specifically it was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Wish {
    quality: u16,
    specificity: u8,
}

/// Whether JSON is wanted at least as much as an event stream.
///
/// `*/*` alone and no header at all count as JSON; `text/event-stream, */*` does not.
pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    let lines: Vec<&str> = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return true;
    }
    let json = wish(&lines, "application", "json");
    json.quality > 0 && json >= wish(&lines, "text", "event-stream")
}

fn wish(lines: &[&str], family: &str, kind: &str) -> Wish {
    let ranges = lines.iter().flat_map(|line| split_unquoted(line, ','));
    let fitting = ranges.filter_map(|range| fit(range, family, kind));
    fitting.max_by_key(|wish| (wish.specificity, wish.quality)).unwrap_or_default()
}

/// What one media range says about a type; none where it is malformed or about others.
fn fit(range: &str, family: &str, kind: &str) -> Option<Wish> {
    let mut parts = split_unquoted(range, ';');
    let (first, second) = parts.next()?.split_once('/')?;
    let specificity = match (first.trim(), second.trim()) {
        ("*", "*") => 0,
        (f, "*") if f.eq_ignore_ascii_case(family) => 1,
        (f, k) if f.eq_ignore_ascii_case(family) && k.eq_ignore_ascii_case(kind) => 2,
        _ => return None,
    };
    let mut quality = 1000;
    for parameter in parts {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("q") {
            quality = thousandths(value.trim())?;
            break;
        }
    }
    Some(Wish { quality, specificity })
}

/// `0`, `0.5`, `1.000`: at most three decimals, at most 1.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let rest: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn json(accept: &str) -> bool {
        prefers_json(TestRequest::default().insert_header(("accept", accept)).to_http_request().headers())
    }

    #[test]
    fn json_is_for_those_who_ask_for_it_or_for_anything() {
        assert!(prefers_json(TestRequest::default().to_http_request().headers()));
        for accept in [
            "",
            "*/*",
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/*",
            "application/json, text/plain, */*",
            "application/json, text/event-stream",
            "text/event-stream;q=0.5, application/json",
            "text/event-stream;q=0, */*",
            "text/*, application/json",
            "text/html, */*;q=0.1",
        ] {
            assert!(json(accept), "{accept}");
        }
    }

    #[test]
    fn the_stream_is_for_those_who_name_it_and_for_those_who_take_neither() {
        for accept in [
            "text/event-stream",
            "TEXT/Event-Stream",
            "text/event-stream, */*",
            "*/*, text/event-stream",
            "text/event-stream, application/json;q=0.9",
            "application/json;q=0, */*",
            "application/json;q=0",
            "text/*",
            "text/html",
            "application/json;q=2",
            "application/json;q=x",
            "nonsense",
            "application/xml;x=\", application/json\"",
        ] {
            assert!(!json(accept), "{accept}");
        }
    }

    #[test]
    fn qualities_have_three_decimals_at_most() {
        let cases =
            [("0", Some(0)), ("1", Some(1000)), ("0.5", Some(500)), ("1.000", Some(1000)), ("0.", Some(0))];
        for (text, value) in cases {
            assert_eq!(thousandths(text), value, "{text}");
        }
        for text in ["1.001", "0.1234", "-0", "", "+1", "00", "0.+1"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
