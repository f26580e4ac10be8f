//! The error document of the API (RFC 9457), and one constructor for each situation that can come up.
//!
//! Invariants: a problem's `type` is stable; its `detail` says what a person can do; text of a client is only ever
//! shown shortened and JSON-encoded; what the database or the system said goes to the log, never to a client.
//!
//! It deliberately does not: map the runtime's errors (`refusals.rs`), or carry the `not_running` answers, which
//! are no errors.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// The most characters of a client's own text that a problem shows.
const SHOWN_CHARACTERS: usize = 80;
/// The most characters of a sentence that was made of a client's text, such as serde's about an input.
const DETAIL_CHARACTERS: usize = 400;

/// A field of a request, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Its name.
    pub field: String,
    /// What is wrong.
    pub detail: String,
}

/// An error document: `application/problem+json`.
///
/// A host's own extractor may return one; it is passed on as it is.
///
/// ```
/// # use quell::http::Problem;
/// let problem = Problem::unauthorized("this token has expired: sign in again");
/// assert_eq!(problem.name(), "unauthorized");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    allow: Option<String>,
    retry_after: Option<u32>,
}

/// Declares the kinds: the end of the `type`, the title, the status, and seconds for `Retry-After`.
macro_rules! kinds {
    ($($kind:ident = $name:literal, $title:literal, $status:ident, $retry:expr;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind { $($kind),+ }

        impl Kind {
            /// All of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$kind),+];

            fn name(self) -> &'static str { match self { $(Self::$kind => $name),+ } }
            pub(super) fn title(self) -> &'static str { match self { $(Self::$kind => $title),+ } }
            pub(super) fn status(self) -> StatusCode { match self { $(Self::$kind => StatusCode::$status),+ } }
            pub(super) fn retry_after(self) -> Option<u32> { match self { $(Self::$kind => $retry),+ } }
        }
    };
}

kinds! {
    InvalidPath = "invalid-path", "The path, the query or a header is malformed", BAD_REQUEST, None;
    InvalidTaskId = "invalid-task-id", "The task id is malformed", BAD_REQUEST, None;
    InvalidBody = "invalid-body", "The body is malformed", BAD_REQUEST, None;
    Unauthorized = "unauthorized", "Credentials are missing or wrong", UNAUTHORIZED, None;
    Forbidden = "forbidden", "You may not do this", FORBIDDEN, None;
    TaskNotFound = "task-not-found", "There is no such task", NOT_FOUND, None;
    UnknownModel = "unknown-model", "There is no such model", NOT_FOUND, None;
    RouteNotFound = "route-not-found", "There is no such route", NOT_FOUND, None;
    MetricsElsewhere = "metrics-elsewhere", "The numbers are not here", NOT_FOUND, None;
    MethodNotAllowed = "method-not-allowed", "The method is not known for this path", METHOD_NOT_ALLOWED, None;
    RequestTimeout = "request-timeout", "The body did not come in time", REQUEST_TIMEOUT, None;
    AlreadyEnded = "already-ended", "The task has ended", CONFLICT, None;
    KeyInUse = "key-in-use", "A request with this key is under way", CONFLICT, None;
    BodyTooLarge = "body-too-large", "The body is too large", PAYLOAD_TOO_LARGE, None;
    UnsupportedMediaType = "unsupported-media-type", "The body is not JSON", UNSUPPORTED_MEDIA_TYPE, None;
    InvalidInput = "invalid-input", "The input does not fit", UNPROCESSABLE_ENTITY, None;
    TooManyTasks = "too-many-tasks", "You have too many unfinished tasks", TOO_MANY_REQUESTS, Some(1);
    KeyReused = "key-reused", "The key was used for another request", UNPROCESSABLE_ENTITY, None;
    TooManyRequests = "too-many-requests", "You ask too often", TOO_MANY_REQUESTS, Some(1);
    TooManyStreams = "too-many-streams", "You have too many streams open", TOO_MANY_REQUESTS, Some(5);
    Internal = "internal-error", "The server met a defect", INTERNAL_SERVER_ERROR, None;
    ShuttingDown = "shutting-down", "The server is shutting down", SERVICE_UNAVAILABLE, Some(5);
    TooManyPending = "too-many-pending", "Too much is waiting", SERVICE_UNAVAILABLE, Some(1);
    DatabaseUnavailable = "database-unavailable", "The database is away", SERVICE_UNAVAILABLE, Some(2);
    OutcomeUnknown = "outcome-unknown", "It is not known whether it was done", SERVICE_UNAVAILABLE, Some(2);
}

impl Kind {
    /// The `type` of its documents.
    pub(super) fn uri(self) -> String {
        format!("urn:quell:problem:{}", self.name())
    }
}

impl Problem {
    fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), allow: None, retry_after: kind.retry_after() }
    }

    fn of_field(kind: Kind, field: &str, detail: impl Into<String>) -> Self {
        let (field, detail) = (shown(field), clipped(detail.into(), DETAIL_CHARACTERS));
        let whole = format!("`{field}` {detail}");
        Self { errors: vec![FieldError { field, detail }], ..Self::new(kind, whole) }
    }

    /// No credentials, or wrong ones. The detail says how to get or send better ones, and never shows them.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unauthorized, detail)
    }

    /// The caller is known, and may not do it.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Forbidden, detail)
    }

    /// A part of the path or a query parameter is malformed.
    pub(super) fn invalid_path(field: &str, detail: impl Into<String>) -> Self {
        Self::of_field(Kind::InvalidPath, field, detail)
    }

    pub(super) fn invalid_task_id(detail: impl Into<String>) -> Self {
        Self::of_field(Kind::InvalidTaskId, "id", detail)
    }

    /// The body is no JSON, or not of the right shape as a whole.
    pub(super) fn invalid_body(detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidBody, clipped(detail.into(), DETAIL_CHARACTERS))
    }

    /// One member of the body is wrong.
    pub(super) fn invalid_field(field: &str, detail: impl Into<String>) -> Self {
        Self::of_field(Kind::InvalidBody, field, detail)
    }

    /// The input does not fit the model, or a database could not keep it.
    pub(super) fn invalid_input(field: &str, detail: impl Into<String>) -> Self {
        Self::of_field(Kind::InvalidInput, field, detail)
    }

    pub(super) fn task_not_found(task: &dyn fmt::Display) -> Self {
        Self::new(Kind::TaskNotFound, format!("there is no task `{task}`: check its app, model and id"))
    }

    pub(super) fn unknown_model(app: &str, model: &str) -> Self {
        Self::new(
            Kind::UnknownModel,
            format!("no model `{}/{}` is registered here: check both names", shown(app), shown(model)),
        )
    }

    pub(super) fn route_not_found() -> Self {
        Self::new(
            Kind::RouteNotFound,
            "nothing answers at this path: see the list of routes in the documentation",
        )
    }

    /// `allow` lists the methods that the path knows.
    pub(super) fn metrics_elsewhere() -> Self {
        Self::new(
            Kind::MetricsElsewhere,
            "this runtime's numbers go to a recorder of its host: read them where the host shows its own",
        )
    }

    pub(super) fn method_not_allowed(allow: String) -> Self {
        let detail = format!("this path knows {allow}");
        Self { allow: Some(allow), ..Self::new(Kind::MethodNotAllowed, detail) }
    }

    pub(super) fn request_timeout() -> Self {
        Self::new(
            Kind::RequestTimeout,
            "the body did not come in time: nothing was done, send the request again",
        )
    }

    pub(super) fn already_ended(task: &dyn fmt::Display, status: &str) -> Self {
        Self::new(
            Kind::AlreadyEnded,
            format!("`{task}` has ended (it is {status}) and does not change any more"),
        )
    }

    /// A request with the same idempotency key has not been answered yet.
    pub(super) fn key_in_use() -> Self {
        Self::new(
            Kind::KeyInUse,
            "a request with this Idempotency-Key is under way: repeat it in a while to get its answer",
        )
    }

    /// Another request has the idempotency key.
    pub(super) fn key_reused() -> Self {
        Self::of_field(
            Kind::KeyReused,
            "Idempotency-Key",
            "was used for another request within 24 hours (another path, or other bytes as body): take a new one",
        )
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        Self::new(Kind::BodyTooLarge, format!("a body may have {limit} bytes: send a reference instead"))
    }

    pub(super) fn unsupported_media_type(detail: &'static str) -> Self {
        Self::new(Kind::UnsupportedMediaType, detail)
    }

    /// The caller has so many tasks that run or are pending.
    pub(super) fn too_many_tasks(count: usize) -> Self {
        let detail = format!(
            "you have {count} unfinished tasks, and may have no more: try again when some have ended, or cancel some"
        );
        Self::new(Kind::TooManyTasks, detail)
    }

    /// The principal asks too often; the next request is welcome after that many seconds.
    pub(super) fn too_many_requests(seconds: u32) -> Self {
        let detail = format!("you ask more often than this server lets you: try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(Kind::TooManyRequests, detail) }
    }

    pub(super) fn too_many_streams(most: usize) -> Self {
        let detail =
            format!("you have {most} streams open, as many as this server lets you: close one first");
        Self::new(Kind::TooManyStreams, detail)
    }

    /// A defect of the server. What it was stands in the log.
    pub(super) fn internal() -> Self {
        Self::new(Kind::Internal, "this is a defect of the server: its log says more, please report it")
    }

    pub(super) fn shutting_down() -> Self {
        Self::new(Kind::ShuttingDown, "the server is shutting down: try again when it is back")
    }

    pub(super) fn too_many_pending(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TooManyPending, detail)
    }

    pub(super) fn database_unavailable() -> Self {
        Self::new(
            Kind::DatabaseUnavailable,
            "the database does not answer at the moment: try again in a while",
        )
    }

    /// The commit was sent, its answer was lost.
    pub(super) fn outcome_unknown() -> Self {
        Self::new(
            Kind::OutcomeUnknown,
            "the database did not say whether it was done: repeat the request with the same Idempotency-Key",
        )
    }

    /// The end of the `type`: what a program tells problems apart by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The fields that are wrong, where the problem is about fields.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }
}

