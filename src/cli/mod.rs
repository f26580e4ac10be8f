//! Layer 5: the command line: verbs, exit codes, and the only printing of the crate.
//!
//! - Standard output gets what a program may read: for `serve` the one ready line. All else goes to standard error.
//! - Whatever is wrong is one line, `quell: …`, and the exit code is 1; 70 where a part of the server failed.

mod bench;
mod log;

use std::io::{self, Write};
use std::process::{self, ExitCode};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::bench::register_isolated as register_isolated_bench;
use crate::runtime::Registry;
use crate::server::demo::{DemoError, register_isolated_demo};
use crate::server::settings::{self, Flags};
use crate::server::{More, Said, serve_with};

/// What is wrong lies with the caller: a flag, a setting, a port.
const CANNOT_START: u8 = 1;

/// Long tasks that you can watch, resume and really stop.
#[derive(Debug, Parser)]
#[command(name = "quell", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the server until SIGTERM or SIGINT
    Serve(Box<Flags>),
    /// Measure this build on this machine, each figure beside its limit
    Bench(bench::BenchArgs),
    /// What `bench` starts beside itself
    #[command(subcommand, hide = true)]
    BenchPart(bench::Part),
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything else: where this is the process of one task, nothing else is to happen.
    crate::run_child_if_asked(isolated_types);
    match Cli::try_parse() {
        Ok(Cli { verb: Verb::Serve(flags) }) => serve_verb(&flags, Ok),
        Ok(Cli { verb: Verb::Bench(args) }) => process::exit(bench::run(&args)),
        Ok(Cli { verb: Verb::BenchPart(part) }) => bench::serve_part(&part),
        Err(error) => usage(&error),
    }
}

/// The task types of this program whose bodies run in processes of their own.
fn isolated_types() -> Result<Registry, DemoError> {
    Ok(register_isolated_bench(register_isolated_demo(Registry::new())?)?)
}

fn serve_verb(flags: &Flags, more: More) -> ExitCode {
    let settings = match settings::load(flags) {
        Ok(settings) => settings,
        Err(error) => return complain(&error, CANNOT_START),
    };
    log::start(&settings.log);
    let code = match serve_with(&settings, say, more) {
        Ok(()) => 0,
        Err(error) => {
            say_error(&error);
            error.exit_code()
        }
    };
    // Not by returning: a body that cannot be stopped must not hold the exit.
    process::exit(i32::from(code));
}

fn say(said: &Said) {
    match said {
        Said::Listening(_) => out(said),
        Said::TokenMade { .. } | Said::MayLoseWrites => err(format_args!("quell: {said}")),
        Said::Demo { .. } => err(said),
    }
}

/// Help and version are answers; everything else is one line and a 1.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone needs no help.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            err(Cli::command().render_help());
            complain(&"no verb was given: `quell serve` runs the server", CANNOT_START)
        }
        _ => complain(&one_line(&error.to_string()), CANNOT_START),
    }
}

/// The first paragraph of clap's message: what is wrong, without the usage below it.
fn one_line(text: &str) -> String {
    let what: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let what = what.join(" ");
    format!("{} (see `quell --help` and `quell serve --help`)", what.strip_prefix("error: ").unwrap_or(&what))
}

fn complain(what: &impl std::fmt::Display, code: u8) -> ExitCode {
    say_error(what);
    ExitCode::from(code)
}

fn say_error(what: &impl std::fmt::Display) {
    err(format_args!("quell: {what}"));
}

/// A closed pipe is no reason to fall over: these lines may be lost, the server goes on.
fn out(line: impl std::fmt::Display) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn err(line: impl std::fmt::Display) {
    log::tell(&line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from([&["quell"], arguments].concat()).unwrap_err();
        one_line(&error.to_string())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_flag_is_told_in_one_line_without_its_value() {
        let line = told(&["serve", "--api-tokens=alice=hush-hush-hush"]);
        assert!(line.contains("--api-tokens") && !line.contains("hush") && !line.contains('\n'), "{line}");
        let line = told(&["serve", "--bind"]);
        assert!(line.contains("--bind") && !line.contains('\n'), "{line}");
        assert!(told(&["serv"]).contains("serv"));
    }

    #[test]
    fn demo_is_a_switch_that_can_be_turned_off() {
        let flags = |arguments: &[&str]| match Cli::try_parse_from([&["quell", "serve"], arguments].concat())
        {
            Ok(Cli { verb: Verb::Serve(flags) }) => flags.demo,
            Ok(Cli { verb: Verb::Bench(_) | Verb::BenchPart(_) }) => Some("another verb".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        assert_eq!(flags(&["--demo"]), Some("true".to_owned()));
        assert_eq!(flags(&["--demo=false"]), Some("false".to_owned()));
        assert_eq!(flags(&[]), None);
    }
}
