//! JSON Web Tokens as a ready-made user type, for hosts and for the server binary.
//!
//! Invariants: one key and one algorithm, chosen by whoever runs the server and never by a token; a token that is
//! not understood whole is refused; why it was refused goes to the log (debug) and never to the client; no token
//! and no secret is in any error or debug output.
//!
//! It deliberately fetches no keys and takes none out of a token: `jwk`, `jku`, `x5u` and `x5c` are refused.

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::{FromRequest, HttpRequest, dev};
use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};

use super::jwt_claims::Claims;
use super::known::{Known, principal};
use crate::http::problem::Problem;

/// The fewest bytes of a secret: as many as its digest has.
const SECRET_BYTES: usize = 32;
/// The fewest and the most bits of an RSA key.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The bytes of an Ed25519 key.
const ED25519_BYTES: usize = 32;
/// A longer token is not looked at.
const TOKEN_BYTES: usize = 8 * 1024;
/// By how many seconds the clocks of issuer and server may differ.
const LEEWAY_SECONDS: u64 = 5;

/// Why a key is refused. No message shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtKeyError {
    /// The secret is short enough to be guessed.
    #[error(
        "the secret has {0} bytes: it needs at least {SECRET_BYTES}, such as from `openssl rand -hex 32`"
    )]
    Short(usize),
    /// The secret is the text of a key file: everybody may know a public key.
    #[error(
        "the secret is a key in PEM: a secret must be random text, and a public key goes into its own setting"
    )]
    KeyAsSecret,
    /// There is no PEM, or more than one.
    #[error("it is not one public key in PEM: begin with `-----BEGIN PUBLIC KEY-----`")]
    NoKey,
    /// It is a private key, which has no business here.
    #[error("it is a private key: give the public one, as `openssl pkey -pubout` writes it")]
    Private,
    /// It is of a kind that is not supported.
    #[error("it is neither an RSA nor an Ed25519 public key: those two are supported (RS256, EdDSA)")]
    Kind,
    /// The RSA key is too weak, or too large to be checked with each request.
    #[error("the RSA key has {0} bits: it needs from 2048 to 8192")]
    Bits(usize),
}

/// The key that tokens are checked with, and what else they must say. Cloning is cheap; a host puts it into
/// `app_data` beside the routes.
///
/// `exp` is required, and `sub` or `user_id`; `nbf` is checked where it is there; both with 5 s of leeway.
/// `permissions` is a list of `view_any_task` and `cancel_any_task`; other words in it are passed over.
///
/// ```
/// # use quell::http::JwtKeys;
/// let keys = JwtKeys::hs256("a secret of at least thirty-two bytes".as_bytes())?
///     .issuer("https://login.example.com")
///     .audience("quell");
/// assert!(!format!("{keys:?}").contains("secret of"));
/// # Ok::<(), quell::http::JwtKeyError>(())
/// ```
#[derive(Clone)]
pub struct JwtKeys(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    key: DecodingKey,
    validation: Validation,
}

