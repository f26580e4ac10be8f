//! The `DbActor`: the only one that writes.
//!
//! It has an arbiter, and so a thread, of its own. Messages that wait in its mailbox are all handled before its
//! spawned future is polled; that future commits what they left in the intake. So a lone write waits for nobody,
//! and while one group is on its way to the disk the next one gathers: group commit without a timer.
//!
//! Invariants: nobody is answered before the commit; events reach watchers only after it. While commits fail,
//! what must not be lost (ends, requests, events, taken signals) is kept in order and tried again; everything
//! else is refused at once. A group whose commit had no answer is never tried again before it is known not to be
//! there (I-16).

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture, fut};
use tokio::sync::oneshot;

use crate::store::{Committed, Store, StoreError, Write};

use super::clock;
use super::intake::{Intake, Op};
use super::messages::{Commit, Flush, Healed, Reply};
use super::services::{Services, Writes};

/// How long a failing database is left alone before the next try.
const RETRY: Duration = Duration::from_millis(200);

/// How often it is asked whether the database file is still there: each commit asks first, so that this is for a server
/// that does nothing, which is to be woken seldom.
const LOOK: Duration = Duration::from_secs(5);

/// The actor.
pub(crate) struct DbActor {
    store: Box<dyn Store>,
    services: Arc<Services>,
    intake: Intake<Reply>,
    /// A group whose commit had no answer.
    doubt: Option<Vec<Op<Reply>>>,
    flushes: Vec<oneshot::Sender<()>>,
    /// One of them is the last.
    is_last: bool,
    scheduled: bool,
}

impl DbActor {
    pub(crate) fn new(store: Box<dyn Store>, services: Arc<Services>) -> Self {
        Self {
            store,
            services,
            intake: Intake::new(),
            doubt: None,
            flushes: Vec::new(),
            is_last: false,
            scheduled: false,
        }
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
        let failing = !self.services.health.writes_work();
        if let Err(error) = self.settle_doubt() {
            return self.failed(&error, ctx);
        }
        let group = self.intake.next_group();
        if group.is_empty() && !failing {
            return self.answer_flushes();
        }
        match self.commit(group) {
            Ok(()) => {
                if failing {
                    tracing::warn!("the database takes writes again");
                    self.services.health.set_writes(Writes::Work);
                    self.services.tell_coordinator(Healed);
                }
                if self.intake.is_empty() { self.answer_flushes() } else { self.schedule(ctx) }
            }
            Err(error) => self.failed(&error, ctx),
        }
    }

    /// Writes fail: what can be refused is refused at once, the rest is tried again in a while.
    fn failed(&mut self, error: &StoreError, ctx: &mut Context<Self>) {
        self.mark_failing(error);
        let refused = self.intake.take_out(|op| must_survive(&op.write, &op.reply));
        self.refuse(refused.into_iter().map(|op| op.reply), &StoreError::Unavailable(error.to_string()));
        self.services.health.set_writes(if self.doubt.is_some() { Writes::InDoubt } else { Writes::Fail });
        self.schedule_later(ctx);
    }

    /// Before anybody is refused: whoever is finds a runtime that says why, and nothing that could be refused comes
    /// in any more.
    fn mark_failing(&self, error: &StoreError) {
        if self.services.health.writes_work() {
            tracing::error!(%error, "the database does not take writes: starts and cancels are refused");
            self.services.health.set_writes(Writes::Fail);
        }
    }

