//! The real server as a child: its start, its memory, its end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Failed;
use crate::wire::TOKENS;

/// A server that listens. It is killed by its own id when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Server {
    /// The program beside this one, with the demo and a fresh database.
    pub(crate) fn start() -> Result<Self, Failed> {
        let program: PathBuf = std::env::current_exe()?.parent().ok_or("no folder")?.join("../quell");
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(&program)
            .args(["serve", "--demo", "--bind", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env_clear()
            .env("QUELL_API_TOKENS", TOKENS)
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address =
            line.trim().strip_prefix("listening on http://").ok_or("it does not listen")?.parse()?;
        Ok(Self { child, address, _folder: folder })
    }

    /// Resident memory in KiB.
    pub(crate) fn memory_kib(&self) -> Result<u64, Failed> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(kib.ok_or("the kernel tells no VmRSS")?)
    }

    pub(crate) fn terminate(&self) -> Result<(), Failed> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("a process id")?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    /// Waits for its end; its exit code.
    pub(crate) async fn ended(&mut self, within: Duration) -> Result<Option<i32>, Failed> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if Instant::now() > until {
                return Err(format!("the server has not ended after {within:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
