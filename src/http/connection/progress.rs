//! What a connection is doing, shared by its stream, which sees bytes, and its requests, which see answers.
//!
//! Invariant: a deadline is there exactly while no request is in hand, or while bytes of an answer with a length wait
//! for room in the socket. A request that is worked on and an event stream have none here. Requests may be pipelined:
//! bytes of earlier answers may still wait while the next request is in hand, and each answer has a time of its own.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use pin_project_lite::pin_project;
use tokio::time::Instant;

/// How long an answer with a length may take to leave, however long it is.
const ANSWER: Duration = Duration::from_secs(30);

/// And how many bytes of it must leave in each second that it takes more.
const BYTES_PER_SECOND: u64 = 16 * 1024;

/// How long a connection may linger after an answer that was its last one: what still comes of its request is not
/// wanted, and closing over it could take the answer back.
const LINGER: Duration = Duration::from_secs(1);

/// Why a connection is out of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// For a whole head.
    Head,
    /// For its reader.
    Reader,
    /// For its end: the last answer has left.
    End,
}

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Progress {
    head: Duration,
    in_hand: Cell<bool>,
    stalled: Cell<bool>,
    is_last: Cell<bool>,
    /// Whether the answer in hand is a stream: it has no length, and may take for ever.
    streams: Cell<bool>,
    idle_since: Cell<Instant>,
    /// Until when the answer in hand is to have left.
    answer_by: Cell<Option<Instant>>,
    /// Whether some of it may not be in the socket yet.
    unsent: Cell<bool>,
    /// Until when what is left of the answers before it is to have left.
    rest_by: Cell<Option<Instant>>,
}

impl Progress {
    /// A connection that was opened now and has so long for each head.
    pub(super) fn new(head: Duration) -> Rc<Self> {
        Rc::new(Self {
            head,
            in_hand: Cell::new(false),
            stalled: Cell::new(false),
            is_last: Cell::new(false),
            streams: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
            answer_by: Cell::new(None),
            unsent: Cell::new(false),
            rest_by: Cell::new(None),
        })
    }

    /// Until when it may go on like this, and what it waits for.
    pub(super) fn deadline(&self) -> Option<(Instant, Waits)> {
        if self.stalled.get() {
            let by = self.answer_by.get().or(self.rest_by.get());
            // What nobody has set a time for is an answer that the dispatcher gave by itself.
            let by = by.or_else(|| self.idle_since.get().checked_add(ANSWER).filter(|_| !self.in_hand.get()));
            by.map(|by| (by, Waits::Reader))
        } else if self.in_hand.get() {
            None
        } else {
            let (time, waits) =
                if self.is_last.get() { (LINGER, Waits::End) } else { (self.head, Waits::Head) };
            self.idle_since.get().checked_add(time).map(|by| (by, waits))
        }
    }

    /// Whether there will be no deadline for as long as anybody can tell.
    pub(super) fn is_endless(&self) -> bool {
        self.streams.get() && self.deadline().is_none()
    }

    /// Bytes of an answer went into the socket: all that there were, or not.
    pub(super) fn wrote(&self, all: bool) {
        self.stalled.set(!all);
        self.unsent.set(!all);
        if all {
            self.rest_by.set(None);
        }
        if !self.in_hand.get() {
            // An answer that is still leaving is no idle connection.
            self.idle_since.set(Instant::now());
        }
    }

    /// The socket takes no more.
    pub(super) fn is_full(&self) {
        self.stalled.set(true);
    }

    /// A request is in hand as long as what this gives is kept.
    pub(super) fn begin(self: &Rc<Self>) -> InHand {
        self.in_hand.set(true);
        InHand(Rc::clone(self))
    }
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct InHand(Rc<Progress>);

impl InHand {
    /// The connection ends with the answer.
    pub(super) fn is_last(&self) {
        self.0.is_last.set(true);
    }
}

/// Keeps a request in hand for as long as the body of its answer is there.
pub(super) fn answering<B: MessageBody>(body: B, in_hand: Option<InHand>) -> Answering<B> {
    if let Some(InHand(progress)) = &in_hand {
        progress.unsent.set(true);
        match body.size() {
            BodySize::Sized(length) => {
                let allowed = ANSWER.saturating_add(Duration::from_secs(length / BYTES_PER_SECOND));
                progress.answer_by.set(Instant::now().checked_add(allowed));
            }
            BodySize::Stream => progress.streams.set(true),
            BodySize::None => {}
        }
    }
    Answering { body, in_hand }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.in_hand.set(false);
        self.0.streams.set(false);
        if let Some(by) = self.0.answer_by.take().filter(|_| self.0.unsent.get()) {
            self.0.rest_by.set(Some(by));
        }
        self.0.idle_since.set(Instant::now());
    }
}

pin_project! {
    /// The body of an answer, which is in hand until it is dropped.
    pub(super) struct Answering<B> {
        #[pin]
        body: B,
        in_hand: Option<InHand>,
    }
}

