//! The `TaskActor`: one for each running task.
//!
//! It feeds its [`Ladder`] with what it hears and carries out what the ladder says; an attempt reads: record the
//! start, arm the deadline, run, stop, record the end, answer. It never awaits its body, runs no user code, and
//! decides nothing.
//!
//! Invariants: a caller is answered only with what is durable (I-6); whoever asked before the end was durable
//! gets the receipt of that end, whoever came later reads the row. It never stops by itself: what was routed to it
//! before the coordinator heard of its end is still answered, and it goes when the coordinator drops its address.

mod count;
mod handlers;
mod hold;
mod idle;
mod lean;
mod timers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use tokio::sync::oneshot;

use crate::lifecycle::{Ask, AskedHow, Change, Effect, Ending, Ladder, LadderInput, Timer, events_of};
use crate::store::{Answer, NewTask, StoreError, Write};
use crate::task::{Record, Timeout, Timestamp};

use super::end_notice::EndNotice;
use super::live::Live;
use super::messages::{
    CancelAnswer, Finished, Leaves, Reply, Resumed, Tag, TimeoutAnswer, TimeoutRead, new_record,
};
use super::metrics::Counted;
use super::{CommandError, Receipt, Refusal, StartError, clock};
use idle::Idle;

/// Where a task came from, and who waits for its start.
pub(crate) enum Origin {
    /// A new row.
    New {
        /// The row.
        task: Box<NewTask>,
        /// Who started it.
        reply: oneshot::Sender<Result<Record, StartError>>,
    },
    /// A row that was pending.
    Pending {
        /// The row.
        record: Box<Record>,
        /// A new timeout.
        timeout: Option<Timeout>,
        /// Who started it; none where it comes from the queue.
        reply: Option<oneshot::Sender<Result<Resumed, CommandError>>>,
    },
}

/// The actor. Small, for there may be 100,000: what only some tasks need, or all only for a moment, is boxed.
pub(crate) struct TaskActor {
    live: Arc<Live>,
    ladder: Ladder,
    /// Since when it runs here, and how long it had run before, in microseconds.
    began: Instant,
    ran_before: u64,
    timeout: Option<Timeout>,
    deadline: Option<Instant>,
    idle: Option<Box<Idle>>,
    /// Until its start is answered.
    origin: Option<Box<Origin>>,
    /// The coordinator was told that the task does not run here any more.
    is_over: bool,
    /// What only some tasks need.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Who asked it to stop before its end was durable.
    askers: Vec<oneshot::Sender<CancelAnswer>>,
    /// Who waits for the request to be durable.
    requested: Vec<oneshot::Sender<CancelAnswer>>,
    /// Moved deadlines on their way to the row, oldest first.
    timeouts: std::collections::VecDeque<(Option<Timeout>, oneshot::Sender<TimeoutAnswer>)>,
    timeout_moved: bool,
    rung_timer: Option<(Timer, Instant)>,
    request_is_durable: bool,
    /// When the request was accepted.
    asked_at: Option<Instant>,
    /// The truth about the end, once it is durable.
    receipt: Option<Receipt>,
}

impl TaskActor {
    /// Starts an actor, on this thread.
    pub(crate) fn start(live: Arc<Live>, origin: Origin) -> Addr<Self> {
        lean::start(Self::new(live, origin))
    }

