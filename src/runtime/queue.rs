//! Waiting tasks on their way to a place: their rows are read, not remembered.
//!
//! A queue of 100,000 tasks keeps ids only. Each step is an errand on the side; the coordinator hears of its
//! end, whichever that is.

use std::sync::Arc;

use crate::lifecycle::{Change, Input, Life, events_of, transition};
use crate::store::{Answer, Write};
use crate::task::{Failure, Record, Status, TaskId};

use super::messages::{Leaves, NotResumed, Resume};
use super::metrics::Counted;
use super::services::Services;

/// Reads the row of a waiting task that has its place, and hands it to the coordinator.
pub(crate) fn load(services: &Arc<Services>, id: TaskId) {
    let services = Arc::clone(services);
    let errands = services.pool.timers();
    errands.spawn(async move {
        match services.readers.read(move |reader| reader.task(id)).await {
            Ok(Some(record)) if record.status == Status::Pending && record.queued => {
                resume(&services, record).await;
            }
            // Cancelled meanwhile.
            Ok(_) => services.tell_coordinator(NotResumed(id, Leaves::Ended)),
            Err(error) => {
                tracing::warn!(task_id = %id, %error, "a waiting task could not be read: it goes on waiting");
                services.tell_coordinator(NotResumed(id, Leaves::Waits));
            }
        }
    });
}

async fn resume(services: &Arc<Services>, record: Record) {
    let id = record.key.id;
    let Some(model) = services.registry.model(record.key.app.as_str(), record.key.model.as_str()).cloned()
    else {
        tracing::warn!(task = %record.key, "a waiting task has a model that is not registered: it stays pending");
        return services.tell_coordinator(NotResumed(id, Leaves::StandsAside));
    };
    match model.parse(&record.input) {
        Ok(runnable) => {
            services.tell_coordinator(Resume {
                record: Box::new(record),
                model,
                runnable,
                timeout: None,
                reply: None,
            });
        }
        Err(reason) => {
            tracing::warn!(task = %record.key, reason, "a waiting task cannot run: its input does not fit");
            let is_rejected = reject(services, &record, reason).await.is_ok();
            let leaves = if is_rejected { Leaves::Ended } else { Leaves::Waits };
            services.tell_coordinator(NotResumed(id, leaves));
        }
    }
}

/// Ends a pending task whose input does not fit its model any more.
async fn reject(services: &Services, record: &Record, reason: String) -> Result<(), super::Refusal> {
    let input = Input::Reject(Failure::new("invalid_input", reason));
    let Ok(Change::Ended(ending)) = transition(Life::from(record), input) else { return Ok(()) };
    let how = Counted { status: ending.status, asked: None, stopped: None };
    let at = services.clock.wall();
    let change = Change::Ended(ending);
    let events = events_of(&change, record.attempt, at);
    if let Change::Ended(ending) = change {
        let write = Write::End { id: record.key.id, epoch: record.epoch, ending, at, events };
        if services.commit_and_wait(write).await? == Answer::Applied {
            services.count_waiting_ended(record, how);
        }
    }
    Ok(())
}
