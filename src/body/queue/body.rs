//! A future of user code as the queue holds it: contained, and entered in the registry while it waits.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::local;
use super::registry::Place;
use crate::body::boundary::Contained;

pin_project! {
    /// Its panic is logged, and ends it.
    pub(super) struct Body<F> {
        #[pin]
        future: Contained<F>,
        // From its first poll that did not end it. Before that it stands in a queue.
        place: Option<Place>,
    }
}

impl<F> Body<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future: Contained::new("task", future), place: None }
    }
}

impl<F: Future<Output = ()>> Future for Body<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match this.future.poll(cx) {
            Poll::Pending => {
                if this.place.is_none() {
                    *this.place = local::register(cx.waker());
                }
                return Poll::Pending;
            }
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(message)) => tracing::warn!(message, "a task of a body panicked"),
        }
        Poll::Ready(())
    }
}
