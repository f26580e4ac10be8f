//! The clock: the only place that reads the system's time.
//!
//! Wall time goes into columns and decides what is over after a restart; monotonic time decides every deadline
//! while the process lives, so a jump of the wall clock moves none (I-15). Tests of an application may bring a wall
//! clock of their own; monotonic time is nobody's to set.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::task::Timestamp;

/// Wall time, as it goes into rows and events.
pub trait Clock: Send + Sync {
    /// Reads it.
    fn wall(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
        };
        Timestamp::from_micros(micros)
    }
}

/// Reads monotonic time.
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The same as a number that fits an atomic: microseconds since a moment of this process, and never 0.
pub(crate) fn monotonic_micros() -> u64 {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(ORIGIN.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
}