    fn new(live: Arc<Live>, origin: Origin) -> Self {
        let now = live.services.clock.wall();
        let (timeout, idle, started_at) = match &origin {
            Origin::New { task, .. } => (task.timeout, task.idle_timeout, now),
            Origin::Pending { record, timeout, .. } => {
                (timeout.or(record.timeout), record.idle_timeout, record.started_at.unwrap_or(now))
            }
        };
        Self {
            ladder: Ladder::new(Arc::clone(&live.model.limits)),
            began: clock::monotonic(),
            ran_before: now.micros_since(started_at),
            live,
            timeout,
            deadline: None,
            idle: idle.map(|limit| Box::new(Idle::new(limit))),
            origin: Some(Box::new(origin)),
            is_over: false,
            rare: None,
        }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn commit(&self, write: Write, tag: Tag) {
        self.live.services.commit(write, Reply::Task(self.live.id, tag));
    }

    /// Step one: the row.
    fn record_start(&self) {
        let node = Arc::clone(&self.live.services.node);
        let at = match self.origin.as_deref() {
            Some(Origin::New { task, .. }) => task.at,
            _ => self.live.services.clock.wall(),
        };
        let events = events_of(&Change::Begun, self.live.attempt, at);
        let write = match self.origin.as_deref() {
            Some(Origin::New { task, .. }) => Write::CreateRunning { task: task.clone(), node, events },
            Some(Origin::Pending { record, timeout, .. }) => {
                let (id, epoch, timeout) = (record.key.id, record.epoch, *timeout);
                Write::Begin { id, epoch, node, timeout, at, events }
            }
            None => return,
        };
        self.commit(write, Tag::Begin);
    }

    /// The row is durable, or could not be written.
    fn start_recorded(&mut self, answer: Result<Answer, StoreError>) {
        match answer {
            Ok(Answer::Stale | Answer::KeyTaken) => self.give_up_start(None),
            Ok(answer) => {
                if let Answer::Begun(signals) = answer {
                    for signal in signals {
                        self.live.extras().deliver(signal);
                    }
                    self.read_timeout();
                }
                self.count_start();
                // Before the answer: whoever cancels the task at once finds it here.
                self.live.services.live.insert(&self.live);
                self.answer_start();
                if let Some(limit) = self.passed_timeout() {
                    // Its time was over before it came here: it is not run again.
                    self.step(LadderInput::Ask(Ask::timeout(self.live.services.clock.wall(), limit)));
                } else {
                    self.arm_deadline();
                }
                self.step(LadderInput::Recorded);
            }
            Err(error) => self.give_up_start(Some(Refusal::Unavailable(error))),
        }
    }

    fn ran_before(&self) -> Duration {
        Duration::from_micros(self.ran_before)
    }

    /// The timeout of a task whose time was over before it came here.
    fn passed_timeout(&self) -> Option<Timeout> {
        self.timeout.filter(|timeout| timeout.duration() <= self.ran_before())
    }

    /// Looks whether the deadline of a task that waited was moved between the reading of its row and now.
    fn read_timeout(&self) {
        let (services, id) = (Arc::clone(&self.live.services), self.live.id);
        self.live.services.pool.timers().spawn(async move {
            // Without an answer the timeout stands as it was read before.
            if let Ok(Some(record)) = services.readers.read(move |reader| reader.task(id)).await {
                services.tell_coordinator(TimeoutRead(id, record.timeout));
            }
        });
    }

    fn answer_start(&mut self) {
        // Err in a send: whoever started it has gone, which takes nothing back.
        match self.origin.take().map(|origin| *origin) {
            Some(Origin::New { task, reply }) => {
                let _ = reply.send(Ok(new_record(&task, Some(&self.live.services.node), false)));
            }
            Some(Origin::Pending { reply: Some(reply), .. }) => {
                let _ = reply.send(Ok(Resumed::Started));
            }
            Some(Origin::Pending { reply: None, .. }) | None => {}
        }
    }

    /// The row could not be made, or (with no refusal) somebody was first: the body never begins.
    fn give_up_start(&mut self, refusal: Option<Refusal>) {
        let leaves = match (self.origin.as_deref(), &refusal) {
            (Some(Origin::Pending { reply: None, .. }), Some(_)) => Leaves::Waits,
            (Some(Origin::Pending { reply: Some(_), .. }), Some(_)) => Leaves::StandsAside,
            _ => Leaves::Ended,
        };
        self.disarm_rung();
        if let Some(rare) = self.rare.take() {
            for asker in rare.askers.into_iter().chain(rare.requested) {
                let _ = asker.send(refusal.clone().map_or(CancelAnswer::ReadRow, CancelAnswer::Refused));
            }
        }
        match (self.origin.take().map(|origin| *origin), refusal) {
            (Some(Origin::New { reply, .. }), refusal) => {
                // A new row is refused for one reason only: the request that starts it was carried out before.
                let _ = reply.send(Err(refusal.map_or(StartError::KeyTaken, StartError::from)));
            }
            (Some(Origin::Pending { reply: Some(reply), .. }), Some(refusal)) => {
                let _ = reply.send(Err(refusal.into()));
            }
            (Some(Origin::Pending { reply: Some(reply), .. }), None) => {
                let _ = reply.send(Ok(Resumed::Stale));
            }
            (Some(Origin::Pending { reply: None, .. }) | None, _) => {}
        }
        self.finish(leaves);
    }

    fn step(&mut self, input: LadderInput) {
        if self.is_over {
            return;
        }
        let asks = matches!(input, LadderInput::Ask(_));
        let effects = self.ladder.step(input);
        if asks && self.ladder.request().is_some() {
            self.rare().asked_at.get_or_insert_with(clock::monotonic);
        }
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Begin => {
                self.live.begin();
                self.watch_for_idleness();
            }
            Effect::Tell(how) => {
                if let Some(ask) = self.ladder.any_ask() {
                    self.live.tell(&ask.request, how);
                }
                if how == AskedHow::ToRunAgain {
                    self.live.place_request();
                }
            }
            Effect::Write(change) => self.write(change),
            Effect::Arm(Timer::Hold, _) if self.may_hold_on() => self.arm_rung(Timer::Hold, hold::AGAIN),
            Effect::Arm(timer, time) => self.arm_rung(timer, time),
            Effect::DropBody => self.live.stop(),
            Effect::RunCleanup(_) => self.live.begin_cleanup(),
            Effect::DropCleanup => self.live.stop_cleanup(),
            Effect::Forget => self.answer_end(),
        }
    }

