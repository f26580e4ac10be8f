//! The events that the runtime itself sends, made from what happened.
//!
//! Written in the same transaction as the change they tell of, so the log and the row never disagree.

use serde::Serialize;

use crate::task::{Cause, NewEvent, StoppedBy, Timestamp};

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

// The data of the events, written as they stand here: no tree of values is built for one that 100,000 tasks send at
// once. The fields are in the order of their names.

#[derive(Serialize)]
struct TimedOut {
    message: String,
}

#[derive(Serialize)]
struct Requested<'a> {
    by: Option<&'a str>,
    cause: Cause,
    message: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Cancelled<'a> {
    cause: Cause,
    message: &'static str,
    reason: &'a str,
    stopped_by: Option<StoppedBy>,
}

#[derive(Serialize)]
struct Failed<'a> {
    error_type: &'a str,
    message: &'a str,
}

fn event(kind: &'static str, data: &impl Serialize, at: Timestamp) -> NewEvent {
    // Texts and words are always JSON: this is not reached.
    let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
    NewEvent::runtime(kind, data, at)
}

fn asked(ask: &Ask, at: Timestamp) -> Vec<NewEvent> {
    let request = &ask.request;
    let mut events = Vec::with_capacity(2);
    if let Some(limit) = ask.limit {
        let message = match request.cause {
            Cause::Idle => format!("Task was idle for {limit} seconds"),
            _ => format!("Task timed out after {limit} seconds"),
        };
        events.push(event("timeout", &TimedOut { message }, at));
    }
    let data = Requested {
        by: request.by.as_deref(),
        cause: request.cause,
        message: "Task cancellation requested",
        reason: &request.reason,
    };
    events.push(event("cancellation_requested", &data, at));
    events
}

fn ended(ending: &Ending, at: Timestamp) -> NewEvent {
    match (&ending.request, &ending.failure) {
        (Some(request), _) => {
            let data = Cancelled {
                cause: request.cause,
                message: "Task was cancelled",
                reason: &request.reason,
                stopped_by: ending.stopped_by,
            };
            event("cancelled", &data, at)
        }
        (None, Some(failure)) => {
            let data = Failed { error_type: &failure.error_type, message: &failure.message };
            event("error", &data, at)
        }
        (None, None) => {
            let value = ending.final_value.as_ref().map_or("null", |value| value.as_str());
            NewEvent::runtime("completed", format!("{{\"final_value\":{value}}}"), at)
        }
    }
}
