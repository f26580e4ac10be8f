//! One queue for all timers of tasks, on a thread of its own.
//!
//! Each entry is an instant, a task and which of its timers it is; who set one removes it with the same
//! three. Expired ones go to the coordinator in batches. A timer costs no CPU while it waits.
//!
//! Invariants: an entry fires once, never early; the thread sleeps until the next entry or for ever. One that is alone
//! fires at its instant; where they are many, those of a moment share a batch. The thread is woken only for an entry
//! that is due before it would look anyway: a cancel sets a timer and removes it a moment later, and needs no thread for
//! that. While somebody holds [`Quiet`] it is not woken even so, but when that is over.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::task::TaskId;

/// Which of a task's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    /// Its total run time.
    Deadline,
    /// A rung of its ladder.
    Ladder,
    /// The look at its signs of life.
    Idle,
}

/// The least time between two batches.
const APART: Duration = Duration::from_micros(500);

type Entry = (Instant, TaskId, Slot);

/// When the thread looks at the queue next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It is awake, and does so before it sleeps.
    Soon,
    /// At this instant.
    At(Instant),
    /// When it is woken.
    Woken,
}

struct State {
    queue: BTreeSet<Entry>,
    look: Look,
    /// How many hold [`Quiet`].
    quiet: u32,
    closed: bool,
}

