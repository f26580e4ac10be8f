//! The ladder, rung by rung and race by race, without a runtime.

use std::time::Duration;

use super::ladder::{AskedHow, CleanupState, Effect, Ladder, Limits, Probe, Signal, Timer};
use super::{Ask, BodyEnd, Change, Ending};
use crate::task::{Cause, Cleanup, Status, StoppedBy, Timestamp};

const GRACE: Duration = Duration::from_secs(1);
const STOP: Duration = Duration::from_secs(2);
const CLEANUP: Duration = Duration::from_secs(10);
const NOW: Timestamp = Timestamp::from_micros(7);

fn limits(grace: Duration, restarts: bool) -> Limits {
    Limits { grace, stop: STOP, cleanup: CLEANUP, restarts }
}

fn ask(cause: Cause) -> Ask {
    Ask::new(NOW, cause, None, None)
}

/// A ladder whose body runs.
fn running(limits: Limits) -> Ladder {
    let mut ladder = Ladder::new(limits);
    assert_eq!(ladder.step(Signal::Recorded), [Effect::Begin]);
    ladder
}

/// A ladder whose body runs and was asked to stop.
fn asked(limits: Limits, cause: Cause) -> Ladder {
    let mut ladder = running(limits);
    ladder.step(Signal::Ask(ask(cause)));
    ladder
}

fn stopped(end: BodyEnd) -> Signal {
    Signal::Stopped(end, CleanupState::Nothing)
}

/// The one end that these effects write.
fn ending(effects: &[Effect]) -> Ending {
    match effects {
        [Effect::Write(Change::Ended(ending))] => (**ending).clone(),
        other => panic!("no end: {other:?}"),
    }
}

#[test]
fn a_body_that_nobody_stops_completes() {
    let mut ladder = running(limits(Duration::ZERO, false));
    let end = ending(&ladder.step(Signal::Stopped(BodyEnd::Returned(None), CleanupState::NotRun)));
    assert_eq!((end.status, end.stopped_by, end.cleanup), (Status::Completed, None, None));
    assert!(!ladder.takes_requests());
    assert_eq!(ladder.step(Signal::Durable), [Effect::Forget]);
}

#[test]
fn i09_asked_before_its_row_was_durable_it_never_begins() {
    let mut ladder = Ladder::new(limits(GRACE, false));
    assert_eq!(ladder.step(Signal::Ask(ask(Cause::User))), []);
    let end = ending(&ladder.step(Signal::Recorded));
    assert_eq!((end.status, end.stopped_by), (Status::Cancelled, Some(StoppedBy::NeverStarted)));
    assert!(end.ask.is_some(), "request and end are one write");
}

#[test]
fn without_grace_it_is_dropped_at_once_and_request_and_end_are_one_write() {
    let mut ladder = running(limits(Duration::ZERO, false));
    let effects = ladder.step(Signal::Ask(ask(Cause::User)));
    let [Effect::Tell(AskedHow::ToEnd), Effect::DropBody, Effect::Arm(Timer::Hold, _)] = effects[..] else {
        panic!("{effects:?}")
    };
    let end = ending(&ladder.step(stopped(BodyEnd::Dropped)));
    assert_eq!(end.stopped_by, Some(StoppedBy::Dropped));
    assert!(end.ask.is_some());
}

#[test]
fn a_body_that_is_slow_to_stop_has_its_request_written_first() {
    let mut ladder = asked(limits(Duration::ZERO, false), Cause::User);
    let effects = ladder.step(Signal::Over(Timer::Hold, None));
    assert_eq!(effects, [Effect::Write(Change::Asked(ask(Cause::User))), Effect::Arm(Timer::Stop, STOP)]);
    let end = ending(&ladder.step(stopped(BodyEnd::Dropped)));
    assert_eq!((end.ask, end.request), (None, Some(ask(Cause::User).request)));
}

