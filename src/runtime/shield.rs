//! The shield: a section of a body that does not notice that its task was asked to stop.
//!
//! The section is polled in place, with its task's id in a variable of the thread; the checks and waits of the
//! context look there. So what it calls needs to know nothing of it, and it may borrow.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::task::TaskId;

use super::TaskContext;

thread_local! {
    /// The task whose shielded section this thread polls.
    static COVERED: Cell<Option<TaskId>> = const { Cell::new(None) };
}

/// Whether a shielded section of the task is being polled here.
pub(crate) fn covers(id: TaskId) -> bool {
    COVERED.get() == Some(id)
}

/// A future that does not go on while a shielded section of the task polls it.
pub(crate) async fn uncovered<F: Future>(id: TaskId, future: F) -> F::Output {
    let mut future = pin!(future);
    // Without a waker: the section ends by what else it waits for, and then this is polled anew or gone.
    poll_fn(|cx| if covers(id) { Poll::Pending } else { future.as_mut().poll(cx) }).await
}

/// Puts back what was covered before, also where a poll panics.
struct Before(Option<TaskId>);

impl Drop for Before {
    fn drop(&mut self) {
        COVERED.set(self.0);
    }
}

pin_project! {
    /// See [`TaskContext::shield`].
    struct Shield<F> {
        id: TaskId,
        #[pin]
        section: F,
    }
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _before = Before(COVERED.replace(Some(*this.id)));
        this.section.poll(cx)
    }
}

impl TaskContext {
    /// Runs a section to its end although the task is asked to stop, for as long as the model's
    /// [grace](crate::ModelSettings::grace) lasts.
    ///
    /// Inside, `check_cancellation`, `should_stop`, `sleep`, `cancelled`, `signal` and the rest behave as if nobody
    /// had asked, also where somebody had asked before the section began; [`TaskContext::cancel_cause`] still tells.
    /// After it they err at once, and the body ends by itself. A future that the section gives to
    /// [`TaskContext::spawn`] is not covered.
    ///
    /// The shield ends with the grace: then the body is dropped at its next await, the section with it. Where the
    /// model has no grace, that is at once, and a shield protects nothing. A shutdown may cut the grace short.
    ///
    /// # Cancel safety
    /// Dropped by the body (the loser of a `select!`), the section is gone like any future: it is not run elsewhere.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use quell::{TaskContext, TaskError};
    /// # async fn upload(part: u32) -> Result<(), TaskError> { Ok(()) }
    /// async fn upload_all(ctx: TaskContext) -> Result<(), TaskError> {
    ///     for part in 0..100 {
    ///         ctx.check_cancellation()?; // between two parts
    ///         ctx.shield(async {
    ///             upload(part).await?; // never half a part
    ///             ctx.sleep(Duration::from_millis(50)).await?;
    ///             Ok::<(), TaskError>(())
    ///         })
    ///         .await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn shield<F: Future>(&self, section: F) -> impl Future<Output = F::Output> {
        Shield { id: self.live().id, section }
    }
}
