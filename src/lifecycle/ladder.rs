//! The ladder: what a running task does next on its way to an end.
//!
//! One machine for user cancel, self-cancel, timeout, idle timeout and shutdown; the causes differ only in what
//! is written. A `TaskActor` feeds it signals and carries out the effects; it decides nothing itself.
//!
//! Invariants: the body begins only after its row is durable; a request that came before that means it never
//! begins; the first request stands; an end is written once, after the body has stopped or was written off; a
//! shutdown that will run the task again leaves no trace in the row unless somebody else asks too.
//!
//! It does not know time: timers are asked for as effects and come back as signals, perhaps late. A signal that
//! does not fit the rung changes nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::task::{Cause, Cleanup};

use super::{Ask, BodyEnd, Change, Input, Life, transition};

/// How long the rungs of one model last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Rung 2: how long the body may go on by itself after it was asked.
    pub(crate) grace: Duration,
    /// Rung 5: how long a body may take to stop before it is written off.
    pub(crate) stop: Duration,
    /// Rung 4: how long the cleanup may take.
    pub(crate) cleanup: Duration,
    /// Whether a shutdown puts the task back to `pending`.
    pub(crate) restarts: bool,
}

/// How the body learns that it was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskedHow {
    /// The task will end: the cleanup runs after the body has stopped.
    ToEnd,
    /// The task will run again: no cleanup.
    ToRunAgain,
}

/// What the body pool says of the cleanup, at the end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CleanupState {
    /// Nobody had asked the body to stop when it ended.
    NotRun,
    /// The model has none.
    Nothing,
    /// It ran.
    Ran(Cleanup),
}

impl CleanupState {
    fn recorded(self) -> Option<Cleanup> {
        match self {
            Self::NotRun | Self::Nothing => None,
            Self::Ran(cleanup) => Some(cleanup),
        }
    }
}

/// What was found when a body was to be written off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// It still ran, and is written off now.
    Abandoned,
    /// It had not begun, for want of a free thread, and never will.
    NeverStarted,
    /// It has stopped, and its cleanup is under way.
    Cleaning(BodyEnd),
    /// It has stopped; its report is on the way.
    Done,
}

/// A timer that the ladder asks for. There is one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// The request is written if the body has not stopped until then.
    Hold,
    /// The end of the grace.
    Grace,
    /// The body, or a cleanup told to stop, should have stopped by then.
    Stop,
    /// The end of the cleanup's limit.
    Cleanup,
}

/// What a task's actor sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The row is durable as `running`.
    Recorded,
    /// Somebody or something asks the task to stop.
    Ask(Ask),
    /// A timer is over. For [`Timer::Stop`] the body was probed first.
    Over(Timer, Option<Probe>),
    /// Skip the grace.
    Hurry,
    /// There is no more time: write off what still runs. The body was probed first.
    GiveUp(Probe),
    /// The body has stopped and its cleanup goes on.
    Cleaning(BodyEnd),
    /// The body has stopped, and so has its cleanup.
    Stopped(BodyEnd, CleanupState),
    /// What was last written as an end is durable.
    Durable,
}

/// What a task's actor is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Give the body to the pool.
    Begin,
    /// Rung 1: tell the body.
    Tell(AskedHow),
    /// Write a change of the row, with its events.
    Write(Change),
    /// Set the timer; an earlier one is forgotten.
    Arm(Timer, Duration),
    /// Rung 3: have the body dropped at its next await.
    DropBody,
    /// Rung 4, for a body that had ended before it was asked.
    RunCleanup(BodyEnd),
    /// Have the cleanup dropped at its next await.
    DropCleanup,
    /// The task is over here: forget it.
    Forget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rung {
    Recording,
    Running,
    Grace,
    Stopping,
    Cleaning { end: Box<BodyEnd>, told_to_stop: bool },
    Ending { requeue: bool },
    Over,
}

/// How long a request waits for its body to stop, so that both are one write. Only where there is no grace:
/// such a body is dropped at its next await, mostly sooner than a disk is reached.
const HOLD: Duration = Duration::from_millis(1);

/// A running task's place on the way to its end. Small: each running task has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ladder {
    rung: Rung,
    asked: Option<Box<Asked>>,
    limits: Arc<Limits>,
}

/// The request that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    ask: Ask,
    /// Its own write was asked for.
    is_written: bool,
}

impl Ladder {
    /// A task whose row is being written as `running`.
    pub(crate) fn new(limits: impl Into<Arc<Limits>>) -> Self {
        Self { rung: Rung::Recording, asked: None, limits: limits.into() }
    }