    /// Commits one group and answers it. What must not be lost goes back to the intake on an error.
    fn commit(&mut self, group: Vec<Op<Reply>>) -> Result<(), StoreError> {
        let (writes, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|op| (op.write, op.reply)).unzip();
        let began = clock::monotonic();
        // An empty group is a probe of a database that failed. It changes something, for SQLite writes no page that
        // stays as it was: an id is given up.
        let result = if writes.is_empty() {
            self.store.commit(&[Write::ReserveIds { count: 1 }]).map(|_| Committed::default())
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
                tracing::error!(%error, task_ids = ?writes.iter().map(Write::task).collect::<Vec<_>>(), "refused");
                self.refuse(replies, &error);
                Ok(())
            }
            Err(error @ StoreError::OutcomeUnknown(_)) => {
                tracing::error!(%error, "a commit had no answer: what became of it is looked for");
                self.doubt =
                    Some(writes.into_iter().zip(replies).map(|(write, reply)| Op { write, reply }).collect());
                if self.settle_doubt() == Ok(true) { Ok(()) } else { Err(error) }
            }
            Err(error) => {
                self.keep(writes, replies, &error);
                Err(error)
            }
        }
    }

    /// Finds out what became of a group without an answer, where there is one. It is answered as what it is: done, or
    /// not done, in which case what must not be lost waits again in front. Until then nothing else is committed. Says
    /// whether it is there.
    fn settle_doubt(&mut self) -> Result<bool, StoreError> {
        let Some(group) = self.doubt.take() else { return Ok(false) };
        match self.store.resolve() {
            Ok(found) => {
                let there = found.is_some();
                tracing::warn!(there, "what became of a commit without an answer is known");
                let (writes, replies): (Vec<_>, Vec<_>) =
                    group.into_iter().map(|op| (op.write, op.reply)).unzip();
                if let Some(committed) = found {
                    self.answer(replies, committed);
                } else {
                    let error = StoreError::Unavailable("the commit had failed".to_owned());
                    self.keep(writes, replies, &error);
                }
                Ok(there)
            }
            Err(StoreError::Damaged(reason)) => {
                self.services.fail_for_good(&format!("the database is damaged: {reason}"));
                Err(StoreError::Damaged(reason))
            }
            Err(error) => {
                self.doubt = Some(group);
                Err(error)
            }
        }
    }

    fn commit_singly(&mut self, writes: Vec<Write>, replies: Vec<Reply>) -> Result<(), StoreError> {
        // Set aside what came since: what fails, and then the rest of the group, stand before it, in their order.
        let later = std::mem::replace(&mut self.intake, Intake::new());
        let mut group = writes.into_iter().zip(replies).map(|(write, reply)| Op { write, reply });
        let mut result = Ok(());
        while let Some(op) = group.next() {
            result = self.commit(vec![op]);
            if let Err(error) = &result {
                let (kept, refused) = sorted(group);
                for op in kept {
                    self.intake.push(op);
                }
                self.refuse(refused, error);
                break;
            }
        }
        self.intake.append(later);
        result
    }

    fn answer(&mut self, replies: Vec<Reply>, committed: Committed) {
        // First those who count (the coordinator frees an owner's place), then those who watch: who has seen an
        // end finds the place free.
        self.services.deliver(replies.into_iter().zip(committed.answers.into_iter().map(Ok)));
        self.services.hub.publish(&committed.events);
    }

    fn refuse(&self, replies: impl IntoIterator<Item = Reply>, error: &StoreError) {
        self.services.deliver(replies.into_iter().map(|reply| (reply, Err(error.clone()))));
    }

    /// Sorts a group that failed: what must not be lost waits in front, the rest is refused.
    fn keep(&mut self, writes: Vec<Write>, replies: Vec<Reply>, error: &StoreError) {
        self.mark_failing(error);
        let (kept, refused) =
            sorted(writes.into_iter().zip(replies).map(|(write, reply)| Op { write, reply }));
        self.intake.put_back(kept);
        self.refuse(refused, error);
    }

    fn answer_flushes(&mut self) {
        if std::mem::take(&mut self.is_last) {
            self.store.settle();
        }
        for flush in self.flushes.drain(..) {
            // Err: nobody waits for it any more.
            let _ = flush.send(());
        }
    }
}

/// What must not be lost, and who is to be refused.
fn sorted(group: impl Iterator<Item = Op<Reply>>) -> (Vec<Op<Reply>>, Vec<Reply>) {
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for op in group {
        if must_survive(&op.write, &op.reply) { kept.push(op) } else { refused.push(op.reply) }
    }
    (kept, refused)
}

/// Whether a write tells of what has happened already, so that it must be written sooner or later.
pub(crate) fn must_survive(write: &Write, reply: &Reply) -> bool {
    match write {
        Write::Ask { .. } | Write::Requeue { .. } | Write::Event { .. } | Write::TakeSignal { .. } => true,
        // Of a task that runs. The end of a row that waits is somebody's command, which can be refused.
        Write::End { .. } => matches!(reply, Reply::End(..)),
        Write::ReserveIds { .. }
        | Write::Create { .. }
        | Write::CreateRunning { .. }
        | Write::Queue { .. }
        | Write::Begin { .. }
        | Write::SetTimeout { .. }
        | Write::Signal { .. }
        | Write::KeepAnswer { .. }
        | Write::PruneKeys { .. }
        | Write::Prune { .. } => false,
    }
}

impl Drop for DbActor {
    fn drop(&mut self) {
        self.services.actor_gone.cancel();
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
        self.services.write_taken();
        // Sent before writes failed.
        if !self.services.health.writes_work() && !must_survive(&write, &reply) {
            let error = StoreError::Unavailable("earlier writes still fail".to_owned());
            return self.refuse([reply], &error);
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
        self.flushes.push(flush.done);
        self.is_last |= flush.last;
        self.schedule(ctx);
    }
}
