//! The events that the runtime itself sends, made from what happened.
//!
//! Written in the same transaction as the change they tell of, so the log and the row never disagree.

use serde_json::json;

use crate::task::{Cause, NewEvent, Timestamp};

use super::{Ask, Change, Ending};

/// The events of a change, in order; `attempt` is the number of the attempt that begins.
pub(crate) fn events_of(change: &Change, attempt: u32, at: Timestamp) -> Vec<NewEvent> {
    match change {
        Change::Begun => vec![NewEvent::runtime("running", format!("{{\"attempt\":{attempt}}}"), at)],
        Change::Asked(ask) => asked(ask, at),
        Change::Ended(ending) => {
            let mut events = ending.ask.as_ref().map(|ask| asked(ask, at)).unwrap_or_default();
            events.push(ended(ending, at));
            events
        }
        Change::Queued | Change::AlreadyAsked | Change::Requeued { .. } => Vec::new(),
    }
}

fn asked(ask: &Ask, at: Timestamp) -> Vec<NewEvent> {
    let request = &ask.request;
    let mut events = Vec::with_capacity(2);
    if let Some(limit) = ask.limit {
        let message = match request.cause {
            Cause::Idle => format!("Task was idle for {limit} seconds"),
            _ => format!("Task timed out after {limit} seconds"),
        };
        events.push(NewEvent::runtime("timeout", json!({ "message": message }).to_string(), at));
    }
    let data = json!({
        "message": "Task cancellation requested",
        "reason": &*request.reason,
        "cause": request.cause,
        "by": request.by.as_deref(),
    });
    events.push(NewEvent::runtime("cancellation_requested", data.to_string(), at));
    events
}

fn ended(ending: &Ending, at: Timestamp) -> NewEvent {
    match (&ending.request, &ending.failure) {
        (Some(request), _) => {
            let data = json!({
                "message": "Task was cancelled",
                "reason": &*request.reason,
                "cause": request.cause,
                "stopped_by": ending.stopped_by,
            });
            NewEvent::runtime("cancelled", data.to_string(), at)
        }
        (None, Some(failure)) => {
            let data = json!({ "message": failure.message, "error_type": failure.error_type });
            NewEvent::runtime("error", data.to_string(), at)
        }
        (None, None) => {
            let value = ending.final_value.as_ref().map_or("null", |value| value.as_str());
            NewEvent::runtime("completed", format!("{{\"final_value\":{value}}}"), at)
        }
    }
}
