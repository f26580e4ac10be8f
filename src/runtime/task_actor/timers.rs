//! The timers of a task's actor: its deadline, and the one of its ladder.

use std::time::Duration;

use crate::lifecycle::Timer;

use super::super::clock;
use super::super::deadlines::Slot;
use super::TaskActor;

impl TaskActor {
    pub(super) fn arm_deadline(&mut self) {
        let (deadlines, id) = (&self.live.services.deadlines, self.live.id);
        if let Some(at) = self.deadline.take() {
            deadlines.remove(at, id, Slot::Deadline);
        }
        let left = self.timeout.map(|timeout| timeout.duration().saturating_sub(self.ran_before()));
        self.deadline = left.and_then(|left| self.began.checked_add(left));
        if let Some(at) = self.deadline {
            deadlines.set(at, id, Slot::Deadline);
        }
    }

    /// Whether a new deadline is on its way to the row.
    pub(super) fn is_deadline_moving(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.timeouts.is_empty())
    }

    pub(super) fn arm_rung(&mut self, timer: Timer, time: Duration) {
        self.disarm_rung();
        if let Some(at) = clock::monotonic().checked_add(time) {
            self.live.services.deadlines.set(at, self.live.id, Slot::Ladder);
            self.rare().rung_timer = Some((timer, at));
        }
    }

    pub(super) fn disarm_rung(&mut self) {
        if let Some((_, at)) = self.rare.as_mut().and_then(|rare| rare.rung_timer.take()) {
            self.live.services.deadlines.remove(at, self.live.id, Slot::Ladder);
        }
    }

    pub(super) fn disarm(&mut self) {
        self.forget_idleness();
        self.disarm_rung();
        if let Some(at) = self.deadline.take() {
            self.live.services.deadlines.remove(at, self.live.id, Slot::Deadline);
        }
    }
}
