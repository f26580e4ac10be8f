//! A few threads that look at the database for everybody.
//!
//! Invariants: at most `QUEUE` looks wait, further ones are refused at once; a look that was taken is carried
//! out, whether or not anybody still waits for its answer; a panic in one look harms no other.
//!
//! It does not know which database it looks at.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::{Reader, StoreError};

/// How many looks may wait.
const QUEUE: usize = 1_024;

type Look = Box<dyn FnOnce(&mut dyn Reader) + Send>;

/// Threads with a reader each. They end when this is dropped, after the looks that were taken.
pub struct Readers {
    looks: SyncSender<Look>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

impl Readers {
    /// Starts a thread for each reader.
    ///
    /// # Errors
    /// What the system says where it gives no further thread; then none is left.
    pub fn start<R: Reader + 'static>(readers: impl IntoIterator<Item = R>) -> io::Result<Self> {
        Self::with_queue(readers, QUEUE)
    }

    /// No thread: every look is refused.
    #[must_use]
    pub fn none() -> Self {
        Self { looks: sync_channel(1).0 }
    }

    fn with_queue<R: Reader + 'static>(
        readers: impl IntoIterator<Item = R>,
        queue: usize,
    ) -> io::Result<Self> {
        let (looks, waiting) = sync_channel::<Look>(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        for (number, mut reader) in readers.into_iter().enumerate() {
            let waiting = Arc::clone(&waiting);
            let name = format!("quell-read-{number}");
            thread::Builder::new().name(name).spawn(move || look_on(&waiting, &mut reader))?;
        }
        Ok(Self { looks })
    }

    /// Runs a look on one of the threads. It is queued by this call, not by the first poll of what it returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where too many looks wait, or where the look panicked; else its own.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer only.
    pub fn read<T, F>(&self, look: F) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let look: Look = Box::new(move |reader| {
            // Nobody may wait any more.
            let _ = answer.send(look(reader));
        });
        let taken = self.looks.try_send(look).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Unavailable("too many reads wait".to_owned()),
            TrySendError::Disconnected(_) => StoreError::Unavailable("its readers are gone".to_owned()),
        });
        async move {
            taken?;
            answered.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the read panicked".to_owned())))
        }
    }
}

