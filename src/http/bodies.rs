//! What each write takes as its body.
//!
//! Invariants: types are exact (a number in a text is no number); null counts as not given; the first thing that
//! is wrong is named and nothing is done. It does not know the models: whether an input fits is the runtime's word.

use serde_json::value::RawValue;

use crate::task::{JsonText, Name, TaskFilter, Timeout};

use super::fields::{Fields, has_nul, not_json};
use super::problem::Problem;
use super::query;

/// The most characters of a reason.
pub(super) const REASON_CHARACTERS: usize = 1000;
const NUL: &str = "holds the character U+0000, which cannot be stored: leave it out";

/// The members of a start.
pub(super) const START: [&str; 3] = ["input", "timeout_seconds", "idle_timeout_seconds"];
/// The members of a patch.
pub(super) const PATCH: [&str; 1] = ["timeout_seconds"];
/// The members of a cancel.
pub(super) const CANCEL: [&str; 1] = ["reason"];

/// The members of a cancel of many, and of the filter in it.
pub(super) const CANCEL_MANY: [&str; 4] = ["filter", "reason", "dry_run", "all"];
pub(super) const FILTER: [&str; 4] = ["app", "model", "status", "owner"];

/// The body of a start.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct StartBody {
    pub(super) input: Option<JsonText>,
    pub(super) timeout: Option<Timeout>,
    pub(super) idle_timeout: Option<Timeout>,
}

/// `{"input": {...}, "timeout_seconds": 300, "idle_timeout_seconds": 30}`, all optional.
pub(super) fn start(body: Option<&[u8]>) -> Result<StartBody, Problem> {
    let Some(body) = body else { return Ok(StartBody::default()) };
    let fields = Fields::parse(body, &START)?;
    let timeout = seconds(&fields, "timeout_seconds")?;
    let idle_timeout = seconds(&fields, "idle_timeout_seconds")?;
    let input = fields.given("input").map(input).transpose()?;
    Ok(StartBody { input, timeout, idle_timeout })
}

/// `{"timeout_seconds": 600}`, which must be there; null removes the timeout.
pub(super) fn patch(body: Option<&[u8]>) -> Result<Option<Timeout>, Problem> {
    let missing =
        || Problem::invalid_field("timeout_seconds", "must be given: a number of seconds, or null for none");
    let fields = Fields::parse(body.ok_or_else(missing)?, &PATCH)?;
    if fields.get("timeout_seconds").is_none() {
        return Err(missing());
    }
    seconds(&fields, "timeout_seconds")
}

/// `{"reason": "text"}`, optional.
pub(super) fn cancel(body: Option<&[u8]>) -> Result<Option<String>, Problem> {
    let Some(body) = body else { return Ok(None) };
    reason(&Fields::parse(body, &CANCEL)?)
}

fn reason(fields: &Fields) -> Result<Option<String>, Problem> {
    let Some(value) = fields.given("reason") else { return Ok(None) };
    let wrong = |detail: String| Problem::invalid_field("reason", detail);
    let reason: String =
        serde_json::from_str(value.get()).map_err(|_| wrong("must be a text or null".into()))?;
    if reason.contains('\0') {
        return Err(wrong(NUL.into()));
    }
    let characters = reason.chars().count();
    if characters > REASON_CHARACTERS {
        return Err(wrong(format!("has {characters} characters: at most {REASON_CHARACTERS} are kept")));
    }
    Ok(Some(reason).filter(|reason| !reason.is_empty()))
}

/// The body of a cancel of many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CancelManyBody {
    pub(super) filter: TaskFilter,
    pub(super) reason: Option<String>,
    pub(super) dry_run: bool,
}

/// `{"filter": {...}, "reason": "text", "dry_run": true, "all": true}`; an empty filter needs `all`.
pub(super) fn cancel_many(body: Option<&[u8]>) -> Result<CancelManyBody, Problem> {
    let fields = Fields::parse(body.unwrap_or(b"{}"), &CANCEL_MANY)?;
    let filter = fields.given("filter").map(filter).transpose()?.unwrap_or_default();
    let reason = reason(&fields)?;
    let (dry_run, all) = (switch(&fields, "dry_run")?, switch(&fields, "all")?);
    if filter.is_empty() && !all {
        let detail = "is empty: say which tasks are meant, or give \"all\": true to cancel all that you may";
        return Err(Problem::invalid_field("filter", detail));
    }
    Ok(CancelManyBody { filter, reason, dry_run })
}