    /// A word for logs and live status.
    pub(crate) fn rung(&self) -> &'static str {
        match self.rung {
            Rung::Recording => "recording",
            Rung::Running => "running",
            Rung::Grace => "grace",
            Rung::Stopping => "stopping",
            Rung::Cleaning { .. } => "cleaning",
            Rung::Ending { .. } => "ending",
            Rung::Over => "over",
        }
    }

    /// Whether a request to stop can still decide how the task ends.
    pub(crate) fn takes_requests(&self) -> bool {
        !matches!(self.rung, Rung::Ending { requeue: false } | Rung::Over)
    }

    /// The request that the task follows and that its row has or will have.
    pub(crate) fn request(&self) -> Option<&Ask> {
        self.any_ask().filter(|_| !self.quiet())
    }

    /// The request that the body follows, also where the row will not have it.
    pub(crate) fn any_ask(&self) -> Option<&Ask> {
        self.asked.as_ref().map(|asked| &asked.ask)
    }

    /// Takes a signal and says what to do, in that order.
    pub(crate) fn step(&mut self, signal: Signal) -> Vec<Effect> {
        match signal {
            Signal::Recorded => self.recorded(),
            Signal::Ask(ask) => self.asked(ask),
            Signal::Over(timer, probe) => self.over(timer, probe),
            Signal::Hurry => self.hurried(),
            Signal::GiveUp(probe) => self.given_up(probe),
            Signal::Cleaning(end) => self.cleaning(end),
            Signal::Stopped(end, cleanup) => self.stopped(end, cleanup),
            Signal::Durable => self.durable(),
        }
    }

    /// A shutdown's request to a task that will run again: it is never written.
    fn quiet(&self) -> bool {
        self.limits.restarts && self.any_ask().is_some_and(|ask| ask.request.cause == Cause::Shutdown)
    }

    fn recorded(&mut self) -> Vec<Effect> {
        match (&self.rung, &self.asked) {
            (Rung::Recording, None) => {
                self.rung = Rung::Running;
                vec![Effect::Begin]
            }
            (Rung::Recording, Some(_)) => self.end(BodyEnd::NeverStarted, CleanupState::Nothing),
            _ => Vec::new(),
        }
    }

    fn asked(&mut self, ask: Ask) -> Vec<Effect> {
        let was_quiet = self.quiet();
        let first = self.asked.is_none();
        let overrides = was_quiet && ask.request.cause != Cause::Shutdown;
        if !self.takes_requests() || !(first || overrides) {
            return Vec::new();
        }
        // A quiet one was never written.
        self.asked = Some(Box::new(Asked { ask, is_written: false }));
        match self.rung {
            Rung::Recording | Rung::Ending { .. } | Rung::Over => Vec::new(),
            Rung::Running => self.climb(),
            Rung::Grace | Rung::Stopping | Rung::Cleaning { .. } => {
                let mut effects = vec![Effect::Tell(AskedHow::ToEnd)];
                effects.extend(self.write_ask());
                effects
            }
        }
    }

    /// Rungs 1 and 2, and 3 where there is no grace.
    fn climb(&mut self) -> Vec<Effect> {
        let how = if self.quiet() { AskedHow::ToRunAgain } else { AskedHow::ToEnd };
        let mut effects = vec![Effect::Tell(how)];
        if self.limits.grace.is_zero() {
            self.rung = Rung::Stopping;
            effects.push(Effect::DropBody);
            effects.push(Effect::Arm(Timer::Hold, HOLD));
        } else {
            self.rung = Rung::Grace;
            effects.extend(self.write_ask());
            effects.push(Effect::Arm(Timer::Grace, self.limits.grace));
        }
        effects
    }

    fn write_ask(&mut self) -> Option<Effect> {
        if self.quiet() {
            return None;
        }
        let asked = self.asked.as_mut().filter(|asked| !asked.is_written)?;
        asked.is_written = true;
        Some(Effect::Write(Change::Asked(asked.ask.clone())))
    }

    fn over(&mut self, timer: Timer, probe: Option<Probe>) -> Vec<Effect> {
        match (&self.rung, timer, probe) {
            (Rung::Stopping, Timer::Hold, _) => {
                let mut effects: Vec<Effect> = self.write_ask().into_iter().collect();
                effects.push(Effect::Arm(Timer::Stop, self.limits.stop));
                effects
            }
            (Rung::Grace, Timer::Grace, _) => self.stop(),
            (Rung::Stopping, Timer::Stop, Some(Probe::Abandoned)) => {
                self.end(BodyEnd::Abandoned, CleanupState::Nothing)
            }
            (Rung::Stopping, Timer::Stop, Some(Probe::NeverStarted)) => {
                self.end(BodyEnd::NeverStarted, CleanupState::Nothing)
            }
            (Rung::Stopping, Timer::Stop, Some(Probe::Cleaning(end))) => self.cleaning(end),
            (Rung::Cleaning { end, told_to_stop: false }, Timer::Cleanup, _) => {
                self.rung = Rung::Cleaning { end: end.clone(), told_to_stop: true };
                vec![Effect::DropCleanup, Effect::Arm(Timer::Stop, self.limits.stop)]
            }
            (Rung::Cleaning { end, told_to_stop: true }, Timer::Stop, _) => {
                let end = BodyEnd::clone(end);
                self.end(end, CleanupState::Ran(Cleanup::TimedOut))
            }
            _ => Vec::new(),
        }
    }

    fn hurried(&mut self) -> Vec<Effect> {
        match self.rung {
            Rung::Grace => self.stop(),
            _ => Vec::new(),
        }
    }

    fn given_up(&mut self, probe: Probe) -> Vec<Effect> {
        match (&self.rung, probe) {
            (Rung::Grace | Rung::Stopping, Probe::Abandoned) => {
                self.end(BodyEnd::Abandoned, CleanupState::Nothing)
            }
            (Rung::Grace | Rung::Stopping, Probe::NeverStarted) => {
                self.end(BodyEnd::NeverStarted, CleanupState::Nothing)
            }
            (Rung::Grace | Rung::Stopping, Probe::Cleaning(end)) => {
                self.end(end, CleanupState::Ran(Cleanup::TimedOut))
            }
            (Rung::Cleaning { end, .. }, _) => {
                let end = BodyEnd::clone(end);
                self.end(end, CleanupState::Ran(Cleanup::TimedOut))
            }
            _ => Vec::new(),
        }
    }

    /// Rung 3.
    fn stop(&mut self) -> Vec<Effect> {
        self.rung = Rung::Stopping;
        vec![Effect::DropBody, Effect::Arm(Timer::Stop, self.limits.stop)]
    }

    /// Rung 4.
    fn cleaning(&mut self, end: BodyEnd) -> Vec<Effect> {
        match self.rung {
            Rung::Grace | Rung::Stopping => {
                self.rung = Rung::Cleaning { end: Box::new(end), told_to_stop: false };
                let mut effects: Vec<Effect> = self.write_ask().into_iter().collect();
                effects.push(Effect::Arm(Timer::Cleanup, self.limits.cleanup));
                effects
            }
            _ => Vec::new(),
        }
    }

    fn stopped(&mut self, end: BodyEnd, cleanup: CleanupState) -> Vec<Effect> {
        match &self.rung {
            Rung::Cleaning { end, .. } => {
                let end = BodyEnd::clone(end);
                self.end(end, cleanup)
            }
            Rung::Grace | Rung::Stopping if cleanup == CleanupState::NotRun && !self.quiet() => {
                let mut effects = self.cleaning(end.clone());
                effects.insert(0, Effect::RunCleanup(end));
                effects
            }
            Rung::Running | Rung::Grace | Rung::Stopping => self.end(end, cleanup),
            Rung::Recording | Rung::Ending { .. } | Rung::Over => Vec::new(),
        }
    }

    /// Writes the end: as asked for, as the body ended by itself, or back to `pending`.
    fn end(&mut self, end: BodyEnd, cleanup: CleanupState) -> Vec<Effect> {
        let by_itself = matches!(end, BodyEnd::Returned(_) | BodyEnd::Failed(_));
        let requeue = self.quiet() && !by_itself;
        let request = self.request();
        let is_written = self.asked.as_ref().is_some_and(|asked| asked.is_written);
        let life = Life {
            status: crate::task::Status::Running,
            request: request.filter(|_| is_written).map(|ask| ask.request.clone()),
            queued: false,
        };
        let input = if requeue {
            Input::Requeue
        } else {
            Input::End { end, cleanup: cleanup.recorded(), ask: request.cloned() }
        };
        match transition(life, input) {
            Ok(change) => {
                self.rung = Rung::Ending { requeue };
                vec![Effect::Write(change)]
            }
            // A body that stopped though nobody asked: the pool drops none by itself, so this can not be.
            Err(_) => Vec::new(),
        }
    }

    fn durable(&mut self) -> Vec<Effect> {
        if !matches!(self.rung, Rung::Ending { .. }) {
            return Vec::new();
        }
        let late = matches!(self.rung, Rung::Ending { requeue: true }) && !self.quiet();
        if late {
            // Somebody asked while the row went back to `pending`: it is cancelled there.
            let life = Life { status: crate::task::Status::Pending, request: None, queued: true };
            if let Some(Ok(change)) = self.any_ask().cloned().map(|ask| transition(life, Input::Ask(ask))) {
                self.rung = Rung::Ending { requeue: false };
                return vec![Effect::Write(change)];
            }
        }
        self.rung = Rung::Over;
        vec![Effect::Forget]
    }
}
