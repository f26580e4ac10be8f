//! `quell bench`: measures this build on this machine, and prints a table or JSON.
//!
//! Progress goes to standard error, the report to standard output. It measures nothing itself. A hidden verb is what it
//! starts beside itself: the servers that are measured.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::thread;

use clap::{Args, Subcommand, ValueEnum};

use crate::bench::{Options, Report, Scenario, register_measured, run as measure, serve_bare};
use crate::server::Said;
use crate::server::settings::Flags;
use crate::store::Synchronous;

/// Measure this build on this machine, each figure beside its limit.
#[derive(Debug, Clone, Args)]
pub(super) struct BenchArgs {
    /// The folder whose disk is measured; what is made in it is removed.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Small counts, a few seconds: shows that everything works.
    #[arg(long)]
    quick: bool,
    /// Do what takes minutes, too: 100,000 cancels and timeouts at once, a million finished tasks, a million rows,
    /// processes from one of 2 GiB.
    #[arg(long)]
    large: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Only these scenarios: pending, finished, memory, bodies, spinners, processes, disk, start, cancel, storm, timeouts,
    /// events, growth, http, streams, idle, recovery.
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<Scenario>,
    /// When a commit counts as written.
    #[arg(long, value_enum, default_value_t = Sync::Full)]
    synchronous: Sync,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sync {
    Full,
    Normal,
}

impl From<&BenchArgs> for Options {
    fn from(args: &BenchArgs) -> Self {
        Self {
            dir: args.dir.clone(),
            quick: args.quick,
            large: args.large,
            synchronous: match args.synchronous {
                Sync::Full => Synchronous::Full,
                Sync::Normal => Synchronous::Normal,
            },
            only: args.only.clone(),
            program: None,
        }
    }
}

/// A server that is measured.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Part {
    /// Ours, with the task types of the measurements
    Server(Box<Flags>),
    /// A bare actix-web server
    Bare {
        /// Bytes of its answers' bodies
        #[arg(long)]
        answer_bytes: usize,
    },
}

/// Serves until whoever started it has gone, or kills it.
pub(super) fn serve_part(part: &Part) -> ExitCode {
    let watch = || {
        // Ends with the one who holds the other end.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0);
    };
    if let Err(error) = thread::Builder::new().name("quell-bench-end".to_owned()).spawn(watch) {
        return super::complain(&error, super::CANNOT_START);
    }
    match part {
        Part::Server(flags) => super::serve_verb(flags, register_measured),
        Part::Bare { answer_bytes } => {
            match serve_bare(*answer_bytes, |address| super::say(&Said::Listening(address))) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => super::complain(&told(&error), super::CANNOT_START),
            }
        }
    }
}

/// Measures and prints; gives back the exit code.
pub(super) fn run(args: &BenchArgs) -> i32 {
    // A closed pipe is no reason to fall over.
    let progress = |what: &str| drop(writeln!(io::stderr().lock(), "measuring: {what}"));
    match measure(&args.into(), progress) {
        Ok(report) => print(&report, args.json),
        Err(error) => {
            drop(writeln!(io::stderr().lock(), "quell: {}", told(&error)));
            1
        }
    }
}

fn print(report: &Report, json: bool) -> i32 {
    let text = if json { report.json() } else { report.table() };
    i32::from(writeln!(io::stdout().lock(), "{text}").is_err())
}

/// An error with what is behind it, on one line.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