fn filter(value: &RawValue) -> Result<TaskFilter, Problem> {
    if !value.get().starts_with('{') {
        return Err(Problem::invalid_field("filter", "must be an object with app, model, status or owner"));
    }
    let fields = Fields::parse(value.get().as_bytes(), &FILTER)?;
    let part = |name: &str| -> Result<Option<String>, Problem> {
        let wrong = |_| Problem::invalid_field(name, "must be a text or null");
        fields.given(name).map(|value| serde_json::from_str(value.get()).map_err(wrong)).transpose()
    };
    let a_name = |field: &str| -> Result<Option<Name>, Problem> {
        let wrong = |_| Problem::invalid_field(field, query::NAME);
        part(field)?.map(|text| Name::new(&text).map_err(wrong)).transpose()
    };
    let status = part("status")?.map(|text| text.parse());
    let owner = part("owner")?;
    let owner = owner.map(|text| query::an_owner(&text).map(Into::into).ok_or(()));
    Ok(TaskFilter {
        app: a_name("app")?,
        model: a_name("model")?,
        status: status.transpose().map_err(|_| Problem::invalid_field("status", query::STATUS))?,
        owner: owner.transpose().map_err(|()| Problem::invalid_field("owner", query::OWNER))?,
    })
}

fn switch(fields: &Fields, name: &str) -> Result<bool, Problem> {
    let wrong = |_| Problem::invalid_field(name, "must be true, false or null");
    let given = fields.given(name).map(|value| serde_json::from_str(value.get()).map_err(wrong));
    Ok(given.transpose()?.unwrap_or(false))
}

/// Any JSON; no body at all is `null`.
pub(super) fn signal(body: Option<&[u8]>) -> Result<JsonText, Problem> {
    let body = body.unwrap_or(b"null");
    if has_nul(body).map_err(|error| not_json(&error))? {
        return Err(Problem::invalid_input("data", NUL));
    }
    let text = std::str::from_utf8(body).map_err(|_| Problem::invalid_body("the body is not UTF-8"))?;
    JsonText::from_text(text).map_err(|error| Problem::invalid_body(error.to_string()))
}

fn input(value: &RawValue) -> Result<JsonText, Problem> {
    // Serde would take a list for a struct, field by field: the contract promises an object.
    if !value.get().starts_with('{') {
        return Err(Problem::invalid_input("input", "must be an object with the fields of the model"));
    }
    if has_nul(value.get().as_bytes()).map_err(|error| not_json(&error))? {
        return Err(Problem::invalid_input("input", NUL));
    }
    JsonText::from_text(value.get()).map_err(|error| Problem::invalid_body(error.to_string()))
}

