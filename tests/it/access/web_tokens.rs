//! Holds JSON Web Tokens against the real program; the table of bad ones stands beside the code.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Home, Server};

const SECRET: &str = "canary-of-thirty-two-bytes-and-more";

fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn claims(name: &str, permissions: &[&str]) -> Value {
    json!({
        "sub": name,
        "exp": get_current_timestamp() + 600,
        "iss": "https://login.example.com",
        "aud": ["quell", "other"],
        "permissions": permissions,
    })
}

async fn server(arguments: &[&str], variable: (&str, &str)) -> Server {
    let home = Home::new();
    let mut command = home.command(&[&["--auth", "jwt"], arguments].concat());
    command.env_remove("QUELL_API_TOKENS").env(variable.0, variable.1).env("RUST_LOG", "debug");
    Server::of(&home, command).await
}

fn client(server: &Server, token: &str) -> Client {
    Client::new(&format!("http://{}", server.address()), token)
}

#[tokio::test]
async fn a_token_says_who_it_is_and_what_they_may_do() {
    let strict = ["--jwt-issuer", "https://login.example.com", "--jwt-audience", "quell"];
    let server = server(&strict, ("QUELL_JWT_SECRET", SECRET)).await;
    let of = |name: &str, permissions: &[&str]| client(&server, &token(&claims(name, permissions)));
    let alice = of("alice", &[]);
    let task = alice.start("StuckTask", json!({})).await;
    assert_eq!(alice.show(&task).await["owner"], "alice");
    of("bob", &["billing:read"]).get(&task.path()).await.problem(403, "forbidden");
    of("viewer", &["view_any_task"]).get(&task.path()).await.with(200);
    of("viewer", &["view_any_task"]).post(&task.cancel()).await.problem(403, "forbidden");
    of("boss", &["cancel_any_task", "billing:read"]).post(&task.cancel()).await.with(200);
    for (member, value) in [
        ("iss", json!("https://evil.example.com")),
        ("aud", json!("other")),
        ("exp", json!(get_current_timestamp() - 60)),
        ("nbf", json!(get_current_timestamp() + 60)),
    ] {
        let mut bad = claims("alice", &[]);
        bad[member] = value;
        let answer = client(&server, &token(&bad)).get(&task.path()).await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let twice = alice
        .call(Method::GET, &task.path())
        .header("authorization", format!("Bearer {}", token(&claims("root", &[]))));
    Answer::of(twice).await.problem(401, "unauthorized");
    let log = server.err();
    assert!(!log.contains(SECRET) && !log.contains(&token(&claims("alice", &[]))[..60]), "I-29");
    assert!(!server.home().path().join("quell.db.token").exists(), "no token is made");
}

#[tokio::test]
async fn a_token_for_the_public_key_is_accepted_and_no_other() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let home = Home::new();
    let file = home.path().join("key.pem");
    let der = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(der.as_ref()));
    std::fs::write(&file, &pem).unwrap();
    let server = server(&["--jwt-public-key-file", file.to_str().unwrap()], ("NO_COLOR", "1")).await;
    let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
    let good = encode(&Header::new(Algorithm::EdDSA), &claims("alice", &[]), &key).unwrap();
    client(&server, &good).start("StuckTask", json!({})).await;
    let confused = EncodingKey::from_secret(pem.as_bytes());
    let confused = encode(&Header::new(Algorithm::HS256), &claims("alice", &[]), &confused).unwrap();
    client(&server, &confused).post("/tasks/tests/StuckTask").await.problem(401, "unauthorized");
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            text.push(if at <= chunk.len() { char::from(LETTERS[bits >> (18 - 6 * at) & 63]) } else { '=' });
        }
    }
    text
}
