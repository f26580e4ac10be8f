//! A folder of one scenario: made new, removed when it is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::BenchError;

static MADE: AtomicU32 = AtomicU32::new(0);

/// The folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes `quell-bench-{process}-{number}` inside `dir`.
    pub(super) fn new(dir: &Path) -> Result<Self, BenchError> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("quell-bench-{}-{number}", std::process::id()));
        match fs::create_dir(&path) {
            // Absolute: a server that is started inside of it gets paths of it.
            Ok(()) => Ok(Self(fs::canonicalize(&path).unwrap_or(path))),
            Err(source) => Err(BenchError::Folder { path, source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind has a name that says what it was.
        let _ = fs::remove_dir_all(&self.0);
    }
}
