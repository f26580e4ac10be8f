//! Cancels against starts, starts against starts: races 4 and 5.

use quell::task::{Cause, Status, StoppedBy};
use quell::{StartOutcome, StartRequest};
use serde_json::json;

use crate::support::{Plain, Session, World, request, stop_of, stopped_by};

/// A body that counts how often it began, and one that occupies a place until it is told to go.
fn counts(world: &World) {
    world.body("counts", |_, stage| async move {
        stage.mark("polled");
        std::future::pending().await
    });
    world.body("occupies", |_, stage| async move {
        stage.mark("occupied");
        stage.wait("go").await;
        Ok(().into())
    });
}

async fn is_never_started(s: &Session, key: &quell::task::TaskKey) {
    let record = s.task(key).await.unwrap();
    assert_eq!(record.status, Status::Cancelled);
    assert_eq!(stop_of(&record), ("not today", Cause::User, StoppedBy::NeverStarted));
    assert_eq!((record.started_at, record.attempt), (None, 1));
    assert_eq!(record.cancelled_at, record.completed_at);
    assert_eq!(s.kinds(key).await, ["cancellation_requested", "cancelled"]);
    assert_eq!(s.start_task(key, None).await.unwrap(), StartOutcome::AlreadyEnded);
}

#[test]
fn i09_race_4_a_created_task_that_is_cancelled_is_never_polled() {
    World::new().run(async |s| {
        counts(&s.world);
        let key = s.create(request::<Plain>("counts")).await.unwrap().key;
        assert_eq!(stopped_by(&s.stop(&key, "not today").await), StoppedBy::NeverStarted);
        is_never_started(&s, &key).await;
        assert_eq!(s.stage().count("polled"), 0);
    });
}

#[test]
fn i09_race_4_a_task_that_is_cancelled_while_it_waits_for_room_is_never_polled() {
    World::with(|settings| settings.max_running = 1).run(async |s| {
        counts(&s.world);
        let first = s.begin::<Plain>("occupies").await;
        s.stage().reached("occupied", 1).await;
        let waiting = s.start(request::<Plain>("counts")).await.unwrap();
        assert_eq!((waiting.status, waiting.queued), (Status::Pending, true));
        assert_eq!(stopped_by(&s.stop(&waiting.key, "not today").await), StoppedBy::NeverStarted);
        // The place becomes free, and the next one that comes gets it.
        s.stage().mark("go");
        s.ended(&first).await;
        let next = s.begin::<Plain>("occupies").await;
        s.ended(&next).await;
        is_never_started(&s, &waiting.key).await;
        assert_eq!(s.stage().count("polled"), 0);
    });
}

#[test]
fn race_4_a_task_that_has_begun_when_it_is_cancelled_is_stopped() {
    World::with(|settings| settings.max_running = 1).run(async |s| {
        counts(&s.world);
        let created = s.create(request::<Plain>("counts")).await.unwrap().key;
        let StartOutcome::Started(record) = s.start_task(&created, None).await.unwrap() else {
            panic!("it was waiting to be started");
        };
        assert_eq!(record.status, Status::Running);
        s.stage().reached("polled", 1).await;
        assert_eq!(stopped_by(&s.stop(&created, "now").await), StoppedBy::Dropped);
        assert_eq!(s.stage().count("polled"), 1);
    });
}

#[test]
fn i05_race_4_a_cancel_against_a_start_leaves_one_truth() {
    World::with(|settings| settings.max_running = 2).run(async |s| {
        counts(&s.world);
        for round in 0..60 {
            let key = s.create(request::<Plain>("counts")).await.unwrap().key;
            let before = s.stage().count("polled");
            let (start, cancel) = (s.start_task(&key, None), s.stop(&key, "at once"));
            let (start, cancel) = if round % 2 == 0 {
                futures_util::future::join(start, cancel).await
            } else {
                let (cancel, start) = futures_util::future::join(cancel, start).await;
                (start, cancel)
            };
            let record = s.task(&key).await.unwrap();
            let polls = s.stage().count("polled") - before;
            assert_eq!(record.status, Status::Cancelled);
            assert_eq!(Some(stopped_by(&cancel)), record.stopped_by);
            match record.stopped_by.unwrap() {
                StoppedBy::NeverStarted => assert_eq!(polls, 0),
                StoppedBy::Dropped => assert!(polls <= 1),
                other => panic!("stopped by {other}"),
            }
            if start.unwrap() == StartOutcome::AlreadyEnded {
                assert_eq!(record.stopped_by, Some(StoppedBy::NeverStarted));
            }
        }
    });
}

#[test]
fn race_5_a_task_that_runs_or_waits_for_room_is_not_started_again() {
    World::with(|settings| settings.max_running = 1).run(async |s| {
        counts(&s.world);
        let running = s.begin::<Plain>("occupies").await;
        let queued = s.begin::<Plain>("occupies").await;
        for key in [&running, &queued] {
            assert_eq!(s.start_task(key, None).await.unwrap(), StartOutcome::AlreadyRunning);
        }
        s.stage().mark("go");
        for key in [&running, &queued] {
            assert_eq!(s.ended(key).await.status, Status::Completed);
            assert_eq!(s.start_task(key, None).await.unwrap(), StartOutcome::AlreadyEnded);
        }
        assert_eq!(s.stage().count("occupied"), 2);
    });
}

#[test]
fn race_5_of_many_starts_of_one_task_one_wins_and_its_body_begins_once() {
    for max_running in [1, 8] {
        World::with(|settings| settings.max_running = max_running).run(async |s| {
            counts(&s.world);
            for _ in 0..20 {
                let key = s.create(request::<Plain>("occupies")).await.unwrap().key;
                let starts = (0..8).map(|_| s.start_task(&key, None));
                let outcomes = futures_util::future::join_all(starts).await;
                let started = outcomes
                    .into_iter()
                    .filter(|outcome| matches!(outcome, Ok(StartOutcome::Started(_))))
                    .count();
                assert_eq!(started, 1);
            }
            s.stage().mark("go");
            for id in 1..=20 {
                let key = format!("tests/Plain/{id}").parse().unwrap();
                assert_eq!(s.ended(&key).await.attempt, 1);
            }
            assert_eq!(s.stage().count("occupied"), 20);
        });
    }
}

#[test]
fn a_start_that_cannot_be_makes_no_row() {
    World::new().run(async |s| {
        let unknown = s.start(StartRequest::new("tests", "Nothing", "alice")).await;
        assert!(matches!(unknown, Err(quell::StartError::UnknownModel { .. })), "{unknown:?}");
        let misfit = quell::task::JsonText::from_value(&json!({ "body": 7 })).unwrap();
        let refused = s.start(StartRequest::new("tests", "Plain", "alice").input(misfit)).await;
        assert!(matches!(refused, Err(quell::StartError::InvalidInput { .. })), "{refused:?}");
        let first = "tests/Plain/1".parse().unwrap();
        assert!(matches!(s.task(&first).await, Err(quell::CommandError::NotFound(_))));
    });
}