/// A client's own text, fit to be shown.
pub(super) fn shown(text: &str) -> String {
    clipped(text.to_owned(), SHOWN_CHARACTERS)
}

/// Shortens a text, and spells out what would act on a terminal, a log or a reader's eye. JSON itself escapes only what
/// is below U+0020.
fn clipped(mut text: String, characters: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
        text.push('…');
    }
    if text.chars().any(acts) {
        text =
            text.chars().flat_map(|c| if acts(c) { c.escape_unicode().collect() } else { vec![c] }).collect();
    }
    text
}

/// DEL, the control characters of Latin-1, separators of lines, and what turns the direction of writing.
fn acts(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.detail)
    }
}

impl std::error::Error for Problem {}

/// An error document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// What a program tells problems apart by; it stays the same.
    #[schema(format = "uri")]
    r#type: String,
    /// The problem in a few words.
    #[schema(value_type = String)]
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What happened, and what can be done.
    #[schema(value_type = String)]
    detail: &'a str,
    /// The fields that are wrong, where the problem is about fields.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>, required = false)]
    errors: &'a [FieldError],
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let document = Document {
            r#type: self.kind.uri(),
            title: self.kind.title(),
            status: self.status_code().as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        if self.kind == Kind::Unauthorized {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if self.kind == Kind::RequestTimeout {
            // The rest of the body may still trickle in: the connection is of no further use.
            response.force_close();
        }
        // A struct of texts and numbers: writing it cannot fail, and an empty body would still carry the status.
        response.body(serde_json::to_string(&document).unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;
