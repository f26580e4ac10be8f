//! What a task's actor hears: each message becomes a signal to its ladder, or an answer.

use actix::{Actor, Handler};

use crate::lifecycle::{Ask, LadderInput, Timer};
use crate::store::Write;

use super::super::body_end::{cleanup_of, end_of};
use super::super::deadlines::Slot;
use super::super::messages::{
    BodyCleaning, BodyStopped, Cancel, CancelAnswer, Deliver, Durable, Press, Requested, SetTimeout, Status,
    StopForShutdown, Tag, TimeoutAnswer, TimeoutRead, TimerOver,
};
use super::lean::Lean;
use super::{TaskActor, hold};

impl Actor for TaskActor {
    type Context = Lean;

    fn started(&mut self, _: &mut Self::Context) {
        self.record_start();
    }
}

impl Handler<Durable> for TaskActor {
    type Result = ();

    fn handle(&mut self, Durable(tag, answer): Durable, _: &mut Self::Context) {
        match tag {
            Tag::Begin => self.start_recorded(answer),
            Tag::Ask => {
                self.count_request(&answer);
                self.request_recorded(&answer);
            }
            Tag::Timeout => self.timeout_recorded(&answer),
            Tag::End => self.end_recorded(&answer),
            Tag::AskAndEnd => {
                self.request_recorded(&answer);
                self.end_recorded(&answer);
            }
        }
    }
}

impl Handler<Cancel> for TaskActor {
    type Result = ();

    fn handle(&mut self, Cancel { ask, reply, .. }: Cancel, _: &mut Self::Context) {
        if self.is_over {
            // It was on its way here when the task ended, or went back to wait: the row tells which.
            let _ = reply.send(CancelAnswer::NotHere);
        } else if let Err(refusal) = self.live.services.require_writes() {
            let _ = reply.send(CancelAnswer::Refused(refusal));
        } else {
            // Also where the end is decided and on its way to the disk: until it is there, nothing is over, and
            // whoever asks now waits for the same end as whoever asked first. The ladder takes no further request.
            self.rare().askers.push(reply);
            self.step(LadderInput::Ask(ask));
        }
    }
}

impl Handler<StopForShutdown> for TaskActor {
    type Result = ();

    fn handle(&mut self, StopForShutdown(ask): StopForShutdown, _: &mut Self::Context) {
        self.step(LadderInput::Ask(ask));
    }
}

impl Handler<Requested> for TaskActor {
    type Result = ();

    fn handle(&mut self, Requested { reply, .. }: Requested, _: &mut Self::Context) {
        if self.is_over {
            let _ = reply.send(CancelAnswer::ReadRow);
        } else if self.rare().request_is_durable {
            let answer = self.asked_receipt().map_or(CancelAnswer::ReadRow, CancelAnswer::Receipt);
            let _ = reply.send(answer);
        } else {
            self.rare().requested.push(reply);
        }
    }
}

impl Handler<SetTimeout> for TaskActor {
    type Result = ();

    fn handle(&mut self, SetTimeout { id, timeout, reply }: SetTimeout, _: &mut Self::Context) {
        if self.is_over {
            let _ = reply.send(TimeoutAnswer::NotHere);
        } else if self.ladder.takes_requests() {
            // Whoever is told that the deadline was moved sees in the row that it came too late.
            self.write_held_request();
            self.rare().timeout_moved = true;
            self.rare().timeouts.push_back((timeout, reply));
            self.commit(Write::SetTimeout { id, timeout, at: self.live.services.clock.wall() }, Tag::Timeout);
        } else {
            let _ = reply.send(TimeoutAnswer::Ended);
        }
    }
}

impl Handler<TimeoutRead> for TaskActor {
    type Result = ();

    fn handle(&mut self, TimeoutRead(_, timeout): TimeoutRead, _: &mut Self::Context) {
        // What came to this actor itself is newer than what was read.
        let moved_here = self.rare.as_ref().is_some_and(|rare| rare.timeout_moved);
        if !self.is_over && !moved_here && timeout != self.timeout {
            self.timeout = timeout;
            self.arm_deadline();
        }
    }
}

impl Handler<Deliver> for TaskActor {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) {
        self.live.extras().deliver(deliver.signal);
    }
}

impl Handler<Status> for TaskActor {
    type Result = ();

    fn handle(&mut self, status: Status, _: &mut Self::Context) {
        let _ = status.reply.send((self.ladder.rung(), self.live.last_sign()));
    }
}

impl Handler<TimerOver> for TaskActor {
    type Result = ();

    fn handle(&mut self, TimerOver(slot, at): TimerOver, _: &mut Self::Context) {
        match slot {
            Slot::Deadline if self.deadline == Some(at) => {
                self.deadline = None;
                // One that is being moved counts no more, unless it turns out that it could not be moved.
                if let Some(timeout) = self.timeout.filter(|_| !self.is_deadline_moving()) {
                    self.step(LadderInput::Ask(Ask::timeout(self.live.services.clock.wall(), timeout)));
                }
            }
            Slot::Ladder => {
                let armed = self.rare.as_mut().map(|rare| &mut rare.rung_timer);
                let Some((timer, _)) = armed.and_then(|armed| armed.take_if(|(_, armed)| *armed == at))
                else {
                    return;
                };
                if timer == Timer::Hold && self.may_hold_on() {
                    return self.arm_rung(Timer::Hold, hold::AGAIN);
                }
                let probe = (timer == Timer::Stop).then(|| self.live.abandon());
                self.step(LadderInput::Over(timer, probe));
            }
            Slot::Idle => self.look_for_signs(at),
            // Moved meanwhile.
            Slot::Deadline => {}
        }
    }
}

impl Handler<BodyCleaning> for TaskActor {
    type Result = ();

    fn handle(&mut self, BodyCleaning(_, end): BodyCleaning, _: &mut Self::Context) {
        self.step(LadderInput::Cleaning(end));
    }
}

impl Handler<BodyStopped> for TaskActor {
    type Result = ();

    fn handle(&mut self, BodyStopped(_, report): BodyStopped, _: &mut Self::Context) {
        self.step(LadderInput::Stopped(end_of(report.end), cleanup_of(report.cleanup)));
    }
}

impl Handler<Press> for TaskActor {
    type Result = ();

    fn handle(&mut self, press: Press, _: &mut Self::Context) {
        match press {
            Press::Hurry => self.step(LadderInput::Hurry),
            Press::GiveUp => {
                if !self.is_over {
                    let (task, rung) = (self.live.key(), self.ladder.rung());
                    tracing::warn!(%task, rung, "did not stop before the end of the shutdown: it is given up on");
                }
                let probe = self.live.abandon();
                self.step(LadderInput::GiveUp(probe));
            }
        }
    }
}
