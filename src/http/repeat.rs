//! The `Idempotency-Key` header: a request that is repeated with its key is carried out once.
//!
//! Invariants: the key belongs to its principal; two requests are the same where method, path and the bytes of the
//! body are, as they were sent; what is kept is the answer that was sent first, and only one that says what was done
//! (2xx, `not_running`): a refusal leaves the key free. Where `not_running` cannot be kept, it is not said either. A replay comes after the same checks as the request itself,
//! so that a permission that was taken away is gone for replays too.
//!
//! It deliberately does not keep headers: `Location` follows from the task, the rest belongs to one exchange.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Refusal;
use crate::runtime::{Earlier, Place};
use crate::store::{KeptAnswer, RepeatableRequest, StoreError};
use crate::task::TaskId;

use super::auth::Scope;
use super::call::Call;
use super::dto::{respond, text};
use super::problem::Problem;

const HEADER: &str = "Idempotency-Key";

/// The most characters of a key.
const MAX_CHARACTERS: usize = 255;

/// A request that its client may repeat; without a key it is one like any other.
pub(super) struct Once {
    request: Option<Arc<RepeatableRequest>>,
    place: Option<Place>,
}

/// What came of an earlier request with the same key.
pub(super) enum Before {
    /// There was none: carry it out.
    Nothing,
    /// This task was started by it, and the answer was lost with a process or a client.
    Started(TaskId),
    /// This answer, about this task.
    Answer(HttpResponse, Option<TaskId>),
}

impl Once {
    /// Reads the header.
    pub(super) fn of(call: &Call, owner: Arc<str>, body: Option<&[u8]>) -> Result<Self, Problem> {
        Self::within(call, owner, Scope::Own, body)
    }

    /// The same for a request that means other tasks where its principal may do more or less: then it is another one.
    pub(super) fn within(
        call: &Call,
        owner: Arc<str>,
        scope: Scope,
        body: Option<&[u8]>,
    ) -> Result<Self, Problem> {
        let mut headers = call.headers().get_all(HEADER);
        let Some(header) = headers.next() else { return Ok(Self { request: None, place: None }) };
        let key = header.to_str().ok().filter(|key| is_key(key) && headers.next().is_none());
        let key = key.ok_or_else(|| {
            let detail = format!("must be given once, with 1 to {MAX_CHARACTERS} visible ASCII characters");
            Problem::invalid_path(HEADER, detail)
        })?;
        let request = call.request();
        let request = RepeatableRequest {
            digest: digest(
                [&owner, key, request.method().as_str(), &format!("{}{}", request.path(), suffix(scope))],
                body.unwrap_or_default(),
            ),
            owner,
            key: key.into(),
            answer: None,
        };
        Ok(Self { request: Some(Arc::new(request)), place: None })
    }

    /// Names the answer that the request gets where it is carried out: it is then kept in the same transaction.
    pub(super) fn will_answer<T: Serialize>(&mut self, status: StatusCode, dto: &T) -> Result<(), Problem> {
        if let Some(request) = &mut self.request {
            let answer = KeptAnswer { status: status.as_u16(), body: text(dto)? };
            Arc::make_mut(request).answer = Some(answer);
        }
        Ok(())
    }

    /// What goes into the rows with the request.
    pub(super) fn request(&self) -> Option<Arc<RepeatableRequest>> {
        self.request.clone()
    }

    /// Looks for an earlier request with this key; none other is carried out until this one is answered.
    pub(super) async fn before(&mut self, call: &Call) -> Result<Before, Problem> {
        let Some(request) = &self.request else { return Ok(Before::Nothing) };
        if self.place.is_none() {
            self.place = call.coordinator().occupy(request);
        }
        if self.place.is_none() {
            return Err(Problem::key_in_use());
        }
        match call.coordinator().earlier(request).await? {
            Earlier::Nothing => Ok(Before::Nothing),
            Earlier::Other => Err(Problem::key_reused()),
            Earlier::Task(id) => Ok(Before::Started(id)),
            Earlier::Answer(KeptAnswer { status, body }, task) => {
                let status = StatusCode::from_u16(status).map_err(|_| Problem::internal())?;
                Ok(Before::Answer(respond(status, body), task))
            }
        }
    }

    /// The answer to what was done, kept before it is sent.
    pub(super) async fn answer<T: Serialize>(
        &self,
        call: &Call,
        task: Option<TaskId>,
        status: StatusCode,
        dto: &T,
    ) -> Result<HttpResponse, Problem> {
        let body = text(dto)?;
        if let Some(request) = &self.request {
            let answer = KeptAnswer { status: status.as_u16(), body: body.clone() };
            if !call.coordinator().keep_answer(request, task, answer).await {
                if !status.is_success() {
                    // Nothing was done: rather none than an answer which a repeat of this key would not get.
                    return Err(Problem::from(Refusal::Unavailable(StoreError::Unavailable(
                        "the answer to a request with a key could not be kept".to_owned(),
                    ))));
                }
                // What was done stands, and the answer is true: a repeat of a start finds its task by the row, one of
                // a cancel is carried out again and told the truth of then.
                tracing::warn!("the answer to a request with a key could not be kept");
            }
        }
        Ok(respond(status, body))
    }
}

/// No path holds a `?`.
fn suffix(scope: Scope) -> &'static str {
    match scope {
        Scope::Own => "",
        Scope::Any => "?any",
        Scope::Each => "?each",
    }
}

fn is_key(text: &str) -> bool {
    (1..=MAX_CHARACTERS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Of whose key it is, the key, the method and the path; and of the body. Each part has its length before it, so
/// that no two requests run into one.
fn digest(parts: [&str; 4], body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.chain_update(body).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_visible_ascii_characters_only() {
        for key in ["a", "3f1c-\"x\"", &"k".repeat(255), "~!"] {
            assert!(is_key(key), "{key}");
        }
        for key in ["", &"k".repeat(256), "a b", "a\tb", "ü", "\u{7f}"] {
            assert!(!is_key(key), "{key}");
        }
    }

    #[test]
    fn each_part_of_a_request_tells_it_from_others() {
        let digests = [
            digest(["ann", "k", "POST", "/a"], b"{}"),
            digest(["bob", "k", "POST", "/a"], b"{}"),
            digest(["annk", "", "POST", "/a"], b"{}"),
            digest(["ann", "l", "POST", "/a"], b"{}"),
            digest(["ann", "k", "PATCH", "/a"], b"{}"),
            digest(["ann", "k", "POST", "/b"], b"{}"),
            digest(["ann", "k", "POST", "/a"], b"{ }"),
            digest(["ann", "k", "POST", "/a"], b""),
        ];
        for (place, one) in digests.iter().enumerate() {
            assert_eq!(digests.iter().filter(|other| *other == one).count(), 1, "{place}");
        }
        assert_eq!(digest(["ann", "k", "POST", "/a"], b"{}"), digests[0]);
    }
}
