//! Cancelling one task.
//!
//! Invariant: the answer is the runtime's receipt and nothing else; 200 and 202 are sent after what they say is
//! durable. A client that goes away takes nothing back: the command lives in the runtime, not in this future.

use actix_web::{Error, HttpResponse};

use crate::task::TaskId;
use crate::{CancelOptions, CommandError, Receipt};

use super::audit::Entry;
use super::auth::Principal;
use super::bodies;
use super::call::Call;
use super::dto::ReceiptDto;
use super::prefer::Wait;
use super::problem::Problem;
use super::repeat::{Before, Once};
use super::tasks::add_header;

/// `POST /cancel/{app}/{model}/{id}`
pub(super) async fn cancel_task<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let key = call.task()?;
    let user: U = call.user().await?;
    let sent = call.body().await?;
    let reason = bodies::cancel(sent.as_deref())?;
    let mut once = Once::of(call, user.name(), sent.as_deref())?;
    call.check_existing(&user, &key).await?;
    if let Before::Answer(answer, _) = once.before(call).await? {
        call.replayed(None);
        return Ok(answer);
    }
    let mut options = CancelOptions { reason, by: Some(user.name()), ..CancelOptions::default() };
    let wait = Wait::of(call.headers());
    if let Some(wait) = wait {
        options.wait = wait.duration();
    }
    let (coordinator, id) = (call.coordinator().clone(), key.id);
    let cancel = async move {
        match coordinator.cancel(&key, options).await {
            Ok(receipt) => Ok((id, receipt)),
            Err(CommandError::Ended(record)) => Ok((id, Receipt::NotRunning(record))),
            Err(error) => Err(Problem::from(error)),
        }
    };
    let (_, receipt) = call.carry_out(cancel, note_cancel).await?;
    let told = ReceiptDto::new(id, &receipt);
    let mut answer = once.answer(call, Some(id), told.status(), &told).await?;
    if let Some((name, value)) = wait.map(Wait::applied) {
        add_header(&mut answer, name, value);
    }
    Ok(answer)
}

fn note_cancel(entry: &mut Entry, (id, receipt): &(TaskId, Receipt)) {
    entry.done(ReceiptDto::new(*id, receipt).word());
}
