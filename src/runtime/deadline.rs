//! Moving the deadline of one task, wherever it is.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::store::{Answer, Write};
use crate::task::{Record, Timeout};

use super::messages::{SetTimeout, TimeoutAnswer};
use super::services::Services;
use super::{CommandError, Refusal};

/// How often a task that changes place is looked for again, and how long after.
const LOOKS: u32 = 400;
const LOOK_AFTER: Duration = Duration::from_millis(5);

/// Sets the timeout in the row, and the timer of the task where it runs here.
pub(crate) async fn set(
    services: &Services,
    mut record: Record,
    timeout: Option<Timeout>,
) -> Result<(), CommandError> {
    let id = record.key.id;
    for _ in 0..LOOKS {
        if record.status.is_terminal() {
            return Err(CommandError::Ended(Box::new(record)));
        }
        services.require_writes()?;
        let (reply, answer) = oneshot::channel();
        services.command(SetTimeout { id, timeout, reply })?;
        match services.answered(answer).await? {
            TimeoutAnswer::Done => return Ok(()),
            TimeoutAnswer::Refused(refusal) => return Err(refusal.into()),
            // A task that begins meanwhile reads its timeout from the row it begins.
            TimeoutAnswer::NotHere if record.status == crate::task::Status::Pending => {
                let write = Write::SetTimeout { id, timeout, at: services.clock.wall() };
                if services.commit_and_wait(write).await? != Answer::Stale {
                    // It may have begun meanwhile, with the row as it was before: then its actor hears of it too.
                    let (reply, answer) = oneshot::channel();
                    services.command(SetTimeout { id, timeout, reply })?;
                    let _ = answer.await;
                    return Ok(());
                }
            }
            TimeoutAnswer::NotHere | TimeoutAnswer::Ended => tokio::time::sleep(LOOK_AFTER).await,
        }
        let read = services.readers.read(move |reader| reader.task(id)).await;
        let key = record.key.clone();
        record = read.map_err(Refusal::Unavailable)?.ok_or(CommandError::NotFound(key))?;
    }
    Err(Refusal::Busy.into())
}
