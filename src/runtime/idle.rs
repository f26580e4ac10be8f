//! When a body last gave a sign of life, and whether it is idle.
//!
//! The body stamps atomics; whoever watches looks at them when its timer is over and sets the next one to the moment
//! at which the body would be idle if it gave no further sign. So 10,000 signs a second cost no timer anything.
//!
//! Invariants: time is monotonic here, a jump of the wall clock moves nothing (I-15); a body is never idle before it
//! has begun, for it had no thread to give a sign from; nor while it waits to hand over an event, for then it is the
//! database that is late: the moment at which it gets on, or gives up, is a sign. Wall time is kept for people only.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::task::Timestamp;

use super::clock;

/// The shortest time after which a body is looked at again: for tiny timeouts, and a database that is away.
const LEAST: Duration = Duration::from_millis(1);

/// The signs of one body.
#[derive(Debug)]
pub(crate) struct Signs {
    /// In microseconds of wall time.
    wall: AtomicI64,
    /// In microseconds of the monotonic clock; 0 before the body has begun.
    monotonic: AtomicU64,
    /// Events that the body waits to hand over.
    sending: AtomicU32,
}

/// What a look at the signs says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No sign for as long as the limit.
    Idle,
    /// Look again after that time.
    LookAfter(Duration),
}

impl Signs {
    pub(crate) fn new(wall: Timestamp) -> Self {
        Self {
            wall: AtomicI64::new(wall.as_micros()),
            monotonic: AtomicU64::new(0),
            sending: AtomicU32::new(0),
        }
    }

    /// A sign of life.
    pub(crate) fn stamp(&self, wall: Timestamp) {
        self.wall.store(wall.as_micros(), Ordering::Relaxed);
        self.monotonic.store(clock::monotonic_micros(), Ordering::SeqCst);
    }

    /// When the last one was, for people.
    pub(crate) fn last(&self) -> Timestamp {
        Timestamp::from_micros(self.wall.load(Ordering::Relaxed))
    }

    /// The body waits to hand over an event, until what is given back is dropped.
    pub(crate) fn sending(&self) -> Sending<'_> {
        self.sending.fetch_add(1, Ordering::SeqCst);
        Sending(self)
    }

    /// Looks, at that moment of the monotonic clock.
    pub(crate) fn look(&self, limit: Duration, now: u64) -> Seen {
        // In this order: who gets on with an event stamps first and is then not sending any more.
        let is_sending = self.sending.load(Ordering::SeqCst) > 0;
        let last = match self.monotonic.load(Ordering::SeqCst) {
            0 => now,
            _ if is_sending => now,
            last => last,
        };
        let silent = Duration::from_micros(now.saturating_sub(last));
        match limit.checked_sub(silent) {
            None | Some(Duration::ZERO) => Seen::Idle,
            Some(left) => Seen::LookAfter(left.max(LEAST)),
        }
    }
}

/// An event that waits to be handed over.
#[derive(Debug)]
pub(crate) struct Sending<'a>(&'a Signs);

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.monotonic.store(clock::monotonic_micros(), Ordering::SeqCst);
        self.0.sending.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const SECOND: u64 = 1_000_000;

    fn signs() -> (Signs, u64) {
        let signs = Signs::new(Timestamp::from_micros(0));
        signs.stamp(Timestamp::from_micros(7));
        let now = signs.monotonic.load(Ordering::SeqCst);
        (signs, now)
    }

    #[test]
    fn a_body_is_idle_when_the_limit_has_passed_and_not_before() {
        let (signs, now) = signs();
        assert_eq!(signs.look(LIMIT, now), Seen::LookAfter(LIMIT));
        assert_eq!(signs.look(LIMIT, now + 4 * SECOND), Seen::LookAfter(Duration::from_secs(6)));
        assert_eq!(signs.look(LIMIT, now + 10 * SECOND - 1), Seen::LookAfter(LEAST));
        assert_eq!(signs.look(LIMIT, now + 10 * SECOND), Seen::Idle);
        assert_eq!(signs.last(), Timestamp::from_micros(7));
    }

    #[test]
    fn a_body_that_has_not_begun_is_not_idle() {
        let signs = Signs::new(Timestamp::from_micros(0));
        assert_eq!(signs.look(LIMIT, u64::MAX), Seen::LookAfter(LIMIT));
    }

    #[test]
    fn a_body_that_waits_to_send_is_not_idle_and_its_time_counts_from_then_on() {
        let (signs, now) = signs();
        let (first, second) = (signs.sending(), signs.sending());
        assert_eq!(signs.look(LIMIT, now + 100 * SECOND), Seen::LookAfter(LIMIT));
        drop(first);
        assert_eq!(signs.look(LIMIT, now + 100 * SECOND), Seen::LookAfter(LIMIT));
        drop(second);
        assert!(signs.monotonic.load(Ordering::SeqCst) >= now);
        assert_eq!(signs.look(LIMIT, now + 100 * SECOND), Seen::Idle);
    }

    #[test]
    fn i15_a_jump_of_the_wall_clock_makes_nobody_idle_or_busy() {
        let (signs, now) = signs();
        for wall in [i64::MIN, 0, i64::MAX] {
            signs.wall.store(wall, Ordering::Relaxed);
            assert_eq!(signs.look(LIMIT, now + 9 * SECOND), Seen::LookAfter(Duration::from_secs(1)));
            assert_eq!(signs.look(LIMIT, now + 11 * SECOND), Seen::Idle);
        }
    }
}
