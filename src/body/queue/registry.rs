//! The list of the bodies that wait for something, so that they can be dropped with their queue.
//!
//! A body is entered by its own first poll, on the list of the thread that polls it, and leaves the list when it is
//! dropped. Several lists, so that threads seldom meet at one. After the close nothing is entered: what comes then
//! is woken at once, which brings it into the queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use slab::Slab;

/// How many lists.
const LISTS: usize = 8;

/// The lists of one queue.
#[derive(Debug)]
pub(super) struct Registry([Arc<List>; LISTS]);

/// One of them; none after the close.
#[derive(Debug)]
pub(super) struct List(Mutex<Option<Slab<Waker>>>);

/// A body's place on its list, which it gives up with its drop.
#[derive(Debug)]
pub(super) struct Place {
    list: Arc<List>,
    key: usize,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Arc::new(List(Mutex::new(Some(Slab::new()))))))
    }

    /// The list for the thread with that number.
    pub(super) fn list(&self, number: usize) -> Arc<List> {
        let [first, ..] = &self.0;
        Arc::clone(self.0.get(number % LISTS).unwrap_or(first))
    }

    /// Wakes all that wait.
    pub(super) fn close(&self) {
        for list in &self.0 {
            let waiting = list.lock().take();
            for (_, waker) in waiting.into_iter().flatten() {
                waker.wake();
            }
        }
    }
}

impl List {
    fn lock(&self) -> MutexGuard<'_, Option<Slab<Waker>>> {
        // No user code runs under this lock, so a poisoned list is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a body.
    pub(super) fn enter(self: &Arc<Self>, waker: &Waker) -> Option<Place> {
        let key = self.lock().as_mut().map(|list| list.insert(waker.clone()));
        if key.is_none() {
            waker.wake_by_ref();
        }
        key.map(|key| Place { list: Arc::clone(self), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waker = self.list.lock().as_mut().and_then(|list| list.try_remove(self.key));
        // Not under the lock.
        drop(waker);
    }
}
