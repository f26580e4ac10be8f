//! The panic boundary: what user code may throw ends here.
//!
//! Invariants:
//! 1. Nothing that passes through here unwinds to the caller: neither a call, nor a poll, nor a drop.
//! 2. A panic's payload is never dropped unless it is text: a payload whose own drop panics would start
//!    the trouble again, outside of any boundary.
//!
//! Drops matter as much as polls: `async-task` drops a finished or cancelled future under a guard that
//! *aborts the process* when the drop panics, so a future with user code in it goes to the executor only
//! inside [`Contained`].
//!
//! It does not help against a drop that panics while a panic is already unwinding: Rust aborts then.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;

/// Calls `work`, and answers the text of its panic if it panics.
///
/// What `work` borrowed may be half changed after a panic: callers pass only what they then drop.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(text_of)
}

/// Drops `value`; a panic of its drop is logged and goes no further.
pub(crate) fn release<T>(what: &'static str, value: T) {
    if let Err(message) = catch(|| drop(value)) {
        log_panicking_drop(what, &message);
    }
}

fn log_panicking_drop(what: &'static str, message: &str) {
    tracing::warn!(what, message, "user code panicked while it was dropped");
}

/// The text of a panic. A payload that is not text is leaked, see the second invariant.
fn text_of(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => payload,
    };
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        return (*text).to_owned();
    }
    std::mem::forget(payload);
    "a panic without a text".to_owned()
}

pin_project! {
    /// A future with user code in it. Its polls answer the text of a panic; its drop never panics.
    ///
    /// The inner future is dropped as soon as it has ended, before the answer is given.
    pub(crate) struct Contained<F> {
        what: &'static str,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Contained<F> {
        fn drop(this: Pin<&mut Self>) {
            this.release();
        }
    }
}

impl<F> Contained<F> {
    /// Holds `future`; `what` names it in the log if its drop panics.
    pub(crate) fn new(what: &'static str, future: F) -> Self {
        Self { what, future: Some(future) }
    }

    /// Drops the inner future now, if it is still there.
    pub(crate) fn release(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.future.is_none() {
            return;
        }
        // The assignment is done even when the old value's drop unwinds, so nothing is dropped twice.
        if let Err(message) = catch(|| this.future.set(None)) {
            log_panicking_drop(this.what, &message);
        }
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.as_mut().project().future.as_pin_mut() else {
            return Poll::Ready(Err("polled after its end".to_owned()));
        };
        let answer = match catch(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(message) => Err(message),
        };
        self.release();
        Poll::Ready(answer)
    }
}

/// Makes a user's future on the first poll and polls it to its end. To be [`Contained`].
///
/// What it ended with stands, even if the drop that follows panics.
pub(super) enum UserFuture<F, T> {
    Unmade(&'static str, F),
    Made(&'static str, BoxFuture<'static, T>),
    /// It has ended, or its making panicked.
    Gone,
}

/// Nothing in it is pinned in place: what is made is boxed.
impl<F, T> Unpin for UserFuture<F, T> {}

impl<F, T> UserFuture<F, T> {
    pub(super) fn new(what: &'static str, make: F) -> Self {
        Self::Unmade(what, make)
    }
}

impl<F: FnOnce() -> BoxFuture<'static, T>, T> Future for UserFuture<F, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        if let Self::Unmade(..) = this
            && let Self::Unmade(what, make) = std::mem::replace(this, Self::Gone)
        {
            *this = Self::Made(what, make());
        }
        let Self::Made(_, future) = this else { return Poll::Pending };
        let end = ready!(future.as_mut().poll(cx));
        if let Self::Made(what, future) = std::mem::replace(this, Self::Gone) {
            release(what, future);
        }
        Poll::Ready(end)
    }
}
