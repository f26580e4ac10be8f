//! What a running task's actor and its body share: the word by which the body is stopped, the signals that came
//! for it, the window of its events. Small: there may be 100,000 of them; what few tasks need is made when first
//! used.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::body::{self, Asked, Attempt, BodyEnd, Child, Cleaned, Control, Report};
use crate::lifecycle::{self, AskedHow};
use crate::store::QueuedSignal;
use crate::task::{CancelRequest, TaskCancelled, TaskId, TaskKey, Timestamp};

use super::TaskContext;
use super::body_end::end_of;
use super::idle::{Seen, Sending, Signs};
use super::intake::GROUP;
use super::interrupt::Interrupts;
use super::lost::Loss;
use super::messages::BodyCleaning;
use super::registry::{Inside, Kind, Model};
use super::runnable::Runnable;
use super::services::Services;
use super::trace::StartedBy;

/// Events of one task that may wait for the disk: two groups, so that one gathers while the other is written.
const WINDOW: usize = 2 * GROUP;

/// The shared part.
pub(crate) struct Live {
    pub(crate) id: TaskId,
    pub(crate) epoch: i64,
    pub(crate) attempt: u32,
    pub(crate) owner: Arc<str>,
    pub(crate) model: Arc<Model>,
    pub(crate) services: Arc<Services>,
    runnable: Arc<dyn Runnable>,
    itself: Weak<Self>,
    control: Control,
    pub(super) loss: Loss,
    signs: Signs,
    told: OnceLock<Box<TaskCancelled>>,
    /// The request that the body was told of is on its way to the row, or will never go there.
    is_request_placed: AtomicBool,
    span: Option<Box<Span>>,
    token: OnceLock<CancellationToken>,
    extras: OnceLock<Box<Extras>>,
}

/// What only some bodies need.
pub(crate) struct Extras {
    /// Room for events that wait for the disk.
    pub(crate) window: Arc<Semaphore>,
    /// A signal has come.
    pub(crate) arrived: Notify,
    /// The request is on its way to the row.
    placed: Notify,
    signals: Mutex<VecDeque<QueuedSignal>>,
    children: Mutex<Vec<Child>>,
    /// How to break what the body waits for.
    pub(crate) interrupts: Interrupts,
}

/// Who a live task is.
pub(crate) struct Identity {
    pub(crate) id: TaskId,
    pub(crate) epoch: i64,
    pub(crate) attempt: u32,
    pub(crate) owner: Arc<str>,
}

impl Live {
    pub(crate) fn new(
        who: Identity,
        model: Arc<Model>,
        runnable: Arc<dyn Runnable>,
        services: Arc<Services>,
        by: &StartedBy,
    ) -> Arc<Self> {
        let span = by.task_span(&model, who.id, who.attempt);
        let now = services.clock.wall();
        Arc::new_cyclic(|itself| Self {
            id: who.id,
            epoch: who.epoch,
            attempt: who.attempt,
            owner: who.owner,
            model,
            services,
            runnable,
            itself: Weak::clone(itself),
            control: Control::new(),
            loss: Loss::default(),
            signs: Signs::new(now),
            told: OnceLock::new(),
            is_request_placed: AtomicBool::new(false),
            span,
            token: OnceLock::new(),
            extras: OnceLock::new(),
        })
    }

    pub(crate) fn key(&self) -> TaskKey {
        TaskKey { app: self.model.app.clone(), model: self.model.name.clone(), id: self.id }
    }

    /// The span of this attempt, for what has to own it.
    pub(crate) fn span_or_none(&self) -> Span {
        self.span.as_deref().cloned().unwrap_or_else(Span::none)
    }

    /// The body gives a sign of life.
    pub(crate) fn stamp(&self, at: Timestamp) {
        self.signs.stamp(at);
        if let Some(link) = self.services.link() {
            link.sign();
        }
    }

    /// When it last did.
    pub(crate) fn last_sign(&self) -> Timestamp {
        self.signs.last()
    }

