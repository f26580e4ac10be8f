//! What the disk takes for the least that can be durable: 4 KiB written over and synced, again and again.
//!
//! The file is made before the clock starts, as a database's log is after its first round.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::sample::quantiles;
use super::{BenchError, Disk, Options};

const PAGE: usize = 4096;
const PAGES: u64 = 256;

pub(super) fn measure(options: &Options, syncs: u32) -> Result<Disk, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let path = folder.file("plain");
    let times = write_and_sync(&path, syncs).map_err(|source| BenchError::Folder { path, source })?;
    Ok(Disk { syncs, micros: quantiles(times) })
}

fn write_and_sync(path: &Path, syncs: u32) -> io::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    let page = [0x71_u8; PAGE];
    for _ in 0..PAGES {
        file.write_all(&page)?;
    }
    file.sync_all()?;
    let mut times = Vec::new();
    for sync in 0..u64::from(syncs) {
        let began = Instant::now();
        file.write_all_at(&page, sync % PAGES * 4096)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(times)
}
