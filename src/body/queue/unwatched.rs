//! Threads that work on a queue and that nobody watches: what the watchdog costs is measured against them.

use std::future::Future;
use std::sync::Arc;
use std::{io, thread};

use super::{Queue, Watch};
use crate::body::priority::Priority;
use crate::body::seat::Label;

/// The threads and their queue. They leave when it is dropped.
pub(crate) struct Unwatched(Arc<Queue>);

/// It counts nothing.
struct Nobody;

impl Watch for Nobody {
    fn last(&self) -> u64 {
        0
    }
    fn enter(&self, _: Label, _: u64) {}
    fn begins(&self) {}
    fn rest(&self, _: u64) {}
}

impl Unwatched {
    /// Starts so many threads.
    pub(crate) fn new(threads: usize, priority: Priority) -> io::Result<Self> {
        let queue = Queue::new();
        for number in 1..=threads {
            let (_, local) = queue.join(number);
            thread::Builder::new().name("unwatched".to_owned()).spawn(move || {
                priority.apply();
                local.work(&Nobody, |message| tracing::error!(message, "a thread panicked"));
            })?;
        }
        Ok(Self(queue))
    }

    /// Runs `future`, detached.
    pub(crate) fn spawn(&self, label: Label, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(label, future).detach();
    }
}

impl Drop for Unwatched {
    fn drop(&mut self) {
        self.0.dismiss_all();
    }
}
