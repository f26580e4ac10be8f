//! The watchdog: a thread of its own that looks at the pool's threads and carries out what [`Watcher`] decides.
//!
//! It runs no user code and takes no lock that user code holds, so no body can hold it up. It ends with the pool.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::runtime::Handle;

use super::doze::Doze;
use super::pool::Shared;
use super::watcher::{Bounds, Orders, Watcher};

/// It looks once in that time also where nobody polls anything: nothing depends on it.
const LONGEST_DOZE: Duration = Duration::from_secs(60);

/// Starts it for a pool.
pub(super) fn start(pool: Weak<Shared>, doze: Arc<Doze>, bounds: Bounds, context: Handle) -> io::Result<()> {
    let watch = move || {
        // Should it be the last to let go of the engine, bodies are dropped here.
        let _context = context.enter();
        watch(&pool, &doze, bounds);
    };
    thread::Builder::new().name("quell-watchdog".to_owned()).spawn(watch).map(drop)
}

fn watch(pool: &Weak<Shared>, doze: &Doze, bounds: Bounds) {
    let mut watcher = Watcher::new(bounds);
    let mut last = Instant::now();
    let mut probe = Arc::<AtomicBool>::default();
    loop {
        match watcher.pause() {
            Some(pause) => thread::park_timeout(pause),
            None => doze
                .sleep(LONGEST_DOZE, || open(pool).is_some_and(|pool| watcher.is_quiet(&pool.seats.look()))),
        }
        let Some(pool) = open(pool) else { return };
        let now = Instant::now();
        let orders = watcher.look(now - last, &pool.seats.look(), probe.load(Relaxed));
        last = now;
        if orders.probe {
            // A new one: one that is late must not be taken for the next one.
            probe = Arc::default();
            pool.probe(Arc::clone(&probe));
        }
        carry_out(&pool, &mut watcher, &orders);
    }
}

/// The pool, until it is closed.
fn open(pool: &Weak<Shared>) -> Option<Arc<Shared>> {
    pool.upgrade().filter(|pool| !pool.is_closed.load(Relaxed))
}

fn carry_out(pool: &Shared, watcher: &mut Watcher, orders: &Orders) {
    for label in &orders.name {
        if let Some(call) = pool.on_long_poll.get() {
            call(*label);
        }
    }
    for (number, count) in &orders.share {
        pool.queue.move_out(*number, *count);
    }
    if let Some(number) = orders.dismiss {
        pool.queue.dismiss(number);
    }
    if orders.add {
        match pool.add_thread() {
            Ok(()) => {
                tracing::info!(
                    threads = pool.seats.count(),
                    "bodies keep their threads: one more was started"
                );
            }
            Err(error) => {
                watcher.add_failed();
                tracing::error!(%error, "cannot start another thread for bodies");
            }
        }
    }
    if pool.is_full.swap(watcher.is_full(), Relaxed) != watcher.is_full() {
        if watcher.is_full() {
            tracing::error!("every thread there may be is kept by a body that does not yield");
        } else {
            tracing::info!("there are threads for ready bodies again");
        }
    }
}
