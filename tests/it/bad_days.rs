//! Holds what the program does when its surroundings are broken: one clear line, exit code 1, every byte as it was;
//! and 70 where the database goes away while it runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use quell::store::{SqliteDatabase, SqliteOptions};
use serde_json::json;

use crate::server::{Home, Server, refusal_of};

/// Every file below a folder, with its bytes and its mode.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, u32)> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let read = |entry: fs::DirEntry| {
        let mode = entry.metadata().expect("a file").permissions().mode();
        let bytes =
            if entry.path().is_dir() { Vec::new() } else { fs::read(entry.path()).expect("it is readable") };
        (entry.file_name().into_string().expect("text"), (bytes, mode))
    };
    entries.map(read).collect()
}

/// A folder with a database that a server has used, and left in good order.
async fn used() -> Home {
    let server = Server::start().await;
    let alice = server.client("alice");
    for at in 0..20 {
        let task =
            alice.start("ExampleTask", json!({ "message": format!("{at}{}", "x".repeat(4_000)) })).await;
        alice.ended(&task).await;
    }
    let home = server.stop().await;
    // Whoever closes the last connection copies the log into the file: else a newer page in the log would stand for
    // one that a test breaks.
    let database =
        SqliteDatabase::open(&home.database(), SqliteOptions::default()).expect("it is in good order");
    drop((database.writer().expect("a writer"), database));
    assert!(!home.path().join("quell.db-wal").exists());
    home
}

/// The program refuses with one line that has these words, and changes nothing.
async fn refused(home: &Home, words: &[&str]) {
    refused_with(home, &[], words).await;
}

async fn refused_with(home: &Home, arguments: &[&str], words: &[&str]) {
    let before = files(home.path());
    let ended = home.refusal(arguments).await;
    let line = ended.one_line();
    for word in words {
        assert!(line.contains(word), "`{word}` is not in: {line}");
    }
    assert!(files(home.path()) == before, "I-27: it changed something: {line}");
}

#[tokio::test]
async fn i27_a_database_that_may_not_be_written_is_refused_also_for_root() {
    let home = used().await;
    for (path, mode, back) in [(home.database(), 0o444, 0o644), (home.path().to_owned(), 0o555, 0o755)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        refused(&home, &["quell.db", "read-only", "permissions"]).await;
        fs::set_permissions(&path, fs::Permissions::from_mode(back)).unwrap();
    }
    home.server(&[]).await.stop().await;
}

#[tokio::test]
async fn i27_a_corrupt_database_is_refused_and_left_as_it_was() {
    let home = used().await;
    let good = fs::read(home.database()).unwrap();
    assert!(good.len() > 16 * 4096, "{} bytes", good.len());
    let random: Vec<u8> =
        (0..good.len()).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect();
    let mut page = good.clone();
    page[8 * 4096..9 * 4096].copy_from_slice(&random[..4096]);
    let mut first = good.clone();
    first[100..4096].fill(0xff);
    let half = good.len() / 2;
    for (bad, word) in [
        (random.as_slice(), "no SQLite database"),
        (&good[..half], "cut short"),
        (&good[..4096], "cut short"),
        (&good[..50], "no SQLite database"),
        (&page, "backup"),
        (&first, "malformed"),
        (b"hello", "no SQLite database"),
    ] {
        fs::write(home.database(), bad).unwrap();
        refused(&home, &["cannot", "quell.db", word]).await;
    }
    fs::write(home.database(), good).unwrap();
    home.server(&[]).await.stop().await;
}

#[tokio::test]
async fn i27_the_database_of_a_newer_quell_is_refused() {
    let home = used().await;
    // The version of a migration is a text in the file: another one of the same length is one that nobody knows.
    let mut bytes = fs::read(home.database()).unwrap();
    let known = b"20261123000001";
    let places: Vec<_> =
        (0..bytes.len() - known.len()).filter(|at| bytes[*at..].starts_with(known)).collect();
    assert!(!places.is_empty(), "the version of the first migration is not where this test looks for it");
    for at in places {
        bytes[at..at + 4].copy_from_slice(b"2999");
    }
    fs::write(home.database(), bytes).unwrap();
    refused(&home, &["29991123000001", "newer"]).await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let home = Home::new();
    refused_with(&home, &["--database-url", "sqlite://nowhere/quell.db"], &["nowhere/quell.db", "folder"])
        .await;
    refused_with(&home, &["--database-url", "sqlite://."], &["cannot"]).await;
    refused_with(&home, &["--database-url", "mysql://me:hush@host/db"], &["sqlite://"]).await;
}

