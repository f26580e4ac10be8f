//! Holding a request back, so that its end takes it along: one write instead of two.
//!
//! The ladder holds it for a moment. Where many tasks are asked at once that moment is over long before their bodies
//! are gone, and each would write its request alone, in front of its own end and of everybody else's. What is held is
//! promised to nobody: an answer waits for the commit, whichever it is.

use std::time::Duration;

use crate::lifecycle::{LadderInput, Timer};

use super::TaskActor;

/// How long a request is held again.
pub(super) const AGAIN: Duration = Duration::from_millis(20);

/// How long altogether: well inside what a stop may take (I-7).
const LONGEST: Duration = Duration::from_millis(500);

impl TaskActor {
    /// Has a request that is held written now, before what follows it.
    pub(super) fn write_held_request(&mut self) {
        let is_held = |rare: &super::Rare| matches!(rare.rung_timer, Some((Timer::Hold, _)));
        if self.rare.as_deref().is_some_and(is_held) {
            self.disarm_rung();
            self.step(LadderInput::Over(Timer::Hold, None));
        }
    }

    /// Whether a request may be held once more: its body is gone and the report on its way, or what is written now
    /// would only wait in line. Not for ever, and not where somebody waits for the request itself.
    pub(super) fn may_hold_on(&self) -> bool {
        (self.live.is_over() || self.live.services.writer_is_behind())
            && self.rare.as_ref().is_some_and(|rare| {
                rare.requested.is_empty() && rare.asked_at.is_some_and(|at| at.elapsed() < LONGEST)
            })
    }
}
