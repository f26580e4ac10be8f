//! The pool of bodies beside tokio's own scheduler, and beside itself without its watchdog.
//!
//! All three have the same number of threads, of the same priority, and the same panic boundary around each body.
//! They take turns, so that noise meets all.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::Executor;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::body::{Contained, Pool, PoolSettings, Priority};

use super::sample::{median, median_share};
use super::{BenchError, Ran};

/// Threads that poll.
const THREADS: usize = 2;

/// The longest that one measurement may take.
const LONGEST: Duration = Duration::from_secs(120);

/// What polls the bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The pool as the runtime has it.
    Pool,
    /// The same queue on plain threads: nobody counts polls, nobody watches.
    Unwatched,
    /// tokio's multi-thread scheduler.
    Tokio,
}

/// An engine that runs, until it is dropped.
pub struct Bodies(Running);

enum Running {
    Pool(Pool),
    Unwatched { executor: Arc<Executor<'static>>, closing: CancellationToken },
    Tokio(Runtime),
}

impl std::fmt::Debug for Bodies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bodies").finish_non_exhaustive()
    }
}

impl Drop for Bodies {
    fn drop(&mut self) {
        match &self.0 {
            Running::Pool(pool) => pool.close(),
            Running::Unwatched { closing, .. } => closing.cancel(),
            Running::Tokio(_) => {}
        }
    }
}

impl Bodies {
    /// Starts an engine.
    ///
    /// # Errors
    /// [`BenchError::System`] where the system gives no thread.
    pub fn start(engine: Engine) -> Result<Self, BenchError> {
        Ok(Self(match engine {
            Engine::Pool => Running::Pool(Pool::new(PoolSettings {
                threads: THREADS,
                max_threads: 64,
                blocking_limit: 1,
            })?),
            Engine::Unwatched => unwatched()?,
            Engine::Tokio => {
                let priority = Priority::of_bodies();
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(THREADS).enable_all().on_thread_start(move || priority.apply());
                Running::Tokio(builder.build()?)
            }
        }))
    }

    fn spawn(&self, body: impl Future<Output = ()> + Send + 'static) {
        match &self.0 {
            Running::Pool(pool) => pool.spawn(1, body),
            Running::Unwatched { executor, .. } => {
                let body = Contained::new("body", body);
                executor.spawn(async move { drop(body.await) }).detach();
            }
            // Detached: nobody waits for its handle.
            Running::Tokio(runtime) => drop(runtime.spawn(body)),
        }
    }

    /// Spawns bodies that do nothing, from one thread, and waits until all have ended.
    ///
    /// # Errors
    /// [`BenchError::Unexpected`] where they do not end.
    pub fn spawns(&self, count: u32) -> Result<Duration, BenchError> {
        let (done, all) = sync_channel(1);
        let last = Last::new(count, done);
        let began = Instant::now();
        for _ in 0..count {
            let last = Arc::clone(&last);
            self.spawn(async move { last.ends() });
        }
        wait(&all, began)
    }

    /// Runs bodies that yield so often, and waits until all have ended.
    ///
    /// # Errors
    /// [`BenchError::Unexpected`] where they do not end.
    pub fn yields(&self, bodies: u32, each: u32) -> Result<Duration, BenchError> {
        let (done, all) = sync_channel(1);
        let last = Last::new(bodies, done);
        let is_tokio = matches!(self.0, Running::Tokio(_));
        let began = Instant::now();
        for _ in 0..bodies {
            let last = Arc::clone(&last);
            // Each engine's own way to yield.
            self.spawn(async move {
                for _ in 0..each {
                    if is_tokio {
                        tokio::task::yield_now().await;
                    } else {
                        futures_lite::future::yield_now().await;
                    }
                }
                last.ends();
            });
        }
        wait(&all, began)
    }
}

fn unwatched() -> Result<Running, BenchError> {
    let (executor, closing) = (Arc::new(Executor::new()), CancellationToken::new());
    let priority = Priority::of_bodies();
    for _ in 0..THREADS {
        let (executor, closing) = (Arc::clone(&executor), closing.clone());
        thread::Builder::new().name("unwatched".to_owned()).spawn(move || {
            priority.apply();
            futures_lite::future::block_on(executor.run(closing.cancelled()));
        })?;
    }
    Ok(Running::Unwatched { executor, closing })
}

/// Tells when the last of some bodies has ended.
struct Last(AtomicU32, SyncSender<()>);

impl Last {
    fn new(count: u32, done: SyncSender<()>) -> Arc<Self> {
        Arc::new(Self(AtomicU32::new(count), done))
    }

    fn ends(&self) {
        if self.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Err: whoever waited has given up.
            let _ = self.1.try_send(());
        }
    }
}

fn wait(all: &std::sync::mpsc::Receiver<()>, began: Instant) -> Result<Duration, BenchError> {
    all.recv_timeout(LONGEST)
        .map(|()| began.elapsed())
        .map_err(|_| BenchError::Unexpected("the bodies do not end".to_owned()))
}

/// Measures one kind of work on all three, in turns.
pub(super) fn measure(
    what: &'static str,
    count: u32,
    rounds: u32,
    work: impl Fn(&Bodies) -> Result<Duration, BenchError>,
) -> Result<Ran, BenchError> {
    let engines = [Engine::Pool, Engine::Unwatched, Engine::Tokio];
    let mut rates: [Vec<f64>; 3] = Default::default();
    for engine in engines {
        // Wakes it up, and the allocator.
        work(&Bodies::start(engine)?)?;
    }
    let running = engines.map(Bodies::start);
    for _ in 0..rounds {
        for (rates, bodies) in rates.iter_mut().zip(&running) {
            let Ok(bodies) = bodies else {
                return Err(BenchError::Unexpected("an engine did not start".to_owned()));
            };
            rates.push(f64::from(count) / work(bodies)?.as_secs_f64());
        }
    }
    let [pool, unwatched, tokio] = rates;
    Ok(Ran {
        what,
        count,
        per_second: median(&pool),
        unwatched_per_second: median(&unwatched),
        tokio_per_second: median(&tokio),
        share_of_unwatched: median_share(&pool, &unwatched),
        share_of_tokio: median_share(&pool, &tokio),
        bar: None,
        unwatched_bar: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_ends_what_it_is_given() {
        for engine in [Engine::Pool, Engine::Unwatched, Engine::Tokio] {
            let bodies = Bodies::start(engine).unwrap();
            assert!(bodies.spawns(100).unwrap() > Duration::ZERO);
            assert!(bodies.yields(4, 100).unwrap() > Duration::ZERO);
        }
    }
}
