//! Where committed events meet those who watch.
//!
//! One channel for each watched task, made when the first watcher comes and dropped with the last one; a task
//! that nobody watches costs nothing. Only what is durable comes here. A watcher that falls behind is told how
//! many it missed, and reads them from the log: it slows nobody down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::task::{Event, IdMap, TaskId};

/// Events that a watcher may be behind before it has to read the log.
const BEHIND: usize = 32;

type Channels = IdMap<(broadcast::Sender<Arc<Event>>, usize)>;

/// The meeting place.
#[derive(Default)]
pub(crate) struct Hub {
    channels: Mutex<Channels>,
    /// How many tasks are watched: spares the lock where none is.
    watched: AtomicUsize,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Channels> {
        // Each step leaves the map whole, so a panic elsewhere cannot have broken it.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives committed events to whoever watches their tasks.
    pub(crate) fn publish(&self, events: &[Arc<Event>]) {
        if events.is_empty() || self.watched.load(Ordering::SeqCst) == 0 {
            return;
        }
        let channels = self.lock();
        for event in events {
            if let Some((channel, _)) = channels.get(&event.task) {
                // Err: the last watcher has just left.
                let _ = channel.send(Arc::clone(event));
            }
        }
    }

    /// Watches a task: everything that is committed from now on.
    pub(crate) fn watch(self: &Arc<Self>, task: TaskId) -> Watcher {
        let mut channels = self.lock();
        let (channel, watchers) = channels.entry(task).or_insert_with(|| (broadcast::channel(BEHIND).0, 0));
        *watchers += 1;
        let events = channel.subscribe();
        self.watched.store(channels.len(), Ordering::SeqCst);
        Watcher { hub: Arc::clone(self), task, events }
    }

    fn leave(&self, task: TaskId) {
        let mut channels = self.lock();
        if let Some((_, watchers)) = channels.get_mut(&task) {
            *watchers = watchers.saturating_sub(1);
            if *watchers == 0 {
                channels.remove(&task);
            }
        }
        self.watched.store(channels.len(), Ordering::SeqCst);
    }
}

/// One who watches a task.
pub(crate) struct Watcher {
    hub: Arc<Hub>,
    task: TaskId,
    /// The committed events; `Lagged` where too many came.
    pub(crate) events: broadcast::Receiver<Arc<Event>>,
}

impl Watcher {
    /// Waits until the task has ended, may have ended, or `closing` fires: then look at its row.
    pub(crate) async fn ended(&mut self, closing: &CancellationToken) {
        loop {
            let received = tokio::select! {
                biased;
                received = self.events.recv() => received,
                () = closing.cancelled() => return,
            };
            match received {
                Ok(event) if !event.kind.is_terminal() => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
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
        assert_eq!(one.events.try_recv().unwrap().task.get(), 1);
        assert!(one.events.try_recv().is_err());
        drop(one);
        assert_eq!(hub.lock().len(), 1);
        drop(two);
        assert_eq!(hub.lock().len(), 0);
    }

    #[test]
    fn one_that_falls_behind_is_told() {
        let hub = Arc::new(Hub::default());
        let mut slow = hub.watch(TaskId::new(1).unwrap());
        for seq in 1..=40 {
            hub.publish(&[event(1, seq)]);
        }
        assert!(matches!(slow.events.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    }
}
