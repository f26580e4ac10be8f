//! Holding one of the runtime's two central threads, so that a test decides in which order messages arrive.
//!
//! A reply wakes whoever waits for it on the thread that sends it. A waker that blocks therefore holds that
//! thread: the coordinator's (with all tasks' actors) answers starts, the database writer's answers creations.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use quell::StartError;
use quell::task::Record;

use super::bodies::Plain;
use super::stage::{Latch, poll_once};
use super::world::{Session, request};

/// A thread that is held until this is dropped.
pub(crate) struct Hold {
    latch: Arc<Latch>,
    _reply: Pin<Box<dyn Future<Output = Result<Record, StartError>>>>,
}

impl Hold {
    /// Holds the coordinator's thread: no message reaches it or a task's actor. What it sent before is under way.
    pub(crate) async fn coordinator(session: &Session) -> Self {
        session.world.body("held", |_, _| async { Ok(().into()) });
        let quell = session.quell.clone();
        Self::on(Box::pin(async move { quell.start(request::<Plain>("held")).await })).await
    }

    /// Holds the writer's thread: no commit is done, and none is answered.
    pub(crate) async fn writer(session: &Session) -> Self {
        let quell = session.quell.clone();
        Self::on(Box::pin(async move { quell.create(request::<Plain>("held")).await })).await
    }

    async fn on(mut reply: Pin<Box<dyn Future<Output = Result<Record, StartError>>>>) -> Self {
        let latch = Arc::<Latch>::default();
        let waker = Waker::from(Arc::clone(&latch));
        assert!(reply.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        latch.held().await;
        Self { latch, _reply: reply }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.latch.open();
    }
}

/// A command that was sent, and whose answer nobody waits for yet.
pub(crate) fn sent<F: Future>(command: F) -> Pin<Box<F>> {
    let mut command = Box::pin(command);
    assert!(poll_once(&mut command).is_pending(), "a command is not answered by its first poll");
    command
}
