//! Moments that streams have in common: they wake up together, so that a server with thousands of idle ones is woken
//! seldom.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// So many moments are in the time that a stream waits for.
const MOMENTS: u32 = 15;

/// A time without end, for a timer: longer than anything here lasts.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 10);

/// The end of a silence that begins now, a little earlier: at a moment that many streams have in common.
pub(super) fn together(now: Instant, longest: Duration) -> Instant {
    let longest = longest.min(FOR_EVER);
    at_a_moment(now + longest, longest / MOMENTS)
}

/// So long from now and a little later: at a moment that many streams have in common.
pub(super) fn together_after(now: Instant, time: Duration, of: Duration) -> Instant {
    let step = of.min(FOR_EVER) / MOMENTS;
    at_a_moment(now + time.min(FOR_EVER) + step, step)
}

/// The last of the common moments, which are a step from each other, up to this one.
fn at_a_moment(latest: Instant, step: Duration) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(Instant::now);
    let beyond = latest.saturating_duration_since(first).as_nanos() % step.as_nanos().max(1);
    // Less than the time since the first.
    latest.checked_sub(Duration::from_nanos(u64::try_from(beyond).unwrap_or(0))).unwrap_or(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn streams_wake_up_together() {
        let now = Instant::now() + LONG * 10;
        let step = LONG / MOMENTS;
        let moments: std::collections::BTreeSet<_> =
            (0..1_000).map(|n| together_after(now + step * n / 1_000, LONG, LONG)).collect();
        assert!(moments.len() <= 2, "{}", moments.len());
        for n in 0..1_000 {
            let now = now + Duration::from_millis(7) * n;
            let (before, after) = (together(now, LONG), together_after(now, LONG, LONG));
            assert!(before <= now + LONG && before > now + LONG - step);
            assert!(after > now + LONG && after <= now + LONG + step);
        }
    }

    #[test]
    fn a_time_without_end_is_no_overflow() {
        let now = Instant::now();
        assert!(together(now, Duration::MAX) > now + LONG);
        assert!(together_after(now, Duration::MAX, Duration::MAX) > now + LONG);
        assert!(
            together(now, Duration::ZERO) == now
                && together_after(now, Duration::ZERO, Duration::ZERO) == now
        );
    }
}
