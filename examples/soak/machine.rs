//! What the kernel tells of this process.

use std::fmt;
use std::fs;
use std::io;

/// Threads that come with work and leave after it: the names of the kernel are cut after 15 bytes.
const FOR_SOME_TIME: [&str; 3] = ["quell-blocking-", "quell-hook-", "tokio-rt-worker"];

/// Counts of one moment.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) threads: i64,
    pub(crate) threads_for_some_time_only: i64,
    pub(crate) descriptors: i64,
    pub(crate) children: i64,
    pub(crate) memory_kib: i64,
}

impl Reading {
    pub(crate) fn now() -> io::Result<Self> {
        let (mut threads, mut passing, mut children) = (0, 0, 0);
        for thread in fs::read_dir("/proc/self/task")? {
            let thread = thread?.path();
            // One that has just ended has no files any more.
            let Ok(name) = fs::read_to_string(thread.join("comm")) else { continue };
            threads += 1;
            passing += i64::from(FOR_SOME_TIME.iter().any(|begin| name.starts_with(begin)));
            let of_it = fs::read_to_string(thread.join("children")).unwrap_or_default();
            children += i64::try_from(of_it.split_whitespace().count()).unwrap_or(i64::MAX);
        }
        let descriptors = i64::try_from(fs::read_dir("/proc/self/fd")?.count()).unwrap_or(i64::MAX);
        Ok(Self {
            threads,
            threads_for_some_time_only: passing,
            descriptors,
            children,
            memory_kib: memory()?,
        })
    }
}

/// Resident memory.
fn memory() -> io::Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.ok_or_else(|| io::Error::other("the kernel tells no VmRSS"))
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} threads, {} file descriptors, {} child processes, {:.1} MiB",
            self.threads,
            self.descriptors,
            self.children,
            f64::from(i32::try_from(self.memory_kib).unwrap_or(i32::MAX)) / 1024.0
        )
    }
}
