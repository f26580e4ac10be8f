//! Cancelling one task, wherever it is: running here, waiting, over.
//!
//! A task changes place while somebody looks (it waits, begins, ends), so the row is looked at again until one
//! guarded step takes effect. Whatever is answered is durable.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::lifecycle::{Ask, Change, Input, Life, events_of, transition};
use crate::store::{Answer, StoreError, Write};
use crate::task::{Record, Status, TaskId, TaskKey};

use super::messages::{Cancel, CancelAnswer, Left, Reply, Requested};
use super::metrics::Counted;
use super::services::Services;
use super::{CancelOptions, CommandError, Receipt, Refusal, clock};

/// How long a request may take to become durable after the wait is over, before the answer is that the database
/// is away.
const DURABLE_WITHIN: Duration = Duration::from_secs(5);

/// The same while writes fail: the database may have missed one beat only.
const ASKED_WITHIN: Duration = Duration::from_millis(400);

/// How often a task that is neither here nor elsewhere is looked for again, and how long after.
const LOOKS: u32 = 400;
const LOOK_AFTER: Duration = Duration::from_millis(5);

/// What came of asking a task's actor.
pub(crate) enum Found {
    /// The truth.
    Receipt(Receipt),
    /// It has ended: the row tells.
    Ended,
    /// It does not run here.
    Elsewhere,
}

/// Cancels a task that runs here, by one message.
pub(crate) async fn here(
    services: &Services,
    key: &TaskKey,
    options: &CancelOptions,
) -> Result<Found, CommandError> {
    match services.live.get(key.id) {
        Some(live) if live.key() == *key => ask_actor(services, key.id, options).await,
        Some(_) => Err(CommandError::NotFound(key.clone())),
        None => Ok(Found::Elsewhere),
    }
}

/// Cancels a task by its row, again and again until a step takes effect.
pub(crate) async fn anywhere(
    services: Arc<Services>,
    key: TaskKey,
    options: CancelOptions,
) -> Result<Receipt, CommandError> {
    for _ in 0..LOOKS {
        let record = read(&services, &key).await?;
        let found = match record.status {
            Status::Completed | Status::Failed | Status::Cancelled => {
                return Ok(receipt_of(Box::new(record)));
            }
            Status::Pending => cancel_pending(&services, &record, &options).await?,
            Status::Running => ask_actor(&services, key.id, &options).await?,
        };
        match found {
            Found::Receipt(receipt) => return Ok(receipt),
            Found::Ended => {}
            // On its way from one place to the other.
            Found::Elsewhere => tokio::time::sleep(LOOK_AFTER).await,
        }
    }
    Err(Refusal::Busy.into())
}

/// What a row that has ended says to one who cancels it.
pub(crate) fn receipt_of(record: Box<Record>) -> Receipt {
    Receipt::NotRunning(record)
}

fn ask_of(services: &Services, options: &CancelOptions) -> Ask {
    Ask::new(services.clock.wall(), options.cause, options.reason.as_deref(), options.by.clone())
}

async fn read(services: &Services, key: &TaskKey) -> Result<Record, CommandError> {
    let id = key.id;
    let found = services.readers.read(move |reader| reader.task(id)).await.map_err(Refusal::Unavailable)?;
    found.filter(|record| record.key == *key).ok_or_else(|| CommandError::NotFound(key.clone()))
}

async fn ask_actor(services: &Services, id: TaskId, options: &CancelOptions) -> Result<Found, CommandError> {
    let (reply, answer) = oneshot::channel();
    let is_alone = services.command(Cancel { id, ask: ask_of(services, options), reply })?;
    if is_alone {
        // The thread that will drop the body and the coordinator's are woken side by side, not one by the other.
        services.pool.expect();
    }
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => return found(answer),
        () = tokio::time::sleep(options.wait) => {}
        // No end becomes durable now: whether the request is, decides the answer.
        () = services.health.writes_failed() => {}
    }
    // Still stopping. The request itself must be durable before anybody hears of it.
    let (reply, requested) = oneshot::channel();
    services.command(Requested { id, reply })?;
    tokio::select! {
        biased;
        answer = &mut answer => found(answer),
        answer = requested => found(answer),
        () = not_durable(services) => {
            let error = StoreError::Unavailable("the request to stop is not written yet".to_owned());
            Err(Refusal::Unavailable(error).into())
        }
    }
}

/// Resolves when a request that is not durable by now is not worth waiting for.
async fn not_durable(services: &Services) {
    tokio::select! {
        () = tokio::time::sleep(DURABLE_WITHIN) => {}
        () = services.health.writes_failed() => tokio::time::sleep(ASKED_WITHIN).await,
    }
}

fn found(answer: Result<CancelAnswer, oneshot::error::RecvError>) -> Result<Found, CommandError> {
    match answer.map_err(|_| Refusal::Stopped)? {
        CancelAnswer::Receipt(receipt) => Ok(Found::Receipt(receipt)),
        CancelAnswer::ReadRow => Ok(Found::Ended),
        CancelAnswer::NotHere => Ok(Found::Elsewhere),
        CancelAnswer::Refused(refusal) => Err(refusal.into()),
    }
}

/// Ends a row that waits: its body is never polled.
async fn cancel_pending(
    services: &Arc<Services>,
    record: &Record,
    options: &CancelOptions,
) -> Result<Found, CommandError> {
    let Ok(change) = transition(Life::from(record), Input::Ask(ask_of(services, options))) else {
        return Ok(Found::Elsewhere);
    };
    let (at, asked) = (services.clock.wall(), clock::monotonic());
    let events = events_of(&change, record.attempt, at);
    let Change::Ended(ending) = change else { return Ok(Found::Elsewhere) };
    let (status, stopped_by) = (ending.status, ending.stopped_by);
    let receipt = ending.request.as_ref().zip(ending.stopped_by).map(|(request, stopped_by)| {
        let reason = Arc::clone(&request.reason);
        Receipt::Cancelled { reason, cause: request.cause, stopped_by, cancelled_at: at }
    });
    let (id, cause, ended) = (record.key.id, options.cause, record.clone());
    let write = Write::End { id, epoch: record.epoch, ending, at, events };
    let told = Arc::clone(services);
    let (reply, answer) = oneshot::channel();
    let done = move |answer: Result<Answer, StoreError>| {
        // Before anybody hears of the end: whoever does finds the owner's place free.
        if matches!(answer, Ok(Answer::Applied)) {
            told.tell_coordinator(Left(id));
            let after = clock::monotonic().saturating_duration_since(asked);
            let stopped = stopped_by.map(|by| (by, after));
            told.count_waiting_ended(&ended, Counted { status, asked: Some(cause), stopped });
        }
        // Err: whoever asked has gone; the write is done all the same.
        let _ = reply.send(answer);
    };
    services.commit(write, Reply::Call(Box::new(done)));
    if services.answered(answer).await?.map_err(Refusal::Unavailable)? == Answer::Stale {
        return Ok(Found::Elsewhere);
    }
    Ok(receipt.map_or(Found::Ended, Found::Receipt))
}
