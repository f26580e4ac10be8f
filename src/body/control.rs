//! The word between whoever stops an attempt and the pool thread that polls it.
//!
//! Invariants:
//! 1. All flags and the phase are one atomic byte, so that "asked, and still running" is one look.
//! 2. Phases go `Running → Cleaning → Done`, `Running → Done` or `Running → Abandoned`; only a cleanup that
//!    is run alone goes back, `Done → Cleaning → Done`. `Abandoned` is final. Flags are never taken back.
//! 3. In phase `Cleaning` the body's end is there to be read: it is stored before the phase is entered.
//!
//! 4. Taking the waker does not use it up: a wake-up that does not end a phase leaves the next one possible.
//! 5. A cleanup runs at most once.
//!
//! *Why no stop is lost.* The polling side stores its waker, THEN changes the byte (adding nothing), THEN
//! looks at the flags. The stopping side changes the byte (adding its flag), THEN loads the waker. Changes of
//! one atomic have one order. Is the poller's first, the stopper's reads from it and so sees the waker. Is
//! the stopper's first, the poller sees the flag. There is no third case. A task of the executor has the same
//! waker all its life, so this is done once a phase and not at each poll; a later poll only loads the byte. A
//! wake-up during a poll makes the executor poll once more.
//!
//! It does not know why or how long: no clock, no cause, no lock on the poll path.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::task::Waker;

use super::end::BodyEnd;

/// The body is to be dropped between two polls.
const STOP: u8 = 1;
/// A stop was asked for.
const ASKED: u8 = 1 << 1;
/// The stop that was asked for wants a cleanup.
const WITH_CLEANUP: u8 = 1 << 2;
/// The cleanup is to be dropped between two polls.
const STOP_CLEANUP: u8 = 1 << 3;
const CLEANING: u8 = 1 << 4;
const DONE: u8 = 1 << 5;
const ABANDONED: u8 = 1 << 6;
/// The body has begun, or is about to: its thread has this attempt in hand.
const BEGUN: u8 = 1 << 7;
/// The phase; none of its bits means `Running`.
const PHASE: u8 = CLEANING | DONE | ABANDONED;

/// How a stop was asked for. Later ones outrank earlier ones.
#[expect(clippy::enum_variant_names, reason = "each is a whole sentence where it is used alone")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nobody asked.
    NotAsked,
    /// By a shutdown that will run the task again: the cleanup is not to run.
    AskedWithoutCleanup,
    /// The cleanup is to run after the body has stopped.
    Asked,
}

/// What [`Control::abandon`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The body was still running, and is written off now (or was before).
    Abandoned,
    /// The body has not begun, because no thread was free for it, and never will.
    NeverStarted,
    /// The body has stopped with this end, and its cleanup is running.
    Cleaning(BodyEnd),
    /// The body has stopped; its report is made or on the way.
    Done,
}

/// What an attempt does once its body and its children are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterBody {
    /// Run the cleanup, then report.
    Clean,
    /// Report at once.
    Report,
    /// It was written off meanwhile: say that it is back, nothing else.
    SayLate,
}

/// The shared state of one attempt; see the file's head for its rules.
#[derive(Debug, Default)]
pub(crate) struct Control {
    word: AtomicU8,
    /// The task of the body, and of the cleanup that follows it.
    waker: OnceLock<Waker>,
    /// The task of a cleanup that is run alone. Boxed like the end.
    cleaner: OnceLock<Box<Waker>>,
    /// Boxed: there is one control per running task, and few of them ever clean up.
    end: OnceLock<Box<BodyEnd>>,
}

impl Control {
    /// Makes the control of an attempt that has not begun.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Asks that the body be dropped between two polls (rung 3). Idempotent; never waits.
    pub(crate) fn request_stop(&self) {
        self.word.fetch_or(STOP, SeqCst);
        self.wake();
    }

    /// Notes how a stop was asked for (rung 1). Can be raised, never lowered.
    pub(crate) fn mark_asked(&self, asked: Asked) {
        let flags = match asked {
            Asked::NotAsked => 0,
            Asked::AskedWithoutCleanup => ASKED,
            Asked::Asked => ASKED | WITH_CLEANUP,
        };
        // One that waits for its turn need not wait any longer.
        if self.word.fetch_or(flags, SeqCst) & BEGUN == 0 {
            self.wake();
        }
    }

    /// How a stop was asked for so far.
    pub(crate) fn asked(&self) -> Asked {
        let word = self.word.load(SeqCst);
        if word & WITH_CLEANUP != 0 {
            Asked::Asked
        } else if word & ASKED != 0 {
            Asked::AskedWithoutCleanup
        } else {
            Asked::NotAsked
        }
    }