#[tokio::test]
async fn i26_a_database_in_use_is_refused_and_its_server_goes_on() {
    let server = Server::start().await;
    let alice = server.client("alice");
    let task = alice.start("StuckTask", json!({})).await;
    let home = server.home();
    let ended = home.refusal(&[]).await;
    assert!(ended.one_line().contains("another process"), "{}", ended.err);
    let link = home.path().join("link.db");
    std::os::unix::fs::symlink(home.database(), link).unwrap();
    let ended = home.refusal(&["--database-url", "sqlite://link.db"]).await;
    assert!(ended.one_line().contains("another process"), "{}", ended.err);
    assert_eq!(alice.show(&task).await["status"], "running");
    let home = server.kill().await;
    let server = home.server(&[]).await;
    assert_eq!(server.client("alice").show(&task).await["error_type"], "lost");
}

#[tokio::test]
async fn a_taken_port_is_told_before_anything_is_touched() {
    let server = Server::start().await;
    let home = used().await;
    for (address, words) in
        [(server.address(), [server.address(), "--bind"]), ("nonsense", ["nonsense", "bind"])]
    {
        let before = files(home.path());
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_quell"));
        command.args(["serve", "--bind", address]).current_dir(home.path()).env_clear();
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let ended = refusal_of(command).await;
        assert!(words.iter().all(|word| ended.one_line().contains(word)), "{}", ended.err);
        assert!(files(home.path()) == before);
    }
}

#[tokio::test]
async fn a_malformed_setting_or_token_file_is_one_line_without_secrets() {
    let home = used().await;
    for argument in [
        "--max-running=0",
        "--max-running=many",
        "--shutdown-grace=-1s",
        "--shutdown-grace=0",
        "--synchronous=off",
        "--log-format=xml",
        "--auth=basic",
        "--nonsense=1",
        "--config=nowhere.toml",
    ] {
        let (name, _) = argument.trim_start_matches('-').split_once('=').expect("a value");
        let word = if name == "config" { "nowhere.toml" } else { name };
        refused_with(&home, &[argument], &[word]).await;
    }
    fs::write(home.path().join("quell.toml"), "nonsense = 1\n").unwrap();
    refused(&home, &["nonsense"]).await;
    fs::write(home.path().join("quell.toml"), "bind = \n").unwrap();
    refused(&home, &["quell.toml"]).await;
    fs::remove_file(home.path().join("quell.toml")).unwrap();
    let tokens = home.path().join("tokens");
    for (text, mode) in [
        ("alice=hush", 0o600),
        ("hush-hush-hush-hush", 0o600),
        ("", 0o600),
        ("alice=hush-hush-hush-hush:everything", 0o600),
        ("alice=hush-hush-hush-hush\nbob=hush-hush-hush-hush", 0o600),
        ("alice=hush-hush-hush-hush", 0o644),
    ] {
        fs::write(&tokens, text).unwrap();
        fs::set_permissions(&tokens, fs::Permissions::from_mode(mode)).unwrap();
        let before = files(home.path());
        let mut command = home.command(&[]);
        command.env_remove("QUELL_API_TOKENS").env("QUELL_API_TOKENS_FILE", &tokens);
        let ended = refusal_of(command).await;
        assert!(!ended.one_line().contains("hush"), "I-29: {}", ended.err);
        assert!(files(home.path()) == before);
    }
}

#[tokio::test]
async fn a_database_that_is_deleted_or_replaced_under_a_server_ends_it_with_70() {
    for replaced in [false, true] {
        let server = Server::start().await;
        server.client("alice").start("StuckTask", json!({})).await;
        let database = server.home().database();
        if replaced {
            fs::copy(&database, database.with_extension("copy")).unwrap();
            fs::rename(database.with_extension("copy"), &database).unwrap();
        } else {
            fs::remove_file(&database).unwrap();
        }
        let ended = server.ended().await;
        assert_eq!(ended.code, Some(70), "{}", ended.err);
        let clear = ended.err.lines().filter(|line| line.contains("ERROR") && line.contains("quell.db"));
        assert_eq!(clear.count(), 1, "{}", ended.err);
    }
}
