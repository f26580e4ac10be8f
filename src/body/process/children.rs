//! The thread of the children: it starts them, speaks with them, and reaps them.

use std::sync::Arc;
use std::{io, thread};

use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::attempt::{Attempt, finish_apart};
use super::super::end::BodyEnd;
use super::super::pool::Pool;
use super::keeper::Keeper;

/// A body's place on the thread, while it may have a process.
pub(crate) struct Seat {
    pub(super) keeper: Arc<Keeper>,
    pub(super) open_files: Option<u64>,
    _place: OwnedSemaphorePermit,
}

/// A handle to the thread. When it is dropped the thread ends, and with it every child.
pub(crate) struct Children {
    thread: Handle,
    room: Arc<Semaphore>,
    /// Room for cleanups: apart, for they must not wait for bodies that wait for them to be done.
    cleaning: Arc<Semaphore>,
    keeper: Arc<Keeper>,
    open_files: Option<u64>,
    _closing: DropGuard,
}

impl Children {
    /// Starts the thread; at most `limit` children live at the same time, what comes beyond waits in line. Each begins
    /// with that soft limit of `open_files`, unless its own limits say one; none is this process's.
    pub(crate) fn start(limit: usize, open_files: Option<u64>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let closing = CancellationToken::new();
        let closed = closing.clone();
        let keeper = Arc::<Keeper>::default();
        let kept = Arc::clone(&keeper);
        thread::Builder::new().name("quell-children".to_owned()).spawn(move || {
            runtime.block_on(closed.cancelled());
            // What is dropped now kills its child.
            runtime.shutdown_background();
            kept.close();
        })?;
        let room = || Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self {
            thread: handle,
            room: room(),
            cleaning: room(),
            keeper,
            open_files,
            _closing: closing.drop_guard(),
        })
    }

    /// Does something with a child for a cleanup, on the thread of the children; none where that thread has ended.
    ///
    /// # Cancel safety
    /// When what is returned is dropped, the work is dropped too, and its child is killed.
    pub(crate) fn clean<T, W>(&self, work: W) -> impl Future<Output = Option<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(Seat) -> BoxFuture<'static, T> + Send + 'static,
    {
        let (mut reply, answer) = oneshot::channel();
        let (cleaning, keeper) = (Arc::clone(&self.cleaning), Arc::clone(&self.keeper));
        let open_files = self.open_files;
        self.thread.spawn(async move {
            let work = async {
                let place = cleaning.acquire_owned().await.ok()?;
                Some(work(Seat { keeper, open_files, _place: place }).await)
            };
            let done = tokio::select! {
                biased;
                () = reply.closed() => None,
                done = work => done,
            };
            if let Some(done) = done {
                // Err: nobody waits any more.
                let _ = reply.send(done);
            }
        });
        async move { answer.await.ok() }
    }
}

/// Runs a body in a process to its report: `body` and what follows on the thread of the children, user code of the
/// cleanup elsewhere.
///
/// A body that waits for room is withdrawn when it is asked to stop.
pub(crate) fn run_process<A, F>(attempt: Arc<A>, body: F, pool: &Pool, children: &Children)
where
    A: Attempt + ?Sized,
    F: FnOnce(Seat) -> BoxFuture<'static, BodyEnd> + Send + 'static,
{
    let (room, keeper, pool) = (Arc::clone(&children.room), Arc::clone(&children.keeper), pool.clone());
    let open_files = children.open_files;
    children.thread.spawn(async move {
        let control = attempt.control();
        let place = if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
            Some(place)
        } else {
            tokio::select! {
                biased;
                () = control.called_off() => None,
                place = room.acquire_owned() => place.ok(),
            }
        };
        let end = match place {
            None => BodyEnd::NeverStarted,
            Some(place) => {
                control.begin();
                // After it, never before: see `Control::begin`.
                if control.is_stop_requested() {
                    BodyEnd::NeverStarted
                } else {
                    body(Seat { keeper, open_files, _place: place }).await
                }
            }
        };
        finish_apart(attempt, end, &pool).await;
    });
}
