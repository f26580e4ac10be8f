//! A command whose client may leave: it goes on, and the audit log says what came of it.
//!
//! Invariant: the line of the request is wherever the command is, so there is one, whoever leaves when.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::Coordinator;

use super::audit::Entry;

/// Writes into the line of a request what came of it.
pub(super) type Note<T> = fn(&mut Entry, &T);

/// A command under way, with the line of its request.
pub(super) struct Carried<T: Send + 'static> {
    coordinator: Coordinator,
    under_way: Option<(BoxFuture<'static, T>, Entry)>,
    note: Note<T>,
}

impl<T: Send + 'static> Carried<T> {
    pub(super) fn new(
        coordinator: Coordinator,
        entry: Entry,
        command: impl Future<Output = T> + Send + 'static,
        note: Note<T>,
    ) -> Self {
        Self { coordinator, under_way: Some((command.boxed(), entry)), note }
    }
}

impl<T: Send + 'static> Future for Carried<T> {
    type Output = (T, Entry);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out, for one that panics is not to be carried on.
        let Some((mut command, mut entry)) = self.under_way.take() else { return Poll::Pending };
        if let Poll::Ready(done) = command.poll_unpin(cx) {
            (self.note)(&mut entry, &done);
            return Poll::Ready((done, entry));
        }
        self.under_way = Some((command, entry));
        Poll::Pending
    }
}

impl<T: Send + 'static> Drop for Carried<T> {
    fn drop(&mut self) {
        if let Some((command, mut entry)) = self.under_way.take() {
            let note = self.note;
            self.coordinator.carry_on(async move { note(&mut entry, &command.await) });
        }
    }
}
