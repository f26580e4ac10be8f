//! The body of an event stream: pulls what stands ready and hands it on.
//!
//! Invariants: actix-web asks for a chunk only when it has room, so a slow client holds one chunk and what its
//! watch holds, never a queue; what came meanwhile goes out together, in a chunk of bounded size; between two chunks the watch *rests* in a slot. A watch that rests for the whole
//! patience is one whose client takes nothing: it is taken away, and the stream ends when the client wakes up. It
//! can resume from the number it saw last.
//!
//! It deliberately does not close the socket of such a client: a body cannot. The kernel does, see `connection/socket.rs`.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{Instrument, Span};

use crate::runtime::{Batch, Ready};
use crate::store::StoreError;
use crate::task::TaskKey;
use crate::{Notice, Watch};

use super::moments::{together, together_after};
use super::wire;

/// Bytes after which a chunk is full; a batch may be larger.
const CHUNK: usize = 16 * 1024;

/// Where notices come from: a watch, or a script in tests.
pub(super) trait Notices: 'static {
    /// What comes next; none after the last. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Option<Result<Ready, StoreError>>>;

    /// Further events that stand ready.
    fn more(&mut self) -> Option<(Arc<Batch>, usize)>;
}

impl Notices for Watch {
    async fn next(&mut self) -> Option<Result<Ready, StoreError>> {
        self.next_ready().await
    }

    fn more(&mut self) -> Option<(Arc<Batch>, usize)> {
        Self::more(self)
    }
}

/// Tells when a stream was silent for too long.
///
/// The timer is set once a silence and not once a chunk; and streams wake up together, at the beginning of a fifteenth
/// of the time, rather than each at its own moment: an idle server wakes up seldom.
struct Silence {
    longest: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn new(longest: Duration) -> Self {
        let last = Instant::now();
        Self { longest, last, timer: Box::pin(sleep_until(together(last, longest))) }
    }

    /// Something was sent.
    fn broken(&mut self) {
        self.last = Instant::now();
    }

    /// Resolves when it is to be broken. Cancel safe.
    async fn over(&mut self) {
        loop {
            let due = together(self.last, self.longest);
            if self.timer.deadline() < due && self.timer.is_elapsed() {
                self.timer.as_mut().reset(due);
            }
            self.timer.as_mut().await;
            if Instant::now() >= due {
                return;
            }
        }
    }
}

/// The frames of a stream, first to last.
pub(super) fn frames<N: Notices>(
    notices: N,
    key: TaskKey,
    keep_alive: Duration,
    patience: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let slot = Rc::new(Slot::new(notices));
    actix_web::rt::spawn(cut_off_when_stuck(Rc::downgrade(&slot), patience, key.clone()).in_current_span());
    let feed = Feed { slot, key, silence: Silence::new(keep_alive), span: Span::current(), has_begun: false };
    stream::unfold(feed, async |mut feed: Feed<N>| {
        let chunk = feed.next_chunk().await?;
        Some((Ok(chunk), feed))
    })
}

struct Feed<N> {
    slot: Rc<Slot<N>>,
    key: TaskKey,
    silence: Silence,
    /// The request's, for what is logged on the way; not entered for each chunk.
    span: Span,
    has_begun: bool,
}

