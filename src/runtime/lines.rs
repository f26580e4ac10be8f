//! The lines of tasks that wait for a place: one for each model that has places of its own, one for all others. Pure.
//!
//! Invariants: of a model with places no more tasks hold one than it has; within a line the oldest comes first; a line
//! whose model has no place free holds up no other. Each step costs O(log n), however many wait in whichever line.
//!
//! How many run over all models is the roster's business.

use std::collections::BTreeSet;

use crate::task::{IdMap, TaskId};

/// Which line the tasks of a model wait in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line(usize);

impl Line {
    /// That of all models without places of their own.
    pub(crate) const COMMON: Self = Self(0);

    /// That of the model whose places are the so-and-so-many-th, counted from 0.
    pub(crate) const fn of_model(number: usize) -> Self {
        Self(number + 1)
    }
}

/// One line.
#[derive(Debug, Default)]
struct Queue {
    /// Of its model; none is as many as there are of all.
    places: Option<usize>,
    /// Places that are taken.
    taken: usize,
    /// Durable and waiting.
    waiting: BTreeSet<TaskId>,
    /// Rows on their way to `waiting`.
    coming: usize,
}

impl Queue {
    fn has_place(&self) -> bool {
        self.places.is_none_or(|places| self.taken < places)
    }
}

/// All lines.
#[derive(Debug)]
pub(crate) struct Lines {
    queues: Vec<Queue>,
    /// Where the tasks of models with places wait, or whose place they hold; those of other models are not kept here.
    of: IdMap<Line>,
    /// The first of each line that has a place free.
    firsts: BTreeSet<(TaskId, Line)>,
    /// Rows on their way to lines that have a place free.
    coming_to_places: usize,
    /// All who wait or come.
    pending: usize,
}

impl Lines {
    /// With the places of each model that has some, in the order of [`Line::of_model`].
    pub(crate) fn new(places: &[usize]) -> Self {
        let of_models = places.iter().map(|places| Queue { places: Some(*places), ..Queue::default() });
        Self {
            queues: std::iter::once(Queue::default()).chain(of_models).collect(),
            of: IdMap::default(),
            firsts: BTreeSet::new(),
            coming_to_places: 0,
            pending: 0,
        }
    }

    /// How many wait or come, over all lines.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Whether a newcomer to that line has a place of his model, and passes nobody who waits or comes and has one too.
    pub(crate) fn is_open(&self, line: Line) -> bool {
        self.firsts.is_empty()
            && self.coming_to_places == 0
            && self.queues.get(line.0).is_some_and(Queue::has_place)
    }

    /// The task takes a place of its model.
    pub(crate) fn seat(&mut self, id: TaskId, line: Line) {
        self.remember(id, line);
        self.change(line, |queue| queue.taken += 1);
    }

    /// A task that held a place gives it back. Its line is the answer.
    pub(crate) fn unseat(&mut self, id: TaskId) -> Line {
        let line = self.of.remove(&id).unwrap_or(Line::COMMON);
        self.change(line, |queue| queue.taken = queue.taken.saturating_sub(1));
        line
    }

    /// A row is on its way to that line.
    pub(crate) fn come(&mut self, line: Line) {
        self.change(line, |queue| queue.coming += 1);
    }

    /// One that was on its way has arrived, or turned back.
    pub(crate) fn came(&mut self, line: Line) {
        self.change(line, |queue| queue.coming = queue.coming.saturating_sub(1));
    }

    /// The task waits.
    pub(crate) fn enter(&mut self, id: TaskId, line: Line) {
        self.remember(id, line);
        self.change(line, |queue| {
            queue.waiting.insert(id);
        });
    }

    /// The task waits no longer. One that does not wait stays what it is: it may hold a place.
    pub(crate) fn leave(&mut self, id: TaskId) {
        if self.waits(id) {
            let line = self.of.remove(&id).unwrap_or(Line::COMMON);
            self.change(line, |queue| {
                queue.waiting.remove(&id);
            });
        }
    }

    /// The oldest of those who wait and have a place of their model: it takes that.
    pub(crate) fn next(&mut self) -> Option<TaskId> {
        let (id, line) = *self.firsts.first()?;
        self.change(line, |queue| {
            queue.waiting.remove(&id);
            queue.taken += 1;
        });
        Some(id)
    }

    /// Whether the task waits.
    pub(crate) fn waits(&self, id: TaskId) -> bool {
        let line = self.of.get(&id).copied().unwrap_or(Line::COMMON);
        self.queues.get(line.0).is_some_and(|queue| queue.waiting.contains(&id))
    }

    fn remember(&mut self, id: TaskId, line: Line) {
        if line != Line::COMMON {
            self.of.insert(id, line);
        }
    }

    /// Changes one line, and what is kept about all of them with it.
    fn change(&mut self, line: Line, change: impl FnOnce(&mut Queue)) {
        let Some(queue) = self.queues.get_mut(line.0) else { return };
        self.pending -= queue.waiting.len() + queue.coming;
        if queue.has_place() {
            self.coming_to_places -= queue.coming;
            if let Some(first) = queue.waiting.first() {
                self.firsts.remove(&(*first, line));
            }
        }
        change(queue);
        self.pending += queue.waiting.len() + queue.coming;
        if queue.has_place() {
            self.coming_to_places += queue.coming;
            if let Some(first) = queue.waiting.first() {
                self.firsts.insert((*first, line));
            }
        }
    }
}