#[test]
fn in_its_grace_a_body_may_end_by_itself() {
    let mut ladder = running(limits(GRACE, false));
    let effects = ladder.step(Signal::Ask(ask(Cause::Itself)));
    let expected = [
        Effect::Tell(AskedHow::ToEnd),
        Effect::Write(Change::Asked(ask(Cause::Itself))),
        Effect::Arm(Timer::Grace, GRACE),
    ];
    assert_eq!(effects, expected);
    let end = ending(&ladder.step(stopped(BodyEnd::Cancelled)));
    assert_eq!((end.status, end.stopped_by), (Status::Cancelled, Some(StoppedBy::Itself)));
}

#[test]
fn past_its_grace_it_is_dropped() {
    for signal in [Signal::Over(Timer::Grace, None), Signal::Hurry] {
        let mut ladder = asked(limits(GRACE, false), Cause::User);
        assert_eq!(ladder.step(signal), [Effect::DropBody, Effect::Arm(Timer::Stop, STOP)]);
        assert_eq!(ending(&ladder.step(stopped(BodyEnd::Dropped))).stopped_by, Some(StoppedBy::Dropped));
    }
}

#[test]
fn i07_past_the_stop_limit_it_is_written_off() {
    let mut ladder = asked(limits(Duration::ZERO, false), Cause::Timeout);
    ladder.step(Signal::Over(Timer::Hold, None));
    let end = ending(&ladder.step(Signal::Over(Timer::Stop, Some(Probe::Abandoned))));
    assert_eq!((end.stopped_by, end.cleanup), (Some(StoppedBy::Abandoned), None));
    assert_eq!(ladder.step(stopped(BodyEnd::Returned(None))), [], "what it says later is refused");
}

#[test]
fn i09_a_body_that_found_no_free_thread_was_never_started() {
    for signal in [Signal::Over(Timer::Stop, Some(Probe::NeverStarted)), Signal::GiveUp(Probe::NeverStarted)]
    {
        let mut ladder = asked(limits(Duration::ZERO, false), Cause::User);
        assert_eq!(ending(&ladder.step(signal)).stopped_by, Some(StoppedBy::NeverStarted));
    }
}

#[test]
fn a_body_whose_report_is_on_its_way_is_waited_for() {
    let mut ladder = asked(limits(Duration::ZERO, false), Cause::User);
    assert_eq!(ladder.step(Signal::Over(Timer::Stop, Some(Probe::Done))), []);
    assert_eq!(ending(&ladder.step(stopped(BodyEnd::Dropped))).stopped_by, Some(StoppedBy::Dropped));
}

#[test]
fn i18_a_cleanup_is_bounded() {
    let mut ladder = asked(limits(GRACE, false), Cause::User);
    ladder.step(Signal::Over(Timer::Grace, None));
    let effects = ladder.step(Signal::Cleaning(BodyEnd::Dropped));
    assert_eq!(effects, [Effect::Arm(Timer::Cleanup, CLEANUP)]);
    assert_eq!(
        ladder.step(Signal::Over(Timer::Stop, Some(Probe::Done))),
        [],
        "a late timer of an earlier rung"
    );
    let effects = ladder.step(Signal::Over(Timer::Cleanup, None));
    assert_eq!(effects, [Effect::DropCleanup, Effect::Arm(Timer::Stop, STOP)]);
    let mut hangs = ladder.clone();
    let timed_out = CleanupState::Ran(Cleanup::TimedOut);
    let end = ending(&ladder.step(Signal::Stopped(BodyEnd::Dropped, timed_out)));
    assert_eq!((end.stopped_by, end.cleanup), (Some(StoppedBy::Dropped), Some(Cleanup::TimedOut)));
    // Even one that never yields.
    let end = ending(&hangs.step(Signal::Over(Timer::Stop, Some(Probe::Done))));
    assert_eq!((end.stopped_by, end.cleanup), (Some(StoppedBy::Dropped), Some(Cleanup::TimedOut)));
}

#[test]
fn a_cleanup_whose_first_step_blocks_is_found_by_the_probe() {
    let mut ladder = asked(limits(Duration::ZERO, false), Cause::User);
    ladder.step(Signal::Over(Timer::Hold, None));
    let effects = ladder.step(Signal::Over(Timer::Stop, Some(Probe::Cleaning(BodyEnd::Dropped))));
    assert_eq!(effects, [Effect::Arm(Timer::Cleanup, CLEANUP)]);
}

