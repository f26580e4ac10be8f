//! The newest events of one watched task, for all who watch it.
//!
//! Events stay together as they were committed, in *batches*: whoever watches takes a batch at a time, and what one
//! makes of it (a text for the wire) serves all others. Invariants: a batch goes when all who watched when it came have
//! taken it; those who are slower than [`ROOM`] allows miss it, are told so once, and read the log; nobody waits for
//! them. Pages of the log that one of several slow watchers has read are kept for the others, as tightly.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use crate::task::Event;

/// Bytes that may be kept for those who are behind; the newest batch is kept whatever its size.
const ROOM: usize = 512 * 1024;

/// The same for pages of the log.
const PAGES: usize = 256 * 1024;

/// Bytes after which a batch is full; an event may be larger.
const BATCH: usize = 32 * 1024;

/// What an event takes besides its data.
const OVERHEAD: usize = 128;

/// Consecutive events of one task; never none.
pub(crate) struct Batch {
    events: Box<[Arc<Event>]>,
    bytes: usize,
    made: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("events", &self.events).finish_non_exhaustive()
    }
}

impl Batch {
    /// None of no events.
    pub(crate) fn new(events: Vec<Arc<Event>>) -> Option<Arc<Self>> {
        let bytes = events.iter().map(|event| size(event)).sum();
        let batch = Self { events: events.into(), bytes, made: OnceLock::new() };
        (!batch.events.is_empty()).then(|| Arc::new(batch))
    }

    pub(crate) fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The number of its last event.
    pub(crate) fn last(&self) -> i64 {
        self.events.last().map_or(0, |event| event.seq)
    }

    /// Whether it ends with the event that is a task's last.
    pub(crate) fn is_terminal(&self) -> bool {
        self.events.last().is_some_and(|event| event.kind.is_terminal())
    }

    /// What the first who asked made of its events; all who ask are to make the same.
    pub(crate) fn made<T>(&self, make: impl Fn(&[Arc<Event>]) -> T) -> T
    where
        T: Any + Clone + Send + Sync,
    {
        let first = self.made.get_or_init(|| Box::new(make(&self.events)));
        first.downcast_ref().cloned().unwrap_or_else(|| make(&self.events))
    }
}

fn size(event: &Event) -> usize {
    event.data.as_str().len() + OVERHEAD
}

/// Splits committed events of one task into batches.
pub(super) fn batches(events: &[Arc<Event>]) -> impl Iterator<Item = Arc<Batch>> {
    let mut rest = events;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|event| {
            let begins = bytes == 0;
            bytes += size(event);
            begins || bytes <= BATCH
        });
        let (batch, later) = rest.split_at(fits.count());
        rest = later;
        Batch::new(batch.to_vec())
    })
}

/// The end of one task's log, as far as somebody watches it.
#[derive(Debug, Default)]
pub(super) struct Tail {
    ring: Mutex<Ring>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Kept>,
    /// How many batches ever came.
    came: u64,
    bytes: usize,
    watchers: usize,
    pages: VecDeque<(i64, Arc<Batch>)>,
    page_bytes: usize,
}

#[derive(Debug)]
struct Kept {
    batch: Arc<Batch>,
    /// Watchers who have not taken it.
    left: usize,
}

/// What a watcher finds.
#[derive(Debug)]
pub(super) enum Taken {
    Batch(Arc<Batch>),
    /// All was taken.
    Nothing,
    /// Some of it is gone.
    Behind,
}

impl Ring {
    fn oldest(&self) -> u64 {
        self.came.saturating_sub(u64::try_from(self.kept.len()).unwrap_or(u64::MAX))
    }

    fn push(&mut self, batch: Arc<Batch>) {
        self.bytes += batch.bytes;
        self.came += 1;
        self.kept.push_back(Kept { batch, left: self.watchers });
        while self.bytes > ROOM && self.kept.len() > 1 {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.bytes = self.bytes.saturating_sub(kept.batch.bytes);
        }
    }

    fn drop_taken(&mut self) {
        while self.kept.front().is_some_and(|kept| kept.left == 0) {
            self.drop_oldest();
        }
    }

    fn take(&mut self, next: &mut u64) -> Taken {
        let oldest = self.oldest();
        if *next < oldest {
            *next = oldest;
            return Taken::Behind;
        }
        let at = usize::try_from(*next - oldest).unwrap_or(usize::MAX);
        let Some(kept) = self.kept.get_mut(at) else { return Taken::Nothing };
        let batch = Arc::clone(&kept.batch);
        kept.left = kept.left.saturating_sub(1);
        *next += 1;
        self.drop_taken();
        Taken::Batch(batch)
    }

    fn leave(&mut self, next: u64) {
        self.watchers = self.watchers.saturating_sub(1);
        let skip = usize::try_from(next.saturating_sub(self.oldest())).unwrap_or(usize::MAX);
        for kept in self.kept.iter_mut().skip(skip) {
            kept.left = kept.left.saturating_sub(1);
        }
        self.drop_taken();
        if self.watchers < 2 {
            self.pages.clear();
            self.page_bytes = 0;
        }
    }
}

impl Tail {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Each step leaves it whole, so a panic elsewhere cannot have broken it.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch: everything that comes from now on. Gives the number of the first batch.
    pub(super) fn watch(&self) -> u64 {
        let mut ring = self.ring();
        ring.watchers += 1;
        ring.came
    }

    /// Ends it.
    pub(super) fn leave(&self, next: u64) {
        self.ring().leave(next);
    }

    /// Adds events; [`Tail::wake`] tells of them.
    pub(super) fn push(&self, events: &[Arc<Event>]) {
        let mut ring = self.ring();
        batches(events).for_each(|batch| ring.push(batch));
    }