    /// Writes the body off, unless it has stopped (rung 5), and says what was found.
    ///
    /// A body that is written off is also stopped at its next await, should it ever get there.
    pub(crate) fn abandon(&self) -> Probe {
        let change = |word| (word & PHASE == 0).then_some(word | ABANDONED | STOP);
        let found = match self.word.fetch_update(SeqCst, SeqCst, change) {
            Ok(found) => {
                self.wake();
                found | ABANDONED
            }
            Err(found) => found,
        };
        if found & ABANDONED != 0 {
            return if found & BEGUN == 0 { Probe::NeverStarted } else { Probe::Abandoned };
        }
        match self.end.get() {
            Some(end) if found & CLEANING != 0 => Probe::Cleaning(BodyEnd::clone(end)),
            _ => Probe::Done,
        }
    }

    /// Notes that the body begins, before the look at the flags that decides whether it does.
    ///
    /// Both this and [`Control::abandon`] change the byte: either the one who writes off sees that it has begun,
    /// or the one who begins sees the stop.
    pub(super) fn begin(&self) {
        self.word.fetch_or(BEGUN, SeqCst);
    }

    /// Whether the body was written off.
    pub(super) fn is_abandoned(&self) -> bool {
        self.word.load(SeqCst) & ABANDONED != 0
    }

    /// Whether nothing of the attempt runs any more that could still be recorded: it was written off, or the body
    /// and its cleanup are over.
    pub(crate) fn is_over(&self) -> bool {
        let word = self.word.load(SeqCst);
        word & ABANDONED != 0 || word & (DONE | CLEANING) == DONE
    }

    /// Ends a running cleanup at its next await (rung 4); its report says that it timed out.
    pub(crate) fn stop_cleanup(&self) {
        self.word.fetch_or(STOP_CLEANUP, SeqCst);
        self.wake();
    }

    /// Registers the task that is to be woken, before its first look at the flags; see the file's head.
    pub(super) fn watch(&self, waker: &Waker) {
        if !self.waker.get_or_init(|| waker.clone()).will_wake(waker) {
            self.cleaner.get_or_init(|| Box::new(waker.clone()));
        }
        self.word.fetch_or(0, SeqCst);
    }

    /// Wakes whoever is registered. After the byte was changed, never before.
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
        if let Some(waker) = self.cleaner.get() {
            waker.wake_by_ref();
        }
    }

    /// Resolves when a stop is requested. To be awaited in one task only, the one that is registered.
    ///
    /// # Cancel safety
    /// Cancel safe.
    #[cfg(target_os = "linux")]
    pub(super) async fn stop_requested(&self) {
        self.until(Self::is_stop_requested).await;
    }

    /// Resolves when a body that waits for its turn is called off. To be awaited in the same task.
    ///
    /// # Cancel safety
    /// Cancel safe.
    #[cfg(target_os = "linux")]
    pub(super) async fn called_off(&self) {
        self.until(Self::is_called_off).await;
    }

    #[cfg(target_os = "linux")]
    async fn until(&self, is_so: fn(&Self) -> bool) {
        std::future::poll_fn(|cx| {
            self.watch(cx.waker());
            // After the registration, never before it: see the file's head.
            if is_so(self) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }

    /// Whether a body that waits for its turn is called off: somebody asked it to stop, or had it stopped.
    pub(super) fn is_called_off(&self) -> bool {
        self.word.load(SeqCst) & (ASKED | STOP) != 0
    }

    pub(super) fn is_stop_requested(&self) -> bool {
        self.word.load(SeqCst) & STOP != 0
    }

    pub(super) fn is_cleanup_stopped(&self) -> bool {
        self.word.load(SeqCst) & STOP_CLEANUP != 0
    }

    /// Leaves `Running`: the body and its children are gone, and `end` is how.
    pub(super) fn body_ended(&self, end: &BodyEnd) -> AfterBody {
        let mut word = self.word.load(SeqCst);
        loop {
            if word & ABANDONED != 0 {
                return AfterBody::SayLate;
            }
            // What has not begun leaves nothing to clean up.
            let (phase, next) = if word & WITH_CLEANUP == 0 || *end == BodyEnd::NeverStarted {
                (DONE, AfterBody::Report)
            } else {
                // Once, though this may be the second round: nobody else stores an end before this one.
                self.end.get_or_init(|| Box::new(end.clone()));
                (CLEANING, AfterBody::Clean)
            };
            match self.word.compare_exchange_weak(word, word | phase, SeqCst, SeqCst) {
                Ok(_) => return next,
                Err(now) => word = now,
            }
        }
    }

    /// Enters `Cleaning` for a cleanup that is run alone; no if the body was written off, or if a cleanup
    /// has begun before.
    pub(super) fn begin_cleanup(&self, end: &BodyEnd) -> bool {
        if self.end.set(Box::new(end.clone())).is_err() {
            return false;
        }
        let change = |word| (word & ABANDONED == 0).then_some((word & !PHASE) | CLEANING);
        self.word.fetch_update(SeqCst, SeqCst, change).is_ok()
    }

    /// Leaves `Cleaning`.
    pub(super) fn cleanup_ended(&self) {
        // Nobody else leaves this phase, so the two steps need not be one: in between both bits are set,
        // which reads as `Cleaning`.
        self.word.fetch_or(DONE, SeqCst);
        self.word.fetch_and(!CLEANING, SeqCst);
    }
}
