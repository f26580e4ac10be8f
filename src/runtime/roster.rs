//! The roster: who runs here, who waits, whose tasks they are, and who may come in. Pure.
//!
//! The coordinator asks it and carries out what it says. Invariants: at most `running` tasks hold a place, from
//! their admission to their end, and of a model with places of its own no more than it has; at most `pending` wait; of
//! those who wait and have a place of their model the oldest comes first; nobody waits while there is a place for him;
//! one owner has at most `per_owner` rows that run or are pending, from the admission until the end is durable; nobody
//! comes in while the runtime drains.
//!
//! A task is counted for its owner once, by its id, and given back once: whoever tells of an end may tell it twice.

use std::collections::HashMap;
use std::sync::Arc;

use crate::task::{IdMap, IdSet, TaskId};

use super::lines::{Line, Lines};

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

/// Places, the lines of those who wait for them, and the owners' counts.
#[derive(Debug)]
pub(crate) struct Roster {
    bounds: Bounds,
    running: IdSet,
    lines: Lines,
    owners: Owners,
    draining: bool,
}

impl Roster {
    /// With the places of each model that has some, in the order of [`Line::of_model`].
    pub(crate) fn new(bounds: Bounds, places: &[usize]) -> Self {
        Self {
            bounds,
            running: IdSet::default(),
            lines: Lines::new(places),
            owners: Owners::default(),
            draining: false,
        }
    }

    /// Whether a new task of that owner and line may be started. Nothing is taken yet: [`Roster::count`] it, then
    /// [`Roster::seat`] it or let it [`Roster::come`].
    pub(crate) fn may_start(&self, owner: &str, line: Line) -> Result<Admission, Denial> {
        self.may_create(owner)?;
        self.may_resume(line)
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
    pub(crate) fn may_resume(&self, line: Line) -> Result<Admission, Denial> {
        let pending = self.lines.pending();
        if self.draining {
            Err(Denial::Draining)
        } else if self.running.len() < self.bounds.running && self.lines.is_open(line) {
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
    pub(crate) fn seat(&mut self, id: TaskId, line: Line) {
        if self.running.insert(id) {
            self.lines.seat(id, line);
        }
    }

    /// A row is on its way to that line: [`Roster::wait`] or [`Roster::turn_back`] follows.
    pub(crate) fn come(&mut self, line: Line) {
        self.lines.come(line);
    }

    /// The row of a task that came to that line is durable.
    pub(crate) fn wait(&mut self, id: TaskId, line: Line) {
        self.lines.came(line);
        self.lines.enter(id, line);
    }

    /// A task that came to that line does not wait there. Whether its row `exists` all the same: then it goes on
    /// counting for its owner.
    pub(crate) fn turn_back(&mut self, id: TaskId, line: Line, exists: bool) {
        self.lines.came(line);
        if !exists {
            self.owners.release(id);
        }
    }

    /// A task waited when an earlier process ended. Not bounded: the row exists already.
    pub(crate) fn find(&mut self, id: TaskId, line: Line) {
        self.lines.enter(id, line);
    }

    /// A task that took a place could not be begun: it goes back to its line. Not bounded either.
    pub(crate) fn wait_again(&mut self, id: TaskId) {
        if self.running.remove(&id) {
            let line = self.lines.unseat(id);
            self.lines.enter(id, line);
        }
    }

    /// A task gives its place back and stays pending, in no line.
    pub(crate) fn stand_aside(&mut self, id: TaskId) {
        if self.running.remove(&id) {
            self.lines.unseat(id);
        }
    }

    /// A pending task was cancelled.
    pub(crate) fn leave(&mut self, id: TaskId) {
        self.lines.leave(id);
        self.owners.release(id);
    }

    /// The end of a task is durable: it does not count for its owner any more. Its place is still taken.
    pub(crate) fn over(&mut self, id: TaskId) {
        self.owners.release(id);
    }

    /// A task that held a place is over, or its row was not made.
    pub(crate) fn ended(&mut self, id: TaskId) {
        self.stand_aside(id);
        self.owners.release(id);
    }

    /// The oldest waiting task that there is a place for: it is seated.
    pub(crate) fn next(&mut self) -> Option<TaskId> {
        if self.draining || self.running.len() >= self.bounds.running {
            return None;
        }
        let id = self.lines.next()?;
        self.running.insert(id);
        Some(id)
    }

    /// Whether the task holds a place or waits for one.
    pub(crate) fn knows(&self, id: TaskId) -> bool {
        self.running.contains(&id) || self.lines.waits(id)
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
