//! What users need to test their own tasks: a clock that a test sets, and a database that fails on demand.
//!
//! Both go in by [`RuntimeSettings`]; the rest of the runtime is the real one.
//!
//! ```
//! use std::sync::Arc;
//!
//! use quell::task::Timestamp;
//! use quell::testing::{Fault, Faults, ManualClock};
//! use quell::{Refusal, Registry, Runtime, RuntimeSettings, StartError, StartRequest, Task, TaskContext, TaskError};
//!
//! #[derive(serde::Deserialize)]
//! struct Hello {}
//!
//! impl Task for Hello {
//!     const APP: &'static str = "docs";
//!     const MODEL: &'static str = "Hello";
//!     type Output = &'static str;
//!
//!     async fn process(&self, _: TaskContext) -> Result<&'static str, TaskError> {
//!         Ok("hello")
//!     }
//! }
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("sqlite://{}", folder.path().join("tasks.db").display());
//! let (clock, faults) = (ManualClock::default(), Faults::default());
//! let settings =
//!     RuntimeSettings { clock: Arc::new(clock.clone()), faults: faults.clone(), ..Default::default() };
//! let quell = Runtime::start(&url, Registry::new().task::<Hello>()?, settings).await?;
//!
//! let started = quell.start(StartRequest::new("docs", "Hello", "ann")).await?;
//! assert_eq!(started.created_at, clock.wall()); // the clock stands still until it is moved
//!
//! faults.set(Fault::Refuse); // as if the disk were full
//! let refused = quell.start(StartRequest::new("docs", "Hello", "ann")).await;
//! assert!(matches!(refused, Err(StartError::Refused(Refusal::Unavailable(_)))));
//! faults.clear();
//! # quell.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! [`RuntimeSettings`]: crate::RuntimeSettings

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::runtime::Clock;
use crate::task::Timestamp;

pub use crate::store::{Fault, Faults};

/// A wall clock that moves only when it is told to; clones share it. Give it to
/// [`RuntimeSettings::clock`](crate::RuntimeSettings::clock).
///
/// It sets what goes into rows and events, and what a restart finds to be over. Deadlines of tasks that run follow
/// monotonic time, which is nobody's to set.
///
/// ```
/// use std::time::Duration;
///
/// let clock = quell::testing::ManualClock::default();
/// let before = clock.wall();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.wall().micros_since(before), 60_000_000);
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

/// 2026-01-01, midnight.
const BEGINNING: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

impl Default for ManualClock {
    fn default() -> Self {
        Self::at(BEGINNING)
    }
}

impl ManualClock {
    /// A clock that stands at this time.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(time.as_micros())))
    }

    /// Reads it.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    /// Puts it to this time, forward or back.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::SeqCst);
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.set(Timestamp::from_micros(self.wall().as_micros().saturating_add(micros)));
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.wall()
    }
}
