//! Commands of `quell.toml`, met from outside: the real program, and real programs of the system as its tasks.

mod access;
mod example;
mod refused;
mod runs;
mod stops;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::server::{Client, Frame, Home, Server, Task};

/// A folder with these commands.
fn home_with(commands: &str) -> Home {
    let home = Home::new();
    let file = home.path().join("quell.toml");
    fs::write(&file, commands).expect("it is written");
    // Whatever this machine gives new files.
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("it is ours");
    home
}

/// A server with these commands.
async fn server_with(commands: &str) -> Server {
    home_with(commands).server(&[]).await
}

/// A command that runs a script of ours with `sh`; the rest of its table follows.
fn script(name: &str, script: &str, rest: &str) -> String {
    assert!(!script.contains("'''"), "it must be quoted in TOML");
    let script = script.replace('{', "{{").replace('}', "}}");
    format!("[command.{name}]\nprogram = \"sh\"\nargs = [\"-c\", '''{script}''', \"{name}\"]\n{rest}\n")
}

/// All events of a task that has ended.
async fn events(client: &Client, task: &Task) -> Vec<Frame> {
    client.watch(task).await.rest().await
}

/// What it printed on one of both: the lines with what is told of them.
fn printed(events: &[Frame], on: &str) -> Vec<Value> {
    let of_it = events.iter().filter(|frame| frame.event == on);
    let plain = of_it.map(|frame| {
        let mut data = frame.json();
        data.as_object_mut().expect("an object").retain(|name, _| !name.starts_with('_'));
        data
    });
    plain.collect()
}

/// The lines alone.
fn lines(events: &[Frame], on: &str) -> Vec<String> {
    let lines = printed(events, on).into_iter();
    lines.map(|data| data["line"].as_str().expect("a line").to_owned()).collect()
}

/// The first line that it prints: it runs.
async fn first_line(client: &Client, task: &Task) -> String {
    let frames = client.watch(task).await.until("stdout").await;
    lines(&frames, "stdout").remove(0)
}

/// Whether a process lives; one that nobody has reaped yet is dead.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}
