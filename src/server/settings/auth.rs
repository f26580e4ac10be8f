//! Owns the settings that say how callers are known: the way, and what belongs to it.
//!
//! What belongs to another way than the chosen one is refused: somebody meant it to protect something.

use std::path::PathBuf;

use super::error::{SettingsError, Source};
use super::layers::Layers;
use super::{Flags, Secret, parse};

/// How callers are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthSettings {
    /// By static tokens.
    Token(TokenSource),
    /// By JSON Web Tokens.
    Jwt(JwtSettings),
    /// Not at all: for loopback addresses only.
    None,
}

/// Where the static tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// Given in a variable or in `quell.toml`.
    Given(Secret),
    /// In a file.
    File(PathBuf),
    /// None were configured: one is made at the first start and kept beside the database.
    Made,
}

/// How JSON Web Tokens are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSettings {
    /// The key.
    pub key: JwtKeySource,
    /// What `iss` must say.
    pub issuer: Option<String>,
    /// What `aud` must say.
    pub audience: Option<String>,
}

/// Where the key of JSON Web Tokens comes from, and where that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwtKeySource {
    /// A secret, for HS256.
    Secret(Secret, Source),
    /// A file with a public key, for RS256 or `EdDSA`.
    File(PathBuf, Source),
}

pub(super) fn auth(layers: &Layers<'_>, flags: &Flags) -> Result<AuthSettings, SettingsError> {
    let way = layers.given("auth", flags.auth.as_ref());
    let of_tokens = [("api_tokens", None), ("api_tokens_file", None)];
    let of_jwt = [
        ("jwt_secret", None),
        ("jwt_public_key_file", flags.jwt_public_key_file.as_ref()),
        ("jwt_issuer", flags.jwt_issuer.as_ref()),
        ("jwt_audience", flags.jwt_audience.as_ref()),
    ];
    let without = |keys: &[(&str, Option<&String>)], auth: &str, belongs_to: &str| match layers.any_of(keys) {
        None => Ok(()),
        Some(given) => Err(SettingsError::OfAnotherAuth {
            setting: given.from,
            auth: auth.to_owned(),
            belongs_to: belongs_to.to_owned(),
        }),
    };
    match way.as_ref().map_or("token", |given| given.text.as_str()) {
        "token" => {
            without(&of_jwt, "token", "jwt")?;
            tokens(layers).map(AuthSettings::Token)
        }
        "jwt" => {
            without(&of_tokens, "jwt", "token")?;
            jwt(layers, flags).map(AuthSettings::Jwt)
        }
        "none" => {
            without(&of_tokens, "none", "token")?;
            without(&of_jwt, "none", "jwt")?;
            Ok(AuthSettings::None)
        }
        _ => match way {
            Some(given) => Err(given.refuse("use `token`, `jwt` or `none`")),
            None => Ok(AuthSettings::Token(TokenSource::Made)),
        },
    }
}

/// `api_tokens` and `api_tokens_file` are one setting with two spellings: a layer may use one of them.
fn tokens(layers: &Layers<'_>) -> Result<TokenSource, SettingsError> {
    let (given, file) = layers.either("api_tokens", "api_tokens_file")?;
    if let Some(given) = given {
        return Ok(TokenSource::Given(parse::tokens(&given)?));
    }
    match file {
        Some(file) => Ok(TokenSource::File(parse::folder(&file)?)),
        None => Ok(TokenSource::Made),
    }
}

/// The secret and the public key exclude each other, whichever layers they are in: one key, one algorithm.
fn jwt(layers: &Layers<'_>, flags: &Flags) -> Result<JwtSettings, SettingsError> {
    let secret = layers.given("jwt_secret", None);
    let file = layers.given("jwt_public_key_file", flags.jwt_public_key_file.as_ref());
    let key = match (secret, file) {
        (Some(secret), Some(file)) => {
            return Err(SettingsError::Both { first: secret.from, second: file.from });
        }
        (Some(secret), None) => JwtKeySource::Secret(Secret::new(secret.text.as_str()), secret.from),
        (None, Some(file)) => JwtKeySource::File(parse::folder(&file)?, file.from),
        (None, None) => return Err(SettingsError::NoJwtKey),
    };
    let text = |key, flag: &Option<String>| {
        layers.read(key, flag.as_ref(), None, |given| parse::text(given).map(Some))
    };
    Ok(JwtSettings {
        key,
        issuer: text("jwt_issuer", &flags.jwt_issuer)?,
        audience: text("jwt_audience", &flags.jwt_audience)?,
    })
}