    /// The body waits to hand over an event: it is not idle meanwhile.
    pub(crate) fn sending(&self) -> Sending<'_> {
        self.signs.sending()
    }

    /// Whether the body is idle.
    pub(crate) fn look_for_signs(&self, limit: Duration, now: u64) -> Seen {
        self.signs.look(limit, now)
    }

    /// Gives the body to the pool.
    pub(crate) fn begin(self: &Arc<Self>) {
        let ctx = TaskContext::new(Arc::clone(self));
        let runnable = Arc::clone(&self.runnable);
        match self.model.kind {
            Kind::Process(_) if self.services.link().is_none() => self.begin_process(ctx),
            Kind::Async | Kind::Process(Inside::Async | Inside::Command) => {
                let body = body::run(Arc::clone(self), move || {
                    ctx.heartbeat();
                    runnable.run(ctx)
                });
                self.services.pool.spawn(self.id.get(), body);
            }
            Kind::Blocking | Kind::Process(Inside::Blocking) => {
                let span = self.span_or_none();
                let body = move || {
                    ctx.heartbeat();
                    span.in_scope(|| runnable.run_blocking(&ctx))
                };
                body::run_blocking(Arc::clone(self), body, &self.services.pool);
            }
        }
    }

    /// Has the body run in a process of its own.
    #[cfg(target_os = "linux")]
    fn begin_process(self: &Arc<Self>, ctx: TaskContext) {
        let Some(children) = self.services.children.get() else {
            // Started with every runtime that has such a model: this is not reached.
            return self.services.fail_for_good("the thread of processes is missing");
        };
        let runnable = Arc::clone(&self.runnable);
        let body = move |seat| {
            ctx.heartbeat();
            runnable.run_process(ctx, seat)
        };
        body::process::run_process(Arc::clone(self), body, &self.services.pool, children);
    }

    /// No such model can be registered on this system.
    #[cfg(not(target_os = "linux"))]
    fn begin_process(self: &Arc<Self>, _ctx: TaskContext) {
        self.services.fail_for_good("a process of its own was asked for where there are none");
    }

    /// Rung 1: tells the body that it is asked to stop.
    pub(crate) fn tell(&self, request: &CancelRequest, how: AskedHow) {
        // The words before the flag: whoever sees the flag finds them. The first telling stays.
        let words = TaskCancelled { cause: request.cause, reason: Arc::clone(&request.reason) };
        let _ = self.told.set(Box::new(words));
        self.control.mark_asked(match how {
            AskedHow::ToEnd => Asked::Asked,
            AskedHow::ToRunAgain => Asked::AskedWithoutCleanup,
        });
        if let Some(token) = self.token.get() {
            token.cancel();
        }
        self.interrupt();
    }

    /// The request was given to the writer, or is not to be written: what the body sends from now on follows it.
    pub(crate) fn place_request(&self) {
        self.is_request_placed.store(true, Ordering::SeqCst);
        if let Some(extras) = self.extras.get() {
            extras.placed.notify_waiters();
        }
    }

    /// Waits, where the body was told of a request, until that is on its way: its event is not overtaken by what
    /// the body sends when it hears of it.
    pub(crate) async fn request_placed(&self) {
        let extras = self.extras();
        loop {
            let placed = extras.placed.notified();
            tokio::pin!(placed);
            // Registered before looking, as the other side looks for the extras after it set the flag.
            placed.as_mut().enable();
            if self.told().is_none() || self.is_request_placed.load(Ordering::SeqCst) {
                return;
            }
            placed.await;
        }
    }

    /// Whether the body was asked to stop, and with which words.
    pub(crate) fn told(&self) -> Option<&TaskCancelled> {
        if self.control.asked() == Asked::NotAsked { None } else { self.told.get().map(|told| &**told) }
    }

    /// A token that fires when the body is asked to stop.
    pub(crate) fn token(&self) -> &CancellationToken {
        let token = self.token.get_or_init(CancellationToken::new);
        // `tell` raises the flag and then looks for the token; here it is the other way round: one of the two
        // sees the other.
        if self.control.asked() != Asked::NotAsked {
            token.cancel();
        }
        token
    }

    pub(crate) fn extras(&self) -> &Extras {
        self.extras.get_or_init(|| {
            Box::new(Extras {
                window: Arc::new(Semaphore::new(WINDOW)),
                arrived: Notify::new(),
                placed: Notify::new(),
                signals: Mutex::default(),
                children: Mutex::default(),
                interrupts: Interrupts::default(),
            })
        })
    }

    /// The extras, if they were needed before.
    pub(crate) fn made_extras(&self) -> Option<&Extras> {
        self.extras.get().map(|extras| &**extras)
    }

    /// Rung 3.
    pub(crate) fn stop(&self) {
        self.control.request_stop();
    }

    /// Ends the cleanup at its next await.
    pub(crate) fn stop_cleanup(&self) {
        self.control.stop_cleanup();
    }

    /// Rung 5: writes the body off, unless it has stopped.
    pub(crate) fn abandon(&self) -> lifecycle::Probe {
        match self.control.abandon() {
            body::Probe::Abandoned => {
                self.loss.abandoned(self.model.kind, &self.services.lost);
                // They would run on until the body comes back.
                drop(self.take_children());
                lifecycle::Probe::Abandoned
            }
            body::Probe::NeverStarted => lifecycle::Probe::NeverStarted,
            body::Probe::Cleaning(end) => lifecycle::Probe::Cleaning(end_of(end)),
            body::Probe::Done => lifecycle::Probe::Done,
        }
    }

    /// Whether the body and its cleanup are over, or were written off: what they still send is refused.
    pub(crate) fn is_over(&self) -> bool {
        self.control.is_over()
    }

    /// Runs the cleanup alone, for a body that had ended before it was asked.
    pub(crate) fn begin_cleanup(self: &Arc<Self>) {
        // The end is kept by the ladder; this one is only carried through.
        let cleanup = body::run_cleanup(Arc::clone(self), BodyEnd::Cancelled);
        self.services.pool.spawn(self.id.get(), cleanup.instrument(self.span_or_none()));
    }
}