impl<B: MessageBody> MessageBody for Answering<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.project();
        let next = this.body.poll_next(context);
        if let (Some(InHand(progress)), Poll::Ready(Some(Ok(_)))) = (this.in_hand, &next) {
            progress.unsent.set(true);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::BodyStream;

    use super::*;

    const HEAD: Duration = Duration::from_secs(10);

    fn waits(progress: &Progress) -> Option<Waits> {
        progress.deadline().map(|(_, waits)| waits)
    }

    /// That a step gives a deadline which is so long after it.
    fn gives(progress: &Progress, step: impl FnOnce(), waits: Waits, time: Duration) -> Instant {
        let before = Instant::now();
        step();
        let (by, told) = progress.deadline().unwrap();
        assert_eq!(told, waits);
        assert!(before + time <= by && by <= Instant::now() + time, "{:?}", by.duration_since(before));
        by
    }

    #[test]
    fn a_head_has_its_time_from_the_opening_and_from_the_end_of_each_answer() {
        let before = Instant::now();
        let progress = Progress::new(HEAD);
        let (opened, told) = progress.deadline().unwrap();
        assert!(told == Waits::Head && opened >= before + HEAD);
        let in_hand = progress.begin();
        assert_eq!(progress.deadline(), None, "a request that is worked on takes the time it takes");
        let ended = gives(&progress, || drop(in_hand), Waits::Head, HEAD);
        let left = gives(&progress, || progress.wrote(true), Waits::Head, HEAD);
        assert!(opened < ended && ended < left, "its last bytes count");
    }

    #[test]
    fn an_answer_that_waits_for_its_reader_has_time_by_its_length() {
        let progress = Progress::new(HEAD);
        let before = Instant::now();
        let body = answering(vec![0_u8; 32 * 1024], Some(progress.begin()));
        assert_eq!(waits(&progress), None, "it is not known yet whether anybody takes it");
        progress.is_full();
        let (by, told) = progress.deadline().unwrap();
        assert_eq!(told, Waits::Reader);
        assert!(by >= before + ANSWER + Duration::from_secs(2));
        drop(body);
        progress.wrote(false);
        assert_eq!(progress.deadline(), Some((by, Waits::Reader)), "to leave is a matter of the whole");
        progress.wrote(true);
        assert_eq!(waits(&progress), Some(Waits::Head));
        // The next one has a time of its own.
        let mut next = None;
        let step = || {
            next = Some(answering("short", Some(progress.begin())));
            progress.is_full();
        };
        gives(&progress, step, Waits::Reader, ANSWER);
    }

    #[test]
    fn a_pipelined_answer_has_a_time_of_its_own() {
        let progress = Progress::new(HEAD);
        let first = answering(vec![0_u8; 32 * 1024], Some(progress.begin()));
        progress.is_full();
        let (first_by, _) = progress.deadline().unwrap();
        drop(first);
        let in_hand = progress.begin();
        assert_eq!(progress.deadline(), Some((first_by, Waits::Reader)), "what is left of the first one");
        progress.wrote(true);
        assert_eq!(progress.deadline(), None, "that has left, and the next request is worked on");
        let mut second = None;
        let step = || {
            second = Some(answering("short", Some(in_hand)));
            progress.is_full();
        };
        let by = gives(&progress, step, Waits::Reader, ANSWER);
        progress.wrote(true);
        progress.is_full();
        assert_eq!(progress.deadline(), Some((by, Waits::Reader)), "for the whole of it, however it leaves");
    }

    #[test]
    fn what_has_left_before_its_request_ended_is_not_waited_for() {
        let progress = Progress::new(HEAD);
        let first = answering("short", Some(progress.begin()));
        progress.wrote(true);
        drop(first);
        let endless = futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>();
        let _stream = answering(BodyStream::new(endless), Some(progress.begin()));
        progress.is_full();
        assert_eq!(progress.deadline(), None, "a stream is the kernel's to watch");
    }

    #[test]
    fn an_answer_of_the_dispatcher_has_a_time_too() {
        let progress = Progress::new(HEAD);
        gives(&progress, || progress.wrote(false), Waits::Reader, ANSWER);
    }

    #[test]
    fn after_its_last_answer_a_connection_only_lingers() {
        let progress = Progress::new(HEAD);
        let in_hand = progress.begin();
        in_hand.is_last();
        assert_eq!(waits(&progress), None);
        gives(&progress, || drop(in_hand), Waits::End, LINGER);
    }

    #[test]
    fn a_stream_is_the_kernels_to_watch() {
        let progress = Progress::new(HEAD);
        let endless = futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>();
        let in_hand = progress.begin();
        assert!(!progress.is_endless(), "its answer may be short");
        let body = answering(BodyStream::new(endless), Some(in_hand));
        assert_eq!(waits(&progress), None);
        progress.is_full();
        assert_eq!(waits(&progress), None);
        assert!(progress.is_endless());
        drop(body);
        assert!(!progress.is_endless(), "the next head has its time");
    }
}
