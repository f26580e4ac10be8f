//! Staying awake for a body's answer.
//!
//! A body that is idle answers a cancel within some tens of microseconds: about what it costs to wake a thread that
//! sleeps on another core. So the coordinator does not go to sleep behind a cancel that is alone: it looks again for
//! [`PATIENCE`] at the most. Behind one of many it does: then it is awake anyway, and its core is better given away.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::fut::ActorFuture;
use actix::{AsyncContext, Context};

use super::super::deadlines::Quiet;
use super::CoordinatorActor;

/// For how long one cancel keeps the thread awake.
///
/// The answer of an idle body comes within half of it; what takes longer has work to do, and no wake-up matters to it.
const PATIENCE: Duration = Duration::from_micros(100);

/// Whether to wait for a body with open eyes.
#[derive(Default)]
pub(super) struct Vigil {
    /// Cancels passed on since the last answer or the last end.
    cancels: u32,
    ends: Option<Instant>,
}

impl Vigil {
    /// A cancel was passed on; true where a watch begins.
    fn begin(&mut self, now: Instant) -> bool {
        self.cancels = self.cancels.saturating_add(1);
        if self.ends.is_some() {
            return false;
        }
        self.ends = Some(now + PATIENCE);
        true
    }

    /// A body has stopped: what was waited for, or one that shows that there is traffic.
    pub(super) fn answered(&mut self) {
        self.cancels = 0;
    }

    /// Whether to look again; forgets everything where not.
    fn goes_on(&mut self, now: Instant) -> bool {
        let on = self.cancels == 1 && self.ends.is_some_and(|ends| now < ends);
        if !on {
            *self = Self::default();
        }
        on
    }
}

/// Keeps the coordinator's thread awake until a body has stopped, for [`PATIENCE`] at the most.
pub(super) fn keep(actor: &mut CoordinatorActor, ctx: &mut Context<CoordinatorActor>) {
    // Where bodies keep all threads, the processors have something better to do.
    if actor.services.pool.is_any_idle() && actor.vigil.begin(Instant::now()) {
        let quiet = actor.services.deadlines.quiet();
        ctx.spawn(Awake { _quiet: quiet, has_looked: false, is_over: false });
    }
}

struct Awake {
    /// A timer that the cancel sets wakes its thread when the body has been told, and not before.
    _quiet: Quiet,
    /// The task's actor has had its turn, and has told the body.
    has_looked: bool,
    /// The watch is over, and the task's actor has its turn.
    is_over: bool,
}

impl ActorFuture<CoordinatorActor> for Awake {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut CoordinatorActor,
        _: &mut Context<CoordinatorActor>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if self.is_over {
            return Poll::Ready(());
        }
        if !actor.vigil.goes_on(Instant::now()) {
            // Where the body has stopped, the task's actor has that in its mailbox, and its turn before the next look
            // here: it removes the timer, for which no thread needs to be woken then.
            self.is_over = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if std::mem::replace(&mut self.has_looked, true) {
            // The body's thread may need this very core.
            std::thread::yield_now();
        }
        // The mailbox is looked at before this is asked again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(1);

    #[test]
    fn a_lone_cancel_is_watched_until_its_body_has_stopped() {
        let (mut vigil, now) = (Vigil::default(), Instant::now());
        assert!(vigil.begin(now));
        assert!(vigil.goes_on(now) && vigil.goes_on(now + PATIENCE / 2));
        vigil.answered();
        assert!(!vigil.goes_on(now + SHORT));
        assert!(vigil.begin(now), "and the next one is watched again");
    }

    #[test]
    fn a_body_that_goes_on_is_watched_for_a_moment_only() {
        let (mut vigil, now) = (Vigil::default(), Instant::now());
        assert!(vigil.begin(now));
        assert!(!vigil.goes_on(now + PATIENCE));
        assert!(!vigil.goes_on(now), "what is over stays over");
    }

    #[test]
    fn one_of_many_is_not_watched() {
        let (mut vigil, now) = (Vigil::default(), Instant::now());
        assert!(vigil.begin(now));
        assert!(!vigil.begin(now), "one watch at a time");
        assert!(!vigil.goes_on(now));
    }

    #[test]
    fn an_answer_and_the_next_cancel_at_once_go_on_with_the_watch() {
        let (mut vigil, now) = (Vigil::default(), Instant::now());
        assert!(vigil.begin(now));
        vigil.answered();
        assert!(!vigil.begin(now + SHORT), "the first watch is still kept");
        assert!(vigil.goes_on(now + SHORT));
        assert!(!vigil.goes_on(now + PATIENCE), "and ends when it would have");
    }
}
