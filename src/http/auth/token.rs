//! Static bearer tokens: the server binary's own way to know its users.
//!
//! Invariants: a token appears in no error, no debug output and no log; a given one is compared with every entry
//! in constant time, so that time does not tell which entry it nearly was (the lengths of tokens may be guessed
//! from it, their characters not). Errors of a list name entries by number: a misplaced `=` makes a token look
//! like a name.
//!
//! It deliberately does not read files or the environment, and makes no tokens: the server's settings do.

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::{FromRequest, HttpRequest, dev};
use subtle::ConstantTimeEq;

use super::known::{Known, principal};
use crate::http::problem::Problem;

/// The fewest characters of a token.
const TOKEN_CHARACTERS: usize = 16;

/// What a principal may do with other people's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenPermissions {
    /// See them and their events.
    pub view_any_task: bool,
    /// Cancel, patch and signal them.
    pub cancel_any_task: bool,
}

impl TokenPermissions {
    /// All of them.
    #[must_use]
    pub const fn all() -> Self {
        Self { view_any_task: true, cancel_any_task: true }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut permissions = Self::default();
        text.split('+').all(|word| permissions.add(word.trim())).then_some(permissions)
    }

    /// Adds one by its word; says whether there is such a one.
    pub(super) fn add(&mut self, word: &str) -> bool {
        match word {
            "view_any_task" => self.view_any_task = true,
            "cancel_any_task" => self.cancel_any_task = true,
            _ => return false,
        }
        true
    }
}

/// One principal and its token.
#[derive(Clone)]
pub struct TokenEntry {
    name: Arc<str>,
    token: Box<str>,
    permissions: TokenPermissions,
}

impl TokenEntry {
    /// Builds one; [`TokenTable::new`] checks it.
    pub fn new(name: impl Into<Arc<str>>, token: impl Into<Box<str>>, permissions: TokenPermissions) -> Self {
        Self { name: name.into(), token: token.into(), permissions }
    }
}

impl fmt::Debug for TokenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, token: _, permissions } = self;
        f.debug_struct("TokenEntry")
            .field("name", name)
            .field("permissions", permissions)
            .finish_non_exhaustive()
    }
}

/// Why a list of tokens is refused. Entries are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenTableError {
    /// There is no entry at all.
    #[error("the list of tokens is empty: it needs at least one `name=token`")]
    Empty,
    /// No `=` stands between a name and a token.
    #[error("entry {0} of the tokens has no `=`: write name=token")]
    NoSeparator(usize),
    /// The name is empty or has a character that cannot be seen.
    #[error("entry {0} of the tokens has a bad name: it may not be empty, nor hold control characters")]
    Name(usize),
    /// The token is too short to be safe.
    #[error(
        "entry {0} of the tokens has a token of fewer than {TOKEN_CHARACTERS} characters: use a longer one"
    )]
    TooShort(usize),
    /// The token could not be sent in a header.
    #[error(
        "entry {0} of the tokens has a token with a character that a header cannot carry: use visible ASCII"
    )]
    Character(usize),
    /// There is no such permission.
    #[error(
        "entry {0} of the tokens has an unknown permission: after the `:` write view_any_task, cancel_any_task, \
         or both with a `+` between"
    )]
    Permission(usize),
    /// Two entries have one token: nobody could say who sent it.
    #[error("entry {0} of the tokens has the token of an earlier entry: give each its own")]
    Twice(usize),
}

/// The tokens that a server knows. Cloning is cheap; a host puts it into `app_data` beside the routes.
///
/// ```
/// # use quell::http::TokenTable;
/// let tokens = TokenTable::parse(
///     "alice=a-token-of-16-or-more;root=another-long-token:view_any_task+cancel_any_task",
/// )?;
/// assert!(!format!("{tokens:?}").contains("a-token-of"));
/// # Ok::<(), quell::http::TokenTableError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TokenTable(Arc<[TokenEntry]>);

impl TokenTable {
    /// Checks entries.
    pub fn new(entries: Vec<TokenEntry>) -> Result<Self, TokenTableError> {
        if entries.is_empty() {
            return Err(TokenTableError::Empty);
        }
        for (index, entry) in entries.iter().enumerate() {
            let number = index.saturating_add(1);
            if entry.name.is_empty() || entry.name.chars().any(char::is_control) {
                return Err(TokenTableError::Name(number));
            }
            if entry.token.chars().count() < TOKEN_CHARACTERS {
                return Err(TokenTableError::TooShort(number));
            }
            if !entry.token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(TokenTableError::Character(number));
            }
            if entries.iter().take(index).any(|earlier| earlier.token == entry.token) {
                return Err(TokenTableError::Twice(number));
            }
        }
        Ok(Self(entries.into()))
    }

    /// Reads `name=token` or `name=token:permission+permission`, several with `;` between.
    pub fn parse(text: &str) -> Result<Self, TokenTableError> {
        let mut entries = Vec::new();
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        for (part, number) in parts.zip(1..) {
            let (name, rest) = part.split_once('=').ok_or(TokenTableError::NoSeparator(number))?;
            let (token, permissions) = match rest.split_once(':') {
                Some((token, words)) => {
                    (token, TokenPermissions::parse(words).ok_or(TokenTableError::Permission(number))?)
                }
                None => (rest, TokenPermissions::default()),
            };
            entries.push(TokenEntry::new(name.trim(), token.trim(), permissions));
        }
        Self::new(entries)
    }

    /// The principal of a token. Takes as long for each token of one length, whether it is known or not.
    fn find(&self, token: &str) -> Option<TokenPrincipal> {
        let mut found = None;
        for entry in self.0.iter() {
            if bool::from(entry.token.as_bytes().ct_eq(token.as_bytes())) {
                found = Some(entry);
            }
        }
        found.map(|entry| TokenPrincipal(Known { name: entry.name.clone(), permissions: entry.permissions }))
    }
}

