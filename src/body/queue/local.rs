//! A thread's own end of the queue, and the loop in which it works.
//!
//! Invariants:
//! 1. Only the thread itself puts something into its own queue; everybody may take from it.
//! 2. When it leaves, what it still had goes into the common queue.
//! 3. Between the beginning and the end of a search no user code runs, so a search always ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crossbeam_deque::{Stealer, Worker};

use super::registry::{List, Place};
use super::sleepers::Bed;
use super::{Hand, Queue, Ready, certainly};
use crate::body::seat::Label;

/// After so many tasks of its own a thread looks at the common queue, although its round is not over.
const LONGEST_ROUND: usize = 61;

/// How long a thread that was woken for what is to come looks for it.
const PATIENCE: Duration = Duration::from_micros(100);

/// And how long it stays awake when that is done: the end of a body is written at once, and the thread that writes is
/// called fastest where a core has not gone to sleep.
const LINGER: Duration = Duration::from_micros(60);

thread_local! {
    /// This thread's own end, if it works on a queue now.
    static HERE: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// Told of each task that a thread runs: a poll, or a drop. The thread numbers them itself, in a register.
pub(in crate::body) trait Watch {
    /// The number of the last one.
    fn last(&self) -> u64;
    /// The thread runs the next one, which has that label and number.
    fn enter(&self, label: Label, number: u64);
    /// Before that one it had nothing to do.
    fn begins(&self);
    /// It runs none, after the one with that number: it has nothing to do, or leaves.
    fn rest(&self, number: u64);
}

/// A thread's own end of the queue. To be made anywhere, to be used on one thread.
pub(in crate::body) struct Local {
    queue: Arc<Queue>,
    hand: Arc<Hand>,
    own: Worker<Ready>,
    list: Arc<List>,
    /// Where the next search in other threads' queues begins.
    turn: Cell<usize>,
    /// It was woken for what was to come, and has not been out of work since.
    lingers: Cell<bool>,
}

/// A new queue for a thread of its own, and the end for others.
pub(super) fn own() -> (Worker<Ready>, Stealer<Ready>) {
    let own = Worker::new_fifo();
    let stealer = own.stealer();
    (own, stealer)
}

/// Puts a task into this thread's own queue, and calls for help if `calls`. Gives it back if the thread works on no
/// queue, or on another one.
pub(super) fn keep(ready: Ready, calls: bool) -> Option<Ready> {
    let mut ready = Some(ready);
    // Err: the thread's end has begun.
    let _ = HERE.try_with(|here| {
        let here = here.borrow();
        let is_ours = |local: &&Rc<Local>| {
            ready.as_ref().is_some_and(|ready| Arc::ptr_eq(&local.queue, &ready.metadata().queue))
        };
        if let Some(local) = here.as_ref().filter(is_ours)
            && let Some(ready) = ready.take()
        {
            local.own.push(ready);
            if calls {
                local.queue.sleepers.call();
            }
        }
    });
    ready
}

/// Enters the body that this thread polls on the thread's list.
pub(super) fn register(waker: &Waker) -> Option<Place> {
    let register = |here: &RefCell<Option<Rc<Local>>>| here.borrow().as_ref()?.list.enter(waker);
    HERE.try_with(register).ok().flatten()
}

/// The stay of a thread, from when it begins to work until it leaves.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        // From here on, what is woken on this thread goes into the common queue.
        let _ = HERE.try_with(RefCell::take);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.queue.write_hands().retain(|hand| !Arc::ptr_eq(hand, &self.hand));
        while let Some(ready) = self.own.pop() {
            self.queue.share(ready);
        }
    }
}

impl Local {
    pub(super) fn new(queue: Arc<Queue>, hand: Arc<Hand>, own: Worker<Ready>) -> Self {
        let list = queue.registry.list(hand.number);
        let turn = Cell::new(hand.number);
        Self { queue, hand, own, list, turn, lingers: Cell::new(false) }
    }

    /// Works until it is told to leave. A panic of the queue's own (bodies cannot) is given to `on_panic`.
    pub(in crate::body) fn work(self, watch: &impl Watch, on_panic: impl Fn(String)) {
        let local = Rc::new(self);
        let _ = HERE.try_with(|here| here.replace(Some(Rc::clone(&local))));
        let _stay = Stay;
        let bed = Bed::here(local.hand.number);
        while let Err(message) = crate::body::boundary::catch(|| local.rounds(watch, &bed)) {
            on_panic(message);
        }
    }

    fn rounds(&self, watch: &impl Watch, bed: &Arc<Bed>) {
        let mut number = watch.last();
        let mut left = 0;
        while !self.hand.is_leaving() {
            let mut ready = if left == 0 {
                let shared = self.take_shared();
                left = self.own.len().min(LONGEST_ROUND);
                shared.or_else(|| self.own.pop())
            } else {
                left -= 1;
                self.own.pop()
            };
            let had_nothing = ready.is_none();
            if had_nothing {
                watch.rest(number);
                ready = self.search(bed);
            }
            if let Some(ready) = ready {
                number += 1;
                watch.enter(ready.metadata().label, number);
                if had_nothing {
                    watch.begins();
                }
                ready.run();
            }
        }
        watch.rest(number);
    }

    /// Takes the first of the common queue, and some more into the own one.
    fn take_shared(&self) -> Option<Ready> {
        let common = &self.queue.common;
        if common.is_empty() { None } else { certainly(|| common.steal_batch_and_pop(&self.own)) }
    }

    /// Takes half of what another thread has.
    fn take_others(&self) -> Option<Ready> {
        let hands = self.queue.hands();
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let (before, after) = hands.split_at(turn.checked_rem(hands.len())?);
        let others = after.iter().chain(before).filter(|hand| !Arc::ptr_eq(hand, &self.hand));
        let mut others = others.filter(|hand| !hand.own.is_empty());
        others.find_map(|hand| certainly(|| hand.own.steal_batch_and_pop(&self.own)))
    }

    /// Looks everywhere, and sleeps until there is something; none when the thread is to leave.
    #[cold]
    fn search(&self, bed: &Arc<Bed>) -> Option<Ready> {
        let (queue, sleepers) = (&self.queue, &self.queue.sleepers);
        sleepers.begin_search();
        if self.lingers.take() {
            self.wait_awake(LINGER);
        }
        let found = loop {
            if self.hand.is_leaving() {
                break None;
            }
            if let Some(ready) = self.take_shared().or_else(|| self.take_others()) {
                break Some(ready);
            }
            if sleepers.sleep(bed, || queue.is_ready() || self.hand.is_leaving()) {
                self.wait_awake(PATIENCE);
                self.lingers.set(true);
            }
        };
        sleepers.end_search(|| queue.is_ready());
        found
    }

    /// Looks again and again for what is to come in a moment.
    fn wait_awake(&self, patience: Duration) {
        let began = Instant::now();
        while !self.queue.is_ready() && !self.hand.is_leaving() && began.elapsed() < patience {
            // Whoever is to put it in may need this very core.
            std::thread::yield_now();
        }
    }
}
