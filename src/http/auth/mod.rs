//! Who asks, and what they may do: decided by the host's own user type.
//!
//! Invariants: a user is known before anything is looked up; a task belongs to whoever started it; whoever is not
//! let in learns only how to get in.
//!
//! It deliberately keeps no sessions and knows no passwords: extracting the user is the host's, or one of the
//! ready-made ways beside this file.

#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "jwt")]
mod jwt_claims;
mod known;
mod token;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{Error, FromRequest, HttpRequest, dev};

use crate::task::TaskKey;

use super::problem::Problem;

#[cfg(feature = "jwt")]
pub use jwt::{JwtKeyError, JwtKeys, JwtPrincipal};
pub use token::{TokenEntry, TokenPermissions, TokenPrincipal, TokenTable, TokenTableError};

/// A task, as far as a permission may depend on it.
#[derive(Debug, Clone, Copy)]
pub struct TaskRef<'a> {
    /// Its key.
    pub key: &'a TaskKey,
    /// Who started it.
    pub owner: &'a str,
}

/// Which tasks a permission opens, where many are asked for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those that the user started.
    Own,
    /// Everybody's.
    Any,
    /// What [`Principal::may_view`] or [`Principal::may_cancel`] says of each one. Each is asked about, so it takes
    /// longer to find them.
    Each,
}

/// The user type of a host application: extracted from each request, it decides everything.
///
/// Where its extraction fails with status 401, the answer is a problem with `WWW-Authenticate: Bearer`; an error
/// with another status, or a [`Problem`] of the host's own, is passed on as it is.
///
/// ```
/// use std::future::{Ready, ready};
/// use std::sync::Arc;
///
/// use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, error::ErrorUnauthorized};
/// use quell::http::{Principal, TaskRef};
///
/// struct User {
///     email: Arc<str>,
///     on_call: bool,
/// }
///
/// impl FromRequest for User {
///     type Error = Error;
///     type Future = Ready<Result<Self, Error>>;
///
///     fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
///         let email = request.headers().get("x-user").and_then(|v| v.to_str().ok());
///         ready(email.map(|e| Self { email: e.into(), on_call: false }).ok_or_else(|| ErrorUnauthorized("who?")))
///     }
/// }
///
/// impl Principal for User {
///     fn name(&self) -> Arc<str> {
///         self.email.clone()
///     }
///
///     fn may_cancel(&self, task: &TaskRef<'_>) -> bool {
///         self.on_call || *task.owner == *self.email
///     }
/// }
/// ```
pub trait Principal: FromRequest + 'static {
    /// The name under which tasks are owned, cancelled and audited: the same for each request of one user.
    fn name(&self) -> Arc<str>;

    /// Whether this user may start such a task. All may, by default.
    fn may_start(&self, app: &str, model: &str) -> bool {
        let _ = (app, model);
        true
    }

    /// Whether this user may see a task and its events. The owner may, by default.
    fn may_view(&self, task: &TaskRef<'_>) -> bool {
        *task.owner == *self.name()
    }

    /// Whether this user may cancel, patch and signal a task. The owner may, by default.
    fn may_cancel(&self, task: &TaskRef<'_>) -> bool {
        *task.owner == *self.name()
    }

    /// Which tasks a list shows to this user: their own, by default. [`Scope::Any`] opens the metrics too. It must
    /// not say more than [`Principal::may_view`] does.
    fn view_scope(&self) -> Scope {
        Scope::Own
    }

    /// Which tasks this user may cancel many of at once: their own, by default. It must not say more than
    /// [`Principal::may_cancel`] does.
    fn cancel_scope(&self) -> Scope {
        Scope::Own
    }
}

/// Extracts the user, or says why there is none.
pub(super) async fn identify<U: Principal>(
    request: &HttpRequest,
    payload: &mut dev::Payload,
) -> Result<U, Error> {
    let error: Error = match U::from_request(request, payload).await {
        Ok(user) => return Ok(user),
        Err(error) => error.into(),
    };
    let is_ours = error.as_error::<Problem>().is_some();
    if is_ours || error.as_response_error().status_code() != StatusCode::UNAUTHORIZED {
        return Err(error);
    }
    Err(Problem::unauthorized("sign in, then send your credentials with the request").into())
}

/// The token of the one `Authorization` header; none where there are two, for they might disagree.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (header, more) = (headers.next()?, headers.next());
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    (more.is_none() && scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim_matches(' '))
}

#[cfg(test)]
pub(super) mod tests {
    use std::future::{Ready, ready};

    use actix_web::error::{ErrorServiceUnavailable, ErrorUnauthorized};
    use actix_web::test::TestRequest;

    use super::*;

    /// A user who says by a header who they are, or how their extraction fails.
    pub(in crate::http) struct Tester(Arc<str>);

    impl FromRequest for Tester {
        type Error = Error;
        type Future = Ready<Result<Self, Error>>;

        fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
            ready(match request.headers().get("x-user").map(|v| v.to_str().unwrap()) {
                None => Err(ErrorUnauthorized("host's own words")),
                Some("own") => Err(Problem::unauthorized("expired").into()),
                Some("away") => Err(ErrorServiceUnavailable("the user database is away")),
                Some(name) => Ok(Self(name.into())),
            })
        }
    }

    impl Principal for Tester {
        fn name(&self) -> Arc<str> {
            self.0.clone()
        }
    }

    async fn told(user: Option<&str>) -> Result<Arc<str>, Error> {
        let mut request = TestRequest::default();
        if let Some(user) = user {
            request = request.insert_header(("x-user", user));
        }
        identify::<Tester>(&request.to_http_request(), &mut dev::Payload::None).await.map(|u| u.name())
    }

    #[actix_web::test]
    async fn a_failed_extraction_becomes_a_401_problem() {
        let error = told(None).await.unwrap_err();
        assert_eq!(error.as_error::<Problem>().unwrap().name(), "unauthorized");
        assert_eq!(error.error_response().headers().get("www-authenticate").unwrap(), "Bearer");
    }

    #[actix_web::test]
    async fn a_problem_of_the_host_and_another_status_are_passed_on() {
        assert!(told(Some("own")).await.unwrap_err().to_string().contains("expired"));
        assert_eq!(told(Some("away")).await.unwrap_err().as_response_error().status_code(), 503);
    }

    #[actix_web::test]
    async fn the_owner_may_see_and_cancel_and_others_may_not() {
        let key = "tests/LongTask/1".parse().unwrap();
        let (mine, other) = (TaskRef { key: &key, owner: "ann" }, TaskRef { key: &key, owner: "bob" });
        let user = Tester(told(Some("ann")).await.unwrap());
        assert!(user.may_view(&mine) && user.may_cancel(&mine) && user.may_start("a", "B"));
        assert!(!user.may_view(&other) && !user.may_cancel(&other));
    }
}
