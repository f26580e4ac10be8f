//! The `DbActor`: the only one that writes.
//!
//! It has an arbiter, and so a thread, of its own. Messages that wait in its mailbox are all handled before its
//! spawned future is polled; that future commits what they left in the intake. So a lone write waits for nobody,
//! and while one group is on its way to the disk the next one gathers: group commit without a timer.
//!
//! Invariants: nobody is answered before the commit; events reach watchers only after it. While commits fail,
//! what must not be lost (ends, requests, events, taken signals) is kept in order and tried again; everything
//! else is refused at once.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture, fut};
use tokio::sync::oneshot;

use crate::store::{Answer, Committed, Store, StoreError, Write};
use crate::task::TaskId;

use super::clock;
use super::intake::{Intake, Op};
use super::messages::{Commit, CommittedBatch, Flush, Healed, Reply, Tag};
use super::services::Services;

/// How long a failing database is left alone before the next try.
const RETRY: Duration = Duration::from_millis(200);

/// How often the database file is looked at while nothing fails.
const LOOK: Duration = Duration::from_secs(1);

/// The actor.
pub(crate) struct DbActor {
    store: Box<dyn Store>,
    services: Arc<Services>,
    intake: Intake<Reply>,
    flushes: Vec<oneshot::Sender<()>>,
    scheduled: bool,
}

impl DbActor {
    pub(crate) fn new(store: Box<dyn Store>, services: Arc<Services>) -> Self {
        Self { store, services, intake: Intake::new(), flushes: Vec::new(), scheduled: false }
    }

    fn schedule(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.scheduled, true) {
            ctx.spawn(fut::ready(()).into_actor(self).map(|(), actor, ctx| {
                actor.scheduled = false;
                actor.commit_next(ctx);
            }));
        }
    }

    fn schedule_later(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.scheduled, true) {
            ctx.run_later(RETRY, |actor, ctx| {
                actor.scheduled = false;
                actor.commit_next(ctx);
            });
        }
    }

    fn commit_next(&mut self, ctx: &mut Context<Self>) {
        let group = self.intake.next_group();
        let failing = !self.services.health.writes_work();
        if group.is_empty() && !failing {
            return self.answer_flushes();
        }
        match self.commit(group) {
            Ok(()) => {
                if failing {
                    tracing::warn!("the database takes writes again");
                    self.services.health.set_writes_work(true);
                    self.services.tell_coordinator(Healed);
                }
                if self.intake.is_empty() { self.answer_flushes() } else { self.schedule(ctx) }
            }
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "the database does not take writes: starts and cancels are refused");
                    self.services.health.set_writes_work(false);
                }
                self.schedule_later(ctx);
            }
        }
    }

    /// Commits one group and answers it. What must not be lost goes back to the intake on an error.
    fn commit(&mut self, group: Vec<Op<Reply>>) -> Result<(), StoreError> {
        let (writes, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|op| (op.write, op.reply)).unzip();
        let began = clock::monotonic();
        // An empty group is a probe of a database that failed: a reservation of nothing reaches the disk too.
        let result = if writes.is_empty() {
            self.store.commit(&[Write::ReserveIds { count: 0 }]).map(|_| Committed::default())
        } else {
            self.store.commit(&writes)
        };
        match result {
            Ok(committed) => {
                let took = clock::monotonic().saturating_duration_since(began);
                if !writes.is_empty() {
                    self.services.metrics.committed(writes.len(), committed.events.len(), took);
                }
                self.answer(replies, committed);
                Ok(())
            }
            Err(StoreError::Damaged(reason)) => {
                self.services.fail_for_good(&format!("the database is damaged: {reason}"));
                Err(StoreError::Damaged(reason))
            }
            Err(StoreError::Refused(reason)) if writes.len() > 1 => {
                tracing::error!(%reason, "a group was refused: its writes are tried one by one");
                self.commit_singly(writes, replies)
            }
            Err(error @ StoreError::Refused(_)) => {
                tracing::error!(%error, writes = ?writes.iter().map(Write::task).collect::<Vec<_>>(), "refused");
                self.refuse(replies, &error);
                Ok(())
            }
            Err(error) => {
                self.keep(writes, replies, &error);
                Err(error)
            }
        }
    }

    fn commit_singly(&mut self, writes: Vec<Write>, replies: Vec<Reply>) -> Result<(), StoreError> {
        let mut rest: Vec<Op<Reply>> =
            writes.into_iter().zip(replies).map(|(write, reply)| Op { write, reply }).collect();
        rest.reverse();
        while let Some(op) = rest.pop() {
            if let Err(error) = self.commit(vec![op]) {
                rest.reverse();
                let (writes, replies) = rest.into_iter().map(|op| (op.write, op.reply)).unzip();
                self.keep(writes, replies, &error);
                return Err(error);
            }
        }
        Ok(())
    }

    fn answer(&mut self, replies: Vec<Reply>, committed: Committed) {
        self.services.hub.publish(&committed.events);
        self.deliver(replies.into_iter().zip(committed.answers.into_iter().map(Ok)));
    }

    fn refuse(&mut self, replies: Vec<Reply>, error: &StoreError) {
        self.deliver(replies.into_iter().map(|reply| (reply, Err(error.clone()))));
    }

    /// Tells each its answer; those of tasks' actors travel together.
    fn deliver(&mut self, answers: impl Iterator<Item = (Reply, Result<Answer, StoreError>)>) {
        let mut batch: Vec<(TaskId, Tag, Result<Answer, StoreError>)> = Vec::new();
        for (reply, answer) in answers {
            match reply {
                Reply::Task(id, tag) => batch.push((id, tag, answer)),
                Reply::Call(call) => call(answer),
                Reply::Release(held) => drop(held),
            }
        }
        if !batch.is_empty() {
            self.services.tell_coordinator(CommittedBatch(batch));
        }
    }

    /// Sorts a group that failed: what must not be lost waits in front, the rest is refused.
    fn keep(&mut self, writes: Vec<Write>, replies: Vec<Reply>, error: &StoreError) {
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for (write, reply) in writes.into_iter().zip(replies) {
            if must_survive(&write, &reply) { kept.push(Op { write, reply }) } else { refused.push(reply) }
        }
        self.intake.put_back(kept);
        self.refuse(refused, error);
    }

    fn answer_flushes(&mut self) {
        for flush in self.flushes.drain(..) {
            // Err: nobody waits for it any more.
            let _ = flush.send(());
        }
    }
}

