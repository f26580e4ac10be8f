//! What every request gets, whichever handler it goes to: an id, a span, a line in the log.
//!
//! Invariants: each answer carries `X-Request-Id`, and each record that is logged on the way to it names the same id;
//! neither the query nor any header is logged, nor the path as it was sent (a secret may stand there by mistake).
//! The span has the level ERROR, so that a filter that lets a record through lets its context through as well.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing::{Instrument, Span, field};

/// The header of the id, in requests and answers.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most characters of an id that a client chose.
const MAX_CHARACTERS: usize = 64;

/// The id of a request: the client's own where that is well formed, else one that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestId(Arc<str>);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(&X_REQUEST_ID);
        match (sent.next().and_then(|value| value.to_str().ok()), sent.next()) {
            (Some(id), None) if is_well_formed(id) => Self(id.into()),
            _ => Self::make(),
        }
    }

    /// Unique, not secret: a number of this process after one that no other process has.
    fn make() -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let process = PROCESS.get_or_init(|| {
            // Without random numbers the ids of two processes may be the same: no reason to refuse a request.
            getrandom::u64().unwrap_or_default()
        });
        Self(format!("{process:016x}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed)).into())
    }

    /// The id that a request was given; none outside our routes.
    pub(super) fn given(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Nothing that has a meaning in a header, a log, a shell or a page.
fn is_well_formed(id: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:=/+@".contains(&byte);
    (1..=MAX_CHARACTERS).contains(&id.len()) && id.bytes().all(safe)
}

/// Leads a request through: for `from_fn`, around each of our routes.
pub(super) async fn lead<B: MessageBody + 'static>(
    route: Arc<str>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id = RequestId::of(request.headers());
    let header = HeaderValue::from_str(id.as_str()).ok();
    let span = tracing::error_span!(
        "request",
        request_id = %id,
        method = known(request.method().as_str()),
        route = &*route,
        task = field::Empty,
        status = field::Empty,
    );
    request.extensions_mut().insert(id);
    let led = async {
        let began = tracing::enabled!(target: "quell::access", tracing::Level::DEBUG).then(Instant::now);
        let mut response = next.call(request).await?;
        if let Some(header) = header {
            response.headers_mut().insert(X_REQUEST_ID, header);
        }
        if let Some(began) = began {
            let status = response.status().as_u16();
            Span::current().record("status", status);
            tracing::debug!(target: "quell::access", status, took = ?began.elapsed(), "answered");
        }
        Ok(response)
    };
    led.instrument(span).await
}

/// A method's name; what no standard knows is a client's own text.
fn known(method: &str) -> &str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    if KNOWN.contains(&method) { method } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn id(values: &[&str]) -> RequestId {
        let request = values
            .iter()
            .fold(TestRequest::default(), |request, value| request.append_header((X_REQUEST_ID, *value)));
        RequestId::of(request.to_http_request().headers())
    }

    #[test]
    fn an_id_of_the_client_is_kept_where_it_is_well_formed() {
        for good in ["a", "Root=1-67891233-abcdef012345678912345678", &"x".repeat(64), "a.b:c/d+e@f_g"] {
            assert_eq!(id(&[good]).as_str(), good);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        for bad in ["", " ", "a b", "a\"b", "<b>", "ü", &"x".repeat(65), "a,b", "a;b", "${x}"] {
            assert_ne!(id(&[bad]).as_str(), bad);
            assert!(is_well_formed(id(&[bad]).as_str()), "{bad}");
        }
        assert_ne!(id(&["one", "two"]).as_str(), "one");
    }

    #[test]
    fn made_ids_are_all_different() {
        let made: std::collections::HashSet<_> = (0..1_000).map(|_| id(&[]).to_string()).collect();
        assert_eq!(made.len(), 1_000);
    }
}
