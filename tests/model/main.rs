//! Model of who sleeps and who is woken: every order of steps, and of memory, that the processor may choose.
//!
//! The files under test are those that the pool is built from, made of `loom`'s atomics instead of the real ones.
//! The queue beside it is a number without any order of its own (all of its accesses are relaxed), so nothing but
//! the files under test can make a lost wake-up impossible. A lost one shows as a deadlock: `loom` reports it.

#[path = "../../src/body/doze.rs"]
mod doze;
#[path = "../../src/body/queue/sleepers.rs"]
#[expect(dead_code, reason = "what only looks has no order to be modelled")]
mod sleepers;

/// What the files take from `super`.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, fence};
    pub(super) use loom::sync::{Mutex, MutexGuard};
    pub(super) use loom::thread::{Thread, current, park};

    /// Nobody's time is ever over here: who is not called sleeps for ever.
    pub(super) fn park_timeout(_: std::time::Duration) {
        park();
    }
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::thread;

use doze::Doze;
use sleepers::{Bed, Sleepers};

/// A pool without bodies: how much is ready, and whether its threads are to leave.
struct Pool {
    sleepers: Sleepers,
    ready: AtomicUsize,
    is_leaving: AtomicBool,
}

impl Pool {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            sleepers: Sleepers::new(),
            ready: AtomicUsize::new(0),
            is_leaving: AtomicBool::new(false),
        })
    }

    fn put(&self) {
        self.ready.fetch_add(1, Relaxed);
        self.sleepers.call();
    }

    fn take(&self) -> bool {
        self.ready.fetch_update(Relaxed, Relaxed, |ready| ready.checked_sub(1)).is_ok()
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Relaxed) > 0
    }

    fn leave(&self, numbers: std::ops::RangeInclusive<usize>) {
        self.is_leaving.store(true, Relaxed);
        numbers.for_each(|number| self.sleepers.rouse(number));
    }

    /// As a pool thread does it.
    fn search(&self, bed: &std::sync::Arc<Bed>) -> bool {
        self.sleepers.begin_search();
        let found = loop {
            if self.is_leaving.load(Relaxed) {
                break false;
            }
            if self.take() {
                break true;
            }
            // Whoever was woken for what is to come has no patience here, and looks at once.
            let _ = self.sleepers.sleep(bed, || self.is_ready() || self.is_leaving.load(Relaxed));
        };
        self.sleepers.end_search(|| self.is_ready());
        found
    }
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(check);
}

#[test]
fn what_is_put_in_is_found_by_a_thread_that_goes_to_sleep() {
    model(|| {
        let pool = Pool::new();
        let theirs = Arc::clone(&pool);
        let worker = thread::spawn(move || {
            let bed = Bed::here(1);
            assert!(theirs.search(&bed));
            assert!(theirs.search(&bed));
        });
        pool.put();
        pool.put();
        worker.join().expect("a worker");
    });
}

/// Two things are put in after `before`, for two threads that look for one each.
fn each_of_two_finds_one(before: impl FnOnce(&Pool)) {
    let pool = Pool::new();
    let workers = [1, 2].map(|number| {
        let pool = Arc::clone(&pool);
        thread::spawn(move || assert!(pool.search(&Bed::here(number))))
    });
    before(&pool);
    pool.put();
    pool.put();
    for worker in workers {
        assert!(worker.join().is_ok(), "a worker");
    }
}

#[test]
fn each_of_two_threads_finds_one_though_neither_looks_twice() {
    // A thread that has found something is lost: what it has not taken must reach the other one.
    model(|| each_of_two_finds_one(|_| {}));
}

#[test]
fn a_thread_that_leaves_is_roused_and_passes_on_what_it_was_called_for() {
    model(|| {
        let pool = Pool::new();
        let workers = [1, 2].map(|number| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.search(&Bed::here(number)))
        });
        pool.leave(1..=2);
        for worker in workers {
            assert!(!worker.join().expect("a worker"));
        }
    });
}

#[test]
fn two_who_put_in_at_the_same_time_wake_two() {
    model(|| {
        let pool = Pool::new();
        let theirs = Arc::clone(&pool);
        let worker = thread::spawn(move || assert!(theirs.search(&Bed::here(1))));
        let theirs = Arc::clone(&pool);
        let other = thread::spawn(move || theirs.put());
        // This thread puts one in as well, and is then the second worker.
        pool.put();
        assert!(pool.search(&Bed::here(2)));
        worker.join().expect("a worker");
        other.join().expect("the other");
    });
}

#[test]
fn what_comes_is_found_whoever_was_woken_for_it_before() {
    // The one that was woken early is searching, so the put wakes nobody: it, or the other one, must find it.
    model(|| each_of_two_finds_one(|pool| pool.sleepers.expect()));
}

#[test]
fn no_poll_is_slept_over_by_the_watchdog() {
    model(|| {
        let (doze, polls) = (Arc::new(Doze::new()), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (doze, polls) = (Arc::clone(&doze), Arc::clone(&polls));
                thread::spawn(move || {
                    polls.fetch_add(1, Relaxed);
                    doze.call();
                })
            })
            .collect();
        let mut seen = 0;
        while seen < 2 {
            doze.sleep(std::time::Duration::MAX, || polls.load(Relaxed) == seen);
            seen = polls.load(Relaxed);
        }
        assert!(!doze.is_on());
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
