//! A timeout: a length of run time that a user may ask for.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Why a number is no timeout.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a timeout is a number of seconds above 0 and at most 31536000 (a year), not {0}")]
pub struct BadTimeout(pub f64);

/// Seconds above 0 and at most a year, kept in microseconds.
///
/// ```
/// # use quell::task::Timeout;
/// assert_eq!(Timeout::from_seconds(1.0)?.to_string(), "1");
/// assert_eq!(Timeout::from_seconds(0.5)?.to_string(), "0.5");
/// assert!(Timeout::from_seconds(0.0).is_err());
/// # Ok::<(), quell::task::BadTimeout>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeout(Duration);

impl Timeout {
    /// The longest timeout: a year of 365 days.
    pub const MAX: Duration = Duration::from_secs(31_536_000);

    /// Checks a number of seconds; below a microsecond it is rounded up to one.
    ///
    /// # Errors
    /// [`BadTimeout`] where it is not finite, not above 0, or more than a year.
    pub fn from_seconds(seconds: f64) -> Result<Self, BadTimeout> {
        if seconds > 0.0 && seconds <= Self::MAX.as_secs_f64() {
            let micros = Duration::try_from_secs_f64(seconds).map_err(|_| BadTimeout(seconds))?.as_micros();
            let micros = u64::try_from(micros).map_err(|_| BadTimeout(seconds))?;
            Ok(Self(Duration::from_micros(micros.max(1))))
        } else {
            Err(BadTimeout(seconds))
        }
    }

    /// The seconds, as the API shows them.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// The same as a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl fmt::Display for Timeout {
    /// The seconds without trailing zeros: `1`, `0.5`, `0.000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.subsec_micros();
        if micros == 0 {
            return self.0.as_secs().fmt(f);
        }
        let decimals = format!("{micros:06}");
        write!(f, "{}.{}", self.0.as_secs(), decimals.trim_end_matches('0'))
    }
}

impl Serialize for Timeout {
    /// A whole number of seconds is written as one: `300`, not `300.0`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_micros() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.as_seconds())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_seconds_up_to_a_year_are_a_timeout() {
        for bad in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, 31_536_000.1] {
            assert!(Timeout::from_seconds(bad).is_err(), "{bad}");
        }
        for good in [1e-9, 0.5, 1.0, 31_536_000.0] {
            let timeout = Timeout::from_seconds(good).unwrap();
            assert!(timeout.duration() >= Duration::from_micros(1));
            assert_eq!(Timeout::from_seconds(timeout.as_seconds()).unwrap(), timeout);
        }
    }

    #[test]
    fn seconds_are_written_without_trailing_zeros() {
        let texts = [(1.0, "1", "1"), (0.5, "0.5", "0.5"), (90.25, "90.25", "90.25"), (600.0, "600", "600")];
        for (seconds, text, json) in texts {
            let timeout = Timeout::from_seconds(seconds).unwrap();
            assert_eq!(timeout.to_string(), text);
            assert_eq!(serde_json::to_string(&timeout).unwrap(), json);
        }
    }
}
