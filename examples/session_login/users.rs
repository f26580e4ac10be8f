//! Who may sign in, the user type that quell asks, and what each role may do.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_session::SessionExt;
use actix_web::dev::Payload;
use actix_web::error::ErrorUnauthorized;
use actix_web::{Error, FromRequest, HttpRequest, web};
use quell::http::{Principal, Scope, TaskRef};
use subtle::ConstantTimeEq;

/// Where the session keeps who it is.
pub(crate) const NAME: &str = "name";

/// What somebody is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Starts exports, and sees and cancels their own.
    Clerk,
    /// Sees and cancels everybody's, and may purge.
    Supervisor,
}

/// An account.
struct Account {
    role: Role,
    password: String,
}

/// All accounts.
pub(crate) struct Accounts(BTreeMap<&'static str, Account>);

/// Names with their passwords, to be told once.
type Passwords = Vec<(&'static str, String)>;

impl Accounts {
    /// Three people with new passwords. They live as long as this process: an application that keeps passwords keeps
    /// a slow hash of them (argon2) instead.
    pub(crate) fn make() -> Result<(Self, Passwords), getrandom::Error> {
        let (mut accounts, mut passwords) = (BTreeMap::new(), Vec::new());
        for (name, role) in [("ann", Role::Clerk), ("bob", Role::Clerk), ("sue", Role::Supervisor)] {
            let password = random_word()?;
            passwords.push((name, password.clone()));
            accounts.insert(name, Account { role, password });
        }
        Ok((Self(accounts), passwords))
    }

    /// Whether this is the password of that name. It takes as long for a wrong one as for a right one.
    pub(crate) fn check(&self, name: &str, password: &str) -> bool {
        let account = self.0.get(name);
        let kept = account.map_or("", |account| &account.password);
        bool::from(kept.as_bytes().ct_eq(password.as_bytes())) && account.is_some()
    }
}

fn random_word() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut word, byte| {
        // Writing to a text cannot fail.
        let _ = write!(word, "{byte:02x}");
        word
    }))
}

/// Whoever is signed in: taken from the session by each request, with the role that the account has now.
pub(crate) struct User {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
}

impl FromRequest for User {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let name = request.get_session().get::<String>(NAME).ok().flatten();
        let user = name.zip(request.app_data::<web::Data<Accounts>>()).and_then(|(name, accounts)| {
            let role = accounts.0.get(name.as_str())?.role;
            Some(Self { name: name.into(), role })
        });
        ready(user.ok_or_else(|| ErrorUnauthorized("sign in first")))
    }
}

impl User {
    fn may_touch(&self, task: &TaskRef<'_>) -> bool {
        self.role == Role::Supervisor || *task.owner == *self.name
    }

    fn scope(&self) -> Scope {
        if self.role == Role::Supervisor { Scope::Any } else { Scope::Own }
    }
}

impl Principal for User {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// A rule for each model.
    fn may_start(&self, _app: &str, model: &str) -> bool {
        model != "Purge" || self.role == Role::Supervisor
    }

    fn may_view(&self, task: &TaskRef<'_>) -> bool {
        self.may_touch(task)
    }

    fn may_cancel(&self, task: &TaskRef<'_>) -> bool {
        self.may_touch(task)
    }

    fn view_scope(&self) -> Scope {
        self.scope()
    }

    fn cancel_scope(&self) -> Scope {
        self.scope()
    }
}
