//! The task types of the soak, and what may become of each: [`KINDS`] is the list to which further kinds are added.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use quell::task::{Status, StoppedBy, Timeout};
use quell::{BlockingTask, Cleaned, ModelSettings, Registry, RegistryError, Task, TaskContext, TaskError};
use serde::Deserialize;
use serde_json::json;

pub(crate) const APP: &str = "soak";

/// The text of every panic that belongs here.
pub(crate) const AS_ASKED: &str = "as asked";

/// What is done with a task, beside its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing: it ends by itself.
    Wait,
    /// It is cancelled after some milliseconds.
    Cancel,
    /// It was started with a timeout of some milliseconds.
    Timeout,
}

/// A kind of task, what is done with it, and how it may end.
pub(crate) struct Kind {
    pub(crate) model: &'static str,
    pub(crate) then: Then,
    /// It ends with one of these statuses and, where it was stopped, by one of these ways.
    pub(crate) ends: &'static [(Status, Option<StoppedBy>)],
}

const fn kind(model: &'static str, then: Then, ends: &'static [(Status, Option<StoppedBy>)]) -> Kind {
    Kind { model, then, ends }
}

const COMPLETED: (Status, Option<StoppedBy>) = (Status::Completed, None);
const FAILED: (Status, Option<StoppedBy>) = (Status::Failed, None);
const ITSELF: (Status, Option<StoppedBy>) = (Status::Cancelled, Some(StoppedBy::Itself));
const DROPPED: (Status, Option<StoppedBy>) = (Status::Cancelled, Some(StoppedBy::Dropped));
const ABANDONED: (Status, Option<StoppedBy>) = (Status::Cancelled, Some(StoppedBy::Abandoned));
const KILLED: (Status, Option<StoppedBy>) = (Status::Cancelled, Some(StoppedBy::Killed));
const NEVER: (Status, Option<StoppedBy>) = (Status::Cancelled, Some(StoppedBy::NeverStarted));

/// Every kind. A cancel that is faster than a thread finds a body that has not begun: it is dropped, or never begins.
pub(crate) const KINDS: &[Kind] = &[
    kind("Quick", Then::Wait, &[COMPLETED]),
    kind("Quick", Then::Cancel, &[COMPLETED, ITSELF, DROPPED]),
    kind("Idle", Then::Cancel, &[DROPPED, NEVER]),
    kind("Idle", Then::Timeout, &[DROPPED, NEVER]),
    kind("Graced", Then::Cancel, &[ITSELF, DROPPED, NEVER]),
    kind("Shielded", Then::Cancel, &[ITSELF, DROPPED, NEVER]),
    kind("Cleans", Then::Cancel, &[DROPPED, NEVER]),
    kind("Hangs", Then::Timeout, &[DROPPED, NEVER]),
    kind("Panics", Then::Wait, &[FAILED]),
    kind("Fails", Then::Wait, &[FAILED]),
    kind("Children", Then::Cancel, &[DROPPED, NEVER]),
    kind("Spins", Then::Wait, &[COMPLETED]),
    kind("Spins", Then::Cancel, &[ABANDONED, DROPPED, NEVER]),
    kind("Spins", Then::Timeout, &[ABANDONED, DROPPED, NEVER]),
    kind("Hashes", Then::Wait, &[COMPLETED]),
    kind("Hashes", Then::Cancel, &[COMPLETED, ITSELF, DROPPED, NEVER]),
    kind("Blocks", Then::Cancel, &[ABANDONED, DROPPED, NEVER]),
    kind("Reads", Then::Cancel, &[ITSELF, DROPPED, NEVER]),
    // In processes of their own. A process that is asked to stop before it hears SIGTERM dies of it.
    kind("Apart", Then::Wait, &[COMPLETED]),
    kind("Apart", Then::Cancel, &[COMPLETED, ITSELF, KILLED, NEVER]),
    kind("Deaf", Then::Cancel, &[KILLED, NEVER]),
    kind("Deaf", Then::Timeout, &[KILLED, NEVER]),
    kind("Crashes", Then::Wait, &[FAILED]),
];

const SHORT: Duration = Duration::from_millis(100);

/// Limits that keep a soak moving.
const fn short() -> ModelSettings {
    ModelSettings::new().stop_limit(SHORT).cleanup_limit(SHORT)
}

/// Those that run in processes of their own: all that such a process needs.
pub(crate) fn isolated() -> Result<Registry, RegistryError> {
    Registry::new().isolated::<Apart>()?.isolated::<Deaf>()?.isolated::<Crashes>()
}

pub(crate) fn registry() -> Result<Registry, RegistryError> {
    isolated()?
        .task::<Quick>()?
        .task::<Idle>()?
        .task::<Graced>()?
        .task::<Shielded>()?
        .task::<Cleans>()?
        .task::<Hangs>()?
        .task::<Panics>()?
        .task::<Fails>()?
        .task::<Children>()?
        .task::<Spins>()?
        .blocking::<Hashes>()?
        .blocking::<Blocks>()?
        .blocking::<Reads>()
}

/// The timeout of tasks that are to run into one.
pub(crate) fn timeout() -> Option<Timeout> {
    Timeout::from_seconds(0.05).ok()
}

