//! A small process that outlives this one by a moment: it kills the groups of the children when this process dies
//! without having done so.
//!
//! The death signal ends a child, but not what the child started. The keeper reads the numbers of the living groups
//! from a pipe whose other end only this process holds; when that pipe ends, it kills what is left and ends. It is a
//! help for the worst case only: nothing else depends on it, and one that is gone is started again with the next
//! child.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use super::shim::{KEEPER_MARK, is_keeper};
use super::spawn::ITSELF;

/// The server's side.
#[derive(Default)]
pub(super) struct Keeper(Mutex<State>);

#[derive(Default)]
struct State {
    groups: BTreeSet<i32>,
    process: Option<(Child, ChildStdin)>,
}

impl Keeper {
    /// A group lives from now on, until what is returned is dropped.
    pub(super) fn watch(self: &Arc<Self>, group: Pid) -> Watched {
        let group = group.as_raw_nonzero().get();
        let mut state = self.lock();
        state.groups.insert(group);
        if !state.tell(group) {
            state.start();
        }
        drop(state);
        Watched { keeper: Arc::clone(self), group }
    }

    /// Ends the process, and reaps it.
    pub(super) fn close(&self) {
        let process = self.lock().process.take();
        if let Some((process, pipe)) = process {
            drop(pipe);
            end(process);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No step can leave the state broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells the process a number, negative for a group that is gone; no where it does not take it.
    fn tell(&mut self, number: i32) -> bool {
        let Some((_, pipe)) = &self.process else { return false };
        // Whole or not at all: it is shorter than what a pipe takes at once.
        rustix::io::write(pipe, &number.to_le_bytes()).is_ok_and(|written| written == 4)
    }

    /// Starts the process, and tells it all groups.
    fn start(&mut self) {
        if let Some((process, pipe)) = self.process.take() {
            drop(pipe);
            end(process);
        }
        match spawn() {
            Ok(process) => self.process = Some(process),
            Err(error) => return tracing::warn!(%error, "the keeper of processes cannot be started"),
        }
        for group in self.groups.clone() {
            self.tell(group);
        }
    }
}

fn spawn() -> io::Result<(Child, ChildStdin)> {
    let mut process = Command::new(ITSELF)
        .arg0("quell-keeper")
        .arg(KEEPER_MARK)
        .env_clear()
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pipe = process.stdin.take().ok_or_else(|| io::Error::other("no pipe"))?;
    // A keeper that hangs must not hold up this process.
    rustix::io::ioctl_fionbio(&pipe, true)?;
    Ok((process, pipe))
}

fn end(mut process: Child) {
    // Errors: it has ended by itself. Killed, for it could hang; it has nothing to do any more.
    let _ = process.kill();
    let _ = process.wait();
}

/// A group that lives.
pub(super) struct Watched {
    keeper: Arc<Keeper>,
    group: i32,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = self.keeper.lock();
        state.groups.remove(&self.group);
        state.tell(-self.group);
    }
}

/// The keeper's side: the whole life of its process, where this is one.
pub(crate) fn keep_if_asked() {
    if !is_keeper() {
        return;
    }
    let (mut groups, mut number, mut pipe) = (BTreeSet::new(), [0; 4], io::stdin().lock());
    while pipe.read_exact(&mut number).is_ok() {
        match i32::from_le_bytes(number) {
            gone if gone < 0 => groups.remove(&-gone),
            group => groups.insert(group),
        };
    }
    for group in groups.into_iter().filter_map(Pid::from_raw) {
        // Err: nobody is left in it.
        let _ = kill_process_group(group, Signal::KILL);
    }
    std::process::exit(0);
}