/// A number of seconds; none where it is not given.
fn seconds(fields: &Fields, name: &str) -> Result<Option<Timeout>, Problem> {
    let Some(value) = fields.given(name) else { return Ok(None) };
    let wrong = || Problem::invalid_field(name, "must be a number above 0 and at most 31536000, or null");
    let seconds: f64 = serde_json::from_str(value.get()).map_err(|_| wrong())?;
    Timeout::from_seconds(seconds).map(Some).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: f64) -> Timeout {
        Timeout::from_seconds(number).unwrap()
    }

    fn field<T: std::fmt::Debug>(told: Result<T, Problem>) -> (&'static str, String) {
        let problem = told.unwrap_err();
        (problem.name(), problem.errors().first().map(|e| e.field.clone()).unwrap_or_default())
    }

    #[test]
    fn a_start_needs_nothing() {
        assert_eq!(start(None).unwrap(), StartBody::default());
        let nulls = br#"{"input":null,"timeout_seconds":null,"idle_timeout_seconds":null}"#;
        assert_eq!(start(Some(nulls)).unwrap(), StartBody::default());
        assert_eq!(start(Some(b"{}")).unwrap(), StartBody::default());
    }

    #[test]
    fn a_start_keeps_the_input_as_it_came() {
        let body = start(Some(br#"{"input": {"n": 1.10, "x": []}, "timeout_seconds": 0.5}"#)).unwrap();
        assert_eq!(body.input.unwrap().as_str(), r#"{"n": 1.10, "x": []}"#);
        assert_eq!(body.timeout, Some(of(0.5)));
    }

    #[test]
    fn a_timeout_is_a_number_in_its_bounds() {
        for value in ["0", "-1", "-0.0", "31536001", "1e300", "1e999", "\"5\"", "true", "[5]", "{}"] {
            let body = format!("{{\"timeout_seconds\":{value}}}");
            let expected = ("invalid-body", "timeout_seconds".to_owned());
            assert_eq!(field(start(Some(body.as_bytes()))), expected, "{value}");
            assert_eq!(field(patch(Some(body.as_bytes()))), expected, "{value}");
            let idle = format!("{{\"idle_timeout_seconds\":{value}}}");
            let expected = ("invalid-body", "idle_timeout_seconds".to_owned());
            assert_eq!(field(start(Some(idle.as_bytes()))), expected, "{value}");
        }
        assert_eq!(patch(Some(br#"{"timeout_seconds":31536000}"#)).unwrap(), Some(of(31_536_000.0)));
    }

    #[test]
    fn an_idle_timeout_is_for_a_start_only() {
        let body = br#"{"idle_timeout_seconds":0.25}"#;
        assert_eq!(start(Some(body)).unwrap().idle_timeout, Some(of(0.25)));
        assert_eq!(field(patch(Some(body))), ("invalid-body", "idle_timeout_seconds".into()));
    }

    #[test]
    fn an_input_must_be_an_object_without_nul() {
        for value in ["5", "[]", "\"x\"", "{\"a\":\"\\u0000\"}", "{\"a\":{\"\\u0000\":1}}"] {
            let body = format!("{{\"input\":{value}}}");
            assert_eq!(field(start(Some(body.as_bytes()))), ("invalid-input", "input".into()), "{value}");
        }
    }

    #[test]
    fn a_patch_must_say_what_it_changes() {
        assert_eq!(field(patch(None)), ("invalid-body", "timeout_seconds".into()));
        assert_eq!(field(patch(Some(b"{}"))), ("invalid-body", "timeout_seconds".into()));
        assert_eq!(patch(Some(br#"{"timeout_seconds":null}"#)).unwrap(), None);
    }

    #[test]
    fn a_reason_is_kept_as_given() {
        assert_eq!(cancel(None).unwrap(), None);
        for none in [r"{}", r#"{"reason":null}"#, r#"{"reason":""}"#] {
            assert_eq!(cancel(Some(none.as_bytes())).unwrap(), None);
        }
        let odd = cancel(Some("{\"reason\":\"  \\ud83d\\ude00 zu\\nlang\\u2028 \"}".as_bytes())).unwrap();
        assert_eq!(odd.as_deref(), Some("  😀 zu\nlang\u{2028} "));
    }

    #[test]
    fn a_reason_is_counted_in_characters() {
        let body = |n: usize| format!("{{\"reason\":\"{}\"}}", "😀".repeat(n));
        assert_eq!(cancel(Some(body(1000).as_bytes())).unwrap().unwrap().chars().count(), 1000);
        assert_eq!(field(cancel(Some(body(1001).as_bytes()))), ("invalid-body", "reason".into()));
    }

    #[test]
    fn a_reason_of_another_type_or_with_nul_is_refused() {
        for value in ["1", "true", "[\"x\"]", "{}", "\"a\\u0000b\""] {
            let body = format!("{{\"reason\":{value}}}");
            assert_eq!(field(cancel(Some(body.as_bytes()))), ("invalid-body", "reason".into()), "{value}");
        }
        assert_eq!(field(cancel(Some(br#"{"force":true}"#))), ("invalid-body", "force".into()));
    }

    #[test]
    fn a_signal_takes_any_json() {
        assert_eq!(signal(None).unwrap().as_str(), "null");
        for json in ["1", "\"x\"", "[1, 2]", "{\"a\": null}"] {
            assert_eq!(signal(Some(json.as_bytes())).unwrap().as_str(), json);
        }
        assert_eq!(field(signal(Some(br#"{"a":"\u0000"}"#))), ("invalid-input", "data".into()));
        for bad in ["nope", "1 2", "\"\\ud800\""] {
            assert_eq!(field(signal(Some(bad.as_bytes()))).0, "invalid-body", "{bad}");
        }
    }
}
