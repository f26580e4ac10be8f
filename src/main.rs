//! The `quell` program: everything is in [`quell::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    quell::cli::main()
}
