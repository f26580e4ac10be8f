//! Tests of how user code runs: a scripted attempt, a pool of two threads, and deadlines on every wait.
//!
//! Nothing here sleeps in order to wait: threads tell each other by channels, and a wait that takes 10 s fails.

mod attempts;
mod blocking;
mod boundary;
mod cleanup;
mod pool;
mod queue;
mod stopping;
mod watchdog;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};

use super::*;

/// Longer than any step takes; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(10);

type Cleanup = Box<dyn Fn() -> BoxFuture<'static, Result<Cleaned, ()>> + Send + Sync>;

/// What an attempt told the runtime.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Report(Report),
    Late,
}

/// An attempt that tells a channel.
struct Script {
    control: Control,
    cleanup: Cleanup,
    children: Mutex<Vec<Child>>,
    tell: SyncSender<Told>,
    /// How often it was told that a cleanup goes on.
    cleanings: AtomicUsize,
}

impl Attempt for Script {
    fn control(&self) -> &Control {
        &self.control
    }

    fn label(&self) -> i64 {
        7
    }

    fn cleanup(&self) -> BoxFuture<'static, Result<Cleaned, ()>> {
        (self.cleanup)()
    }

    fn take_children(&self) -> Vec<Child> {
        std::mem::take(&mut *self.children.lock().unwrap())
    }

    fn cleaning(&self, _: &BodyEnd) {
        self.cleanings.fetch_add(1, Ordering::SeqCst);
    }

    fn report(&self, report: Report) {
        self.tell.send(Told::Report(report)).unwrap();
    }

    fn returned_late(&self) {
        self.tell.send(Told::Late).unwrap();
    }
}

/// The receiving end of a [`Script`].
struct Ear(Receiver<Told>);

impl Ear {
    fn report(&self) -> Report {
        match self.0.recv_timeout(DEADLINE).expect("no report came") {
            Told::Report(report) => report,
            Told::Late => panic!("told as late"),
        }
    }

    fn late(&self) {
        assert_eq!(self.0.recv_timeout(DEADLINE).expect("nothing came"), Told::Late);
    }

    /// Waits until nobody can tell anything more, and checks that nothing came.
    fn nothing_more(&self, script: Arc<Script>) {
        drop(script);
        let told = self.0.recv_timeout(DEADLINE);
        assert_eq!(told, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }
}

/// An attempt without a cleanup.
fn script() -> (Arc<Script>, Ear) {
    script_with(|| async { Ok(Cleaned::Nothing) }.boxed())
}

fn script_with<C>(cleanup: C) -> (Arc<Script>, Ear)
where
    C: Fn() -> BoxFuture<'static, Result<Cleaned, ()>> + Send + Sync + 'static,
{
    let (tell, ear) = sync_channel(8);
    let script = Script {
        control: Control::new(),
        cleanup: Box::new(cleanup),
        children: Mutex::default(),
        tell,
        cleanings: AtomicUsize::new(0),
    };
    (Arc::new(script), Ear(ear))
}

/// A pool of two threads.
fn pool() -> Pool {
    pool_of(2, 8)
}

fn pool_of(threads: usize, blocking_limit: usize) -> Pool {
    Pool::new(PoolSettings { threads, max_threads: threads, blocking_limit }).unwrap()
}

/// Runs `body` as an attempt of `script`.
fn start<F>(pool: &Pool, script: &Arc<Script>, body: F)
where
    F: Future<Output = BodyEnd> + Send + 'static,
{
    pool.spawn(7, run(Arc::clone(script), move || body.boxed()));
}

/// What is told of a body that never began.
fn never_started() -> Report {
    Report { end: BodyEnd::NeverStarted, cleanup: CleanupEnd::Nothing }
}

/// A body that returns at once still works on this pool.
fn assert_alive(pool: &Pool) {
    let (script, ear) = script();
    start(pool, &script, async { BodyEnd::Returned(None) });
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
}

/// A report without a cleanup.
fn ended(end: BodyEnd) -> Report {
    Report { end, cleanup: CleanupEnd::NotRun }
}

fn panicked(message: &str) -> BodyEnd {
    BodyEnd::Panicked { message: message.to_owned() }
}

/// A word that one side says once, and the other waits for.
fn signal() -> (SyncSender<()>, Receiver<()>) {
    sync_channel(1)
}

fn wait(signal: &Receiver<()>) {
    signal.recv_timeout(DEADLINE).expect("the signal did not come");
}

/// Says its word when dropped.
struct TellDrop(SyncSender<()>);

impl Drop for TellDrop {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

/// Panics when dropped, unless a panic is under way already (that would end the process).
struct PanicDrop;

impl Drop for PanicDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::panic_any(PanicPayload);
        }
    }
}

/// A panic's payload whose own drop panics.
struct PanicPayload;

impl Drop for PanicPayload {
    fn drop(&mut self) {
        panic!("the payload panics");
    }
}