/// Whether a write tells of what has happened already, so that it must be written sooner or later.
fn must_survive(write: &Write, reply: &Reply) -> bool {
    match write {
        Write::Ask { .. } | Write::Requeue { .. } | Write::Event { .. } | Write::TakeSignal { .. } => true,
        // Of a task that runs. The end of a row that waits is somebody's command, which can be refused.
        Write::End { .. } => matches!(reply, Reply::Task(..)),
        Write::ReserveIds { .. }
        | Write::Create { .. }
        | Write::CreateRunning { .. }
        | Write::Queue { .. }
        | Write::Begin { .. }
        | Write::SetTimeout { .. }
        | Write::Signal { .. } => false,
    }
}

impl Actor for DbActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(super::services::MAILBOX);
        ctx.run_interval(LOOK, |actor, _| {
            // After a shutdown the file is the host's again.
            let closed = actor.services.closing.is_cancelled();
            if let Some(error) = actor.store.check().err().filter(|_| !closed) {
                actor.services.fail_for_good(&error.to_string());
            }
        });
    }
}

impl Handler<Commit> for DbActor {
    type Result = ();

    fn handle(&mut self, Commit { write, reply }: Commit, ctx: &mut Self::Context) {
        if !self.services.health.writes_work() && !must_survive(&write, &reply) {
            let error = StoreError::Unavailable("earlier writes still fail".to_owned());
            return self.refuse(vec![reply], &error);
        }
        self.intake.push(Op { write, reply });
        if self.intake.is_full() && self.services.health.writes_work() {
            self.commit_next(ctx);
        } else {
            self.schedule(ctx);
        }
    }
}

impl Handler<Flush> for DbActor {
    type Result = ();

    fn handle(&mut self, flush: Flush, ctx: &mut Self::Context) {
        self.flushes.push(flush.0);
        self.schedule(ctx);
    }
}
