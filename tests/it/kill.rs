//! Holds what was promised over `kill -9` under load: clients start, cancel, stream and signal, the program is killed
//! at a random moment and started again on the same file, and everything that was answered is looked up.
//!
//! The ordinary run kills 20 times; `scripts/kill-soak N` kills N times. Moments and mixes come from a seed that a
//! failure names.

mod ledger;
mod load;

use std::time::{Duration, Instant};

use crate::server::Home;

use ledger::Ledger;

/// The kills of an ordinary run, and the time it may take: the rest is left out on a machine that is too slow.
const KILLS: u32 = 20;
const ENOUGH: Duration = Duration::from_secs(45);

/// The longest life of a server, in milliseconds.
const LIFE_MS: u64 = 700;

/// Numbers that look random: splitmix64.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one.
    fn below(&mut self, sides: u64) -> u64 {
        self.roll() % sides
    }
}

/// Kills, starts again, and looks: until so many kills or so much time.
async fn survive(kills: u32, enough: Duration, seed: u64) -> Ledger {
    let home = Home::new();
    let (mut dice, mut ledger) = (Dice(seed), Ledger::new(seed));
    let began = Instant::now();
    for kill in 0..kills {
        if began.elapsed() > enough {
            break;
        }
        let server = home.server(&["--max-running", "40"]).await;
        ledger.check(&server).await;
        let load = load::start(&server, &ledger, &mut dice);
        // Not a wait for anything: the moment of the kill is the test's to choose.
        tokio::time::sleep(Duration::from_millis(20 + dice.below(LIFE_MS))).await;
        server.kill().await;
        ledger.note(load::collect(load).await, kill);
    }
    let server = home.server(&["--max-running", "40"]).await;
    ledger.check(&server).await;
    server.stop().await;
    ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i01_i02_i05_i13_i22_what_was_acknowledged_survives_a_kill_at_any_moment() {
    let ledger = survive(KILLS, ENOUGH, 0x5eed).await;
    assert!(ledger.kills >= 3, "only {} kills in {ENOUGH:?}", ledger.kills);
    assert!(
        ledger.started() > 20 && ledger.cancelled() > 5 && ledger.seen() > 20,
        "too little happened: {ledger:?}"
    );
}

/// Only for `scripts/kill-soak`, which says how often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told to: scripts/kill-soak N"]
async fn soak() {
    let number = |name: &str, otherwise: u64| match option_of(name) {
        Some(text) => text.parse().expect("a number"),
        None => otherwise,
    };
    let kills = u32::try_from(number("KILLS", 200)).expect("a smaller number");
    let ledger = survive(kills, Duration::MAX, number("SEED", 1)).await;
    assert_eq!(ledger.kills, kills);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the script speaks to its test this way; no setting of the program"
)]
fn option_of(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
