//! The roster: who runs here, who waits, and who may come in. Pure.
//!
//! The coordinator asks it and carries out what it says. Invariants: at most `max_running` tasks hold a place,
//! from their admission to their end; at most `max_pending` wait; the oldest waiting task comes first; nobody
//! comes in while the runtime drains.

use std::collections::{BTreeSet, HashSet};

use crate::task::TaskId;

/// What to do with a task that is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// There is a place, and it is taken: write the row as running.
    Run,
    /// Write the row as pending, then [`Roster::wait`].
    Wait,
    /// So many wait already.
    TooManyPending(usize),
    /// The runtime goes down.
    Draining,
}

/// Places and the queue for them.
#[derive(Debug)]
pub(crate) struct Roster {
    max_running: usize,
    max_pending: usize,
    running: HashSet<TaskId>,
    /// Durable and waiting, oldest first.
    waiting: BTreeSet<TaskId>,
    /// Rows on their way to `waiting`.
    coming: usize,
    /// Places taken by tasks that have no id yet.
    reserved: usize,
    draining: bool,
}

impl Roster {
    pub(crate) fn new(max_running: usize, max_pending: usize) -> Self {
        Self {
            max_running,
            max_pending,
            running: HashSet::new(),
            waiting: BTreeSet::new(),
            coming: 0,
            reserved: 0,
            draining: false,
        }
    }

    /// A task is to be started: takes a place, or a place in the queue.
    pub(crate) fn admit(&mut self) -> Admission {
        let pending = self.waiting.len() + self.coming;
        if self.draining {
            Admission::Draining
        } else if pending == 0 && self.running.len() + self.reserved < self.max_running {
            self.reserved += 1;
            Admission::Run
        } else if pending < self.max_pending {
            self.coming += 1;
            Admission::Wait
        } else {
            Admission::TooManyPending(pending)
        }
    }

    /// The task that took a place has this id.
    pub(crate) fn seat(&mut self, id: TaskId) {
        self.reserved = self.reserved.saturating_sub(1);
        self.running.insert(id);
    }

    /// The row of a task that came to the queue is durable (or, with none, was not made).
    pub(crate) fn wait(&mut self, id: Option<TaskId>) {
        self.coming = self.coming.saturating_sub(1);
        if let Some(id) = id {
            self.waiting.insert(id);
        }
    }

    /// Puts a task into the queue that waited before: after a restart of the server, or because it could not be
    /// begun. Not bounded: the rows exist already.
    pub(crate) fn wait_again(&mut self, id: TaskId) {
        self.running.remove(&id);
        self.waiting.insert(id);
    }

    /// A waiting task was cancelled.
    pub(crate) fn leave(&mut self, id: TaskId) {
        self.waiting.remove(&id);
    }

    /// A task that held a place is over.
    pub(crate) fn ended(&mut self, id: TaskId) {
        self.running.remove(&id);
    }

    /// The oldest waiting task, if there is a place for it: it is seated.
    pub(crate) fn next(&mut self) -> Option<TaskId> {
        if self.draining || self.running.len() + self.reserved >= self.max_running {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: i64) -> TaskId {
        TaskId::new(number).unwrap()
    }

    #[test]
    fn a_task_waits_where_there_is_no_place_and_the_oldest_comes_first() {
        let mut roster = Roster::new(1, 2);
        assert_eq!(roster.admit(), Admission::Run);
        roster.seat(id(1));
        assert_eq!(roster.admit(), Admission::Wait);
        assert_eq!(roster.admit(), Admission::Wait);
        assert_eq!(roster.admit(), Admission::TooManyPending(2));
        roster.wait(Some(id(3)));
        roster.wait(Some(id(2)));
        assert_eq!(roster.next(), None);
        roster.ended(id(1));
        assert_eq!(roster.next(), Some(id(2)));
        assert_eq!(roster.next(), None);
        roster.ended(id(2));
        assert_eq!(roster.next(), Some(id(3)));
    }

    #[test]
    fn a_newcomer_does_not_pass_those_who_wait() {
        let mut roster = Roster::new(1, 5);
        assert_eq!(roster.admit(), Admission::Run);
        roster.seat(id(1));
        assert_eq!(roster.admit(), Admission::Wait);
        roster.wait(Some(id(2)));
        roster.ended(id(1));
        assert_eq!(roster.admit(), Admission::Wait, "task 2 is first");
    }

    #[test]
    fn a_place_is_held_from_the_admission_on() {
        let mut roster = Roster::new(2, 0);
        assert_eq!(roster.admit(), Admission::Run);
        assert_eq!(roster.admit(), Admission::Run);
        assert_eq!(roster.admit(), Admission::TooManyPending(0));
        roster.seat(id(1));
        assert_eq!(roster.admit(), Admission::TooManyPending(0));
        roster.ended(id(1));
        assert_eq!(roster.admit(), Admission::Run);
    }

    #[test]
    fn a_row_that_was_not_made_frees_its_place_in_the_queue() {
        let mut roster = Roster::new(0, 1);
        assert_eq!(roster.admit(), Admission::Wait);
        assert_eq!(roster.admit(), Admission::TooManyPending(1));
        roster.wait(None);
        assert_eq!(roster.admit(), Admission::Wait);
    }

    #[test]
    fn nobody_comes_in_while_draining() {
        let mut roster = Roster::new(1, 1);
        roster.wait_again(id(5));
        roster.drain();
        assert_eq!(roster.admit(), Admission::Draining);
        assert_eq!(roster.next(), None);
        assert!(roster.knows(id(5)));
    }

    #[test]
    fn a_cancelled_one_leaves_the_queue() {
        let mut roster = Roster::new(1, 1);
        roster.wait_again(id(5));
        roster.leave(id(5));
        assert_eq!(roster.next(), None);
        assert!(!roster.knows(id(5)));
    }
}
