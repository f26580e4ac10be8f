//! Commits that fail because a test asks for it: what a full disk, a failed fsync or a lost connection do, on demand.
//!
//! Invariants: without a fault nothing changes but one look at an atomic for each commit; a fault acts inside the
//! real transaction, so whatever follows it (rolling back, finding out, trying again) is the real thing.
//!
//! It breaks writes only: reads go on, as they do when a disk is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is written, and the database says so: a full disk, a stranger's lock.
    Refuse,
    /// Nothing is written, and nobody can tell: an fsync that failed.
    LoseCommit,
    /// All is written, and nobody can tell: the answer to the commit was lost.
    LoseAnswer,
}

/// A switch for faults; clones share it. Give one to [`RuntimeSettings::faults`](crate::RuntimeSettings::faults)
/// and turn it on while the runtime works.
///
/// ```
/// use quell::testing::{Fault, Faults};
///
/// let faults = Faults::default();
/// let settings = quell::RuntimeSettings { faults: faults.clone(), ..Default::default() };
/// faults.set(Fault::Refuse); // from here on no start is taken, and bodies go on
/// faults.clear(); // the database is back
/// assert_eq!(faults.met(), 0); // no commit has met it yet
/// # drop(settings);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// 0 for none, else one more than the place in [`FAULTS`].
    fault: AtomicU8,
    once: std::sync::atomic::AtomicBool,
    met: AtomicUsize,
}

const FAULTS: [Fault; 3] = [Fault::Refuse, Fault::LoseCommit, Fault::LoseAnswer];

impl Faults {
    /// Every commit from now on fails so, and so does every look at what became of one.
    pub fn set(&self, fault: Fault) {
        self.put(fault, false);
    }

    /// The next commit fails so, and no other.
    pub fn set_once(&self, fault: Fault) {
        self.put(fault, true);
    }

    /// Commits work again.
    pub fn clear(&self) {
        self.0.fault.store(0, Ordering::SeqCst);
    }

    /// How many commits have failed so.
    #[must_use]
    pub fn met(&self) -> usize {
        self.0.met.load(Ordering::SeqCst)
    }

    fn put(&self, fault: Fault, once: bool) {
        let place =
            FAULTS.iter().zip(1_u8..).find(|(known, _)| **known == fault).map_or(0, |(_, place)| place);
        self.0.once.store(once, Ordering::SeqCst);
        self.0.fault.store(place, Ordering::SeqCst);
    }

    /// What the commit that asks is to meet.
    pub(super) fn meet(&self) -> Option<Fault> {
        let place = self.0.fault.load(Ordering::SeqCst);
        if place == 0 {
            return None;
        }
        let fault = FAULTS.get(usize::from(place) - 1).copied();
        self.0.met.fetch_add(1, Ordering::SeqCst);
        if self.0.once.load(Ordering::SeqCst) {
            self.clear();
        }
        fault
    }
}
