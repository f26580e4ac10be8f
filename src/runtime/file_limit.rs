//! The limit on the size of files: a write past it must fail, not end the process.
//!
//! It changes one thing of the process and nothing else: what happens at SIGXFSZ.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// SIGXFSZ on Linux.
const FILE_TOO_LARGE: i32 = 25;

/// Lets this process live on where a file grows past a limit (`ulimit -f`, `RLIMIT_FSIZE`): the write then fails, and
/// the runtime treats it like a full disk. By default the system ends the process with SIGXFSZ.
///
/// It is a setting of the whole process, so an embedding application decides: call it once, before
/// [`Runtime::start`](crate::Runtime::start). The `quell` binary does. Child processes get the system's default back.
///
/// # Errors
/// What the system says where it takes no handler; called outside an async runtime with I/O, it panics as
/// [`tokio::signal::unix::signal`] does.
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> std::io::Result<()> {
/// quell::survive_file_limits()?;
/// # Ok(())
/// # }
/// ```
pub fn survive_file_limits() -> io::Result<()> {
    // The handler stays for the life of the process; nobody needs to be told.
    signal(SignalKind::from_raw(FILE_TOO_LARGE)).map(drop)
}
