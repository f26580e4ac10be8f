//! Holds that a server does not start in a way that lets people in by mistake: each time one line and a 1.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::server::{Home, refusal_of};

/// What a start with these settings is told.
async fn told(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = home.command(arguments);
    command.env_remove("QUELL_API_TOKENS").envs(variables.iter().copied());
    let ended = refusal_of(command).await;
    assert!(!home.database().exists(), "the database is not touched");
    assert!(!ended.err.contains("hush"), "no secret is shown: {}", ended.err);
    ended.one_line().to_owned()
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn i32_a_weak_secret_is_refused() {
    let home = Home::new();
    let line =
        told(&home, &["--auth", "jwt"], &[("QUELL_JWT_SECRET", "hush-hush-hush-hush-hush-hush-h")]).await;
    assert!(line.contains("QUELL_JWT_SECRET is not usable: the secret has 31 bytes"), "{line}");
    let line = told(&home, &[], &[("QUELL_API_TOKENS", "alice=hush-hush-hush-")]).await;
    assert!(line.contains("fewer than 16 characters"), "{line}");
    let pem = "-----BEGIN PUBLIC KEY-----\nhush-hush-hush-hush\n-----END PUBLIC KEY-----\n";
    let line = told(&home, &["--auth", "jwt"], &[("QUELL_JWT_SECRET", pem)]).await;
    assert!(line.contains("the secret is a key in PEM"), "{line}");
}

#[tokio::test]
async fn i32_a_file_of_secrets_that_others_may_read_is_refused() {
    for (mode, name) in
        [(0o640, "api_tokens"), (0o604, "api_tokens"), (0o644, "jwt_secret"), (0o660, "jwt_secret")]
    {
        let home = Home::new();
        write(
            &home.path().join("quell.toml"),
            &format!("{name} = \"a=hush-hush-hush-hush-hush-hush-hush\""),
            mode,
        );
        let line = told(&home, &[], &[]).await;
        assert!(line.contains(name) && line.contains("chmod 600 quell.toml"), "{line}");
    }
    for mode in [0o640, 0o604] {
        let home = Home::new();
        write(&home.path().join("tokens"), "alice=hush-hush-hush-hush", mode);
        let line = told(&home, &[], &[("QUELL_API_TOKENS_FILE", "tokens")]).await;
        assert!(line.contains("chmod 600 tokens"), "{line}");
    }
}

#[tokio::test]
async fn i32_a_secret_as_a_flag_is_refused() {
    let home = Home::new();
    for flag in
        ["--api-tokens=alice=hush-hush-hush-hush", "--jwt-secret=hush-hush-hush-hush-hush-hush-hush-hush"]
    {
        let line = told(&home, &[flag], &[]).await;
        assert!(line.contains(flag.split('=').next().unwrap()), "{line}");
    }
    let line = told(&home, &["--jwt-secret", "hush-hush-hush-hush-hush-hush-hush-hush"], &[]).await;
    assert!(line.contains("--jwt-secret"), "{line}");
}

#[tokio::test]
async fn i32_what_is_unknown_is_refused() {
    let home = Home::new();
    assert!(told(&home, &[], &[("QUELL_AUHT", "none")]).await.contains("QUELL_AUHT"));
    assert!(told(&home, &["--no-auth"], &[]).await.contains("--no-auth"));
    assert!(told(&home, &["--auth", "off"], &[]).await.contains("use `token`, `jwt` or `none`"));
    write(&home.path().join("quell.toml"), "atuh = \"none\"", 0o600);
    assert!(told(&home, &[], &[]).await.contains("unknown key `atuh`"));
}

#[tokio::test]
async fn i32_two_ways_at_once_and_a_way_without_its_key_are_refused() {
    let home = Home::new();
    let secret = ("QUELL_JWT_SECRET", "hush-hush-hush-hush-hush-hush-hush-hush");
    let line = told(&home, &["--auth", "jwt", "--jwt-public-key-file", "key.pem"], &[secret]).await;
    assert!(line.contains("QUELL_JWT_SECRET and --jwt-public-key-file are both set"), "{line}");
    assert!(told(&home, &["--auth", "jwt"], &[]).await.contains("there is no key"));
    let tokens = ("QUELL_API_TOKENS", "alice=hush-hush-hush-hush");
    assert!(told(&home, &["--auth", "none"], &[tokens]).await.contains("set auth to `token`"));
    assert!(told(&home, &["--auth", "jwt"], &[secret, tokens]).await.contains("set auth to `token`"));
    assert!(told(&home, &[], &[secret]).await.contains("set auth to `jwt`"));
}

#[tokio::test]
async fn i32_a_public_key_of_the_wrong_kind_is_refused() {
    let home = Home::new();
    let key = home.path().join("key.pem");
    let file = key.to_str().unwrap();
    let told = async || told(&home, &["--auth", "jwt", "--jwt-public-key-file", file], &[]).await;
    assert!(told().await.contains("cannot read the public key"));
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/auth/test_keys");
    for (name, reason) in [
        ("rsa1024.pub.pem", "has 1024 bits"),
        ("ec.pub.pem", "neither an RSA nor an Ed25519"),
        ("ed448.pub.pem", "neither an RSA nor an Ed25519"),
    ] {
        write(&key, &fs::read_to_string(keys.join(name)).unwrap(), 0o644);
        let line = told().await;
        assert!(line.contains(reason) && line.contains("--jwt-public-key-file"), "{line}");
    }
    write(&key, "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n", 0o600);
    assert!(told().await.contains("private key"));
    write(&key, "nonsense", 0o644);
    assert!(told().await.contains("not one public key in PEM"));
    write(&key, &fs::read_to_string(keys.join("ec.pub.pem")).unwrap(), 0o666);
    assert!(told().await.contains("everybody may change the public key"));
}
