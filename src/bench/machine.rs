//! Where a figure comes from: a figure without its machine says nothing.
//!
//! Read from `/proc`; what is not told there is `unknown`.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::task::Timestamp;

/// The machine and its system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's name and version.
    pub kernel: String,
    /// The file system of the folder that was measured in.
    pub file_system: String,
}

impl Machine {
    pub(super) fn here(dir: &Path) -> Self {
        let kernel = first_line("/proc/sys/kernel/osrelease").unwrap_or_else(unknown);
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_mib: field("/proc/meminfo", "MemTotal").as_deref().and_then(kib).unwrap_or(0) / 1024,
            kernel: format!("{} {kernel}", std::env::consts::OS),
            file_system: file_system(dir).unwrap_or_else(unknown),
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn first_line(file: &str) -> Option<String> {
    fs::read_to_string(file).ok()?.lines().next().map(str::to_owned)
}

/// The text behind `name:` in a file of such lines.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

fn kib(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse().ok()
}

/// The kind of the mount that a folder lies on: the one with the longest path that holds it.
fn file_system(dir: &Path) -> Option<String> {
    let dir = fs::canonicalize(dir).ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let found = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        dir.starts_with(point).then(|| (point.len(), kind.to_owned()))
    });
    found.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

/// Bytes of memory that belong to this process alone: its heap and stacks, not its program or mapped files.
pub(super) fn own_bytes() -> Option<u64> {
    // Not `statm`: its counters are kept for each processor and lag behind by up to a megabyte.
    field("/proc/self/smaps_rollup", "Anonymous").as_deref().and_then(kib).map(|kib| kib * 1024)
}

/// The date of a report, and of rows that nobody reads.
#[expect(clippy::disallowed_methods, reason = "no decision hangs on it: the runtime's clock decides")]
pub(super) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_tells_of_itself() {
        let machine = Machine::here(Path::new("."));
        assert!(machine.cores > 0 && machine.memory_mib > 0, "{machine:?}");
        assert_ne!(machine.file_system, "unknown");
        assert!(own_bytes().is_some_and(|bytes| bytes > 0));
    }
}
