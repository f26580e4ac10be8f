//! The start of a server over what an earlier process left: finished rows, and rows of tasks that ran when it died.
//!
//! The rows are made with the store alone, once; every round has a copy, because a start settles them. Half of those
//! that ran are of a model that is to run again.
//!
//! Beside it: a start on an empty database, and the ends of as many rows by a plain writer. No server can be faster.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::runtime::Task;
use crate::store::Write;

use super::child::Server;
use super::folder::Folder;
use super::library::{Idle, Noop};
use super::models::Again;
use super::plain::{GROUP, Plain};
use super::rows::Rows;
use super::sample::median;
use super::{Bar, BenchError, Options, Recovered};

/// What is asked, in seconds.
const MOST: f64 = 1.0;

/// What stands beside the file of a database.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

pub(super) fn measure(
    options: &Options,
    finished: u32,
    running: u32,
    rounds: u32,
) -> Result<Recovered, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let left = folder.file("left.db");
    leave(options, &left, finished, running)?;
    let (mut times, mut limits) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (ours, plain) = (folder.file(&format!("{round}.db")), folder.file(&format!("{round}-plain.db")));
        copy(&left, &ours)?;
        times.push(Server::quell(options, folder.path(), &ours)?.ready_after.as_secs_f64());
        remove(&ours);
        copy(&left, &plain)?;
        let empty = Server::quell(options, folder.path(), &folder.file(&format!("{round}-empty.db")))?;
        let settled = settle(options, &plain, finished, running)?;
        limits.push(empty.ready_after.as_secs_f64() + settled);
        remove(&plain);
    }
    let seconds = median(&times);
    let bar = Some(Bar::new(format!("≤ {MOST:.0} s"), seconds <= MOST));
    Ok(Recovered { finished, running, seconds, limit_seconds: median(&limits), bar, times, limits })
}

/// Makes the rows: finished ones first, as they are older.
fn leave(options: &Options, path: &Path, finished: u32, running: u32) -> Result<(), BenchError> {
    let mut plain = Plain::open(path, options.synchronous, Noop::MODEL)?;
    let ids = plain.begin_many(finished)?;
    let ends: Result<Vec<Write>, _> = ids.into_iter().map(Rows::complete).collect();
    ends?.chunks(GROUP).try_for_each(|group| plain.commit(group))?;
    for (model, count) in [(Idle::MODEL, running / 2), (Again::MODEL, running - running / 2)] {
        plain.rows.are_of(model)?;
        plain.begin_many(count)?;
    }
    Ok(())
}

/// Ends the rows that run, in groups; they are the last ones.
fn settle(options: &Options, path: &Path, finished: u32, running: u32) -> Result<f64, BenchError> {
    let mut plain = Plain::open(path, options.synchronous, Noop::MODEL)?;
    let ends: Result<Vec<Write>, _> = Rows::ids(finished, running).into_iter().map(Rows::complete).collect();
    let ends = ends?;
    let began = Instant::now();
    ends.chunks(GROUP).try_for_each(|group| plain.commit(group))?;
    Ok(began.elapsed().as_secs_f64())
}

fn copy(from: &Path, to: &Path) -> Result<(), BenchError> {
    for end in FILES {
        let (from, to) = (beside(from, end), beside(to, end));
        match fs::copy(&from, &to) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(BenchError::Folder { path: from, source });
            }
            _ => {}
        }
    }
    Ok(())
}

fn remove(path: &Path) {
    for end in FILES {
        // What stays goes with the folder.
        let _ = fs::remove_file(beside(path, end));
    }
}

fn beside(path: &Path, end: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
