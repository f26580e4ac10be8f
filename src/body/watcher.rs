//! What the watchdog decides: when a pool gets another thread, when one may go, and which body is to be named.
//!
//! Rules, all of them about threads that are *stuck*: inside one poll for 100 ms or longer.
//! 1. While all threads are inside a poll, a *probe* (a task that does nothing) stands in the queue with the rest.
//!    When it has waited for 100 ms and all threads are stuck, ready work waits behind them: one is added.
//! 2. A thread that is stuck for a second is lost to the others, and replaced if there are fewer than the base
//!    number without it.
//! 3. Both only up to the limit. At the limit, with all threads stuck and the probe waiting, the pool is full.
//! 4. Threads beyond the base number that are not stuck leave, one a look, after they were too many for a second.
//! 5. A body that keeps its thread for a second is named once.
//! 6. What waits in the own queue of a stuck thread is moved to the common queue: idle threads would take it from
//!    there, but those that are never idle would not. For the same reason a thread that has much more waiting than
//!    another gives half of the difference away.
//!
//! Plain data in, plain data out: it reads no clock, starts no thread. Its time is the time it was looking, so that
//! a process that was stopped for an hour finds nobody stuck for an hour.

use std::collections::HashMap;
use std::time::Duration;

use super::seat::{Label, Sight};

/// How often the threads are looked at.
pub(super) const TICK: Duration = Duration::from_millis(25);

/// How long nothing is polled before it stops to look, until something is: see [`doze`](super::doze). Not at once, for to
/// be called takes a system call of a thread that has better things to do.
const QUIET: Duration = Duration::from_millis(150);

/// A look that comes later than this was itself held up: no more time than this has passed for the threads.
const LONGEST_TICK: Duration = Duration::from_millis(100);

/// How long ready work waits behind stuck threads.
const WAIT: Duration = Duration::from_millis(100);

/// Inside one poll for so long, a thread is lost and its body is named.
const LONG: Duration = Duration::from_secs(1);

/// How long there are too many threads before one leaves; and how long a failed start of a thread is not repeated.
const PATIENCE: Duration = Duration::from_secs(1);

/// So many tasks more than twice as many as another thread has are too many for one thread's own queue.
const UNEVEN: usize = 32;

/// The most that is moved at one look for evenness' sake.
const MOST_MOVED: usize = 1024;

/// How many threads a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// As many as that there are always.
    pub(super) base: usize,
    /// More than that there are never.
    pub(super) limit: usize,
}

/// What is to be done after a look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// Put a probe into the queue.
    pub(super) probe: bool,
    /// Start another thread.
    pub(super) add: bool,
    /// Let this one leave.
    pub(super) dismiss: Option<usize>,
    /// Name the bodies that keep their threads.
    pub(super) name: Vec<Label>,
    /// Move so many tasks from the own queue of a thread to the common one.
    pub(super) share: Vec<(usize, usize)>,
}

/// What is remembered of a thread.
#[derive(Debug, Clone, Copy)]
struct Seen {
    polls: u64,
    since: Duration,
    named: bool,
}

/// The memory between two looks.
#[derive(Debug)]
pub(super) struct Watcher {
    bounds: Bounds,
    now: Duration,
    seen: HashMap<usize, Seen>,
    probe_since: Option<Duration>,
    surplus_since: Option<Duration>,
    not_before: Duration,
    is_full: bool,
    /// Since when no thread polls anything, and nothing is left to do about them.
    quiet_since: Option<Duration>,
}

