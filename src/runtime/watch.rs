//! Watching one task's events, from any number on, without gap or repeat.
//!
//! A watch first joins the hub and then reads the log, so nothing falls in between; it reads the log again
//! whenever it fell behind. One page is in memory at a time, taken when the one who watches asks: a slow watcher
//! costs a page, and slows nobody down.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::store::StoreError;
use crate::task::{Event, TaskId};

use super::hub::Watcher;
use super::services::Services;
use super::{Coordinator, Notice};

/// Events of one page.
const PAGE: u32 = 64;

impl Coordinator {
    /// A turn to open a stream: thousands that come at once wait in their order, and leave the readers to others.
    pub(crate) async fn turn_to_watch(&self) -> Option<OwnedSemaphorePermit> {
        // None: never, nobody closes it.
        Arc::clone(&self.services().open_turns).acquire_owned().await.ok()
    }
}

/// A watch over one task's events.
pub struct Watch {
    services: Arc<Services>,
    watcher: Watcher,
    id: TaskId,
    /// The number of the last event given out, or asked to be skipped.
    last: i64,
    page: VecDeque<Arc<Event>>,
    phase: Phase,
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
        Self { services, watcher, id, last: after, page: VecDeque::new(), phase: Phase::Log }
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
            if let Some(event) = self.page.pop_front() {
                return Some(Ok(self.give(event)));
            }
            match self.phase {
                Phase::Over => return None,
                Phase::Log | Phase::Last => match self.read_log().await {
                    Ok(Some(notice)) => return Some(Ok(notice)),
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                },
                Phase::Live => {
                    if let Some(event) = self.listen().await {
                        return Some(Ok(self.give(event)));
                    }
                }
            }
        }
    }

    fn give(&mut self, event: Arc<Event>) -> Notice {
        self.last = event.seq;
        if event.kind.is_terminal() {
            self.phase = Phase::Over;
        }
        Notice::Event(event)
    }

    /// Reads a page; gives a notice where the log does not begin where it should, or where all is over.
    async fn read_log(&mut self) -> Result<Option<Notice>, StoreError> {
        let (id, after) = (self.id, self.last);
        // Thousands of watches that have fallen behind wait here, in their order, and hold up nobody else's look.
        // Err: never, nobody closes it.
        let turn = self.services.log_turns.acquire().await;
        let (page, over) = self
            .services
            .readers
            .read(move |reader| {
                let mut page = reader.events(id, after, PAGE)?;
                let over =
                    page.events.is_empty() && reader.task(id)?.is_none_or(|task| task.status.is_terminal());
                if over {
                    // It may have ended between the two looks; nothing comes after this one. Still an empty page:
                    // the one who watches has seen the terminal event.
                    page = reader.events(id, after, PAGE)?;
                }
                let over = over && page.events.is_empty();
                Ok((page, over))
            })
            .await?;
        drop(turn);
        let oldest = page.oldest;
        self.page = page.events.into();
        if oldest > after.saturating_add(1) {
            self.last = oldest - 1;
            return Ok(Some(Notice::Reset { from: oldest }));
        }
        if !self.page.is_empty() {
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

    /// Waits for the next committed event; none where the log has to be read first.
    async fn listen(&mut self) -> Option<Arc<Event>> {
        let received = tokio::select! {
            biased;
            received = self.watcher.events.recv() => received,
            () = self.services.closing.cancelled() => {
                match self.watcher.events.try_recv() {
                    Ok(event) => Ok(event),
                    Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => {
                        self.phase = Phase::Last;
                        return None;
                    }
                }
            }
        };
        match received {
            // Seen already: from the log, or by a client that resumed from a number that was not given yet. That one
            // too must hear of the end.
            Ok(event) if event.seq <= self.last => {
                if event.kind.is_terminal() {
                    self.phase = Phase::Over;
                }
                None
            }
            Ok(event) if event.seq == self.last + 1 => Some(event),
            Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => {
                self.phase = Phase::Log;
                None
            }
        }
    }
}
