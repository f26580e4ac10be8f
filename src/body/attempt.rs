//! One attempt at a body, from before it is made until its report: all the ways user code can end.
//!
//! The steps: run the body (or drop it), stop its children, leave `Running`, clean up if that was asked for,
//! report. Invariants:
//! 1. A stop that was requested before the attempt began leads to zero polls: the body is not even made. One that waits
//!    in line for a thread or a process is called off as soon as somebody asks; then there is nothing to clean up.
//! 2. A body that becomes ready in the poll during which it was stopped keeps its own end.
//! 3. "Stopped" is true for the children too: they are gone before the phase is left.
//! 4. What follows a body that had a thread or a process of its own does not need a thread of the pool: where bodies
//!    keep all of them, other ends are told all the same, and user code of a cleanup gets a blocking one.
//! 5. [`Attempt::report`] is called once, or [`Attempt::returned_late`] is, never both. An attempt that its
//!    executor drops at the end of the process calls neither.
//!
//! It keeps no limits and writes nothing: the runtime does both.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::{BoxFuture, join_all};
use tracing::{Instrument, Span};

use super::blocking;
use super::boundary::{Contained, UserFuture};
use super::control::{AfterBody, Control};
use super::end::{BodyEnd, Cleaned, CleanupEnd, Report};
use super::pool::Pool;
use super::queue::Child;
use super::seat::Label;

/// What an attempt needs from the runtime.
///
/// Its own methods must not panic, but for the making of the cleanup: that is user code.
pub(crate) trait Attempt: Send + Sync + 'static {
    /// The word shared with whoever stops the attempt.
    fn control(&self) -> &Control;

    /// Whose threads these are: see [`Pool::on_long_poll`].
    fn label(&self) -> Label;

    /// Makes the model's cleanup. May panic.
    fn cleanup(&self) -> BoxFuture<'static, Result<Cleaned, ()>>;

    /// The span in which user code of this attempt runs; none where nobody would see it.
    fn span(&self) -> Option<&Span> {
        None
    }

    /// Whether no user code is in the cleanup, and nothing that blocks.
    fn cleans_anywhere(&self) -> bool {
        false
    }

    /// Takes the tasks that the body spawned through its context since the last call.
    fn take_children(&self) -> Vec<Child>;

    /// Tells that the body has stopped and that its cleanup did not end at once: at most once.
    fn cleaning(&self, end: &BodyEnd);

    /// Tells the end: exactly once, never for an abandoned body.
    fn report(&self, report: Report);

    /// Tells that an abandoned body has come back at last: exactly once.
    fn returned_late(&self);
}

/// Runs an async body to its report. To be spawned as a task of its own.
///
/// `body` is called inside the panic boundary, on the first poll.
///
/// # Cancel safety
///
/// Dropping the future drops the body inside the panic boundary, and reports nothing.
pub(crate) fn run<A, F>(attempt: Arc<A>, body: F) -> impl Future<Output = ()> + Send + 'static
where
    A: Attempt + ?Sized,
    F: FnOnce() -> BoxFuture<'static, BodyEnd> + Send + 'static,
{
    // Contained from here on, not from the first poll: an attempt that is never polled drops user code too.
    let work = Contained::new("body", UserFuture::new("body", body));
    Run { attempt, work, watching: false, rest: None }
}

/// The future behind [`run`]. Written by hand: 100,000 of these wait at a time, and an async block would keep
/// room for the body twice and for all that comes after it.
struct Run<A: ?Sized, F> {
    attempt: Arc<A>,
    work: Contained<UserFuture<F, BodyEnd>>,
    watching: bool,
    /// What follows once the body is gone.
    rest: Option<BoxFuture<'static, ()>>,
}

impl<A, F> Future for Run<A, F>
where
    A: Attempt + ?Sized,
    F: FnOnce() -> BoxFuture<'static, BodyEnd>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let _inside = this.attempt.span().map(Span::enter);
        if let Some(rest) = &mut this.rest {
            return rest.as_mut().poll(cx);
        }
        let control = this.attempt.control();
        if !this.watching {
            control.begin();
        }
        let work = Pin::new(&mut this.work);
        let end = match ready!(poll_unless(control, Control::is_stop_requested, &mut this.watching, work, cx))
        {
            None => BodyEnd::Dropped,
            Some(Ok(end)) => end,
            Some(Err(message)) => BodyEnd::Panicked { message },
        };
        let attempt = Arc::clone(&this.attempt);
        this.rest.insert(Box::pin(finish(attempt, end))).as_mut().poll(cx)
    }
}

/// Runs a blocking body to its report: the body on a thread of its own, the cleanup on the pool where that has one free.
///
/// A body that waits in line is withdrawn when it is asked to stop, and one that a thread is about to take when it is
/// stopped; afterwards only the body itself can notice. While an abandoned body holds on to its thread, another thread may take its place.
pub(crate) fn run_blocking<A, F>(attempt: Arc<A>, body: F, pool: &Pool)
where
    A: Attempt + ?Sized,
    F: FnOnce() -> BodyEnd + Send + 'static,
{
    let asked = Arc::clone(&attempt);
    let is_stopped = move || {
        asked.control().begin();
        asked.control().is_stop_requested()
    };
    let mut ticket = blocking::ticket(body, is_stopped, pool);
    let span = attempt.span().cloned().unwrap_or_else(Span::none);
    let after = pool.clone();
    let rest = async move {
        let end = ticket.wait(attempt.control()).await;
        finish_apart(attempt, end, &after).await;
    };
    pool.timers().spawn(rest.instrument(span));
}

