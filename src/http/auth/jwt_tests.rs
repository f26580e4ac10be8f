//! A table of tokens that must not be accepted, each a good one with one thing wrong, and of those that must.
//!
//! Private keys are made for each run; the public ones that stand in files open nothing.

use std::sync::LazyLock;

use actix_web::test::TestRequest;
use actix_web::web::Bytes;
use actix_web::{FromRequest, ResponseError, dev};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::super::{Principal, TokenPermissions};
use super::*;

const SECRET: &[u8] = b"thirty-two bytes are the least: here are more";
static RSA_PAIR: LazyLock<(String, String)> = LazyLock::new(rsa_pair);
static RSA_OTHER_PAIR: LazyLock<(String, String)> = LazyLock::new(rsa_pair);
static ED_PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::generate().unwrap();
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
});

/// A private key of RSA and its public one.
fn rsa_pair() -> (String, String) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der).replace('-', "+").replace('_', "/");
    let padded = format!("{text}{}", &"=="[..(4 - text.len() % 4) % 4]);
    let lines: Vec<&str> =
        padded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// base64url without padding, written here so that nothing of the library's checks itself.
fn base64(bytes: impl AsRef<[u8]>) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.as_ref().chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..=chunk.len() {
            let letter = bits >> (18 - 6 * at) & 63;
            text.push(char::from(LETTERS[usize::try_from(letter).unwrap()]));
        }
    }
    text
}

fn now() -> i64 {
    i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap()
}

fn claims() -> Value {
    json!({"sub": "alice", "exp": now() + 600, "iss": "login", "aud": "quell", "permissions": ["view_any_task"]})
}

fn claims_with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    claims.to_string()
}

fn claims_without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims.to_string()
}