    fn write(&mut self, change: Change) {
        let at = self.live.services.clock.wall();
        let (id, epoch) = (self.live.id, self.live.epoch);
        let events = events_of(&change, self.live.attempt, at);
        if matches!(change, Change::Ended(_) | Change::Requeued { .. }) {
            // Before it is sent: whoever still finds the task there has not missed its end.
            self.live.services.live.remove(id);
        }
        match change {
            Change::Asked(ask) => self.commit(Write::Ask { id, epoch, ask, events }, Tag::Ask),
            Change::Ended(ending) => {
                let how = self.note_end(&ending, at);
                self.commit_last(Write::End { id, epoch, ending, at, events }, Some(how));
            }
            Change::Requeued { counts } => self.commit_last(Write::Requeue { id, epoch, counts, at }, None),
            // A running task's ladder asks for none of these.
            Change::Queued | Change::Begun | Change::AlreadyAsked => {}
        }
        self.live.place_request();
    }

    /// The last write: whoever has asked by now is told of it as soon as it is durable.
    fn commit_last(&mut self, write: Write, how: Option<Counted>) {
        let request = self.ladder.request().map(|ask| ask.request.cause);
        let (askers, receipt) = self
            .rare
            .as_mut()
            .map(|rare| (std::mem::take(&mut rare.askers), rare.receipt.clone()))
            .unwrap_or_default();
        let notice = EndNotice::new(Arc::clone(&self.live.model), how, request, askers, receipt);
        self.live.services.commit(write, Reply::End(self.live.id, Box::new(notice)));
    }

    /// What will be counted. Keeps what its askers will be told, and tells the log of a body that was written off.
    fn note_end(&mut self, ending: &Ending, at: Timestamp) -> Counted {
        if ending.stopped_by == Some(crate::task::StoppedBy::Abandoned) {
            let task = self.live.key();
            tracing::warn!(%task, "the body did not stop within its limit and is written off: its thread is lost");
        }
        if let (Some(request), Some(stopped_by)) = (&ending.request, ending.stopped_by) {
            self.rare().receipt = Some(Receipt::Cancelled {
                reason: Arc::clone(&request.reason),
                cause: request.cause,
                stopped_by,
                cancelled_at: at,
            });
        }
        self.counted(ending)
    }

    /// The end was written, or can not be.
    fn end_recorded(&mut self, answer: &Result<Answer, StoreError>) {
        if matches!(answer, Ok(Answer::Stale) | Err(_)) {
            // Somebody else ended the row, or it can not be written at all: the row tells.
            tracing::error!(task = %self.live.key(), ?answer, "the end of a task was not written");
            self.rare().receipt = None;
        }
        self.step(LadderInput::Durable);
    }

    /// The last write is durable: whoever came while it was on its way is told.
    fn answer_end(&mut self) {
        self.disarm_rung();
        if let Some(rare) = self.rare.take() {
            let Rare { askers, requested, timeouts, receipt, .. } = *rare;
            for asker in askers.into_iter().chain(requested) {
                let answer = receipt.clone().map_or(CancelAnswer::ReadRow, CancelAnswer::Receipt);
                let _ = asker.send(answer);
            }
            for (_, reply) in timeouts {
                let _ = reply.send(TimeoutAnswer::Ended);
            }
        }
        self.finish(Leaves::Ended);
    }

    fn finish(&mut self, leaves: Leaves) {
        self.is_over = true;
        self.disarm();
        self.live.services.live.remove(self.live.id);
        self.live.services.tell_coordinator(Finished(self.live.id, leaves));
    }

    fn request_recorded(&mut self, answer: &Result<Answer, StoreError>) {
        if !matches!(answer, Ok(Answer::Applied)) {
            return;
        }
        let receipt = self.asked_receipt();
        let rare = self.rare();
        rare.request_is_durable = true;
        for asker in std::mem::take(&mut rare.requested) {
            let answer = receipt.clone().map_or(CancelAnswer::ReadRow, CancelAnswer::Receipt);
            let _ = asker.send(answer);
        }
    }

    fn asked_receipt(&self) -> Option<Receipt> {
        let request = &self.ladder.request()?.request;
        Some(Receipt::Cancelling { reason: Arc::clone(&request.reason), cancel_requested_at: request.at })
    }

    fn timeout_recorded(&mut self, answer: &Result<Answer, StoreError>) {
        let Some((timeout, reply)) = self.rare().timeouts.pop_front() else { return };
        let told = match answer {
            Ok(Answer::Stale) => TimeoutAnswer::Ended,
            Ok(_) => {
                self.timeout = timeout;
                TimeoutAnswer::Done
            }
            Err(error) => TimeoutAnswer::Refused(Refusal::Unavailable(error.clone())),
        };
        // Also where it was not moved: the old one may have passed meanwhile.
        self.arm_deadline();
        let _ = reply.send(told);
    }
}
