//! Interrupt hooks: how a body hands over the way to break what it waits for.
//!
//! Invariants: a hook is called at most once, and never while its owner's lock is held; it is called where the task
//! is asked to stop, whichever of "registered" and "asked" came first; whoever asks never waits for it.

use std::fmt;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::body::{self, Asked, Attempt};

use super::TaskContext;
use super::live::Live;

type Hook = Box<dyn FnOnce() + Send>;

/// The hooks of one body that were not called yet.
#[derive(Default)]
pub(crate) struct Interrupts(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    hooks: Vec<(u64, Hook)>,
    /// The number of the next one.
    next: u64,
}

impl Interrupts {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No user code runs under this lock, so a poisoned list is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, hook: Hook) -> u64 {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.hooks.push((number, hook));
        number
    }

    fn remove(&self, number: u64) -> Option<Hook> {
        let mut waiting = self.lock();
        let place = waiting.hooks.iter().position(|(own, _)| *own == number)?;
        Some(waiting.hooks.remove(place).1)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for (_, hook) in std::mem::take(&mut self.lock().hooks) {
            body::release("interrupt hook", hook);
        }
    }
}

/// Takes its hook back when it is dropped: bind it to a variable that lives as long as the wait.
#[must_use = "dropped at once, the hook is taken back at once"]
pub struct Interrupt {
    live: Arc<Live>,
    number: u64,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").field("task", &self.live.key().to_string()).finish_non_exhaustive()
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(hook) = self.live.extras().interrupts.remove(self.number) {
            body::release("interrupt hook", hook);
        }
    }
}

impl TaskContext {
    /// Hands over how to break what the body waits for: a query, a socket, a child process. Above all for a blocking
    /// body, which cannot look whether it should stop while it is inside a call that blocks.
    ///
    /// The hook is called once, as soon as the task is asked to stop, for whatever cause; at once if it was asked
    /// before. It runs on a thread of its own kind, beside the body, and nobody waits for it: its panic is logged,
    /// and one that hangs holds a thread (32 of them hold up the hooks of other tasks). What the body then returns
    /// is what it stopped with: `itself`, if it ends within grace and stop limit.
    ///
    /// The hook is taken back when the [`Interrupt`] is dropped. It may be running at that moment, so it should own
    /// what it breaks (a clone of the socket, a handle of the child), not a number that may be given to another.
    ///
    /// ```
    /// # use std::{io::Read, net::{Shutdown, TcpStream}};
    /// # use quell::{TaskContext, TaskError};
    /// fn read_all(ctx: &TaskContext, mut from: TcpStream) -> Result<Vec<u8>, TaskError> {
    ///     let other = from.try_clone()?;
    ///     let _interrupt = ctx.on_interrupt(move || {
    ///         let _ = other.shutdown(Shutdown::Both); // ends the read below
    ///     });
    ///     let mut bytes = Vec::new();
    ///     from.read_to_end(&mut bytes)?;
    ///     ctx.check_cancellation()?; // ended by us, or by the other side?
    ///     Ok(bytes)
    /// }
    /// ```
    pub fn on_interrupt(&self, hook: impl FnOnce() + Send + 'static) -> Interrupt {
        let live = Arc::clone(self.live());
        let number = live.extras().interrupts.add(Box::new(hook));
        // `interrupt` is called after the flag was raised, and then looks for hooks; here it is the other way
        // round: one of the two sees the other.
        fence(Ordering::SeqCst);
        if live.control().asked() != Asked::NotAsked {
            live.interrupt();
        }
        Interrupt { live, number }
    }
}

impl Live {
    /// Has the hooks called that are there. After the body was told.
    pub(crate) fn interrupt(&self) {
        fence(Ordering::SeqCst);
        let Some(extras) = self.made_extras() else { return };
        let hooks = std::mem::take(&mut extras.interrupts.lock().hooks);
        for (_, hook) in hooks {
            let key = self.key();
            self.services.pool.call_hook(hook, move || {
                tracing::warn!(task = %key, "an interrupt hook hangs, and keeps its thread");
            });
        }
    }
}
