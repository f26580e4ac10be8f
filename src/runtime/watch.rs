//! Watching one task's events, from any number on, without gap or repeat.
//!
//! A watch first joins the hub and then reads the log, so nothing falls in between; it reads the log again
//! whenever it fell behind. One batch or page is in memory at a time, taken when the one who watches asks: a slow
//! watcher costs that, and slows nobody down.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::StoreError;
use crate::task::{Event, TaskId};

use super::hub::Watcher;
use super::services::Services;
use super::tail::{Batch, Taken};
use super::{Coordinator, Notice, Refusal};

/// Events of one page.
const PAGE: u32 = 64;

/// The longest wait for a turn. Two thousand that come at once have theirs within a second or two.
const TURN_WITHIN: Duration = Duration::from_secs(10);

impl Coordinator {
    /// A turn to open a stream: thousands that come at once wait in their order, and leave the readers to others. Who
    /// has waited for [`TURN_WITHIN`] is told to come again.
    pub(crate) async fn turn_to_watch(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        turn(&self.services().open_turns, TURN_WITHIN).await
    }
}

async fn turn(turns: &Arc<Semaphore>, within: Duration) -> Result<OwnedSemaphorePermit, Refusal> {
    match tokio::time::timeout(within, Arc::clone(turns).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        // Ok: never, nobody closes it.
        Ok(Err(_)) | Err(_) => Err(Refusal::Busy),
    }
}

/// A watch over one task's events.
pub struct Watch {
    services: Arc<Services>,
    watcher: Watcher,
    id: TaskId,
    /// The number of the last event given out, or asked to be skipped.
    last: i64,
    /// What was taken and not given out, and where in it that begins.
    page: Option<(Arc<Batch>, usize)>,
    phase: Phase,
}

/// What stands ready for one who takes all there is.
#[derive(Debug)]
pub(crate) enum Ready {
    /// The events of a batch, from this place in it on.
    Events(Arc<Batch>, usize),
    /// Anything else.
    Notice(Notice),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The log has, or may have, more.
    Log,
    /// All of the log was read: the hub has what follows.
    Live,
    /// The runtime has written every row: one more look at the log, and no more.
    Last,
    Over,
}

impl Watch {
    pub(crate) fn new(services: Arc<Services>, id: TaskId, after: i64) -> Self {
        let watcher = services.hub.watch(id);
        Self { services, watcher, id, last: after, page: None, phase: Phase::Log }
    }

