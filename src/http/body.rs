//! Reading the bytes of a request's body.
//!
//! Invariants: never more than [`LIMIT`] bytes are held; a body that is not there in time is given up; a body that
//! is not declared as JSON is not looked at. No body at all is fine here: who needs one says so itself.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::problem::Problem;

/// The most bytes of a body.
pub(super) const LIMIT: usize = 256 * 1024;

/// Reads a body; none where it is empty.
pub(super) async fn read<S>(
    headers: &HeaderMap,
    payload: S,
    deadline: Duration,
) -> Result<Option<Bytes>, Problem>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    // Refused before it is sent, where its length is known.
    let declared = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| usize::try_from(length).is_ok_and(|l| l > LIMIT)) {
        return Err(Problem::body_too_large(LIMIT));
    }
    if declared.is_some_and(|length| length > 0) {
        check_type(headers)?;
    }
    let bytes = match tokio::time::timeout(deadline, collect(payload)).await {
        Ok(bytes) => bytes?,
        Err(_) => return Err(Problem::request_timeout()),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    check_type(headers)?;
    Ok(Some(bytes))
}

async fn collect<S>(mut payload: S) -> Result<Bytes, Problem>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            tracing::debug!(%error, "a body broke off");
            Problem::invalid_body("the body broke off or is wrongly encoded: send the request again")
        })?;
        if bytes.len().saturating_add(chunk.len()) > LIMIT {
            return Err(Problem::body_too_large(LIMIT));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut types = headers.get_all(CONTENT_TYPE);
    let essence = types.next().and_then(|v| v.to_str().ok()?.split(';').next());
    let is_json = essence.is_some_and(|e| e.trim().eq_ignore_ascii_case("application/json"));
    if !is_json || types.next().is_some() {
        return Err(Problem::unsupported_media_type(
            "send the body as JSON, with `Content-Type: application/json`",
        ));
    }
    let plain = headers.get_all(CONTENT_ENCODING).all(|v| v.as_bytes().eq_ignore_ascii_case(b"identity"));
    if plain {
        Ok(())
    } else {
        Err(Problem::unsupported_media_type("send the body uncompressed, without `Content-Encoding`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;
    use futures_util::stream;

    async fn told(headers: &[(&str, &str)], chunks: Vec<&'static [u8]>) -> Result<Option<Bytes>, u16> {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header(*header);
        }
        let request = request.to_http_request();
        let payload = stream::iter(chunks.into_iter().map(|c| Ok(Bytes::from_static(c))));
        read(request.headers(), payload, Duration::from_secs(5)).await.map_err(|p| p.status_code().as_u16())
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    #[actix_web::test]
    async fn a_json_body_is_read_whole() {
        assert_eq!(told(&[JSON], vec![b"{", b"}"]).await, Ok(Some(Bytes::from_static(b"{}"))));
        let charset = ("content-type", "Application/JSON; charset=utf-8");
        assert_eq!(told(&[charset], vec![b"1"]).await, Ok(Some(Bytes::from_static(b"1"))));
    }

    #[actix_web::test]
    async fn an_empty_body_needs_no_type() {
        assert_eq!(told(&[], vec![]).await, Ok(None));
        assert_eq!(told(&[("content-type", "text/plain"), ("content-length", "0")], vec![]).await, Ok(None));
    }

    #[actix_web::test]
    async fn another_type_is_refused() {
        assert_eq!(told(&[], vec![b"{}"]).await, Err(415));
        assert_eq!(told(&[("content-type", "text/plain")], vec![b"{}"]).await, Err(415));
        assert_eq!(told(&[("content-type", "application/jsonx")], vec![b"{}"]).await, Err(415));
        assert_eq!(told(&[JSON, ("content-type", "text/plain")], vec![b"{}"]).await, Err(415));
        assert_eq!(told(&[JSON, ("content-encoding", "gzip")], vec![b"{}"]).await, Err(415));
    }

    #[actix_web::test]
    async fn a_body_of_the_limit_is_read_and_one_byte_more_is_refused() {
        static FULL: [u8; LIMIT] = [b' '; LIMIT];
        assert_eq!(told(&[JSON], vec![&FULL]).await.unwrap().unwrap().len(), LIMIT);
        assert_eq!(told(&[JSON], vec![&FULL, b"x"]).await, Err(413));
        assert_eq!(told(&[JSON, ("content-length", "262145")], vec![]).await, Err(413));
    }

    #[actix_web::test]
    async fn a_body_that_never_comes_is_given_up() {
        let request = TestRequest::default().insert_header(JSON).to_http_request();
        let told = read(request.headers(), stream::pending(), Duration::from_millis(20)).await;
        assert_eq!(told.unwrap_err().name(), "request-timeout");
    }
}
