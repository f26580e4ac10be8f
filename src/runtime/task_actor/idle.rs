//! The idle timeout of a running task: its timer, and what it finds when that is over.

use std::time::{Duration, Instant};

use crate::lifecycle::{Ask, LadderInput};
use crate::task::Timeout;

use super::super::clock;
use super::super::deadlines::Slot;
use super::super::idle::Seen;
use super::TaskActor;

/// What is kept of a task that has an idle timeout.
pub(super) struct Idle {
    pub(super) limit: Timeout,
    /// When the body is looked at next.
    at: Option<Instant>,
}

impl Idle {
    pub(super) fn new(limit: Timeout) -> Self {
        Self { limit, at: None }
    }
}

impl TaskActor {
    /// The body was given to the pool: each attempt counts by itself.
    pub(super) fn watch_for_idleness(&mut self) {
        if let Some(idle) = &self.idle {
            self.look_after(idle.limit.duration());
        }
    }

    /// A timer is over: is the body idle, or when would it be?
    pub(super) fn look_for_signs(&mut self, at: Instant) {
        let Some(idle) = self.idle.as_mut().filter(|idle| idle.at == Some(at)) else { return };
        idle.at = None;
        let limit = idle.limit;
        if self.ladder.any_ask().is_some() {
            // It stops already, and the first cause stands.
            return;
        }
        match self.live.look_for_signs(limit.duration(), clock::monotonic_micros()) {
            Seen::Idle => self.step(LadderInput::Ask(Ask::idle(self.live.services.clock.wall(), limit))),
            Seen::LookAfter(time) => self.look_after(time),
        }
    }

    fn look_after(&mut self, time: Duration) {
        let Some(idle) = &mut self.idle else { return };
        idle.at = clock::monotonic().checked_add(time);
        if let Some(at) = idle.at {
            self.live.services.deadlines.set(at, self.live.id, Slot::Idle);
        }
    }

    pub(super) fn forget_idleness(&mut self) {
        if let Some(at) = self.idle.as_mut().and_then(|idle| idle.at.take()) {
            self.live.services.deadlines.remove(at, self.live.id, Slot::Idle);
        }
    }
}
