//! How much each scenario does.

use std::time::Duration;

use super::Options;
use super::served::ServedSizes;

/// Counts, by scenario.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    /// Tasks in flight, and lives of one round.
    pub(super) lives: Vec<(u32, u32)>,
    pub(super) cancels: u32,
    /// Tasks cancelled at once, and rounds.
    pub(super) storms: Vec<(u32, u32)>,
    /// Tasks whose time is over within a second, and rounds.
    pub(super) timeouts: Vec<(u32, u32)>,
    /// Tasks that send events, and events of each in one round.
    pub(super) events: Vec<(u32, u32)>,
    /// Rows that are in the table before; the fewest first.
    pub(super) rows: Vec<u32>,
    /// As `lives`, beside those rows.
    pub(super) grown_lives: Vec<(u32, u32)>,
    pub(super) idle: u32,
    /// Tasks that are started and finished before the first look and before the last: at the first the page cache of
    /// the database is full.
    pub(super) finished: (u32, u32),
    /// Deadlines that wait, and how long.
    pub(super) deadlines: u32,
    pub(super) wait: Duration,
    pub(super) syncs: u32,
    /// Bodies that are spawned, and yields of each of 64.
    pub(super) spawns: u32,
    pub(super) yields: u32,
    /// Looks whether to stop.
    pub(super) checks: u32,
    pub(super) rounds: u32,
    pub(super) served: ServedSizes,
}

impl Sizes {
    pub(super) fn of(options: &Options) -> Self {
        let mut sizes = if options.quick { Self::quick(options) } else { Self::usual(options) };
        if options.large {
            sizes.enlarge(options.quick);
        }
        sizes
    }

    fn quick(options: &Options) -> Self {
        Self {
            lives: vec![(1, 20), (64, 640), (512, 1_024)],
            cancels: 20,
            storms: vec![(500, 1)],
            timeouts: vec![(500, 1)],
            events: vec![(1, 1_000), (64, 32)],
            rows: vec![100, 1_000],
            grown_lives: vec![(64, 256), (512, 512)],
            idle: 2_000,
            finished: (200, 2_000),
            deadlines: 10_000,
            wait: Duration::from_millis(100),
            syncs: 20,
            spawns: 1_000,
            yields: 100,
            checks: 100_000,
            rounds: 1,
            served: ServedSizes::of(options),
        }
    }

    fn usual(options: &Options) -> Self {
        Self {
            lives: vec![(1, 300), (64, 4_000), (512, 12_000)],
            cancels: 1_000,
            storms: vec![(5_000, 7)],
            timeouts: vec![(10_000, 3)],
            events: vec![(1, 10_000), (64, 500)],
            rows: vec![1_000, 100_000],
            grown_lives: vec![(64, 4_000), (512, 12_000)],
            idle: 100_000,
            finished: (100_000, 300_000),
            deadlines: 1_000_000,
            wait: Duration::from_secs(3),
            syncs: 1_000,
            spawns: 200_000,
            yields: 50_000,
            checks: 20_000_000,
            rounds: 7,
            served: ServedSizes::of(options),
        }
    }

    /// What takes minutes; of a quick run what takes a second more.
    fn enlarge(&mut self, quick: bool) {
        let (many, most) = if quick { (2_000, 5_000) } else { (100_000, 1_000_000) };
        self.storms.push((many, 1));
        self.timeouts.push((many, 1));
        self.rows.push(most);
        self.finished.1 = most;
    }
}