/// A principal of a [`TokenTable`], which it looks for in the `app_data` of the scope or the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPrincipal(Known);

principal!(TokenPrincipal);

impl FromRequest for TokenPrincipal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let Some(table) = request.app_data::<TokenTable>() else {
            tracing::error!("no TokenTable in the app_data: nobody can be let in");
            return ready(Err(Problem::internal()));
        };
        let found = super::bearer(request).and_then(|token| table.find(token));
        ready(found.ok_or_else(|| {
            Problem::unauthorized("send `Authorization: Bearer` with a token that this server knows")
        }))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;

    use super::super::{Principal, TaskRef};
    use super::*;

    const LIST: &str = "alice=a-token-of-16-or-more;root=another-long-token:view_any_task+cancel_any_task";

    async fn told(headers: &[&str]) -> Result<TokenPrincipal, u16> {
        let mut request = TestRequest::default().app_data(TokenTable::parse(LIST).unwrap());
        for header in headers {
            request = request.append_header(("authorization", *header));
        }
        let (request, mut payload) = request.to_http_parts();
        TokenPrincipal::from_request(&request, &mut payload).await.map_err(|p| p.status_code().as_u16())
    }

    #[actix_web::test]
    async fn a_known_token_gives_its_principal() {
        for header in
            ["Bearer a-token-of-16-or-more", "bearer a-token-of-16-or-more", "BEARER  a-token-of-16-or-more "]
        {
            assert_eq!(&*told(&[header]).await.unwrap().name(), "alice", "{header}");
        }
        let root = told(&["Bearer another-long-token"]).await.unwrap();
        assert_eq!(root.0.permissions, TokenPermissions::all());
    }

    #[actix_web::test]
    async fn anything_else_is_refused() {
        let good = "Bearer a-token-of-16-or-more";
        for headers in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer wrong-token-of-16-or-more"],
            &["Bearer a-token-of-16-or-mor"],
            &["Bearer a-token-of-16-or-more2"],
            &["Basic a-token-of-16-or-more"],
            &["a-token-of-16-or-more"],
            &["Bearer a-token-of-16-or-more, Bearer another-long-token"],
            &[good, good],
            &[good, "Basic eDp5"],
        ] {
            assert_eq!(told(headers).await, Err(401), "{headers:?}");
        }
    }

    #[actix_web::test]
    async fn without_a_table_nobody_gets_in() {
        let (request, mut payload) =
            TestRequest::default().insert_header(("authorization", "Bearer x")).to_http_parts();
        let problem = TokenPrincipal::from_request(&request, &mut payload).await.unwrap_err();
        assert_eq!(problem.name(), "internal-error");
    }

    #[test]
    fn permissions_open_other_peoples_tasks() {
        let key = "tests/LongTask/1".parse().unwrap();
        let task = TaskRef { key: &key, owner: "bob" };
        let with = |view, cancel| {
            let permissions = TokenPermissions { view_any_task: view, cancel_any_task: cancel };
            TokenPrincipal(Known { name: "alice".into(), permissions })
        };
        assert!(with(true, false).may_view(&task) && !with(true, false).may_cancel(&task));
        assert!(with(false, true).may_cancel(&task) && !with(false, true).may_view(&task));
        assert!(with(false, false).may_view(&TaskRef { key: &key, owner: "alice" }));
    }

    #[test]
    fn a_bad_list_is_refused_by_the_number_of_its_entry() {
        let long = "a-token-of-16-or-more";
        for (text, error) in [
            (String::new(), TokenTableError::Empty),
            (" ; ;".into(), TokenTableError::Empty),
            (long.into(), TokenTableError::NoSeparator(1)),
            (format!("={long}"), TokenTableError::Name(1)),
            (format!("a\u{1b}={long}"), TokenTableError::Name(1)),
            (format!("a={long};b=fifteen-letters"), TokenTableError::TooShort(2)),
            ("a=sixteen letters!".into(), TokenTableError::Character(1)),
            ("a=sixteen-letters-ü".into(), TokenTableError::Character(1)),
            (format!("a={long}:admin"), TokenTableError::Permission(1)),
            (format!("a={long}:"), TokenTableError::Permission(1)),
            (format!("a={long}; b={long}"), TokenTableError::Twice(2)),
        ] {
            assert_eq!(TokenTable::parse(&text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn no_error_and_no_debug_output_shows_a_token() {
        let secret = "s3cret";
        for text in [
            secret.to_owned(),
            format!("{secret}=x"),
            format!("a={secret}"),
            format!("a=long-enough-token:{secret}"),
        ] {
            let error = TokenTable::parse(&text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(secret), "{text}");
        }
        let table = TokenTable::parse(LIST).unwrap();
        assert!(!format!("{table:?} {:?}", table.find("another-long-token")).contains("-token"));
    }

    #[test]
    fn a_list_may_end_with_a_newline_and_a_token_may_hold_an_equals_sign() {
        let table = TokenTable::parse("a=sixteen-letters=;\n b = another-one-of-16 \n").unwrap();
        assert_eq!(&*table.find("sixteen-letters=").unwrap().name(), "a");
        assert_eq!(&*table.find("another-one-of-16").unwrap().name(), "b");
    }
}
