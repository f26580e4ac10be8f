//! Holding one of the runtime's two central threads, so that a test decides in which order messages arrive.
//!
//! A reply wakes whoever waits for it on the thread that sends it. A waker that blocks therefore holds that
//! thread: the coordinator's (with all tasks' actors) answers starts, the database writer's answers creations.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use quell::StartError;
use quell::task::Record;

use super::bodies::Plain;
use super::stage::{Latch, poll_once};
use super::world::{Session, request};

type Reply = Pin<Box<dyn Future<Output = Result<Record, StartError>>>>;

/// A thread that is held until this is dropped.
pub(crate) struct Hold {
    latch: Arc<Latch>,
    _reply: Reply,
}

impl Hold {
    /// Holds the coordinator's thread: no message reaches it or a task's actor. What it sent before is under way.
    pub(crate) async fn coordinator(session: &Session) -> Self {
        session.world.body("held", |_, _| async { Ok(().into()) });
        Self::on(|| {
            let quell = session.quell.clone();
            Box::pin(async move { quell.start(request::<Plain>("held")).await })
        })
        .await
    }

    /// Holds the writer's thread: no commit is done, and none is answered.
    pub(crate) async fn writer(session: &Session) -> Self {
        Self::on(|| {
            let quell = session.quell.clone();
            Box::pin(async move { quell.create(request::<Plain>("held")).await })
        })
        .await
    }

    async fn on(command: impl Fn() -> Reply) -> Self {
        loop {
            let latch = Arc::<Latch>::default();
            let waker = Waker::from(Arc::clone(&latch));
            let mut reply = command();
            // Ready where this thread slept between the command and the look at its answer: once more.
            if reply.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                drop(waker);
                latch.held().await;
                return Self { latch, _reply: reply };
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.latch.open();
    }
}

/// A command that was sent, and whose answer nobody waits for yet.
pub(crate) fn sent<'a, T: 'a>(
    command: impl Future<Output = T> + 'a,
) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    let mut command = Box::pin(command);
    match poll_once(&mut command) {
        Poll::Pending => command,
        Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
    }
}