impl<N: Notices> Feed<N> {
    async fn next_chunk(&mut self) -> Option<Bytes> {
        // None: the last frame is out, or the client took nothing for too long.
        let mut notices = self.slot.take()?;
        if !self.has_begun {
            self.has_begun = true;
            self.slot.rest(notices);
            return Some(Bytes::from_static(wire::FIRST.as_bytes()));
        }
        let notice = tokio::select! {
            biased;
            notice = notices.next() => notice,
            () = self.silence.over() => {
                self.silence.broken();
                self.slot.rest(notices);
                return Some(Bytes::from_static(wire::KEEP_ALIVE.as_bytes()));
            }
        };
        self.silence.broken();
        match notice? {
            Ok(Ready::Events(batch, from)) => {
                let (chunk, goes_on) = self.gather(&mut notices, &batch, from);
                // What follows a terminal event is the end, whatever the watch says.
                if goes_on {
                    self.slot.rest(notices);
                }
                Some(chunk)
            }
            Ok(Ready::Notice(Notice::Event(event))) => {
                let batch = Batch::new(vec![event])?;
                if !batch.is_terminal() {
                    self.slot.rest(notices);
                }
                Some(wire::events(&self.key, &batch, 0))
            }
            Ok(Ready::Notice(Notice::Reset { from })) => {
                self.slot.rest(notices);
                Some(wire::reset(from).into())
            }
            Ok(Ready::Notice(Notice::Shutdown)) => Some(Bytes::from_static(wire::SHUTDOWN.as_bytes())),
            Err(error) => {
                // The client comes back by itself and resumes; there may be a database again by then.
                self.span.in_scope(|| tracing::warn!(%error, task = %self.key, "a stream broke off"));
                None
            }
        }
    }

    /// A batch and what else stands ready, in one chunk; and whether anything may follow. A batch alone is shared with
    /// the task's other streams, not copied.
    fn gather(&self, notices: &mut N, batch: &Batch, from: usize) -> (Bytes, bool) {
        self.span.in_scope(|| {
            let first = wire::events(&self.key, batch, from);
            if batch.is_terminal() || first.len() >= CHUNK {
                return (first, !batch.is_terminal());
            }
            let Some((mut batch, mut from)) = notices.more() else { return (first, true) };
            let mut chunk = BytesMut::from(&*first);
            loop {
                chunk.extend_from_slice(&wire::events(&self.key, &batch, from));
                if batch.is_terminal() || chunk.len() >= CHUNK {
                    return (chunk.freeze(), !batch.is_terminal());
                }
                let Some(more) = notices.more() else { return (chunk.freeze(), true) };
                (batch, from) = more;
            }
        })
    }
}

/// Where a watch rests while nobody asks for the next chunk.
struct Slot<N> {
    resting: RefCell<Option<N>>,
    since: Cell<Instant>,
}

impl<N> Slot<N> {
    fn new(notices: N) -> Self {
        Self { resting: RefCell::new(Some(notices)), since: Cell::new(Instant::now()) }
    }

    fn take(&self) -> Option<N> {
        self.resting.borrow_mut().take()
    }

    fn rest(&self, notices: N) {
        self.since.set(Instant::now());
        self.resting.replace(Some(notices));
    }

    /// How long it has rested; none while somebody waits for the next notice.
    fn rested(&self) -> Option<Duration> {
        self.resting.borrow().as_ref().map(|_| self.since.get().elapsed())
    }
}

