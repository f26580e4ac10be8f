//! The roster: who runs here, who waits, whose tasks they are, and who may come in. Pure.
//!
//! The coordinator asks it and carries out what it says. Invariants: at most `running` tasks hold a place, from
//! their admission to their end; at most `pending` wait; the oldest waiting task comes first; one owner has at most
//! `per_owner` rows that run or are pending, from the admission until the end is durable; nobody comes in while the
//! runtime drains.
//!
//! A task is counted for its owner once, by its id, and given back once: whoever tells of an end may tell it twice.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::task::{IdMap, IdSet, TaskId};

/// How many may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Tasks that run at once.
    pub(crate) running: usize,
    /// Tasks that may wait for a place.
    pub(crate) pending: usize,
    /// Tasks of one owner that run or are pending; none is no limit, and owners are not counted at all.
    pub(crate) per_owner: Option<usize>,
}

/// What to do with a task that is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// There is a place: write the row as running.
    Run,
    /// Write the row as pending, then [`Roster::wait`].
    Wait,
}

/// Why a task may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// So many wait already.
    TooManyPending(usize),
    /// Its owner has so many already.
    TooManyOfOwner(usize),
    /// The runtime goes down.
    Draining,
}

/// Places, the queue for them, and the owners' counts.
#[derive(Debug)]
pub(crate) struct Roster {
    bounds: Bounds,
    running: IdSet,
    /// Durable and waiting, oldest first.
    waiting: BTreeSet<TaskId>,
    /// Rows on their way to `waiting`.
    coming: usize,
    owners: Owners,
    draining: bool,
}

impl Roster {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            running: IdSet::default(),
            waiting: BTreeSet::new(),
            coming: 0,
            owners: Owners::default(),
            draining: false,
        }
    }

    /// Whether a new task of that owner may be started. Nothing is taken yet: [`Roster::count`] it, then
    /// [`Roster::seat`] it or let it [`Roster::come`].
    pub(crate) fn may_start(&self, owner: &str) -> Result<Admission, Denial> {
        self.may_create(owner)?;
        self.may_resume()
    }

    /// Whether that owner may have one more row that nobody has started.
    pub(crate) fn may_create(&self, owner: &str) -> Result<(), Denial> {
        if self.draining {
            return Err(Denial::Draining);
        }
        let count = self.owners.count_of(owner);
        match self.bounds.per_owner {
            Some(most) if count >= most => Err(Denial::TooManyOfOwner(count)),
            _ => Ok(()),
        }
    }

    /// Whether a row that exists, and is counted for its owner, may be started.
    pub(crate) fn may_resume(&self) -> Result<Admission, Denial> {
        let pending = self.waiting.len() + self.coming;
        if self.draining {
            Err(Denial::Draining)
        } else if pending == 0 && self.running.len() < self.bounds.running {
            Ok(Admission::Run)
        } else if pending < self.bounds.pending {
            Ok(Admission::Wait)
        } else {
            Err(Denial::TooManyPending(pending))
        }
    }

    /// The task counts for its owner from now on. Not bounded: of an earlier process the rows exist already.
    pub(crate) fn count(&mut self, id: TaskId, owner: &Arc<str>) {
        if self.bounds.per_owner.is_some() {
            self.owners.take(id, owner);
        }
    }

    /// The task takes a place.
    pub(crate) fn seat(&mut self, id: TaskId) {
        self.running.insert(id);
    }

    /// A row is on its way to the queue: [`Roster::wait`] or [`Roster::turn_back`] follows.
    pub(crate) fn come(&mut self) {
        self.coming += 1;
    }

    /// The row of a task that came to the queue is durable.
    pub(crate) fn wait(&mut self, id: TaskId) {
        self.coming = self.coming.saturating_sub(1);
        self.waiting.insert(id);
    }

    /// A task that came to the queue does not wait there. Whether its row `exists` all the same: then it goes on
    /// counting for its owner.
    pub(crate) fn turn_back(&mut self, id: TaskId, exists: bool) {
        self.coming = self.coming.saturating_sub(1);
        if !exists {
            self.owners.release(id);
        }
    }

    /// Puts a task into the queue that waited before: after a restart of the server, or because it could not be
    /// begun. Not bounded: the rows exist already.
    pub(crate) fn wait_again(&mut self, id: TaskId) {
        self.running.remove(&id);
        self.waiting.insert(id);
    }

    /// A task gives its place back and stays pending, outside the queue.
    pub(crate) fn stand_aside(&mut self, id: TaskId) {
        self.running.remove(&id);
    }

    /// A pending task was cancelled.
    pub(crate) fn leave(&mut self, id: TaskId) {
        self.waiting.remove(&id);
        self.owners.release(id);
    }

    /// The end of a task is durable: it does not count for its owner any more. Its place is still taken.
    pub(crate) fn over(&mut self, id: TaskId) {
        self.owners.release(id);
    }

    /// A task that held a place is over, or its row was not made.
    pub(crate) fn ended(&mut self, id: TaskId) {
        self.running.remove(&id);
        self.owners.release(id);
    }

    /// The oldest waiting task, if there is a place for it: it is seated.
    pub(crate) fn next(&mut self) -> Option<TaskId> {
        if self.draining || self.running.len() >= self.bounds.running {
            return None;
        }
        let id = self.waiting.pop_first()?;
        self.running.insert(id);
        Some(id)
    }

    /// Whether the task holds a place or waits for one.
    pub(crate) fn knows(&self, id: TaskId) -> bool {
        self.running.contains(&id) || self.waiting.contains(&id)
    }

    /// Nobody comes in any more.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }
}

/// How many rows of each owner run or are pending.
#[derive(Debug, Default)]
struct Owners {
    counts: HashMap<Arc<str>, usize>,
    /// Whose each of them is. The names are those of `counts`, so that a long queue of one owner keeps one.
    of: IdMap<Arc<str>>,
}

impl Owners {
    fn count_of(&self, owner: &str) -> usize {
        self.counts.get(owner).copied().unwrap_or(0)
    }

    fn take(&mut self, id: TaskId, owner: &Arc<str>) {
        let name =
            self.counts.get_key_value(owner).map_or_else(|| Arc::clone(owner), |(name, _)| Arc::clone(name));
        if self.of.insert(id, Arc::clone(&name)).is_none() {
            *self.counts.entry(name).or_insert(0) += 1;
        }
    }

    fn release(&mut self, id: TaskId) {
        let Some(owner) = self.of.remove(&id) else { return };
        let Some(count) = self.counts.get_mut(&owner) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&owner);
        }
    }
}
