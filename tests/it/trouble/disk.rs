//! Holds what a full disk and a limit on the size of files do while the server runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, prlimit};

use super::served::Day;
use crate::server::{Home, Server};

/// How a small disk of the server's own can be had: as root, or as root of a namespace. It goes with its process.
fn private_mounts() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];
    WAYS.into_iter().find(|how| {
        let mut tried = Command::new("unshare");
        tried.args(*how).args(["sh", "-c", "mount -t tmpfs -o size=64k tmpfs /tmp"]);
        tried.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    })
}

/// The program, about to serve with its database on a disk of a few megabytes that nobody else sees.
fn on_a_small_disk(home: &Home, how: &[&str]) -> Command {
    let plain = home.command(&[]);
    let mut command = Command::new("unshare");
    command.args(how).args([
        "sh",
        "-c",
        "mount -t tmpfs -o size=6m tmpfs \"$0\" && cd \"$0\" && exec \"$@\"",
    ]);
    command.arg(home.path()).arg(plain.get_program()).args(plain.get_args());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Sets the largest file that a process may write.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(server.pid()), Resource::Fsize, limit).expect("a process of our own");
}

fn log_of(home: &Home) -> PathBuf {
    home.path().join("quell.db-wal")
}

#[tokio::test]
async fn i19_a_full_disk_is_no_crash_and_loses_nothing() {
    let Some(how) = private_mounts() else {
        // No disk of its own can be mounted here: a limit on the size of files, which everybody may set, stands for it.
        return limited().await;
    };
    let home = Home::new();
    let server = Server::of(&home, on_a_small_disk(&home, how)).await;
    let day = Day::begin(&server).await;
    let inside = server.proc("root").join(home.path().strip_prefix("/").expect("it is absolute"));
    assert!(inside.join("quell.db").exists() && !home.database().exists(), "it is on the small disk");
    fill(&inside.join("ballast"));
    day.refuses(&server).await;
    fs::remove_file(inside.join("ballast")).expect("it is there");
    day.heals(&server).await;
    server.stop().await;
}

/// Writes until nothing more fits.
fn fill(file: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(file).expect("a file");
    for size in [64 * 1024, 4096, 1] {
        while file.write(&vec![b'x'; size]).is_ok_and(|written| written > 0) {}
    }
}

#[tokio::test]
async fn i19_a_file_that_meets_a_limit_is_a_full_disk_and_does_not_end_the_process() {
    limited().await;
}

async fn limited() {
    let server = Server::start().await;
    let day = Day::begin(&server).await;
    let size = fs::metadata(log_of(&server.home())).expect("a log").len();
    limit_files(&server, Some(size));
    day.refuses(&server).await;
    limit_files(&server, None);
    day.heals(&server).await;
    let home = server.stop().await;
    // Everything that was acknowledged is in the file.
    let server = home.server(&[]).await;
    let alice = server.client("alice");
    for id in 1..=2 {
        let model = if id == 1 { "StuckTask" } else { "LongTask" };
        let row = alice.show(&crate::server::Task::new(model, id)).await;
        assert_eq!(row["status"], if id == 1 { "cancelled" } else { "completed" });
    }
    server.stop().await;
}
