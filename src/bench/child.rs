//! A server as users have it: a process of its own, started from the same program.
//!
//! Two processes and not one: a server that shares its process with its load shares its allocator, its timers and its
//! start with it, and its own time on the processor could not be told from the client's.
//!
//! Invariant: it is killed by its own handle when this is dropped; and where this process dies, it ends by itself,
//! because its standard input ends.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use super::client::TOKEN;
use super::{BenchError, Options};

/// The hidden verb of the program that runs one of the two kinds of server.
pub(crate) const VERB: &str = "bench-part";

/// The longest that a server may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(120);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    /// From before its process existed until its ready line was read.
    pub(super) ready_after: Duration,
}

impl Server {
    /// Starts ours on a database, with the task types of the measurements, as `quell serve` runs with its defaults:
    /// tokens, the audit log at level `info` into a file; only the limits on the number of tasks are out of the way.
    pub(super) fn quell(options: &Options, folder: &Path, database: &Path) -> Result<Self, BenchError> {
        let mut command = part(options, folder, "server")?;
        command.arg(format!("--database-url=sqlite://{}", database.display())).args([
            "--bind=127.0.0.1:0",
            "--max-running=1000000",
            "--max-running-per-owner=1000000",
        ]);
        let synchronous = match options.synchronous {
            crate::store::Synchronous::Full => "full",
            crate::store::Synchronous::Normal => "normal",
        };
        command.arg(format!("--synchronous={synchronous}"));
        Self::start(command)
    }

    /// Starts a bare actix-web server whose answers have so many bytes of body.
    pub(super) fn bare(options: &Options, folder: &Path, answer: usize) -> Result<Self, BenchError> {
        let mut command = part(options, folder, "bare")?;
        command.arg(format!("--answer-bytes={answer}"));
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self, BenchError> {
        let began = Instant::now();
        let mut child = command.spawn()?;
        let Some(out) = child.stdout.take() else {
            return Err(BenchError::Unexpected("a server has no output".to_owned()));
        };
        let (told, lines) = sync_channel(1);
        let reader = move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // Err: it was the second line, or nobody waits any more.
                let _ = told.try_send((line, Instant::now()));
            }
        };
        thread::Builder::new().name("quell-bench-out".to_owned()).spawn(reader)?;
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into(), ready_after: Duration::ZERO };
        let Ok((line, at)) = lines.recv_timeout(LISTENS_WITHIN) else {
            return Err(BenchError::Unexpected(
                "a server did not start: it never said `listening`".to_owned(),
            ));
        };
        let address = line.rsplit("//").next().and_then(|address| address.parse().ok());
        server.address = address
            .ok_or_else(|| BenchError::Unexpected(format!("a server said `{line}` and no address")))?;
        server.ready_after = at.saturating_duration_since(began);
        Ok(server)
    }

    /// Time on the processor of all its threads that live.
    pub(super) fn cpu(&self) -> Duration {
        cpu(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its folder is removed next: nothing of it is needed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with the hidden verb, in a folder without settings, without this process's own.
fn part(options: &Options, folder: &Path, kind: &str) -> Result<Command, BenchError> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => PathBuf::from("/proc/self/exe"),
    };
    let log = folder.join(format!("{kind}.log"));
    let log = File::create(&log).map_err(|source| BenchError::Folder { path: log, source })?;
    let mut command = Command::new(program);
    command
        .args([VERB, kind])
        .current_dir(folder)
        .env_clear()
        .env("QUELL_API_TOKENS", format!("bench={TOKEN}"))
        // Held open by us, and read by it to its end.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log);
    Ok(command)
}

/// Time on the processor of this process's threads.
pub(super) fn own_cpu() -> Duration {
    cpu("self")
}

/// Nanoseconds from `schedstat` of each thread; `stat` would tell hundredths of a second.
fn cpu(process: &str) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().filter_map(Result::ok);
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_tells_what_it_took_of_the_processor() {
        let before = own_cpu();
        assert!(before > Duration::ZERO);
        while own_cpu() == before {
            std::hint::spin_loop();
        }
    }
}
