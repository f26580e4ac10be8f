//! What the coordinator hears: from commands, tasks, timers, bodies and the database.

use actix::{Actor, AsyncContext, Context, Handler, Message};

use crate::lifecycle::Ask;
use crate::store::Answer;
use crate::task::{Cause, TaskId};

use super::super::Refusal;
use super::super::messages::{
    BodyCleaning, BodyStopped, Came, Cancel, CancelAnswer, Coming, CommittedBatch, Deliver, Drain, Durable,
    Expired, Finished, Healed, IdsReserved, Leaves, Left, NotResumed, Press, Requested, Resume, SetTimeout,
    Start, Started, Status, StopForShutdown, Tag, TimeoutAnswer, TimeoutRead, TimerOver,
};
use super::super::services::MAILBOX;
use super::super::task_actor::TaskActor;
use super::{CoordinatorActor, ID_BLOCK, refuse, vigil};

/// How long a message waits for a place in a full mailbox.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(1);

/// When waiting tasks are looked at again after one could not be begun, because the database failed.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);

impl Actor for CoordinatorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Started> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, started: Started, _: &mut Self::Context) {
        // Sent once both central actors can be reached: what is begun now finds its way back here.
        self.fill();
        // Err: nobody waits for it any more.
        let _ = started.0.send(());
    }
}

impl Handler<Start> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, start: Start, _: &mut Self::Context) {
        self.services.command_taken();
        self.start(start);
    }
}

impl Handler<Resume> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, resume: Resume, _: &mut Self::Context) {
        self.resume(resume);
    }
}

impl Handler<Came> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, Came(id, line, coming): Came, _: &mut Self::Context) {
        match coming {
            Coming::Waits => self.roster.wait(id, line),
            Coming::StandsAside => self.roster.turn_back(id, line, true),
            Coming::NotMade => self.roster.turn_back(id, line, false),
        }
        self.fill();
    }
}

impl Handler<NotResumed> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, NotResumed(id, leaves): NotResumed, ctx: &mut Self::Context) {
        self.loading = self.loading.saturating_sub(1);
        self.take_place_back(id, leaves, ctx);
    }
}

impl Handler<Left> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, Left(id): Left, _: &mut Self::Context) {
        self.roster.leave(id);
    }
}

impl Handler<Cancel> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, cancel: Cancel, ctx: &mut Self::Context) {
        self.services.command_taken();
        let here = self.tasks.contains_key(&cancel.id);
        match self.route(cancel.id, cancel) {
            Ok(()) => vigil::keep(self, ctx),
            Err(cancel) => {
                let answer = if here { CancelAnswer::Refused(Refusal::Busy) } else { CancelAnswer::NotHere };
                let _ = cancel.reply.send(answer);
            }
        }
    }
}

impl Handler<Requested> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, requested: Requested, _: &mut Self::Context) {
        self.services.command_taken();
        if let Err(requested) = self.route(requested.id, requested) {
            let _ = requested.reply.send(CancelAnswer::ReadRow);
        }
    }
}

impl Handler<SetTimeout> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, set: SetTimeout, _: &mut Self::Context) {
        self.services.command_taken();
        let here = self.tasks.contains_key(&set.id);
        if let Err(set) = self.route(set.id, set) {
            let answer = if here { TimeoutAnswer::Refused(Refusal::Busy) } else { TimeoutAnswer::NotHere };
            let _ = set.reply.send(answer);
        }
    }
}

impl Handler<TimeoutRead> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, read: TimeoutRead, ctx: &mut Self::Context) {
        self.insist(read.0, read, ctx);
    }
}

impl Handler<Status> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, status: Status, _: &mut Self::Context) {
        self.services.command_taken();
        // Dropped, and so answered with nothing, where the task is not here.
        drop(self.route(status.id, status));
    }
}

impl Handler<Deliver> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) {
        // Of a task that does not run, the signal waits in the database.
        drop(self.route(deliver.id, deliver));
    }
}

