//! A test of this binary, run again in a process of its own, so that the process can be killed.
//!
//! The helper is a test like any other: without the variable it does nothing, so it needs no `#[ignore]`. With
//! `--exact` the child runs that one test and no other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::stage::LONG;

const FOLDER: &str = "QUELL_TEST_FOLDER";

/// The folder of the parent, where this process is a child that runs a helper.
#[expect(clippy::disallowed_methods, reason = "the way from one test process to another")]
pub(crate) fn is_child_of() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// A process that is killed at the latest when this is dropped.
pub(crate) struct Child(std::process::Child);

impl Child {
    /// Runs the helper in a process of its own, until it says that it is ready.
    pub(crate) fn start(helper: &str, folder: &Path) -> Self {
        let ready = folder.join("ready");
        let _ = std::fs::remove_file(&ready);
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", helper, "--test-threads", "1"])
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut child = Self(process);
        let until = Instant::now() + LONG;
        while !ready.exists() {
            assert!(child.0.try_wait().unwrap().is_none(), "the helper {helper} ended");
            assert!(Instant::now() < until, "the helper {helper} is not ready");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        child
    }

    /// For the helper: says that it is ready, and stays until it is killed.
    pub(crate) async fn ready(folder: &Path) {
        std::fs::write(folder.join("ready"), "").unwrap();
        tokio::time::sleep(LONG * 2).await;
    }

    /// Kills it, as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
