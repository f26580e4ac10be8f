//! The context in which a `TaskActor` runs: a mailbox, and nothing else.
//!
//! actix's own context keeps room for futures that its actor spawns or waits for, 330 bytes of it, and looks at all
//! of that with each message. A task's actor spawns nothing and waits for nothing; of these there are 100,000.
//!
//! Invariants: messages are handled in the order in which they were sent; the actor ends when its last address is
//! gone and its mailbox is empty, as in actix's context.

use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

use actix::dev::{Envelope, Mailbox, ToEnvelope, channel};
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, Message, SpawnHandle};
use tokio::sync::oneshot;

use super::TaskActor;

/// Messages that may wait for one task; a flood of cancels of one task is refused past it.
const MAILBOX: usize = 1024;

/// What the handlers of a task's actor are given: nothing that they use.
pub(crate) struct Lean;

/// An actor and its mailbox, as a future of the coordinator's arbiter.
struct Running {
    actor: TaskActor,
    mailbox: Mailbox<TaskActor>,
}

/// Starts the actor on this thread's arbiter.
pub(super) fn start(mut actor: TaskActor) -> Addr<TaskActor> {
    let (sender, receiver) = channel::channel(MAILBOX);
    actor.started(&mut Lean);
    // Detached: it ends with its last address.
    drop(actix_rt::spawn(Running { actor, mailbox: Mailbox::new(receiver) }));
    Addr::new(sender)
}

impl Future for Running {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.mailbox.poll(&mut this.actor, &mut Lean, cx);
        if this.mailbox.connected() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl ActorContext for Lean {
    fn stop(&mut self) {}

    fn terminate(&mut self) {}

    fn state(&self) -> ActorState {
        ActorState::Running
    }
}

/// What actix asks of a context. There is nobody who calls the methods that could not do what they say.
impl AsyncContext<TaskActor> for Lean {
    fn address(&self) -> Addr<TaskActor> {
        tracing::error!("a task's actor has asked for its own address");
        Addr::new(channel::channel(1).0)
    }

    fn spawn<F>(&mut self, _future: F) -> SpawnHandle
    where
        F: ActorFuture<TaskActor, Output = ()> + 'static,
    {
        tracing::error!("a task's actor has spawned a future, which is dropped");
        SpawnHandle::default()
    }

    fn wait<F>(&mut self, _future: F)
    where
        F: ActorFuture<TaskActor, Output = ()> + 'static,
    {
        tracing::error!("a task's actor waits for a future, which is dropped");
    }

    fn waiting(&self) -> bool {
        false
    }

    fn cancel_future(&mut self, _handle: SpawnHandle) -> bool {
        false
    }
}

impl<M> ToEnvelope<TaskActor, M> for Lean
where
    TaskActor: Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn pack(message: M, reply: Option<oneshot::Sender<M::Result>>) -> Envelope<TaskActor> {
        Envelope::new(message, reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_100_000_running_tasks_keep_is_small() {
        assert!(size_of::<Running>() <= 152, "a tokio task of more than 256 bytes: {}", size_of::<Running>());
        assert!(size_of::<Lean>() == 0);
    }
}