impl Watcher {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            now: Duration::ZERO,
            seen: HashMap::new(),
            probe_since: None,
            surplus_since: None,
            not_before: Duration::ZERO,
            is_full: false,
            quiet_since: None,
        }
    }

    /// When to look again; none: not before something is polled.
    pub(super) fn pause(&self) -> Option<Duration> {
        let is_long_quiet = self.quiet_since.is_some_and(|since| self.now >= since + QUIET);
        (!is_long_quiet).then_some(TICK)
    }

    /// No thread polls anything, nor has since the last look.
    pub(super) fn is_quiet(&self, sights: &[Sight]) -> bool {
        sights.iter().all(|sight| {
            !sight.is_inside() && self.seen.get(&sight.number).is_some_and(|seen| seen.polls == sight.polls)
        })
    }

    /// No thread is left for ready work, and none may be added.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// A thread could not be started.
    pub(super) fn add_failed(&mut self) {
        self.not_before = self.now + PATIENCE;
    }

    /// Takes what is seen of the threads, and says what to do. `probe_ran`: the last probe was taken by a thread.
    pub(super) fn look(&mut self, elapsed: Duration, sights: &[Sight], probe_ran: bool) -> Orders {
        self.now += elapsed.min(LONGEST_TICK);
        let is_quiet = self.is_quiet(sights);
        self.remember(sights);
        if probe_ran {
            self.probe_since = None;
        }
        let mut orders = Orders { name: self.newly_long(sights), ..Orders::default() };
        let staying = || sights.iter().filter(|sight| !sight.is_leaving);
        if self.probe_since.is_none() && staying().all(|sight| sight.is_inside()) {
            self.probe_since = Some(self.now);
            orders.probe = true;
        }
        let work_waits = self.probe_since.is_some_and(|since| self.now >= since + WAIT);
        let all_are_stuck = staying().all(|sight| self.is_inside_for(*sight, WAIT));
        let at_hand = staying().filter(|sight| !self.is_inside_for(**sight, LONG)).count();
        let wanted = (work_waits && all_are_stuck) || at_hand < self.bounds.base;
        let may_add = sights.len() < self.bounds.limit && self.now >= self.not_before;
        orders.add = wanted && may_add;
        self.is_full = work_waits && all_are_stuck && !may_add;
        orders.dismiss = self.surplus(sights);
        orders.share = self.shares(sights);
        let is_settled = self.probe_since.is_none() && self.surplus_since.is_none() && !wanted;
        if is_quiet && is_settled {
            self.quiet_since.get_or_insert(self.now);
        } else {
            self.quiet_since = None;
        }
        orders
    }

    fn shares(&self, sights: &[Sight]) -> Vec<(usize, usize)> {
        let is_stuck = |sight: &Sight| self.is_inside_for(*sight, WAIT);
        let fewest = sights.iter().filter(|sight| !is_stuck(sight)).map(|sight| sight.waiting).min();
        let share = |sight: &Sight| {
            let (waiting, fewest) = (sight.waiting, fewest.unwrap_or(0));
            if is_stuck(sight) {
                waiting
            } else if waiting > fewest * 2 + UNEVEN {
                ((waiting - fewest) / 2).min(MOST_MOVED)
            } else {
                0
            }
        };
        let shares = sights.iter().map(|sight| (sight.number, share(sight)));
        shares.filter(|(_, count)| *count > 0).collect()
    }

    fn remember(&mut self, sights: &[Sight]) {
        self.seen.retain(|number, _| sights.iter().any(|sight| sight.number == *number));
        for sight in sights {
            let first = Seen { polls: sight.polls, since: self.now, named: false };
            let seen = self.seen.entry(sight.number).or_insert(first);
            if seen.polls != sight.polls {
                *seen = first;
            }
        }
    }

    fn is_inside_for(&self, sight: Sight, time: Duration) -> bool {
        let since = self.seen.get(&sight.number).map(|seen| seen.since);
        sight.is_inside() && since.is_some_and(|since| self.now >= since + time)
    }

    fn newly_long(&mut self, sights: &[Sight]) -> Vec<Label> {
        let mut names = Vec::new();
        for sight in sights {
            let is_long = self.is_inside_for(*sight, LONG);
            if let Some(seen) = self.seen.get_mut(&sight.number).filter(|seen| is_long && !seen.named) {
                seen.named = true;
                names.push(sight.label);
            }
        }
        names
    }

    /// The thread that is to leave: one that is out of its poll, if there is one, and the newest of them.
    fn surplus(&mut self, sights: &[Sight]) -> Option<usize> {
        let is_free = |sight: &&Sight| !sight.is_leaving && !self.is_inside_for(**sight, WAIT);
        let free: Vec<Sight> = sights.iter().filter(is_free).copied().collect();
        if free.len() <= self.bounds.base {
            self.surplus_since = None;
            return None;
        }
        let newest =
            free.iter().max_by_key(|sight| (!sight.is_inside(), sight.number)).map(|sight| sight.number);
        let since = *self.surplus_since.get_or_insert(self.now);
        if self.now >= since + PATIENCE { newest } else { None }
    }
}

#[cfg(test)]
#[path = "watcher_tests.rs"]
mod tests;
