//! Handing a signal to a task.
//!
//! Invariant: a signal is durable before anybody hears of it, the body included; the key of its request, where it has
//! one, is written together with it.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::store::{Answer, QueuedSignal, RepeatableRequest, StoreError, Write};
use crate::task::{JsonText, TaskId, TaskKey, is_event_name};

use super::messages::{Deliver, Reply};
use super::{CommandError, Coordinator, Refusal};

impl Coordinator {
    /// Hands a signal to an unfinished task; durable when this returns. It is kept, in order, until the body
    /// takes it, also before the body waits for it; up to 1,000 wait for one task.
    ///
    /// # Errors
    /// [`CommandError::SignalName`], [`CommandError::Ended`], [`CommandError::NotFound`],
    /// [`CommandError::TooManySignals`], [`CommandError::Refused`].
    pub async fn signal(&self, key: &TaskKey, name: &str, data: JsonText) -> Result<(), CommandError> {
        self.signal_once(key, name, data, None).await
    }

    /// The same for a request with a key, which is kept together with the signal.
    pub(crate) async fn signal_once(
        &self,
        key: &TaskKey,
        name: &str,
        data: JsonText,
        once: Option<Arc<RepeatableRequest>>,
    ) -> Result<(), CommandError> {
        if !is_event_name(name) {
            return Err(CommandError::SignalName(name.to_owned()));
        }
        // Existence first: the id may belong to another model.
        self.owner(key).await?;
        match self.send_signal(key.id, name.to_owned(), data, once).await? {
            Answer::Stale => Err(self.ended(key).await),
            Answer::Full(count) => Err(CommandError::TooManySignals(count)),
            Answer::KeyTaken => Err(CommandError::KeyTaken),
            _ => Ok(()),
        }
    }

    async fn send_signal(
        &self,
        id: TaskId,
        name: String,
        data: JsonText,
        request: Option<Arc<RepeatableRequest>>,
    ) -> Result<Answer, Refusal> {
        let services = Arc::clone(&self.0);
        let (tx, rx) = oneshot::channel();
        let at = self.0.clock.wall();
        let write = Write::Signal { id, name: name.clone(), data: data.clone(), at, request };
        let done = move |answer: Result<Answer, StoreError>| {
            if let Ok(Answer::Signalled(signal)) = answer {
                services.tell_coordinator(Deliver { id, signal: QueuedSignal { signal, name, data } });
            }
            // Err: whoever signalled has gone, which takes nothing back.
            let _ = tx.send(answer);
        };
        self.0.commit(write, Reply::Call(Box::new(done)));
        self.0.answered(rx).await?.map_err(Refusal::Unavailable)
    }

    /// Why a command on a task that has ended was not carried out.
    async fn ended(&self, key: &TaskKey) -> CommandError {
        match self.task(key).await {
            Ok(record) => CommandError::Ended(Box::new(record)),
            Err(error) => error,
        }
    }
}