/// Runs the cleanup alone, for a cancel that was accepted after the body had ended with `end`; same limits,
/// and one more report. Does nothing if the body was written off or a cleanup has begun before.
pub(crate) async fn run_cleanup<A: Attempt + ?Sized>(attempt: Arc<A>, end: BodyEnd) {
    if attempt.control().begin_cleanup(&end) {
        clean(&*attempt, end, false).await;
    }
}

/// What follows a body's end on the pool, whichever it was.
async fn finish<A: Attempt + ?Sized>(attempt: Arc<A>, end: BodyEnd) {
    if let Some(end) = ended(&*attempt, end).await {
        clean(&*attempt, end, false).await;
    }
}

/// The same for a body that was not on the pool: on whichever thread this is, but for user code. That runs on the pool,
/// or on a blocking thread while bodies keep all threads of the pool.
pub(super) async fn finish_apart<A: Attempt + ?Sized>(attempt: Arc<A>, end: BodyEnd, pool: &Pool) {
    let Some(end) = ended(&*attempt, end).await else { return };
    if attempt.cleans_anywhere() {
        return clean(&*attempt, end, false).await;
    }
    // First: the limit of the cleanup counts from here, also where no thread is free for it.
    attempt.cleaning(&end);
    let label = attempt.label();
    let cleanup = async move { clean(&*attempt, end, true).await };
    if pool.is_full() {
        pool.spawn_blocking(Box::new(|| futures_lite::future::block_on(cleanup)));
    } else {
        pool.spawn(label, cleanup);
    }
}

/// Stops the children and leaves `Running`; gives the end back where the cleanup is to run.
async fn ended<A: Attempt + ?Sized>(attempt: &A, end: BodyEnd) -> Option<BodyEnd> {
    stop_children(attempt).await;
    match attempt.control().body_ended(&end) {
        AfterBody::Clean => return Some(end),
        AfterBody::Report => {
            let cleanup = if end == BodyEnd::NeverStarted { CleanupEnd::Nothing } else { CleanupEnd::NotRun };
            report(attempt, Report { end, cleanup });
        }
        AfterBody::SayLate => attempt.returned_late(),
    }
    None
}

/// Runs the cleanup in its phase, and reports. `told`: somebody has said that it goes on.
async fn clean<A: Attempt + ?Sized>(attempt: &A, end: BodyEnd, mut told: bool) {
    let control = attempt.control();
    let user = UserFuture::new("cleanup", || attempt.cleanup());
    let mut work = Contained::new("cleanup", user);
    let mut watching = false;
    let ended = poll_fn(|cx| {
        let polled =
            poll_unless(control, Control::is_cleanup_stopped, &mut watching, Pin::new(&mut work), cx);
        if polled.is_pending() && !std::mem::replace(&mut told, true) {
            attempt.cleaning(&end);
        }
        polled
    });
    let cleanup = match ended.await {
        None => CleanupEnd::TimedOut,
        Some(Ok(Ok(Cleaned::Done))) => CleanupEnd::Ok,
        Some(Ok(Ok(Cleaned::Nothing))) => CleanupEnd::Nothing,
        Some(Ok(Err(()))) => CleanupEnd::Failed,
        Some(Err(message)) => {
            tracing::warn!(message, "a cleanup panicked");
            CleanupEnd::Panicked
        }
    };
    // A cleanup may have spawned some as well.
    stop_children(attempt).await;
    control.cleanup_ended();
    report(attempt, Report { end, cleanup });
}

/// Children may have come since they were stopped, from what the body left behind: they are stopped too, but not waited
/// for.
fn report<A: Attempt + ?Sized>(attempt: &A, report: Report) {
    drop(attempt.take_children());
    attempt.report(report);
}

/// Cancels the children and waits until they are gone, and the ones they spawned meanwhile.
///
/// All are cancelled before the first is awaited. A child that does not yield is waited for: as long as it
/// runs, the body has not stopped, and can be written off.
async fn stop_children<A: Attempt + ?Sized>(attempt: &A) {
    loop {
        let children = attempt.take_children();
        if children.is_empty() {
            return;
        }
        // A child's own panic was caught and logged in its task; the boundary is for a foreign task.
        join_all(children.into_iter().map(|child| Contained::new("child", child.cancel()))).await;
    }
}

/// Polls `work`, or drops it between two polls once `stopped` says so; then it is ready with nothing.
fn poll_unless<F: Future>(
    control: &Control,
    stopped: fn(&Control) -> bool,
    watching: &mut bool,
    mut work: Pin<&mut Contained<F>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<F::Output, String>>> {
    if !*watching {
        control.watch(cx.waker());
        *watching = true;
    }
    // After the registration, never before it: see `control`.
    if stopped(control) {
        work.as_mut().release();
        return Poll::Ready(None);
    }
    work.poll(cx).map(Some)
}