/// Looks when the patience may be over, together with those of other streams: a fifteenth of it later at the most.
async fn cut_off_when_stuck<N>(slot: Weak<Slot<N>>, patience: Duration, key: TaskKey) {
    let mut pause = patience;
    loop {
        sleep_until(together_after(Instant::now(), pause, patience)).await;
        // Gone: the stream has ended, or its client has left.
        let Some(slot) = slot.upgrade() else { return };
        match slot.rested() {
            Some(rested) if rested >= patience => {
                drop(slot.take());
                tracing::info!(task = %key, "a stream was cut off: its reader took nothing");
                return;
            }
            Some(rested) => pause = patience.saturating_sub(rested),
            None => pause = patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::StreamExt;
    use tokio::time::{sleep, timeout};

    use super::super::wire::tests::{Frame, parse, some_event};
    use super::*;

    /// Gives notices in their order; then ends, or waits for ever.
    struct Script {
        notices: VecDeque<Result<Notice, StoreError>>,
        ends: bool,
        _held: Rc<()>,
    }

    impl Notices for Script {
        async fn next(&mut self) -> Option<Result<Ready, StoreError>> {
            match self.notices.pop_front() {
                None if !self.ends => std::future::pending().await,
                notice => notice.map(|notice| {
                    notice.map(|notice| match notice {
                        Notice::Event(event) => Ready::Events(Batch::new(vec![event]).unwrap(), 0),
                        other => Ready::Notice(other),
                    })
                }),
            }
        }

        fn more(&mut self) -> Option<(Arc<Batch>, usize)> {
            let Some(Ok(Notice::Event(event))) = self.notices.front() else { return None };
            let batch = Batch::new(vec![Arc::clone(event)])?;
            self.notices.pop_front();
            Some((batch, 0))
        }
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[expect(clippy::unnecessary_wraps, reason = "a notice as a watch gives it")]
    fn event(seq: i64, kind: &str) -> Result<Notice, StoreError> {
        Ok(Notice::Event(Arc::new(some_event(seq, kind, "{}"))))
    }

    fn script(notices: Vec<Result<Notice, StoreError>>, ends: bool) -> (Script, Weak<()>) {
        let held = Rc::new(());
        let watched = Rc::downgrade(&held);
        (Script { notices: notices.into(), ends, _held: held }, watched)
    }

    fn key() -> TaskKey {
        "tests/LongTask/123".parse().unwrap()
    }

    async fn read_all(notices: Vec<Result<Notice, StoreError>>, ends: bool) -> Vec<Frame> {
        let stream = frames(script(notices, ends).0, key(), LONG, LONG);
        let chunks: Vec<_> = stream.map(|chunk| chunk.unwrap()).collect().await;
        parse(std::str::from_utf8(&chunks.concat()).unwrap())
    }

    fn kinds(frames: &[Frame]) -> Vec<&str> {
        frames.iter().filter_map(|f| f.event.as_deref()).collect()
    }

    #[actix_web::test]
    async fn a_stream_begins_with_retry_and_ends_after_the_terminal_event() {
        let told =
            read_all(vec![event(1, "running"), event(2, "cancelled"), event(3, "progress")], false).await;
        assert_eq!(told[0].retry.as_deref(), Some("1000"));
        assert_eq!(kinds(&told), ["running", "cancelled"]);
    }

    #[actix_web::test]
    async fn reset_and_shutdown_are_told_without_a_number() {
        let told =
            read_all(vec![Ok(Notice::Reset { from: 5 }), event(5, "x"), Ok(Notice::Shutdown)], false).await;
        assert_eq!(kinds(&told), ["reset", "x", "shutdown"]);
        assert_eq!(told.iter().filter(|f| f.id.is_some()).count(), 1);
    }

    #[actix_web::test]
    async fn a_stream_whose_log_cannot_be_read_ends() {
        let told = read_all(vec![event(1, "x"), Err(StoreError::Unavailable("gone".into()))], false).await;
        assert_eq!(kinds(&told), ["x"]);
        assert_eq!(kinds(&read_all(vec![event(1, "x")], true).await), ["x"]);
    }

    #[actix_web::test]
    async fn silence_is_broken_by_comments() {
        let mut stream = Box::pin(frames(script(vec![event(1, "x")], false).0, key(), SHORT, LONG));
        let mut text = Vec::new();
        for _ in 0..4 {
            text.extend_from_slice(&stream.next().await.unwrap().unwrap());
        }
        let told = parse(std::str::from_utf8(&text).unwrap());
        assert_eq!(told.iter().map(|f| f.comments).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }

    #[actix_web::test]
    async fn a_reader_that_takes_nothing_is_cut_off() {
        let (notices, held) = script(vec![event(1, "x"), event(2, "x")], false);
        let mut stream = Box::pin(frames(notices, key(), LONG, SHORT));
        assert!(stream.next().await.is_some());
        let released = async {
            while held.upgrade().is_some() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), released).await.expect("the watch is still held");
        assert!(stream.next().await.is_none());
    }

    #[actix_web::test]
    async fn a_reader_that_waits_in_silence_is_not_cut_off() {
        let mut stream = Box::pin(frames(script(vec![], false).0, key(), SHORT * 10, SHORT));
        assert!(stream.next().await.is_some());
        let told = stream.next().await.unwrap().unwrap();
        assert_eq!(told, wire::KEEP_ALIVE);
        assert!(stream.next().await.is_some());
    }
}