    pub(super) fn wake(&self) {
        self.came.notify_waiters();
    }

    /// The next batch, where it is there.
    pub(super) fn take(&self, next: &mut u64) -> Taken {
        self.ring().take(next)
    }

    /// Waits for the next batch; never says `Nothing`. Cancel safe: what it takes, it returns.
    pub(super) async fn taken(&self, next: &mut u64) -> Taken {
        loop {
            match self.take(next) {
                Taken::Nothing => {}
                taken => return taken,
            }
            let came = self.came.notified();
            tokio::pin!(came);
            // Registered before looking again: what comes in between is not lost.
            came.as_mut().enable();
            match self.take(next) {
                Taken::Nothing => came.await,
                taken => return taken,
            }
        }
    }

    /// A page of the log that another watcher has read: it begins behind this number.
    pub(super) fn page(&self, after: i64) -> Option<Arc<Batch>> {
        let ring = self.ring();
        ring.pages.iter().find(|(before, _)| *before == after).map(|(_, page)| Arc::clone(page))
    }

    /// Keeps a page for other watchers, where there are any.
    pub(super) fn keep_page(&self, after: i64, page: &Arc<Batch>) {
        let mut ring = self.ring();
        if ring.watchers < 2 || page.bytes > PAGES || ring.pages.iter().any(|(before, _)| *before == after) {
            return;
        }
        ring.page_bytes += page.bytes;
        ring.pages.push_back((after, Arc::clone(page)));
        while ring.page_bytes > PAGES {
            let Some((_, oldest)) = ring.pages.pop_front() else { return };
            ring.page_bytes = ring.page_bytes.saturating_sub(oldest.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{EventType, JsonText, TaskId, Timestamp};

    fn event(seq: i64, data: usize) -> Arc<Event> {
        Arc::new(Event {
            task: TaskId::new(1).unwrap(),
            seq,
            kind: EventType::stored("x".to_owned()),
            data: JsonText::from_value(&"x".repeat(data)).unwrap(),
            at: Timestamp::from_micros(0),
        })
    }

    fn numbers(taken: Taken) -> Vec<i64> {
        match taken {
            Taken::Batch(batch) => batch.events().iter().map(|event| event.seq).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_goes_when_all_have_taken_it() {
        let tail = Tail::default();
        let (mut one, mut two) = (tail.watch(), tail.watch());
        tail.push(&[event(1, 1), event(2, 1)]);
        tail.push(&[event(3, 1)]);
        assert_eq!(numbers(tail.take(&mut one)), [1, 2]);
        assert_eq!(tail.ring().kept.len(), 2);
        let mut late = tail.watch();
        assert!(matches!(tail.take(&mut late), Taken::Nothing));
        assert_eq!(numbers(tail.take(&mut two)), [1, 2]);
        assert_eq!(tail.ring().kept.len(), 1);
        assert_eq!(numbers(tail.take(&mut one)), [3]);
        tail.leave(two);
        assert_eq!(tail.ring().kept.len(), 0);
        assert_eq!(tail.ring().bytes, 0);
        tail.push(&[event(4, 1)]);
        assert_eq!(numbers(tail.take(&mut late)), [4]);
        assert_eq!(numbers(tail.take(&mut one)), [4]);
        assert_eq!(tail.ring().kept.len(), 0);
    }

    #[test]
    fn i20_who_takes_nothing_costs_no_more_than_the_room_and_is_told() {
        let tail = Tail::default();
        let (mut slow, mut quick) = (tail.watch(), tail.watch());
        for seq in 1..=100 {
            tail.push(&[event(seq, 20_000)]);
            assert_eq!(numbers(tail.take(&mut quick)), [seq]);
        }
        assert!(tail.ring().bytes <= ROOM);
        assert!(matches!(tail.take(&mut slow), Taken::Behind));
        let next = numbers(tail.take(&mut slow));
        assert!(next[0] > 1 && next[0] < 100, "{next:?}");
        tail.push(&[event(101, 2 * ROOM)]);
        assert_eq!(tail.ring().kept.len(), 1);
    }

    #[test]
    fn a_flood_is_split_into_batches() {
        let tail = Tail::default();
        let mut next = tail.watch();
        let flood: Vec<_> = (1..=100).map(|seq| event(seq, 2_000)).chain([event(101, 3 * BATCH)]).collect();
        tail.push(&flood);
        let mut told = Vec::new();
        while let Taken::Batch(batch) = tail.take(&mut next) {
            assert!(batch.bytes <= BATCH || batch.events().len() == 1);
            told.extend(batch.events().iter().map(|event| event.seq));
        }
        assert_eq!(told, (1..=101).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_made_of_a_batch_is_made_once() {
        let batch = Batch::new(vec![event(1, 1)]).unwrap();
        let made = std::sync::atomic::AtomicU32::new(0);
        for _ in 0..3 {
            let text = batch.made(|events| {
                made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Arc::<str>::from(format!("{}", events.len()))
            });
            assert_eq!(&*text, "1");
        }
        assert_eq!(made.into_inner(), 1);
        // Another kind of thing is made anew, and is right all the same.
        assert_eq!(batch.made(<[_]>::len), 1);
    }

    #[test]
    fn i20_pages_are_kept_for_others_only_and_within_their_room() {
        let tail = Tail::default();
        let one = tail.watch();
        let page = Batch::new(vec![event(1, 60_000)]).unwrap();
        tail.keep_page(0, &page);
        assert!(tail.page(0).is_none());
        let _two = tail.watch();
        for after in 0..20 {
            tail.keep_page(after, &page);
        }
        assert!(tail.ring().page_bytes <= PAGES);
        assert!(tail.page(19).is_some() && tail.page(0).is_none());
        tail.leave(one);
        assert!(tail.page(19).is_none());
    }
}