macro_rules! model {
    ($(#[$doc:meta])* $name:ident, $settings:expr, |$ctx:ident| $body:expr $(, |$after:ident| $cleanup:expr)?) => {
        $(#[$doc])*
        #[derive(Deserialize)]
        struct $name {}

        impl Task for $name {
            const APP: &'static str = APP;
            const MODEL: &'static str = stringify!($name);
            type Output = u64;

            fn settings() -> ModelSettings {
                $settings
            }

            async fn process(&self, $ctx: TaskContext) -> Result<u64, TaskError> {
                $body
            }

            $(async fn on_cancel(&self, $after: TaskContext) -> Result<Cleaned, TaskError> {
                $cleanup
            })?
        }
    };
}

model!(/** Sends a few events. */ Quick, ModelSettings::new(), |ctx| {
    for step in 0..5 {
        ctx.send_event("progress", &json!({ "step": step })).await?;
    }
    Ok(5)
});
model!(/** Waits for ever. */ Idle, ModelSettings::new(), |_ctx| std::future::pending().await);
model!(/** Stops when it is asked. */ Graced, ModelSettings::new().grace(Duration::from_secs(5)), |ctx| {
    loop {
        ctx.sleep(Duration::from_millis(5)).await?;
        ctx.heartbeat();
    }
});
model!(/** Has steps that are whole. */ Shielded, ModelSettings::new().grace(Duration::from_secs(5)), |ctx| {
    loop {
        ctx.shield(ctx.sleep(Duration::from_millis(5))).await?;
        ctx.check_cancellation()?;
    }
});
model!(/** Cleans up. */ Cleans, ModelSettings::new(), |_ctx| std::future::pending().await, |ctx| {
    ctx.send_event("cleaned_up", &()).await?;
    Ok(Cleaned::Done)
});
model!(/** Its cleanup hangs. */ Hangs, ModelSettings::new().cleanup_limit(SHORT), |_ctx| std::future::pending().await, |_ctx| {
    std::future::pending().await
});
model!(
    /** Panics. */
    Panics,
    ModelSettings::new(),
    |_ctx| panic!("{}", AS_ASKED)
);
model!(/** Fails. */ Fails, ModelSettings::new(), |_ctx| Err(TaskError::new("Soaked", "as asked")));
model!(/** Has children. */ Children, ModelSettings::new(), |ctx| {
    for _ in 0..8 {
        ctx.spawn(std::future::pending());
    }
    std::future::pending().await
});
model!(/** Works a little, in a process of its own, and stops when it is asked. */ Apart, ModelSettings::new().grace(Duration::from_secs(5)), |ctx| {
    for step in 0..5 {
        ctx.send_event("progress", &json!({ "step": step })).await?;
        ctx.sleep(Duration::from_millis(5)).await?;
    }
    Ok(5)
});
model!(/** Hears nothing, in a process of its own that loops. */ Deaf, ModelSettings::new().grace(SHORT), |ctx| {
    ctx.send_event("loops", &()).await?;
    loop {
        std::hint::spin_loop();
    }
});
model!(/** Ends its process in the middle of its work. */ Crashes, ModelSettings::new(), |ctx| {
    ctx.send_event("progress", &()).await?;
    std::process::abort()
});
model!(/** Does not yield for longer than its limits, and then returns. */ Spins, short(), |_ctx| {
    let began = Instant::now();
    let mut turns = 0_u64;
    while began.elapsed() < Duration::from_millis(1_200) {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
    Ok(turns)
});

macro_rules! blocking {
    ($(#[$doc:meta])* $name:ident, $settings:expr, |$ctx:ident| $body:expr) => {
        $(#[$doc])*
        #[derive(Deserialize)]
        struct $name {}

        impl BlockingTask for $name {
            const APP: &'static str = APP;
            const MODEL: &'static str = stringify!($name);
            type Output = u64;

            fn settings() -> ModelSettings {
                $settings
            }

            fn process(&self, $ctx: &TaskContext) -> Result<u64, TaskError> {
                $body
            }
        }
    };
}

blocking!(/** Computes, and checks. */ Hashes, ModelSettings::new(), |ctx| {
    let began = Instant::now();
    let mut hash = 0_u64;
    while began.elapsed() < Duration::from_millis(30) {
        ctx.check_cancellation()?;
        hash = std::hint::black_box(hash.wrapping_mul(31).wrapping_add(7));
    }
    ctx.send_event_blocking("progress", &hash)?;
    Ok(hash)
});
blocking!(/** Blocks for longer than its limits, and then returns. */ Blocks, short(), |_ctx| {
    std::thread::park_timeout(Duration::from_millis(1_500));
    Ok(0)
});
blocking!(/** Blocks in a read, and says how to break it. */ Reads, ModelSettings::new(), |ctx| {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut from = TcpStream::connect(listener.local_addr()?)?;
    let other = from.try_clone()?;
    let _interrupt = ctx.on_interrupt(move || drop(other.shutdown(Shutdown::Both)));
    let read = from.read(&mut [0; 16])?;
    ctx.check_cancellation()?;
    Ok(u64::try_from(read).unwrap_or(0))
});