impl State {
    /// Whether an entry at this instant is due before the thread looks.
    fn is_late(&self, at: Instant) -> bool {
        match self.look {
            Look::Soon => false,
            Look::At(look) => at < look,
            Look::Woken => true,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self { queue: BTreeSet::new(), look: Look::Soon, quiet: 0, closed: false }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while the lock is held, and the queue is whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Deadlines(Arc<Shared>);

impl Deadlines {
    /// Starts the thread; `expired` gets each batch.
    pub(crate) fn run(
        &self,
        expired: impl Fn(Vec<(TaskId, Slot, Instant)>) + Send + 'static,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(&self.0);
        let work = move || {
            let mut last = None;
            while let Some(batch) = next_batch(&shared, last) {
                last = Some(Instant::now());
                expired(batch);
            }
        };
        std::thread::Builder::new().name("quell-deadlines".to_owned()).spawn(work).map(drop)
    }

    /// Adds a timer.
    pub(crate) fn set(&self, at: Instant, id: TaskId, slot: Slot) {
        let mut state = self.0.lock();
        state.queue.insert((at, id, slot));
        if state.quiet == 0 && state.is_late(at) {
            self.wake(state);
        }
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        // Once: whoever sets the next one finds it awake.
        state.look = Look::Soon;
        drop(state);
        self.0.changed.notify_one();
    }

    /// Puts off waking the thread until what this gives is dropped: whoever sets timers now has something more urgent to
    /// do than a system call. To be held for a moment only, for all timers wait with it.
    pub(crate) fn quiet(&self) -> Quiet {
        self.0.lock().quiet += 1;
        Quiet(self.clone())
    }

    /// Removes a timer that was set so.
    pub(crate) fn remove(&self, at: Instant, id: TaskId, slot: Slot) {
        self.0.lock().queue.remove(&(at, id, slot));
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

/// See [`Deadlines::quiet`].
pub(crate) struct Quiet(Deadlines);

impl Drop for Quiet {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.quiet -= 1;
        if state.quiet == 0 && state.queue.first().is_some_and(|first| state.is_late(first.0)) {
            self.0.wake(state);
        }
    }
}

/// Waits for the next timers; none when the queue was closed. `last` is when the last ones fired.
fn next_batch(shared: &Shared, last: Option<Instant>) -> Option<Vec<(TaskId, Slot, Instant)>> {
    let earliest = last.and_then(|last| last.checked_add(APART));
    let mut state = shared.lock();
    loop {
        state.look = Look::Soon;
        if state.closed {
            return None;
        }
        let now = Instant::now();
        let Some(first) = state.queue.first().copied() else {
            state.look = Look::Woken;
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        // Each batch wakes the coordinator's thread: not for each of many that are due one after the other.
        let due = earliest.map_or(first.0, |earliest| earliest.max(first.0));
        if due <= now {
            let mut batch = Vec::new();
            while let Some(entry) = state.queue.first().copied().filter(|entry| entry.0 <= now) {
                state.queue.remove(&entry);
                batch.push((entry.1, entry.2, entry.0));
            }
            return Some(batch);
        }
        state.look = Look::At(due);
        let wait = due.duration_since(now);
        state = shared.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn timers_fire_in_order_and_never_early() {
        let (tx, rx) = sync_channel(16);
        let deadlines = Deadlines::default();
        deadlines.run(move |batch| tx.send((Instant::now(), batch)).unwrap()).unwrap();
        let base = Instant::now();
        let id = |n| TaskId::new(n).unwrap();
        deadlines.set(base + Duration::from_millis(30), id(1), Slot::Deadline);
        deadlines.set(base + Duration::from_millis(10), id(2), Slot::Ladder);
        deadlines.set(base + Duration::from_millis(20), id(3), Slot::Ladder);
        deadlines.remove(base + Duration::from_millis(20), id(3), Slot::Ladder);
        let mut fired = Vec::new();
        while fired.len() < 2 {
            let (now, batch) = rx.recv_timeout(LONG).unwrap();
            assert!(batch.iter().all(|(_, _, at)| *at <= now), "a timer fired early");
            fired.extend(batch.into_iter().map(|(id, slot, _)| (id.get(), slot)));
        }
        assert_eq!(fired, [(2, Slot::Ladder), (1, Slot::Deadline)]);
    }

    #[test]
    fn what_falls_due_just_after_others_waits_for_those_of_its_moment() {
        let deadlines = Deadlines::default();
        let (now, id) = (Instant::now(), TaskId::new(1).unwrap());
        deadlines.set(now, id, Slot::Deadline);
        deadlines.set(now + APART, id, Slot::Ladder);
        let batch = next_batch(&deadlines.0, Some(now)).unwrap();
        assert!(Instant::now() >= now + APART);
        assert_eq!(batch.len(), 2, "the second waited for nobody");
        deadlines.set(now, id, Slot::Deadline);
        assert_eq!(next_batch(&deadlines.0, None).unwrap().len(), 1);
    }

    #[test]
    fn a_timer_before_the_one_that_is_slept_for_wakes_the_thread_and_a_later_one_does_not() {
        let (tx, rx) = sync_channel(16);
        let deadlines = Deadlines::default();
        deadlines.run(move |batch| tx.send(batch).unwrap()).unwrap();
        let sleeps = |look: Look| {
            let began = Instant::now();
            while deadlines.0.lock().look != look {
                assert!(began.elapsed() < LONG, "the thread never slept until {look:?}");
                std::thread::yield_now();
            }
        };
        let (base, id) = (Instant::now(), TaskId::new(1).unwrap());
        let far = base + 2 * LONG;
        sleeps(Look::Woken);
        deadlines.set(far, id, Slot::Idle);
        sleeps(Look::At(far));
        deadlines.set(far + LONG, id, Slot::Deadline);
        assert_eq!(deadlines.0.lock().look, Look::At(far), "a later timer woke it");
        deadlines.set(base, id, Slot::Ladder);
        assert_eq!(rx.recv_timeout(LONG).unwrap()[0].1, Slot::Ladder);
        sleeps(Look::At(far));
    }

    #[test]
    fn nobody_wakes_the_thread_while_it_is_quiet_but_its_end_does() {
        let deadlines = Deadlines::default();
        let (base, id) = (Instant::now(), TaskId::new(1).unwrap());
        let look = || deadlines.0.lock().look;
        deadlines.0.lock().look = Look::Woken;
        let quiet = deadlines.quiet();
        deadlines.set(base, id, Slot::Ladder);
        deadlines.remove(base, id, Slot::Ladder);
        drop(quiet);
        assert_eq!(look(), Look::Woken, "nothing is left that it would look for");
        let (quiet, longer) = (deadlines.quiet(), deadlines.quiet());
        deadlines.set(base, id, Slot::Ladder);
        assert_eq!(look(), Look::Woken);
        drop(quiet);
        assert_eq!(look(), Look::Woken, "somebody is still busy");
        drop(longer);
        assert_eq!(look(), Look::Soon, "it was woken for what is still there");
        deadlines.0.lock().look = Look::At(base);
        drop(deadlines.quiet());
        assert_eq!(look(), Look::At(base), "it looks in time by itself");
        deadlines.0.lock().look = Look::Woken;
        deadlines.set(base, id, Slot::Idle);
        assert_eq!(look(), Look::Soon, "and afterwards all is as before");
    }

    #[test]
    fn a_closed_queue_ends_its_thread() {
        let (tx, rx) = sync_channel::<()>(1);
        let deadlines = Deadlines::default();
        deadlines.run(move |_| drop(tx.clone())).unwrap();
        deadlines.close();
        // The sender goes with the thread.
        assert!(rx.recv_timeout(LONG).is_err());
    }
}
