//! The span of one attempt: entered while user code of the task runs, so that what it logs names the task.
//!
//! It is made once for each attempt, and only where somebody logs: else it is nothing, not even memory. It has the
//! level ERROR, so that a filter that lets a record through lets its context through as well. It is no child of the
//! request that started the task, which is over long before: it follows from it, and carries its id.

use std::sync::Arc;

use tracing::Span;

use super::registry::Model;
use crate::task::TaskId;

/// Where a start came from.
#[derive(Debug, Clone)]
pub(crate) struct StartedBy {
    span: Span,
    request_id: Option<Arc<str>>,
}

impl StartedBy {
    /// Whatever is current here, and the id of the request where there was one.
    pub(crate) fn here(request_id: Option<Arc<str>>) -> Self {
        Self { span: Span::current(), request_id }
    }

    /// Nobody who is still there: an earlier process, or the queue.
    pub(crate) fn nobody() -> Self {
        Self { span: Span::none(), request_id: None }
    }

    /// The span of an attempt; none where nobody would see it.
    pub(crate) fn task_span(&self, model: &Model, id: TaskId, attempt: u32) -> Option<Box<Span>> {
        if !tracing::enabled!(tracing::Level::ERROR) {
            return None;
        }
        let span = tracing::error_span!(
            parent: None,
            "task",
            task = format!("{}/{id}", model.full_name()),
            model = model.full_name(),
            attempt,
            request_id = self.request_id.as_deref(),
        );
        span.follows_from(&self.span);
        (!span.is_disabled()).then(|| Box::new(span))
    }
}