impl JwtKeys {
    /// Tokens that are signed with HS256 and this secret, of at least 32 bytes.
    ///
    /// # Errors
    /// [`JwtKeyError::Short`], [`JwtKeyError::KeyAsSecret`].
    pub fn hs256(secret: &[u8]) -> Result<Self, JwtKeyError> {
        if secret.len() < SECRET_BYTES {
            return Err(JwtKeyError::Short(secret.len()));
        }
        if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Err(JwtKeyError::KeyAsSecret);
        }
        Ok(Self::new(DecodingKey::from_secret(secret), Algorithm::HS256))
    }

    /// Tokens that are signed for this public key: with RS256 where it is one of RSA, with `EdDSA` where it is one of
    /// Ed25519.
    ///
    /// # Errors
    /// [`JwtKeyError`], for anything but one such key in PEM.
    pub fn public_key(pem: &[u8]) -> Result<Self, JwtKeyError> {
        match labels(pem).as_slice() {
            ["PUBLIC KEY" | "RSA PUBLIC KEY"] => {}
            [label] if label.ends_with("PRIVATE KEY") => return Err(JwtKeyError::Private),
            ["CERTIFICATE"] => return Err(JwtKeyError::Kind),
            _ => return Err(JwtKeyError::NoKey),
        }
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            let bits = rsa_bits(&key).ok_or(JwtKeyError::Kind)?;
            if !RSA_BITS.contains(&bits) {
                return Err(JwtKeyError::Bits(bits));
            }
            return Ok(Self::new(key, Algorithm::RS256));
        }
        let key = DecodingKey::from_ed_pem(pem).map_err(|_| JwtKeyError::Kind)?;
        // Ed448 has the same family and another length.
        if key.try_get_as_bytes().map(<[u8]>::len) != Ok(ED25519_BYTES) {
            return Err(JwtKeyError::Kind);
        }
        Ok(Self::new(key, Algorithm::EdDSA))
    }

    fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        // Only where a host says which one it is.
        validation.validate_aud = false;
        Self(Arc::new(Inner { key, validation }))
    }

    /// Tokens must name this issuer in `iss`.
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        self.with(|validation| {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        })
    }

    /// Tokens must name this audience in `aud`, alone or among others. Without it, tokens for any audience are taken.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.with(|validation| {
            validation.validate_aud = true;
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        })
    }

    fn with(self, change: impl FnOnce(&mut Validation)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner.validation);
        Self(Arc::new(inner))
    }

    /// The principal of a token.
    fn check(&self, token: &str) -> Option<JwtPrincipal> {
        match self.read(token) {
            Ok(known) => Some(JwtPrincipal(known)),
            Err(reason) => {
                // Errors of the parser may quote a claim: they are of one line, and not of the token's secret part.
                tracing::debug!(%reason, "a token was refused");
                None
            }
        }
    }

    fn read(&self, token: &str) -> Result<Known, String> {
        if token.len() > TOKEN_BYTES {
            return Err("it is too long".to_owned());
        }
        let header = decode_header(token).map_err(|_| "its header is not understood".to_owned())?;
        check_header(&header)?;
        let read = decode::<Claims>(token, &self.0.key, &self.0.validation);
        read.map(|read| read.claims.user).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Validation { algorithms, iss, aud, .. } = &self.0.validation;
        f.debug_struct("JwtKeys")
            .field("algorithms", algorithms)
            .field("issuer", iss)
            .field("audience", aud)
            .finish_non_exhaustive()
    }
}

/// A header may say less than it could, never more than is understood.
fn check_header(header: &Header) -> Result<(), String> {
    let brings_a_key =
        header.jwk.is_some() || header.jku.is_some() || header.x5u.is_some() || header.x5c.is_some();
    if brings_a_key {
        return Err("it brings a key of its own".to_owned());
    }
    let is_special = header.crit.is_some()
        || header.enc.is_some()
        || header.zip.is_some()
        || header.extras.inner().contains_key("b64");
    if is_special {
        return Err("it asks for what is not understood".to_owned());
    }
    let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    if ["jwt", "at+jwt"].contains(&kind.strip_prefix("application/").unwrap_or(&kind)) {
        Ok(())
    } else {
        Err("it is a token of another kind".to_owned())
    }
}

/// What each PEM block in a text says that it is.
fn labels(pem: &[u8]) -> Vec<&str> {
    let Ok(text) = std::str::from_utf8(pem) else { return Vec::new() };
    text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")).collect()
}

fn rsa_bits(key: &DecodingKey) -> Option<usize> {
    let utils = &aws_lc::DEFAULT_PROVIDER.key_utils;
    let (modulus, _) = (utils.rsa_pub_components_from_public_key)(key.try_get_as_bytes().ok()?).ok()?;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let zeros = usize::try_from(modulus.get(first)?.leading_zeros()).ok()?;
    Some((modulus.len() - first) * 8 - zeros)
}

/// A principal out of a JSON Web Token, checked with the [`JwtKeys`] in the `app_data` of the scope or the
/// application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtPrincipal(Known);

principal!(JwtPrincipal);

impl FromRequest for JwtPrincipal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let Some(keys) = request.app_data::<JwtKeys>() else {
            tracing::error!("no JwtKeys in the app_data: nobody can be let in");
            return ready(Err(Problem::internal()));
        };
        let found = super::bearer(request).and_then(|token| keys.check(token));
        ready(found.ok_or_else(|| {
            Problem::unauthorized("send `Authorization: Bearer` with a token that is valid here and now")
        }))
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
