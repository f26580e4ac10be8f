//! What a body sees of its task: events, checks, sleep, signals, children, the host's state.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::body::{Attempt, Contained};
use crate::lifecycle::Ask;
use crate::store::Write;
use crate::task::{Cause, EventError, JsonText, NewEvent, TaskCancelled, TaskError, TaskKey};

use super::Refusal;
use super::live::Live;
use super::messages::{Cancel, CancelAnswer, Reply};
use super::shield;

/// A body's link to its task. Cloning is cheap.
///
/// `sleep`, `cancelled`, `signal` and `signal_within` end when the task is asked to stop, with [`TaskCancelled`],
/// which is passed on with `?`. `send_event` does not: a body that waits there is dropped at that await.
/// After the task has ended a context that was kept does nothing any more; what it still sends is dropped.
///
/// ```
/// # use std::time::Duration;
/// # use quell::{TaskContext, TaskError};
/// async fn poll_a_printer(ctx: TaskContext) -> Result<u32, TaskError> {
///     for page in 1.. {
///         ctx.sleep(Duration::from_millis(200)).await?; // errs as soon as the task is asked to stop
///         ctx.send_event("page", &serde_json::json!({ "page": page })).await?;
///         if page == 10 {
///             return Ok(page);
///         }
///     }
///     Ok(0)
/// }
/// ```
#[derive(Clone)]
pub struct TaskContext(Arc<Live>);

/// A signal that a body took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSignal {
    /// Its name.
    pub name: String,
    /// What came with it.
    pub data: JsonText,
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskContext").field(&self.key().to_string()).finish()
    }
}

