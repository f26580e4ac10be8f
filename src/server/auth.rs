//! Owns how the callers of a server are known: finds what the chosen way needs, and refuses what is unsafe.
//!
//! - Everything that can be wrong is told before the database is opened; only a token that is missing is made later.
//! - No message shows a secret.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::http::{JwtKeyError, JwtKeys, TokenTable};

use super::settings::{AuthSettings, JwtKeySource, JwtSettings, Secret, Settings, Source};
use super::tokens::{TokenError, Tokens};
use super::{Credentials, Said};

/// A file with a public key is small.
const MAX_BYTES: u64 = 64 * 1024;

/// Why nobody could be known, or everybody would be let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// Anybody who reaches the address could do everything.
    #[error(
        "auth is `none` and {0} is no loopback address: anybody could do everything; bind to 127.0.0.1, or set \
         auth to `token` or `jwt`"
    )]
    Open(SocketAddr),
    /// The key of JSON Web Tokens is not usable.
    #[error("{from} is not usable: {reason}")]
    Key {
        /// Where it was given.
        from: Source,
        /// What is wrong with it.
        reason: JwtKeyError,
    },
    /// The file of the public key cannot be read.
    #[error("cannot read the public key {file} of {from}: {reason}", file = .file.display())]
    Unreadable {
        /// Where it was named.
        from: Source,
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Everybody may put a key of theirs in its place.
    #[error("everybody may change the public key {file}: run `chmod go-w {file}`", file = .0.display())]
    Writable(PathBuf),
}

/// How callers are known.
pub(super) enum Auth {
    /// By tokens; one may have to be made.
    Tokens(Tokens),
    /// By JSON Web Tokens.
    Jwt(JwtKeys),
    /// All are `local`, at this address.
    Local(SocketAddr),
}

/// The same, with everything that it needs.
pub(super) enum Known {
    /// The table, and the file of a made token.
    Tokens(TokenTable, Option<PathBuf>),
    Jwt(JwtKeys),
    Local(SocketAddr),
}

impl Auth {
    /// Looks for what is needed; makes nothing.
    pub(super) fn find(settings: &Settings, address: SocketAddr) -> Result<Self, AuthError> {
        match &settings.auth {
            AuthSettings::Token(source) => {
                let tokens = Tokens::find(source, &settings.database_file)?;
                if !matches!(tokens, Tokens::Missing(_)) {
                    table(&tokens.table())?;
                }
                Ok(Self::Tokens(tokens))
            }
            AuthSettings::Jwt(settings) => keys(settings).map(Self::Jwt),
            AuthSettings::None if address.ip().to_canonical().is_loopback() => Ok(Self::Local(address)),
            AuthSettings::None => Err(AuthError::Open(address)),
        }
    }

    /// Makes a token where one is missing, and then says so.
    pub(super) fn complete(self) -> Result<(Known, Option<Said>), AuthError> {
        let mut tokens = match self {
            Self::Jwt(keys) => return Ok((Known::Jwt(keys), None)),
            Self::Local(address) => return Ok((Known::Local(address), None)),
            Self::Tokens(tokens) => tokens,
        };
        let was_made = tokens.make()?;
        let made = match &tokens {
            Tokens::Kept { token, file } if was_made => {
                Some(Said::TokenMade { token: token.clone(), file: file.clone() })
            }
            _ => None,
        };
        Ok((Known::Tokens(table(&tokens.table())?, tokens.kept_in()), made))
    }
}

impl Known {
    /// What callers send.
    pub(super) fn credentials(&self) -> Credentials {
        match self {
            Self::Tokens(_, Some(file)) => Credentials::File(file.clone()),
            Self::Tokens(_, None) | Self::Jwt(_) => Credentials::Yours,
            Self::Local(_) => Credentials::Nothing,
        }
    }
}

/// Reads `alice=TOKEN;root=TOKEN:view_any_task+cancel_any_task`.
fn table(text: &Secret) -> Result<TokenTable, TokenError> {
    TokenTable::parse(text.expose()).map_err(|error| TokenError::Table(error.to_string()))
}

fn keys(settings: &JwtSettings) -> Result<JwtKeys, AuthError> {
    let (keys, from) = match &settings.key {
        JwtKeySource::Secret(secret, from) => (JwtKeys::hs256(secret.expose().as_bytes()), from),
        JwtKeySource::File(file, from) => (JwtKeys::public_key(&read(file, from)?), from),
    };
    let mut keys = keys.map_err(|reason| AuthError::Key { from: from.clone(), reason })?;
    if let Some(issuer) = &settings.issuer {
        keys = keys.issuer(issuer);
    }
    if let Some(audience) = &settings.audience {
        keys = keys.audience(audience);
    }
    Ok(keys)
}

/// A public key is no secret: it may be read by everybody, but not changed.
fn read(path: &Path, from: &Source) -> Result<Vec<u8>, AuthError> {
    let unreadable = |reason| AuthError::Unreadable { from: from.clone(), file: path.to_owned(), reason };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.permissions().mode() & 0o002 != 0 {
        return Err(AuthError::Writable(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
