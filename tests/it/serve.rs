//! Holds what the program does at its door: exit codes, the one line for whatever is wrong, and what it leaves behind.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The program in a folder of its own, without this process's settings.
fn quell(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    command.output().expect("it runs")
}

/// What it said when it refused: one line, code 1, nothing on standard output, no file made.
fn refusal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let output = quell(folder.path(), arguments, variables);
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(output.stdout.is_empty());
    assert!(told.starts_with("quell: ") && told.lines().count() == 1, "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "it left something");
    told
}

#[test]
fn a_taken_port_is_told_and_the_database_left_alone() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let told = refusal(&["serve", "--bind", &address], &[]);
    assert!(told.contains(&address) && told.contains("another program"), "{told}");
}

#[test]
fn what_is_wrong_with_a_setting_is_one_line_and_code_1() {
    assert!(refusal(&["serve", "--nonsense"], &[]).contains("--nonsense"));
    assert!(refusal(&["nonsense"], &[]).contains("nonsense"));
    assert!(refusal(&["serve", "--auth", "jwt"], &[]).contains("there is no key"));
    assert!(refusal(&["serve", "--database-url", "postgres://u:hush@h/d"], &[]).contains("PostgreSQL"));
    assert!(refusal(&["serve"], &[("QUELL_NONSENSE", "hush")]).contains("QUELL_NONSENSE"));
    assert!(refusal(&["serve"], &[("QUELL_DEMO", "maybe")]).contains("1, true, 0 or false"));
    assert!(refusal(&["serve", "--config", "nowhere.toml"], &[]).contains("nowhere.toml"));
    assert!(refusal(&["serve", "--bind", "127.0.0.1:0", "--data-dir", "nowhere"], &[]).contains("nowhere"));
}

#[test]
fn no_refusal_shows_a_secret() {
    let told = refusal(&["serve", "--api-tokens=alice=hush-hush-hush-hush"], &[]);
    assert!(!told.contains("hush"), "{told}");
    let told = refusal(&["serve", "--auth", "none"], &[("QUELL_API_TOKENS", "alice=hush-hush-hush-hush")]);
    assert!(!told.contains("hush"), "{told}");
}

#[test]
fn help_and_version_are_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [&["--help"][..], &["serve", "--help"], &["--version"]] {
        let output = quell(folder.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
    let help = String::from_utf8(quell(folder.path(), &["serve", "--help"], &[]).stdout).expect("text");
    for name in ["--bind", "QUELL_DATABASE_URL", "QUELL_API_TOKENS_FILE", "--shutdown-grace", "RUST_LOG"] {
        assert!(help.contains(name), "{name}");
    }
    let output = quell(folder.path(), &[], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
}

/// Starts the program, waits for its ready line, ends it with SIGTERM; gives back what it said.
fn one_life(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_quell"))
        .args(["serve", "--bind", "127.0.0.1:0", "--shutdown-grace", "5s"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut out = BufReader::new(server.stdout.take().expect("it is piped"));
    let mut told = String::new();
    out.read_line(&mut told).expect("text");
    let id = i32::try_from(server.id()).expect("a process id");
    kill_process(Pid::from_raw(id).expect("a process id"), Signal::TERM).expect("it lives");
    out.read_to_string(&mut told).expect("text");
    let output = server.wait_with_output().expect("it ends");
    (output.status.code(), told, String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn the_first_start_shows_its_token_once_and_sigterm_ends_it_with_0() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, err) = one_life(folder.path(), &["--demo"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("listening on http://127.0.0.1:") && out.lines().count() == 1, "{out}");
    let file = folder.path().join("quell.db.token");
    let token = std::fs::read_to_string(&file).expect("a token");
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(err.matches(token.trim()).count(), 1);
    assert_eq!(err.lines().filter(|line| line.contains("curl ")).count(), 3);

    let (code, _, err) = one_life(folder.path(), &["--demo"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(err.matches(token.trim()).count(), 0);
    assert_eq!(err.lines().filter(|line| line.contains("curl ")).count(), 3);
}

#[test]
fn weaker_commits_are_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, _, err) = one_life(folder.path(), &["--synchronous", "normal"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("power loss"), "{err}");
}