impl TaskContext {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self(live)
    }

    /// What is shared with the task's actor.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.0
    }

    /// The words of the request to stop, where there is one and no shield hides it.
    fn told(&self) -> Option<&TaskCancelled> {
        self.0.told().filter(|_| !shield::covers(self.0.id))
    }

    /// The task's key.
    #[must_use]
    pub fn key(&self) -> TaskKey {
        self.0.key()
    }

    /// The principal who started the task.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.0.owner
    }

    /// Which attempt this is; 1 for the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Sends an event: `kind` matches `[a-z][a-z0-9_]{0,63}` and is none of the runtime's, `data` is at most
    /// 64 KiB as JSON; what is no object is sent as `{"value": …}`.
    ///
    /// Returns when the event is accepted: it becomes durable, and visible, in order and without gaps, at the
    /// latest with the end of the task. A body that sends faster than the disk takes is slowed down here, and
    /// waits here while the database takes no writes; however long that is, it is not idle meanwhile.
    ///
    /// # Errors
    /// As [`EventError`] says; then nothing was sent.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing was sent.
    pub async fn send_event<T: Serialize + ?Sized>(&self, kind: &str, data: &T) -> Result<(), EventError> {
        let event = NewEvent::new(kind, data, self.0.services.clock.wall())?;
        let services = &self.0.services;
        if self.0.is_over() {
            self.0.count_refused_event();
            return Err(EventError::Ended);
        }
        let sending = self.0.sending();
        // The task's own window first: a flood waits there, and not in front of others' events.
        let window = Arc::clone(&self.0.extras().window);
        let place = window.acquire_owned().await.map_err(|_| EventError::Ended)?;
        let kib = u32::try_from(event.data.as_str().len() / 1024).unwrap_or(u32::MAX) + 1;
        let room = Arc::clone(&services.event_room).acquire_many_owned(kib).await;
        let room = room.map_err(|_| EventError::Ended)?;
        self.0.request_placed().await;
        drop(sending);
        if self.0.is_over() {
            self.0.count_refused_event();
            return Err(EventError::Ended);
        }
        self.0.stamp(event.at);
        let write = Write::Event { id: self.0.id, epoch: self.0.epoch, event };
        services.commit(write, Reply::Release(Box::new((place, room))));
        Ok(())
    }

    /// [`TaskContext::send_event`] for a blocking body: the thread waits, and cannot be stopped meanwhile.
    ///
    /// # Errors
    /// As [`TaskContext::send_event`].
    pub fn send_event_blocking<T: Serialize + ?Sized>(&self, kind: &str, data: &T) -> Result<(), EventError> {
        futures_lite::future::block_on(self.send_event(kind, data))
    }

    /// Errs once the task was asked to stop: `ctx.check_cancellation()?`.
    ///
    /// # Errors
    /// [`TaskCancelled`], which ends the body when it is passed on, and is no failure of the task.
    pub fn check_cancellation(&self) -> Result<(), TaskCancelled> {
        self.told().map_or(Ok(()), |told| Err(told.clone()))
    }

    /// Whether the task was asked to stop.
    #[must_use]
    pub fn is_cancellation_requested(&self) -> bool {
        self.told().is_some()
    }

    /// The same under a name that reads well in the loop of a blocking body: `while !ctx.should_stop()`.
    #[must_use]
    pub fn should_stop(&self) -> bool {
        self.is_cancellation_requested()
    }

    /// Which kind of stop was asked for.
    #[must_use]
    pub fn cancel_cause(&self) -> Option<Cause> {
        self.0.told().map(|told| told.cause)
    }

    /// The task asks itself to stop, with the cause `self`. An empty reason takes the default.
    ///
    /// Returns when the request is accepted; the next check then errs. A request that came before stands.
    ///
    /// # Errors
    /// [`Refusal`] where the database takes no writes: then nothing was asked.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the request is carried out all the same.
    pub async fn request_cancellation(&self, reason: &str) -> Result<(), Refusal> {
        let ask = Ask::new(self.0.services.clock.wall(), Cause::Itself, Some(reason), None);
        // The answer comes with the end of the task, which a body cannot wait for; that it was taken shows in
        // the token, or in a refusal.
        let (reply, answer) = oneshot::channel();
        self.0.services.ask_itself(Cancel { id: self.0.id, ask, reply })?;
        tokio::select! {
            () = self.0.token().cancelled() => Ok(()),
            answer = answer => match answer {
                Ok(CancelAnswer::Refused(refusal)) => Err(refusal),
                _ => Ok(()),
            },
        }
    }

    /// Resolves when the task is asked to stop.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn cancelled(&self) -> TaskCancelled {
        loop {
            shield::uncovered(self.0.id, self.0.token().cancelled()).await;
            // The words stand before the token fires.
            if let Some(told) = self.0.told() {
                return told.clone();
            }
            tokio::task::yield_now().await;
        }
    }

    /// Sleeps for that long, at least.
    ///
    /// # Errors
    /// [`TaskCancelled`] as soon as the task is asked to stop, also where it was before.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn sleep(&self, time: Duration) -> Result<(), TaskCancelled> {
        tokio::select! {
            biased;
            cancelled = self.cancelled() => Err(cancelled),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// Takes the oldest signal of that name, or waits for one, without polling.
    ///
    /// Signals are kept in order, also those that came before the body waited, and those that came while the
    /// task was pending. One that was taken just before the process died may be given again.
    ///
    /// # Errors
    /// [`TaskCancelled`] as soon as the task is asked to stop.
    ///
    /// # Cancel safety
    /// Cancel safe: a signal is taken only when this returns it.
    pub async fn signal(&self, name: &str) -> Result<TakenSignal, TaskCancelled> {
        let extras = self.0.extras();
        loop {
            let arrived = extras.arrived.notified();
            tokio::pin!(arrived);
            // Registered before looking: what comes in between is not lost.
            arrived.as_mut().enable();
            self.check_cancellation()?;
            if let Some(signal) = extras.take(name) {
                let write = Write::TakeSignal { id: self.0.id, signal: signal.signal };
                self.0.services.commit(write, Reply::Release(Box::new(())));
                return Ok(TakenSignal { name: signal.name, data: signal.data });
            }
            tokio::select! {
                biased;
                cancelled = self.cancelled() => return Err(cancelled),
                () = arrived => {}
            }
        }
    }

    /// [`TaskContext::signal`] with a limit: none when it passes.
    ///
    /// # Errors
    /// [`TaskCancelled`] as soon as the task is asked to stop.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn signal_within(
        &self,
        name: &str,
        time: Duration,
    ) -> Result<Option<TakenSignal>, TaskCancelled> {
        tokio::select! {
            biased;
            signal = self.signal(name) => signal.map(Some),
            () = tokio::time::sleep(time) => Ok(None),
        }
    }

    /// A sign of life without an event: the live status shows the last one, and an idle timeout counts from it.
    /// Events are signs of life too; checks, sleeping and waiting for a signal are none.
    pub fn heartbeat(&self) {
        self.0.stamp(self.0.services.clock.wall());
    }

    /// Runs a future beside the body, on the same pool. It stops with the body, at its own next await; the task
    /// has not stopped before it has. Its panic is logged and harms nothing else. Where the task is over, or its body was
    /// written off, it is dropped at once.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let key = self.key();
        let child = Contained::new("child", future);
        let child = async move {
            if let Err(message) = child.await {
                tracing::warn!(task = %key, message, "a future that a body spawned panicked");
            }
        };
        let child =
            self.0.services.pool.spawn_child(self.0.id.get(), child.instrument(self.0.span_or_none()));
        self.0.extras().adopt(child);
        // Whoever ends it looks for children AFTER that can be seen, this one looks for the end after it is adopted.
        if self.0.is_over() {
            drop(self.0.take_children());
        }
    }

    /// Sends each item of a stream as a `progress` event, and gives back how many there were.
    ///
    /// # Errors
    /// [`TaskCancelled`] as soon as the task is asked to stop, else as [`TaskContext::send_event`].
    ///
    /// # Cancel safety
    /// Dropped in between, the items sent so far stay sent.
    pub async fn progress_stream<S>(&self, stream: S) -> Result<u64, TaskError>
    where
        S: Stream + Send,
        S::Item: Serialize + Send + Sync,
    {
        tokio::pin!(stream);
        let mut count = 0;
        loop {
            let item = tokio::select! {
                biased;
                cancelled = self.cancelled() => return Err(cancelled.into()),
                item = stream.next() => item,
            };
            let Some(item) = item else { return Ok(count) };
            self.send_event("progress", &item).await?;
            count += 1;
        }
    }

    /// Sends each item of an iterator as a `progress` event, and gives back how many there were.
    ///
    /// Between the items it checks for cancellation and lets other bodies run.
    ///
    /// # Errors
    /// As [`TaskContext::progress_stream`].
    pub async fn progress_iter<I>(&self, items: I) -> Result<u64, TaskError>
    where
        I: IntoIterator,
        I::IntoIter: Send,
        I::Item: Serialize + Send + Sync,
    {
        let mut items = items.into_iter();
        let mut count = 0;
        loop {
            self.check_cancellation()?;
            let Some(item) = items.next() else { return Ok(count) };
            self.send_event("progress", &item).await?;
            count += 1;
            futures_lite::future::yield_now().await;
        }
    }

    /// State that the host gave to its [`Registry`](crate::Registry), by type.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.services.registry.find_state()
    }
}