impl Extras {
    fn queue(&self) -> MutexGuard<'_, VecDeque<QueuedSignal>> {
        // No step can leave the queue broken.
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A signal has come: kept in the order of their numbers, each once.
    pub(crate) fn deliver(&self, signal: QueuedSignal) {
        let mut queue = self.queue();
        if let Err(place) = queue.binary_search_by_key(&signal.signal, |waiting| waiting.signal) {
            queue.insert(place, signal);
        }
        drop(queue);
        self.arrived.notify_waiters();
    }

    /// The oldest signal after that number, which stays.
    #[cfg(target_os = "linux")]
    pub(crate) fn after(&self, number: i64) -> Option<QueuedSignal> {
        self.queue().iter().find(|signal| signal.signal > number).cloned()
    }

    /// Removes the signal of that number; whether it was there.
    #[cfg(target_os = "linux")]
    pub(crate) fn remove(&self, number: i64) -> bool {
        let mut queue = self.queue();
        let place = queue.binary_search_by_key(&number, |waiting| waiting.signal);
        place.is_ok_and(|place| queue.remove(place).is_some())
    }

    /// Takes the oldest signal of that name.
    pub(crate) fn take(&self, name: &str) -> Option<QueuedSignal> {
        let mut queue = self.queue();
        let place = queue.iter().position(|signal| signal.name == name)?;
        queue.remove(place)
    }

    /// Keeps a task that the body spawned.
    pub(crate) fn adopt(&self, child: Child) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain(|child| !child.is_finished());
        children.push(child);
    }
}

impl Attempt for Live {
    fn control(&self) -> &Control {
        &self.control
    }

    fn label(&self) -> i64 {
        self.id.get()
    }

    fn span(&self) -> Option<&Span> {
        self.span.as_deref()
    }

    fn cleanup(&self) -> BoxFuture<'static, Result<Cleaned, ()>> {
        let Some(itself) = self.itself.upgrade() else {
            // Whoever runs the attempt holds it: this is not reached.
            return async { Ok(Cleaned::Nothing) }.boxed();
        };
        let cleanup = Arc::clone(&self.runnable).clean_up(TaskContext::new(itself));
        let key = self.key();
        cleanup
            .map(move |result| {
                result.map_err(|error| tracing::warn!(task = %key, %error, "the cleanup failed"))
            })
            .boxed()
    }

    fn cleans_anywhere(&self) -> bool {
        matches!(self.model.kind, Kind::Process(Inside::Command))
    }

    fn take_children(&self) -> Vec<Child> {
        let Some(extras) = self.extras.get() else { return Vec::new() };
        std::mem::take(&mut *extras.children.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn cleaning(&self, end: &BodyEnd) {
        self.services.tell_coordinator(BodyCleaning(self.id, end_of(end.clone())));
    }

    fn report(&self, report: Report) {
        self.services.report(self.id, report);
    }

    fn returned_late(&self) {
        self.loss.returned(&self.services.lost);
        tracing::info!(task = %self.key(), "a body that was written off is gone at last: its end is refused");
    }
}