/// The life of one thread.
fn look_on(waiting: &Mutex<Receiver<Look>>, reader: &mut dyn Reader) {
    loop {
        // One thread waits on the channel, the others on the lock; it is free again before the look begins.
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(look) = next else { return };
        if catch_unwind(AssertUnwindSafe(|| look(reader))).is_err() {
            tracing::error!("a read of the database panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::{Briefs, EventPage, KeptRequest, Records, Search};
    use crate::task::{Record, TaskId, Timestamp};

    /// Tells when it is dropped.
    struct Nothing(mpsc::SyncSender<Option<String>>);

    impl Reader for Nothing {
        fn task(&mut self, _: TaskId) -> Result<Option<Record>, StoreError> {
            Ok(None)
        }

        fn events(&mut self, _: TaskId, _: i64, _: u32) -> Result<EventPage, StoreError> {
            Ok(EventPage::default())
        }

        fn running(&mut self, _: i64, _: u32) -> Result<Vec<Record>, StoreError> {
            Ok(Vec::new())
        }

        fn last_event(&mut self, _: TaskId) -> Result<i64, StoreError> {
            Ok(0)
        }

        fn created(&mut self, _: i64, _: u32) -> Result<Vec<(TaskId, Arc<str>)>, StoreError> {
            Ok(Vec::new())
        }

        fn queued(&mut self, _: i64, _: u32) -> Result<Vec<Record>, StoreError> {
            Ok(Vec::new())
        }

        fn pending(&mut self) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn search(&mut self, _: &Search) -> Result<Briefs, StoreError> {
            Ok(Briefs::default())
        }

        fn records(&mut self, _: &[TaskId]) -> Result<Records, StoreError> {
            Ok(Records::default())
        }

        fn old_tasks(&mut self, _: i64, _: Timestamp, _: u32) -> Result<Vec<(TaskId, bool)>, StoreError> {
            Ok(Vec::new())
        }

        fn request(&mut self, _: &str, _: &str) -> Result<Option<KeptRequest>, StoreError> {
            Ok(None)
        }
    }

    impl Drop for Nothing {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }

    fn readers(threads: usize, queue: usize) -> (Readers, mpsc::Receiver<Option<String>>) {
        let (tx, rx) = sync_channel(threads);
        let readers = Readers::with_queue((0..threads).map(|_| Nothing(tx.clone())), queue).unwrap();
        (readers, rx)
    }

    const LIMIT: Duration = Duration::from_secs(10);

    /// Occupies one thread until the returned sender is used or dropped.
    fn occupy(readers: &Readers) -> SyncSender<()> {
        let (go, gate) = sync_channel::<()>(1);
        let (begun_tx, begun) = sync_channel(1);
        drop(readers.read(move |_| {
            begun_tx.send(()).unwrap();
            let _ = gate.recv();
            Ok(())
        }));
        begun.recv_timeout(LIMIT).unwrap();
        go
    }

    #[tokio::test]
    async fn a_look_is_answered_by_a_named_thread() {
        let (readers, _ended) = readers(1, 4);
        let name = readers.read(|_| Ok(thread::current().name().map(str::to_owned))).await.unwrap();
        assert_eq!(name.as_deref(), Some("quell-read-0"));
        let id = TaskId::new(1).unwrap();
        assert_eq!(readers.read(move |reader| reader.task(id)).await, Ok(None));
    }

    #[tokio::test]
    async fn i20_too_many_looks_are_refused_at_once() {
        let (readers, _ended) = readers(1, 2);
        let go = occupy(&readers);
        let waiting = [1, 2].map(|number| readers.read(move |_| Ok(number)));
        let refused = readers.read(|_| Ok(3)).await;
        assert_eq!(refused, Err(StoreError::Unavailable("too many reads wait".to_owned())));
        drop(go);
        for (answer, expected) in waiting.into_iter().zip([1, 2]) {
            assert_eq!(answer.await, Ok(expected));
        }
    }

    #[tokio::test]
    async fn dropping_a_future_gives_up_the_answer_only() {
        let (readers, _ended) = readers(1, 8);
        let go = occupy(&readers);
        let (tx, rx) = sync_channel(1);
        drop(readers.read(move |_| {
            tx.send(7).unwrap();
            Ok(())
        }));
        drop(go);
        assert_eq!(rx.recv_timeout(LIMIT), Ok(7));
        assert_eq!(readers.read(|_| Ok(8)).await, Ok(8));
    }

    #[tokio::test]
    async fn i17_a_panic_harms_no_other_look() {
        let (readers, _ended) = readers(1, 8);
        let bad = readers.read(|_| -> Result<(), StoreError> { panic!("on purpose") }).await;
        assert_eq!(bad, Err(StoreError::Unavailable("the read panicked".to_owned())));
        assert_eq!(readers.read(|_| Ok(1)).await, Ok(1));
    }

    #[test]
    fn one_look_does_not_hold_up_another() {
        let (readers, _ended) = readers(2, 8);
        let _go = occupy(&readers);
        let (tx, rx) = sync_channel(1);
        let begun = Instant::now();
        drop(readers.read(move |_| {
            tx.send(()).unwrap();
            Ok(())
        }));
        rx.recv_timeout(LIMIT).unwrap();
        assert!(begun.elapsed() < LIMIT);
    }

    #[test]
    fn the_threads_end_with_the_pool() {
        let (readers, ended) = readers(2, 8);
        drop(readers);
        let mut names = [ended.recv_timeout(LIMIT).unwrap(), ended.recv_timeout(LIMIT).unwrap()];
        names.sort();
        assert_eq!(names, [Some("quell-read-0".to_owned()), Some("quell-read-1".to_owned())]);
    }
}