/// A token of this header and these claims, as they are written.
fn token(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", base64(header), base64(claims));
    let signature = sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn hs(header: &str, claims: &str) -> String {
    token(header, claims, &EncodingKey::from_secret(SECRET), Algorithm::HS256)
}

/// The header that goes with the key, and these claims.
fn said(claims: &str) -> String {
    hs(r#"{"alg":"HS256","typ":"JWT"}"#, claims)
}

fn rs(header: &str, key: &str) -> String {
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    token(header, &claims().to_string(), &key, Algorithm::RS256)
}

fn ed(header: &str) -> String {
    let key = EncodingKey::from_ed_pem(ED_PAIR.0.as_bytes()).unwrap();
    token(header, &claims().to_string(), &key, Algorithm::EdDSA)
}

fn strict(keys: JwtKeys) -> JwtKeys {
    keys.issuer("login").audience("quell")
}

fn hs_keys() -> JwtKeys {
    strict(JwtKeys::hs256(SECRET).unwrap())
}

fn rsa_keys() -> JwtKeys {
    strict(JwtKeys::public_key(RSA_PAIR.1.as_bytes()).unwrap())
}

fn ed_keys() -> JwtKeys {
    strict(JwtKeys::public_key(ED_PAIR.1.as_bytes()).unwrap())
}

/// Through the whole extraction: who it is, or the status.
async fn told(keys: &JwtKeys, headers: &[String]) -> Result<JwtPrincipal, u16> {
    let mut request = TestRequest::default().app_data(keys.clone());
    for header in headers {
        let value = actix_web::http::header::HeaderValue::from_maybe_shared(Bytes::from(header.clone()));
        let Ok(value) = value else { return Err(400) };
        request = request.append_header(("authorization", value));
    }
    let (request, mut payload): (_, dev::Payload) = request.to_http_parts();
    JwtPrincipal::from_request(&request, &mut payload).await.map_err(|p| p.status_code().as_u16())
}

async fn of(keys: &JwtKeys, token: &str) -> Result<JwtPrincipal, u16> {
    told(keys, &[format!("Bearer {token}")]).await
}

#[actix_web::test]
async fn a_good_token_of_each_algorithm_is_accepted() {
    let good = [
        (hs_keys(), said(&claims().to_string())),
        (hs_keys(), hs(r#"{"alg":"HS256"}"#, &claims().to_string())),
        (hs_keys(), hs(r#"{"alg":"HS256","typ":"at+JWT","kid":"k1"}"#, &claims().to_string())),
        (hs_keys(), said(&claims_with("aud", json!(["other", "quell"])))),
        (hs_keys(), said(&claims_with("nbf", json!(now() - 60)))),
        // Within the leeway.
        (hs_keys(), said(&claims_with("exp", json!(now() - 2)))),
        (hs_keys(), said(&claims_with("nbf", json!(now() + 3)))),
        (JwtKeys::hs256(SECRET).unwrap(), said(&claims_without("aud"))),
        (JwtKeys::hs256(SECRET).unwrap(), said(&claims_with("aud", json!("somebody else")))),
        (rsa_keys(), rs(r#"{"alg":"RS256","typ":"JWT"}"#, &RSA_PAIR.0)),
        (ed_keys(), ed(r#"{"alg":"EdDSA","typ":"JWT"}"#)),
    ];
    for (number, (keys, token)) in good.into_iter().enumerate() {
        let user = of(&keys, &token).await.unwrap_or_else(|status| panic!("{number}: {status}"));
        assert_eq!(&*user.name(), "alice", "{number}");
        assert_eq!(user.0.permissions, TokenPermissions { view_any_task: true, cancel_any_task: false });
    }
}

/// Tokens with something wrong in what they claim.
fn bad_claims() -> Vec<(&'static str, String)> {
    let twice = |member: &str| claims().to_string().replacen('{', &format!("{{{member},"), 1);
    vec![
        ("expired", claims_with("exp", json!(now() - 60))),
        ("expired past the leeway", claims_with("exp", json!(now() - 7))),
        ("exp missing", claims_without("exp")),
        ("exp null", claims_with("exp", json!(null))),
        ("exp a text", claims_with("exp", json!((now() + 600).to_string()))),
        ("exp negative", claims_with("exp", json!(-1))),
        ("exp zero", claims_with("exp", json!(0))),
        ("exp huge", claims_with("exp", json!(u64::MAX))),
        ("exp beyond all numbers", claims().to_string().replace("\"exp\":", "\"exp\":1e400,\"x\":")),
        ("exp a float", claims_with("exp", json!(4_000_000_000.5))),
        ("exp true", claims_with("exp", json!(true))),
        ("exp a list", claims_with("exp", json!([now() + 600]))),
        ("exp in milliseconds", claims_with("exp", json!((now() + 600) * 1000))),
        ("not yet valid", claims_with("nbf", json!(now() + 60))),
        ("not yet valid past the leeway", claims_with("nbf", json!(now() + 7))),
        ("nbf a text", claims_with("nbf", json!("0"))),
        ("another issuer", claims_with("iss", json!("evil"))),
        ("an issuer that begins alike", claims_with("iss", json!("login.evil"))),
        ("no issuer", claims_without("iss")),
        ("issuer a number", claims_with("iss", json!(1))),
        ("another audience", claims_with("aud", json!("other"))),
        ("other audiences", claims_with("aud", json!(["other", "Quell"]))),
        ("no audience in the list", claims_with("aud", json!([]))),
        ("no audience", claims_without("aud")),
        ("no name", claims_without("sub")),
        ("an empty name", claims_with("sub", json!(""))),
        ("a name of spaces", claims_with("sub", json!("  "))),
        ("NUL in the name", claims_with("sub", json!("ali\0ce"))),
        ("a line break in the name", claims_with("sub", json!("alice\nresult=accepted"))),
        ("an escape in the name", claims_with("sub", json!("alice\u{1b}[2J"))),
        ("a name beyond the limit", claims_with("sub", json!("a".repeat(256)))),
        ("the name a number", claims_with("sub", json!(1))),
        ("the name a list", claims_with("sub", json!(["alice"]))),
        ("two people", claims_with("user_id", json!("root"))),
        ("permissions a text", claims_with("permissions", json!("view_any_task"))),
        ("permissions an object", claims_with("permissions", json!({"view_any_task": true}))),
        ("a permission a number", claims_with("permissions", json!([1]))),
        ("exp twice", twice(r#""exp":1"#)),
        ("sub twice", twice(r#""sub":"root""#)),
        ("permissions twice", twice(r#""permissions":["cancel_any_task"]"#)),
        ("a list", "[]".to_owned()),
        ("a text", "\"alice\"".to_owned()),
        ("no JSON", "alice".to_owned()),
        ("nothing", String::new()),
        ("something behind", format!("{}{{}}", claims())),
        ("too deep", claims_with("x", json!(0)).replace("\"x\":0", &format!("\"x\":{}", "[".repeat(200)))),
    ]
}

#[actix_web::test]
async fn no_token_with_a_bad_claim_is_accepted() {
    let bad = bad_claims();
    assert!(bad.len() >= 40);
    for (what, claims) in bad {
        assert_eq!(of(&hs_keys(), &said(&claims)).await, Err(401), "{what}: {claims}");
    }
}

/// Tokens with something wrong in their header or signature, each with the keys that must refuse it.
fn bad_heads() -> Vec<(&'static str, JwtKeys, String)> {
    let claims = claims().to_string();
    let unsigned = |header: &str| format!("{}.{}.", base64(header), base64(&claims));
    let public_as_secret = |header: &str, pem: &str| {
        token(header, &claims, &EncodingKey::from_secret(pem.as_bytes()), Algorithm::HS256)
    };
    let with = |more: &str| hs(&format!(r#"{{"alg":"HS256",{more}}}"#), &claims);
    let jwk = r#""jwk":{"kty":"oct","k":"dGhpcnR5LXR3byBieXRlcyBhcmUgdGhlIGxlYXN0"}"#;
    vec![
        ("none", hs_keys(), unsigned(r#"{"alg":"none"}"#)),
        ("None", hs_keys(), unsigned(r#"{"alg":"None"}"#)),
        ("NONE of a public key", rsa_keys(), unsigned(r#"{"alg":"NONE"}"#)),
        ("none of a public key", ed_keys(), unsigned(r#"{"alg":"none"}"#)),
        ("no signature", hs_keys(), unsigned(r#"{"alg":"HS256"}"#)),
        ("no algorithm", hs_keys(), hs(r#"{"typ":"JWT"}"#, &claims)),
        ("an unknown algorithm", hs_keys(), hs(r#"{"alg":"HS257"}"#, &claims)),
        ("the algorithm a list", hs_keys(), hs(r#"{"alg":["HS256"]}"#, &claims)),
        ("two algorithms", hs_keys(), hs(r#"{"alg":"none","alg":"HS256"}"#, &claims)),
        ("a public RSA key as a secret", rsa_keys(), public_as_secret(r#"{"alg":"HS256"}"#, &RSA_PAIR.1)),
        ("a public Ed25519 key as a secret", ed_keys(), public_as_secret(r#"{"alg":"HS256"}"#, &ED_PAIR.1)),
        ("the same, trimmed", rsa_keys(), public_as_secret(r#"{"alg":"HS256"}"#, RSA_PAIR.1.trim())),
        ("HS256 that says RS256", rsa_keys(), public_as_secret(r#"{"alg":"RS256"}"#, &RSA_PAIR.1)),
        ("RS256 for EdDSA", ed_keys(), rs(r#"{"alg":"RS256"}"#, &RSA_PAIR.0)),
        ("RS256 that says EdDSA", ed_keys(), rs(r#"{"alg":"EdDSA"}"#, &RSA_PAIR.0)),
        ("EdDSA for RS256", rsa_keys(), ed(r#"{"alg":"EdDSA"}"#)),
        ("EdDSA that says RS256", rsa_keys(), ed(r#"{"alg":"RS256"}"#)),
        ("another key of RSA", rsa_keys(), rs(r#"{"alg":"RS256"}"#, &RSA_OTHER_PAIR.0)),
        ("RS256 that says RS512", rsa_keys(), rs(r#"{"alg":"RS512"}"#, &RSA_PAIR.0)),
        ("RS256 that says PS256", rsa_keys(), rs(r#"{"alg":"PS256"}"#, &RSA_PAIR.0)),
        ("HS512 with the right secret", hs_keys(), {
            token(r#"{"alg":"HS512"}"#, &claims, &EncodingKey::from_secret(SECRET), Algorithm::HS512)
        }),
        ("another secret", hs_keys(), {
            let key = EncodingKey::from_secret(b"thirty-two bytes are the least, of another");
            token(r#"{"alg":"HS256"}"#, &claims, &key, Algorithm::HS256)
        }),
        ("an empty secret", hs_keys(), {
            token(r#"{"alg":"HS256"}"#, &claims, &EncodingKey::from_secret(b""), Algorithm::HS256)
        }),
        ("crit", hs_keys(), with(r#""crit":["exp"]"#)),
        ("crit of nothing", hs_keys(), with(r#""crit":[]"#)),
        ("crit a text", hs_keys(), with(r#""crit":"exp""#)),
        ("an embedded key", hs_keys(), with(jwk)),
        ("an address of keys", hs_keys(), with(r#""jku":"https://evil.example/keys""#)),
        ("an address of a certificate", hs_keys(), with(r#""x5u":"https://evil.example/cert""#)),
        ("an embedded certificate", hs_keys(), with(r#""x5c":["MIIB"]"#)),
        ("kid a list", hs_keys(), with(r#""kid":["../../dev/null"]"#)),
        ("b64 off", hs_keys(), with(r#""b64":false"#)),
        ("compressed", hs_keys(), with(r#""zip":"DEF""#)),
        ("encrypted", hs_keys(), with(r#""enc":"A128GCM""#)),
        ("a token of another kind", hs_keys(), with(r#""typ":"logout+jwt""#)),
        ("a header that is no JSON", hs_keys(), hs("HS256", &claims)),
        ("an empty header", hs_keys(), hs("", &claims)),
    ]
}

#[actix_web::test]
async fn no_token_with_a_bad_header_or_signature_is_accepted() {
    for (what, keys, token) in bad_heads() {
        assert_eq!(of(&keys, &token).await, Err(401), "{what}");
    }
}

#[actix_web::test]
async fn no_token_that_is_written_wrongly_is_accepted() {
    let good = said(&claims().to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = parts.as_slice() else { panic!("{good}") };
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let long = said(&claims_with("x", json!("x".repeat(8 * 1024))));
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        good[..good.len() - 1].to_owned(),
        good[..good.len() / 2].to_owned(),
        format!("{header}.{body}"),
        format!("{header}.{body}."),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{header}..{signature}"),
        format!("{header}.{body}=.{signature}"),
        format!("{header}.{body}.{signature}="),
        format!("{header}.{body}.{signature}A"),
        format!("{header}.{body}.{flipped}{}", &signature[1..]),
        format!("{header}.{}.{signature}", base64(claims_with("sub", json!("root")))),
        format!("{header}.{body}.!{}", &signature[1..]),
        format!("{header}.+{}.{signature}", &body[1..]),
        format!("{header} .{body}.{signature}"),
        format!("{header}.{body}.{signature},{good}"),
        format!("{good} {good}"),
        good.to_uppercase(),
        long,
    ] {
        assert_eq!(of(&hs_keys(), &bad).await, Err(401), "{bad}");
    }
    let bearer = format!("Bearer {good}");
    assert!(told(&hs_keys(), std::slice::from_ref(&bearer)).await.is_ok(), "the good one is good");
    for headers in [
        vec![],
        vec![good.clone()],
        vec![format!("JWT {good}")],
        vec![format!("Bearer\t{good}")],
        vec![format!("Bearer {good}\0")],
        vec![bearer.clone(), bearer.clone()],
        vec![bearer.clone(), "Basic eDp5".to_owned()],
    ] {
        assert!(told(&hs_keys(), &headers).await.is_err(), "{headers:?}");
    }
}

#[actix_web::test]
async fn a_token_may_be_as_long_as_the_limit() {
    let with = |letters: usize| said(&claims_with("x", json!("x".repeat(letters))));
    // Four letters of base64 carry three bytes: this comes close below.
    let letters = (1..1000).take_while(|n| with(5800 + n).len() <= TOKEN_BYTES).last().unwrap() + 5800;
    assert!(of(&hs_keys(), &with(letters)).await.is_ok());
    assert_eq!(of(&hs_keys(), &with(letters + 1)).await, Err(401));
}

#[test]
fn i32_a_weak_or_wrong_key_is_refused() {
    assert_eq!(JwtKeys::hs256(&[b'x'; 31]).unwrap_err(), JwtKeyError::Short(31));
    assert!(JwtKeys::hs256(&[b'x'; 32]).is_ok());
    assert_eq!(JwtKeys::hs256(RSA_PAIR.1.as_bytes()).unwrap_err(), JwtKeyError::KeyAsSecret);
    let told = |pem: &str| JwtKeys::public_key(pem.as_bytes()).unwrap_err();
    // The older form of the same key.
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    assert!(JwtKeys::public_key(pem("RSA PUBLIC KEY", pair.public_key().as_ref()).as_bytes()).is_ok());
    assert_eq!(told(include_str!("test_keys/rsa1024.pub.pem")), JwtKeyError::Bits(1024));
    assert_eq!(told(include_str!("test_keys/ec.pub.pem")), JwtKeyError::Kind);
    assert_eq!(told(include_str!("test_keys/ed448.pub.pem")), JwtKeyError::Kind);
    assert_eq!(told(&RSA_PAIR.0), JwtKeyError::Private);
    assert_eq!(told(&ED_PAIR.0), JwtKeyError::Private);
    let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    assert_eq!(told(&block("CERTIFICATE")), JwtKeyError::Kind);
    assert_eq!(told(&block("PUBLIC KEY")), JwtKeyError::Kind);
    for text in
        ["", "nonsense", &format!("{}{}", RSA_PAIR.1, ED_PAIR.1), &format!("{}{}", RSA_PAIR.1, RSA_PAIR.0)]
    {
        assert_eq!(told(text), JwtKeyError::NoKey, "{text}");
    }
    assert_eq!(JwtKeys::public_key(&[0xff; 100]).unwrap_err(), JwtKeyError::NoKey);
}

#[test]
fn i29_no_debug_output_shows_a_key() {
    let text = format!("{:?}{:?}", hs_keys(), rsa_keys());
    assert!(!text.contains("thirty-two") && !text.contains("116, 104") && text.contains("login"), "{text}");
}

#[actix_web::test]
async fn without_keys_nobody_gets_in() {
    let (request, mut payload) = TestRequest::default().to_http_parts();
    let problem = JwtPrincipal::from_request(&request, &mut payload).await.unwrap_err();
    assert_eq!(problem.name(), "internal-error");
}
