//! Where committed events meet those who watch.
//!
//! One tail for each watched task, made when the first watcher comes and dropped with the last one; a task that
//! nobody watches costs nothing. Only what is durable comes here. A watcher that falls behind is told so, and reads
//! the log: it slows nobody down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::task::{Event, IdMap, TaskId};

use super::tail::{Tail, Taken};

/// A tail, and how many watch it.
type Tails = IdMap<(Arc<Tail>, usize)>;

/// The meeting place.
#[derive(Default)]
pub(crate) struct Hub {
    tails: Mutex<Tails>,
    /// How many tasks are watched: spares the lock where none is.
    watched: AtomicUsize,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Tails> {
        // Each step leaves the map whole, so a panic elsewhere cannot have broken it.
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives committed events to whoever watches their tasks.
    pub(crate) fn publish(&self, events: &[Arc<Event>]) {
        if events.is_empty() || self.watched.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut grown = Vec::new();
        {
            let tails = self.lock();
            for of_one in events.chunk_by(|one, next| one.task == next.task) {
                let tail = of_one.first().and_then(|event| tails.get(&event.task));
                if let Some((tail, _)) = tail {
                    tail.push(of_one);
                    grown.push(Arc::clone(tail));
                }
            }
        }
        // With the lock given back: a thousand may wait on one tail.
        for tail in grown {
            tail.wake();
        }
    }

    /// Watches a task: everything that is committed from now on.
    pub(crate) fn watch(self: &Arc<Self>, task: TaskId) -> Watcher {
        let mut tails = self.lock();
        let (tail, watchers) = tails.entry(task).or_default();
        *watchers += 1;
        let (tail, next) = (Arc::clone(tail), tail.watch());
        self.watched.store(tails.len(), Ordering::SeqCst);
        Watcher { hub: Arc::clone(self), task, tail, next }
    }

    fn leave(&self, task: TaskId) {
        let mut tails = self.lock();
        if let Some((_, watchers)) = tails.get_mut(&task) {
            *watchers = watchers.saturating_sub(1);
            if *watchers == 0 {
                tails.remove(&task);
            }
        }
        self.watched.store(tails.len(), Ordering::SeqCst);
    }
}

/// One who watches a task.
pub(crate) struct Watcher {
    hub: Arc<Hub>,
    task: TaskId,
    tail: Arc<Tail>,
    /// The number of the batch that it has not taken.
    next: u64,
}

impl Watcher {
    /// The next batch of committed events, where it is there.
    pub(super) fn take(&mut self) -> Taken {
        self.tail.take(&mut self.next)
    }

    /// Waits for it. Cancel safe.
    pub(super) async fn taken(&mut self) -> Taken {
        self.tail.taken(&mut self.next).await
    }

    /// What all who watch this task share.
    pub(super) fn tail(&self) -> &Arc<Tail> {
        &self.tail
    }

    /// Waits until the task has ended, may have ended, or `closing` fires: then look at its row.
    pub(crate) async fn ended(&mut self, closing: &CancellationToken) {
        loop {
            let taken = tokio::select! {
                biased;
                taken = self.taken() => taken,
                () = closing.cancelled() => return,
            };
            match taken {
                Taken::Batch(batch) if !batch.is_terminal() => {}
                _ => return,
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tail.leave(self.next);
        self.hub.leave(self.task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{EventType, JsonText, Timestamp};

    fn event(task: i64, seq: i64) -> Arc<Event> {
        Arc::new(Event {
            task: TaskId::new(task).unwrap(),
            seq,
            kind: EventType::stored("x".to_owned()),
            data: JsonText::default(),
            at: Timestamp::from_micros(0),
        })
    }

    #[test]
    fn a_watcher_gets_its_task_and_a_task_without_watchers_costs_nothing() {
        let hub = Arc::new(Hub::default());
        let mut one = hub.watch(TaskId::new(1).unwrap());
        let two = hub.watch(TaskId::new(1).unwrap());
        hub.publish(&[event(1, 1), event(2, 1)]);
        let Taken::Batch(batch) = one.take() else { panic!("nothing came") };
        assert_eq!(batch.events()[0].task.get(), 1);
        assert!(matches!(one.take(), Taken::Nothing));
        drop(one);
        assert_eq!(hub.lock().len(), 1);
        drop(two);
        assert_eq!(hub.lock().len(), 0);
    }
}
