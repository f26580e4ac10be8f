//! From measured times to figures.

use std::time::Duration;

use super::Quantiles;

/// Rounded to what a person reads; the noise is larger.
pub(super) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

pub(super) fn micros(time: Duration) -> f64 {
    tenths(time.as_secs_f64() * 1e6)
}

/// Events for each second; a time of nothing counts as a nanosecond.
pub(super) fn rate(count: u32, time: Duration) -> f64 {
    tenths(f64::from(count) / time.max(Duration::from_nanos(1)).as_secs_f64())
}

/// What part `own` is of `limit`, to a thousandth.
pub(super) fn share(own: f64, limit: f64) -> f64 {
    if limit > 0.0 { (own / limit * 1_000.0).round() / 1_000.0 } else { 0.0 }
}

/// The middle one; of an even number the lower of the two; 0 of none.
pub(super) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// The middle one of the shares of a round's figure in its limit: a noisy minute meets both of a pair.
pub(super) fn median_share(own: &[f64], limits: &[f64]) -> f64 {
    let shares: Vec<_> = own.iter().zip(limits).map(|(own, limit)| share(*own, *limit)).collect();
    median(&shares)
}

pub(super) fn quantiles(mut times: Vec<Duration>) -> Quantiles {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let at = |hundredth: usize| times.get(last * hundredth / 100).copied().map_or(0.0, micros);
    Quantiles { p50: at(50), p99: at(99), max: at(100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times = (1..=101).rev().map(Duration::from_micros).collect();
        let found = quantiles(times);
        assert_eq!(found, Quantiles { p50: 51.0, p99: 100.0, max: 101.0 });
        assert_eq!(quantiles(Vec::new()), Quantiles { p50: 0.0, p99: 0.0, max: 0.0 });
    }

    #[test]
    fn a_median_is_one_of_the_figures() {
        let found = [&[3.0, 1.0, 2.0][..], &[4.0, 1.0, 3.0, 2.0], &[]].map(median);
        assert_eq!(found.map(|figure| figure.to_string()), ["2", "2", "0"]);
    }
}
