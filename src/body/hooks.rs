//! Threads for hooks: short user code that is called from outside its body, to break what the body waits for.
//!
//! Invariants: whoever has a hook called never waits for it; a panic is logged; one that hangs holds its own thread
//! and no other, which is replaced up to a bound. Past the bound later hooks wait in line.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::blocking::{Blocking, BlockingSettings, Job};
use super::boundary::catch;

/// Hooks that run at the same time, and how many of them may hang beside those.
const AT_ONCE: usize = 4;
const MAX_HANGING: usize = 28;

/// How long a hook may take before its thread is replaced.
const HANGS: Duration = Duration::from_secs(1);

/// The threads.
pub(super) struct Hooks {
    threads: Arc<Blocking>,
    timers: Handle,
}

impl Hooks {
    pub(super) fn new(timers: Handle) -> Self {
        let settings =
            BlockingSettings { name: "quell-hook", limit: AT_ONCE, max_lost: MAX_HANGING, priority: None };
        Self { threads: Blocking::new(settings, timers.clone()), timers }
    }

    /// Has a hook called soon; `on_hang` is called if it takes too long.
    pub(super) fn call(&self, hook: Job, on_hang: impl FnOnce() + Send + 'static) {
        let (begins, begun) = oneshot::channel();
        let (ends, mut ended) = oneshot::channel::<()>();
        self.threads.spawn(Box::new(move || {
            // Dropped at the end, whichever it is.
            let _ends = ends;
            // Err: the timers are gone, and with them whoever looks.
            let _ = begins.send(());
            if let Err(message) = catch(hook) {
                tracing::warn!(message, "an interrupt hook panicked");
            }
        }));
        let threads = Arc::clone(&self.threads);
        self.timers.spawn(async move {
            if begun.await.is_err() || timeout(HANGS, &mut ended).await.is_ok() {
                return;
            }
            on_hang();
            threads.count_lost();
            let _ = ended.await;
            threads.count_found();
        });
    }

    pub(super) fn close(&self) {
        self.threads.close();
    }
}