#[test]
fn a_body_that_had_ended_before_it_was_asked_is_cleaned_up_after() {
    let mut ladder = asked(limits(Duration::ZERO, false), Cause::User);
    let value = BodyEnd::Returned(None);
    let effects = ladder.step(Signal::Stopped(value.clone(), CleanupState::NotRun));
    let expected = [
        Effect::RunCleanup(value),
        Effect::Write(Change::Asked(ask(Cause::User))),
        Effect::Arm(Timer::Cleanup, CLEANUP),
    ];
    assert_eq!(effects, expected);
    // The cleanup's report knows nothing of the body's own end: that stands.
    let end = ending(&ladder.step(Signal::Stopped(BodyEnd::Cancelled, CleanupState::Ran(Cleanup::Failed))));
    assert_eq!((end.stopped_by, end.cleanup), (Some(StoppedBy::Itself), Some(Cleanup::Failed)));
}

#[test]
fn the_first_request_stands() {
    for first in [Cause::User, Cause::Timeout] {
        let second = if first == Cause::User { Cause::Timeout } else { Cause::User };
        for grace in [Duration::ZERO, GRACE] {
            let mut ladder = asked(limits(grace, false), first);
            assert!(ladder.takes_requests(), "the second one waits for the same end");
            assert_eq!(ladder.step(Signal::Ask(ask(second))), []);
            let end = ending(&ladder.step(stopped(BodyEnd::Dropped)));
            assert_eq!(end.request.unwrap().cause, first);
        }
    }
}

#[test]
fn a_result_that_is_being_written_takes_no_request() {
    let mut ladder = running(limits(Duration::ZERO, false));
    ladder.step(stopped(BodyEnd::Returned(None)));
    assert!(!ladder.takes_requests());
    assert_eq!(ladder.step(Signal::Ask(ask(Cause::User))), []);
    assert_eq!(ladder.step(Signal::Durable), [Effect::Forget]);
}

#[test]
fn i25_a_shutdown_puts_a_restarting_task_back_and_leaves_no_trace() {
    for grace in [Duration::ZERO, GRACE] {
        let mut ladder = running(limits(grace, true));
        let effects = ladder.step(Signal::Ask(ask(Cause::Shutdown)));
        assert_eq!(effects[0], Effect::Tell(AskedHow::ToRunAgain));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Write(_))), "{effects:?}");
        assert_eq!(ladder.request(), None);
        for timer in [Timer::Hold, Timer::Grace] {
            let effects = ladder.step(Signal::Over(timer, None));
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Write(_))), "{effects:?}");
        }
        let effects = ladder.step(Signal::Stopped(BodyEnd::Dropped, CleanupState::NotRun));
        assert_eq!(effects, [Effect::Write(Change::Requeued { counts: false })]);
        assert_eq!(ladder.step(Signal::Durable), [Effect::Forget]);
    }
}

#[test]
fn a_restarting_body_that_ends_by_itself_stands_as_it_ended() {
    let mut ladder = asked(limits(GRACE, true), Cause::Shutdown);
    let end = ending(&ladder.step(Signal::Stopped(BodyEnd::Returned(None), CleanupState::NotRun)));
    assert_eq!((end.status, end.request), (Status::Completed, None));
}

#[test]
fn somebody_elses_request_overrides_a_shutdown_that_would_run_it_again() {
    // While the body stops.
    let mut ladder = asked(limits(GRACE, true), Cause::Shutdown);
    let effects = ladder.step(Signal::Ask(ask(Cause::User)));
    assert_eq!(effects, [Effect::Tell(AskedHow::ToEnd), Effect::Write(Change::Asked(ask(Cause::User)))]);
    let end = ending(&ladder.step(stopped(BodyEnd::Dropped)));
    assert_eq!((end.status, end.request.unwrap().cause), (Status::Cancelled, Cause::User));
    // While the row goes back.
    let mut ladder = asked(limits(Duration::ZERO, true), Cause::Shutdown);
    ladder.step(Signal::Stopped(BodyEnd::Dropped, CleanupState::NotRun));
    assert!(ladder.takes_requests());
    assert_eq!(ladder.step(Signal::Ask(ask(Cause::User))), []);
    let end = ending(&ladder.step(Signal::Durable));
    assert_eq!((end.status, end.stopped_by), (Status::Cancelled, Some(StoppedBy::NeverStarted)));
    assert_eq!(ladder.step(Signal::Durable), [Effect::Forget]);
}