    /// The next notice; none after the terminal event, or after [`Notice::Shutdown`].
    ///
    /// # Errors
    /// [`StoreError`] where the log cannot be read; asking again tries again.
    ///
    /// # Cancel safety
    /// Cancel safe: a notice is given out only by returning it.
    pub async fn next(&mut self) -> Option<Result<Notice, StoreError>> {
        loop {
            if let Some(event) = self.pop() {
                return Some(Ok(Notice::Event(event)));
            }
            match self.advance().await? {
                Ok(Some(notice)) => return Some(Ok(notice)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// [`Watch::next`], but all events that stand ready at once. Cancel safe.
    pub(crate) async fn next_ready(&mut self) -> Option<Result<Ready, StoreError>> {
        loop {
            if let Some((batch, from)) = self.take_page() {
                return Some(Ok(Ready::Events(batch, from)));
            }
            match self.advance().await? {
                Ok(Some(notice)) => return Some(Ok(Ready::Notice(notice))),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What else stands ready, without waiting for anything.
    pub(crate) fn more(&mut self) -> Option<(Arc<Batch>, usize)> {
        while self.page.is_none() && self.phase == Phase::Live {
            match self.watcher.take() {
                Taken::Nothing => return None,
                taken => self.accept(taken),
            }
        }
        self.take_page()
    }

    /// Gives out one event of what was taken.
    fn pop(&mut self) -> Option<Arc<Event>> {
        let (batch, from) = self.page.as_mut()?;
        let event = batch.events().get(*from).cloned();
        *from += 1;
        let Some(event) = event else {
            self.page = None;
            return None;
        };
        self.last = event.seq;
        if event.kind.is_terminal() {
            self.phase = Phase::Over;
        }
        Some(event)
    }

    /// Gives out all of it.
    fn take_page(&mut self) -> Option<(Arc<Batch>, usize)> {
        let (batch, from) = self.page.take()?;
        if from >= batch.events().len() {
            return None;
        }
        self.last = batch.last();
        if batch.is_terminal() {
            self.phase = Phase::Over;
        }
        Some((batch, from))
    }

    /// Takes what follows, or learns that it has to be looked for elsewhere; gives what is no event. None where all is
    /// over.
    async fn advance(&mut self) -> Option<Result<Option<Notice>, StoreError>> {
        match self.phase {
            Phase::Over => None,
            Phase::Log | Phase::Last => Some(self.read_log().await),
            Phase::Live => {
                self.listen().await;
                Some(Ok(None))
            }
        }
    }

    /// Reads a page; gives a notice where the log does not begin where it should, or where all is over.
    async fn read_log(&mut self) -> Result<Option<Notice>, StoreError> {
        let (id, after, tail) = (self.id, self.last, Arc::clone(self.watcher.tail()));
        if let Some(page) = tail.page(after) {
            self.page = Some((page, 0));
            return Ok(None);
        }
        // Thousands of watches that have fallen behind wait here, in their order, and hold up nobody else's look.
        // Err: never, nobody closes it.
        let turn = self.services.log_turns.acquire().await;
        // Another watch of the task may have read it meanwhile.
        if let Some(page) = tail.page(after) {
            self.page = Some((page, 0));
            return Ok(None);
        }
        let (oldest, page, over) = self
            .services
            .readers
            .read(move |reader| {
                // Another watcher may have read it while this one waited for its turn.
                if let Some(page) = tail.page(after) {
                    return Ok((after.saturating_add(1), Some(page), false));
                }
                let mut page = reader.events(id, after, PAGE)?;
                let over =
                    page.events.is_empty() && reader.task(id)?.is_none_or(|task| task.status.is_terminal());
                if over {
                    // It may have ended between the two looks; nothing comes after this one. Still an empty page:
                    // the one who watches has seen the terminal event.
                    page = reader.events(id, after, PAGE)?;
                }
                let over = over && page.events.is_empty();
                let (oldest, page) = (page.oldest, Batch::new(page.events));
                if let Some(page) = page.as_ref().filter(|_| oldest <= after.saturating_add(1)) {
                    tail.keep_page(after, page);
                }
                Ok((oldest, page, over))
            })
            .await?;
        drop(turn);
        self.page = page.map(|page| (page, 0));
        if oldest > after.saturating_add(1) {
            self.last = oldest - 1;
            return Ok(Some(Notice::Reset { from: oldest }));
        }
        if self.page.is_some() {
            return Ok(None);
        }
        if over {
            self.phase = Phase::Over;
        } else if self.phase == Phase::Last {
            self.phase = Phase::Over;
            return Ok(Some(Notice::Shutdown));
        } else {
            self.phase = Phase::Live;
        }
        Ok(None)
    }

    /// Waits for the next committed events, or learns that the log has to be read first.
    async fn listen(&mut self) {
        let taken = tokio::select! {
            biased;
            taken = self.watcher.taken() => taken,
            () = self.services.closing.cancelled() => self.watcher.take(),
        };
        self.accept(taken);
    }

    fn accept(&mut self, taken: Taken) {
        match taken {
            Taken::Batch(batch) => {
                let from = batch.events().partition_point(|event| event.seq <= self.last);
                match batch.events().get(from) {
                    // Seen already: from the log, or by a client that resumed from a number that was not given yet.
                    // That one too must hear of the end.
                    None if batch.is_terminal() => self.phase = Phase::Over,
                    None => {}
                    Some(event) if event.seq == self.last + 1 => self.page = Some((batch, from)),
                    Some(_) => self.phase = Phase::Log,
                }
            }
            Taken::Behind => self.phase = Phase::Log,
            // The runtime is closing, and nothing is left.
            Taken::Nothing => self.phase = Phase::Last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_gets_no_turn_in_time_is_told_to_come_again() {
        let turns = Arc::new(Semaphore::new(1));
        let first = turn(&turns, TURN_WITHIN).await.unwrap();
        assert!(matches!(turn(&turns, Duration::from_millis(1)).await, Err(Refusal::Busy)));
        drop(first);
        assert!(turn(&turns, TURN_WITHIN).await.is_ok(), "who gave up is in nobody's way");
    }
}
