//! A command whose client may leave: it goes on, and the audit log says what came of it.
//!
//! Invariant: the line of the request is wherever the command is, so there is one, whoever leaves when. At most
//! [`MAX_LEFT`] are carried on without their clients; of further ones the log says that the client left, as their
//! commands go on in the runtime all the same.
//!
//! A timer of the command stays with the thread that made it: whoever stops the HTTP server stops the runtime first.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::Coordinator;

use super::audit::Entry;
use super::problem::Problem;

/// See the file's head. Each takes about a kilobyte.
pub(super) const MAX_LEFT: usize = 10_000;

/// Writes into the line of a request what was done.
pub(super) type Note<T> = fn(&mut Entry, &T);

type Done<T> = Result<T, Problem>;

/// A command under way, with the line of its request.
pub(super) struct Carried<T: Send + 'static> {
    coordinator: Coordinator,
    /// Places for those whose clients have left.
    left: Arc<Semaphore>,
    under_way: Option<(BoxFuture<'static, Done<T>>, Entry)>,
    note: Note<T>,
}

impl<T: Send + 'static> Carried<T> {
    pub(super) fn new(
        coordinator: Coordinator,
        left: Arc<Semaphore>,
        entry: Entry,
        command: impl Future<Output = Done<T>> + Send + 'static,
        note: Note<T>,
    ) -> Self {
        let command = AssertUnwindSafe(command).catch_unwind().map(|done| {
            done.unwrap_or_else(|_| {
                tracing::error!("a command panicked");
                Err(Problem::internal())
            })
        });
        Self { coordinator, left, under_way: Some((command.boxed(), entry)), note }
    }
}

fn write_down<T>(note: Note<T>, entry: &mut Entry, done: &Done<T>) {
    match done {
        Ok(done) => note(entry, done),
        Err(problem) => entry.done(problem.name()),
    }
}

impl<T: Send + 'static> Future for Carried<T> {
    type Output = (Done<T>, Entry);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let note = self.note;
        // None: it was ready before.
        let Some((mut command, mut entry)) = self.under_way.take() else { return Poll::Pending };
        if let Poll::Ready(done) = command.poll_unpin(cx) {
            write_down(note, &mut entry, &done);
            return Poll::Ready((done, entry));
        }
        self.under_way = Some((command, entry));
        Poll::Pending
    }
}

impl<T: Send + 'static> Drop for Carried<T> {
    fn drop(&mut self) {
        let Some((command, mut entry)) = self.under_way.take() else { return };
        if let Ok(place) = Arc::clone(&self.left).try_acquire_owned() {
            let note = self.note;
            self.coordinator.carry_on(async move {
                write_down(note, &mut entry, &command.await);
                drop(place);
            });
        }
    }
}
