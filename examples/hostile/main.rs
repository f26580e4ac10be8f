//! Hostile connections against the real server: thousands that send or take nothing in time, beside one client that
//! behaves; ten thousand idle streams and a SIGTERM; how fast a cancel reaches its body. `scripts/hostile`.
//!
//! It starts nothing but itself and one server after another, on loopback, and stops what it started. It prints a
//! table with the bars and exits with 1 where one is missed. Client and server share the machine's cores.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

mod abuse;
mod delivery;
mod honest;
mod report;
mod server;
mod streams;
mod wire;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use abuse::Kind;
use report::Report;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The parts, by the words that choose them; all without any.
const PARTS: [&str; 7] =
    ["delivery", "first-heads", "later-heads", "no-body", "slow-body", "unread-streams", "idle-streams"];

fn main() -> Result<(), Failed> {
    raise_the_limit_of_files()?;
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|word| !PARTS.contains(&word.as_str())) {
        return Err(format!("`{unknown}` is none of {PARTS:?}").into());
    }
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|word| word == part);
    let mut report = Report::default();
    if is_asked("delivery") {
        delivery::measure(&mut report)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| is_asked(kind.word())).collect();
    if !kinds.is_empty() {
        runtime.block_on(abuse::measure(&kinds, &mut report))?;
    }
    if is_asked("idle-streams") {
        runtime.block_on(streams::measure(&mut report))?;
    }
    println!("{report}");
    if report.all_are_met() { Ok(()) } else { Err("a bar was missed".into()) }
}

/// Ten thousand streams are as many files here.
fn raise_the_limit_of_files() -> Result<(), Failed> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    match maximum {
        Some(files) if files < 12_000 => {
            Err(format!("it needs 12,000 open files, and at most {files} are allowed: see ulimit -Hn").into())
        }
        _ => Ok(()),
    }
}
