//! The `quell` program: everything is in [`quell::cli`].

use std::process::ExitCode;

/// Chosen for this program only: a host that embeds the library keeps its own. `ARCHITECTURE.md` has the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quell::cli::main()
}