#[test]
fn a_shutdown_after_a_request_changes_nothing() {
    let mut ladder = asked(limits(GRACE, true), Cause::User);
    assert_eq!(ladder.step(Signal::Ask(ask(Cause::Shutdown))), []);
    let end = ending(&ladder.step(stopped(BodyEnd::Dropped)));
    assert_eq!(end.request.unwrap().cause, Cause::User);
}

#[test]
fn at_the_end_of_a_shutdown_everything_is_given_up() {
    let mut ladder = asked(limits(GRACE, false), Cause::Shutdown);
    let end = ending(&ladder.step(Signal::GiveUp(Probe::Abandoned)));
    assert_eq!(end.stopped_by, Some(StoppedBy::Abandoned));
    let mut ladder = asked(limits(GRACE, false), Cause::Shutdown);
    ladder.step(Signal::Cleaning(BodyEnd::Dropped));
    let end = ending(&ladder.step(Signal::GiveUp(Probe::Cleaning(BodyEnd::Dropped))));
    assert_eq!((end.stopped_by, end.cleanup), (Some(StoppedBy::Dropped), Some(Cleanup::TimedOut)));
    let mut ladder = asked(limits(Duration::ZERO, true), Cause::Shutdown);
    let effects = ladder.step(Signal::GiveUp(Probe::Abandoned));
    assert_eq!(effects, [Effect::Write(Change::Requeued { counts: false })]);
}

/// Any signals in any order: an end is written at most once, nothing is done after the task is forgotten, and
/// a body is never begun after it was asked to stop.
#[test]
fn no_order_of_signals_ends_a_task_twice() {
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    let bodies = prop_oneof![Just(BodyEnd::Returned(None)), Just(BodyEnd::Cancelled), Just(BodyEnd::Dropped)];
    let cleanups = prop_oneof![
        Just(CleanupState::NotRun),
        Just(CleanupState::Nothing),
        Just(CleanupState::Ran(Cleanup::Done))
    ];
    let causes = prop_oneof![Just(Cause::User), Just(Cause::Timeout), Just(Cause::Shutdown)];
    let timers = prop_oneof![Just(Timer::Hold), Just(Timer::Grace), Just(Timer::Stop), Just(Timer::Cleanup)];
    let probes = prop_oneof![Just(None), Just(Some(Probe::Abandoned)), Just(Some(Probe::Done))];
    let signal = prop_oneof![
        Just(Signal::Recorded),
        causes.prop_map(|cause| Signal::Ask(ask(cause))),
        (timers, probes).prop_map(|(timer, probe)| Signal::Over(timer, probe)),
        Just(Signal::Hurry),
        Just(Signal::GiveUp(Probe::Abandoned)),
        bodies.clone().prop_map(Signal::Cleaning),
        (bodies, cleanups).prop_map(|(end, cleanup)| Signal::Stopped(end, cleanup)),
        Just(Signal::Durable),
    ];
    let signals = proptest::collection::vec(signal, 0..24);
    let graces = prop_oneof![Just(Duration::ZERO), Just(GRACE)];
    let case = (signals, graces, any::<bool>());
    TestRunner::default()
        .run(&case, |(signals, grace, restarts)| {
            let mut ladder = Ladder::new(limits(grace, restarts));
            let (mut ends, mut forgotten, mut was_asked) = (0, false, false);
            for signal in signals {
                let asks = matches!(signal, Signal::Ask(_));
                for effect in ladder.step(signal) {
                    prop_assert!(!forgotten, "{effect:?} after it was forgotten");
                    match effect {
                        Effect::Begin => prop_assert!(!was_asked, "begun after it was asked to stop"),
                        Effect::Write(Change::Ended(_)) => ends += 1,
                        Effect::Forget => forgotten = true,
                        _ => {}
                    }
                }
                was_asked |= asks;
                prop_assert!(ends <= 1, "ended twice");
            }
            Ok(())
        })
        .unwrap();
}