impl Handler<Expired> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, Expired(timers): Expired, _: &mut Self::Context) {
        for (id, slot, at) in timers {
            if self.route(id, TimerOver(slot, at)).is_err() && self.tasks.contains_key(&id) {
                // Its mailbox is full: a little later, rather than never.
                self.services.deadlines.set(at, id, slot);
            }
        }
    }
}

impl Handler<CommittedBatch> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, CommittedBatch(batch): CommittedBatch, ctx: &mut Self::Context) {
        for (id, tag, answer) in batch {
            if matches!(tag, Tag::End | Tag::AskAndEnd) && matches!(answer, Ok(Answer::Applied)) {
                // Here already, and not when the actor is done: whoever has seen the end finds the place free.
                self.roster.over(id);
            }
            self.insist(id, Durable(tag, answer), ctx);
        }
    }
}

impl CoordinatorActor {
    fn take_place_back(&mut self, id: TaskId, leaves: Leaves, ctx: &mut Context<Self>) {
        match leaves {
            Leaves::Waits => {
                self.roster.wait_again(id);
                return self.look_again(ctx);
            }
            Leaves::StandsAside => self.roster.stand_aside(id),
            Leaves::Ended => self.roster.ended(id),
        }
        self.fill();
    }

    /// Waiting tasks are looked at in a while, once for all that could not be begun, and not at once: what failed
    /// would fail again. Where commits fail, the database's recovery looks as well.
    fn look_again(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.look_is_due, true) {
            ctx.run_later(LOOK, |actor, _| {
                actor.look_is_due = false;
                actor.fill();
            });
        }
    }

    /// Routes what must arrive: again in a moment, where a flood of commands has filled the task's mailbox.
    ///
    /// Not by a message to itself: the task shares this thread and could not empty its mailbox meanwhile.
    fn insist<M>(&self, id: TaskId, message: M, ctx: &mut Context<Self>)
    where
        M: Message<Result = ()> + Send + 'static,
        TaskActor: Handler<M>,
    {
        if let Err(message) = self.route(id, message)
            && self.tasks.contains_key(&id)
        {
            ctx.run_later(MOMENT, move |actor, ctx| actor.insist(id, message, ctx));
        }
    }
}

impl Handler<BodyCleaning> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, cleaning: BodyCleaning, ctx: &mut Self::Context) {
        self.insist(cleaning.0, cleaning, ctx);
    }
}

impl Handler<BodyStopped> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, stopped: BodyStopped, ctx: &mut Self::Context) {
        self.vigil.answered();
        self.insist(stopped.0, stopped, ctx);
    }
}

impl Handler<Finished> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, Finished(id, leaves): Finished, ctx: &mut Self::Context) {
        self.tasks.remove(&id);
        self.take_place_back(id, leaves, ctx);
        self.end_drain_if_empty();
    }
}

impl Handler<IdsReserved> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, IdsReserved(first): IdsReserved, _: &mut Self::Context) {
        self.ids_asked = false;
        match first {
            Ok(first) => self.ids.push_back((first, first + i64::from(ID_BLOCK))),
            Err(error) if self.ids.is_empty() => {
                for start in std::mem::take(&mut self.parked) {
                    refuse(start, Refusal::Unavailable(error.clone()).into());
                }
            }
            Err(_) => {}
        }
        while !self.ids.is_empty() {
            let Some(start) = self.parked.pop_front() else { return };
            self.admit(start);
        }
        if !self.parked.is_empty() {
            let _ = self.next_id_if_none();
        }
    }
}

impl Handler<Healed> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, _: Healed, _: &mut Self::Context) {
        self.fill();
    }
}

impl Handler<Drain> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) {
        self.roster.drain();
        for start in std::mem::take(&mut self.parked) {
            refuse(start, Refusal::ShuttingDown.into());
        }
        self.drain = Some(drain.reply);
        let ask = Ask::new(self.services.clock.wall(), Cause::Shutdown, None, None);
        for id in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.insist(id, StopForShutdown(ask.clone()), ctx);
        }
        self.end_drain_if_empty();
    }
}

impl Handler<Press> for CoordinatorActor {
    type Result = ();

    fn handle(&mut self, press: Press, ctx: &mut Self::Context) {
        for id in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.insist(id, press, ctx);
        }
    }
}
