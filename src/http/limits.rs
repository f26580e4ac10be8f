//! What one principal may take of the HTTP layer: requests per minute, and streams at once.
//!
//! Invariants: counts are exact, also where many requests come at once; a principal who is idle takes no memory;
//! a place of a stream is given back when the stream is dropped, however it ended.
//!
//! It deliberately does not count requests without credentials: nobody can be told apart by them.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::Problem;

/// How often principals who have been idle are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Requests per minute and principal. Clones count together.
#[derive(Clone)]
pub(super) struct RateLimit(Arc<Counting>);

struct Counting {
    requests: DefaultKeyedRateLimiter<Arc<str>>,
    clock: DefaultClock,
    forgot_at: Mutex<Instant>,
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("principals", &self.0.requests.len()).finish_non_exhaustive()
    }
}

impl RateLimit {
    /// That many at once, and then as many a minute, evenly.
    pub(super) fn per_minute(requests: NonZeroU32) -> Self {
        Self(Arc::new(Counting {
            requests: RateLimiter::keyed(Quota::per_minute(requests)),
            clock: DefaultClock::default(),
            forgot_at: Mutex::new(Instant::now()),
        }))
    }

    /// Counts a request, or says when the next one is welcome.
    pub(super) fn check(&self, name: &Arc<str>) -> Result<(), Problem> {
        self.forget(Instant::now());
        self.0.requests.check_key(name).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.0.clock.now());
            Problem::too_many_requests(whole_seconds(wait))
        })
    }

    /// Drops those whose count is as good as new.
    fn forget(&self, now: Instant) {
        {
            let mut forgot_at = self.0.forgot_at.lock().unwrap_or_else(PoisonError::into_inner);
            if now.duration_since(*forgot_at) < FORGET_AFTER {
                return;
            }
            *forgot_at = now;
        }
        self.0.requests.retain_recent();
        self.0.requests.shrink_to_fit();
    }
}

/// Rounded up: who comes back then must not be told the same again.
fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

/// Streams at once of each principal. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct StreamLimit {
    most: usize,
    open: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

/// A stream's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    open: Arc<Mutex<HashMap<Arc<str>, usize>>>,
    name: Arc<str>,
}

impl StreamLimit {
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Takes a place.
    pub(super) fn take(&self, name: &Arc<str>) -> Result<Place, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(name.clone()).or_default();
        if *count >= self.most {
            return Err(Problem::too_many_streams(self.most));
        }
        *count += 1;
        Ok(Place { open: self.open.clone(), name: name.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;

    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn i31_a_minute_takes_its_number_of_requests_and_each_principal_has_its_own() {
        let limit = RateLimit::per_minute(NonZeroU32::new(30).unwrap());
        let (alice, bob) = (name("alice"), name("bob"));
        let passed = |who: &Arc<str>| (0..100).filter(|_| limit.check(who).is_ok()).count();
        assert_eq!((passed(&alice), passed(&bob)), (30, 30));
        let problem = limit.clone().check(&alice).unwrap_err();
        assert_eq!(problem.name(), "too-many-requests");
        // The next one is welcome when a thirtieth of the minute is over.
        assert_eq!(problem.error_response().headers().get("retry-after").unwrap(), "2");
    }

    #[test]
    fn i31_a_minute_is_exact_though_all_come_at_once() {
        let limit = RateLimit::per_minute(NonZeroU32::new(10).unwrap());
        let alice = name("alice");
        let passed: usize = std::thread::scope(|scope| {
            let one = || (0..50).filter(|_| limit.check(&alice).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 10);
    }

    #[test]
    fn i20_principals_who_are_idle_are_forgotten() {
        // A place is free again after 60 µs: all of these are as good as new at once.
        let limit = RateLimit::per_minute(NonZeroU32::new(1_000_000).unwrap());
        for number in 0..1000 {
            limit.check(&name(&number.to_string())).unwrap();
        }
        assert!(limit.0.requests.len() > 900);
        std::thread::yield_now();
        limit.forget(Instant::now() + FORGET_AFTER);
        let begun = Instant::now();
        while !limit.0.requests.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{limit:?}");
            limit.0.requests.retain_recent();
        }
    }

    #[test]
    fn i31_streams_are_counted_exactly_though_all_open_at_once() {
        let limit = StreamLimit::new(3);
        let alice = name("alice");
        let barrier = std::sync::Barrier::new(16);
        let places: Vec<_> = std::thread::scope(|scope| {
            let one = || {
                barrier.wait();
                limit.take(&alice).ok()
            };
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(places.len(), 3);
        assert_eq!(limit.take(&alice).unwrap_err().name(), "too-many-streams");
        assert!(limit.take(&name("bob")).is_ok());
        drop(places);
        assert!(limit.open.lock().unwrap().is_empty(), "a principal without streams takes no memory");
        assert!(limit.take(&alice).is_ok());
    }
}
