//! Figures of process tasks, measured with this executable.

use std::time::{Duration, Instant};

use quell::task::StoppedBy;
use serde_json::Value;

use super::world::{cancel, event, outcome, start, value_of, with};

/// Not a test: how many process tasks are started and killed in a minute, and what a large parent costs. To be run with
/// `cargo test --release --test isolated -- rate`.
pub(crate) fn rate() {
    const TASKS: usize = 1_000;
    const AT_ONCE: usize = 8;
    let round = |what: &str| {
        with(async |on| {
            let begun = Instant::now();
            let lives = (0..AT_ONCE).map(|_| async {
                for _ in 0..TASKS / AT_ONCE {
                    let key = start(&on, "Plain", "burn", Value::Null).await;
                    event(&on, &key, "burns").await;
                    assert_eq!(cancel(&on, &key).await, StoppedBy::Killed);
                }
            });
            futures_util::future::join_all(lives).await;
            let took = begun.elapsed();
            println!(
                "{what}: {TASKS} process tasks started and killed in {took:?}: {:.0} a minute",
                f64::from(u32::try_from(TASKS).unwrap()) * 60.0 / took.as_secs_f64()
            );
            let mut spans = Vec::new();
            for _ in 0..200 {
                let begun = Instant::now();
                value_of(&outcome(&on, "Plain", "tell", Value::Null).await);
                spans.push(begun.elapsed());
            }
            spans.sort();
            println!(
                "{what}: start to durable end of one that returns at once: p50 {:?}, p99 {:?}",
                spans[100], spans[197]
            );
            let mut late = Vec::new();
            for _ in 0..100 {
                let key = start(&on, "Patient", "deaf", Value::Null).await;
                event(&on, &key, "deaf").await;
                let asked = Instant::now();
                cancel(&on, &key).await;
                late.push(asked.elapsed().saturating_sub(Duration::from_millis(500)));
            }
            late.sort();
            println!("{what}: cancel to durable end, past the grace: p50 {:?}, p99 {:?}", late[50], late[98]);
        });
    };
    round("small parent");
    let ballast = vec![1_u8; 2 << 30];
    round("parent of 2 GiB");
    drop(ballast);
}
