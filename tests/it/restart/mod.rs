//! Shutdown and what comes after it: what ends, what waits, what runs again.

mod crash;

use std::time::{Duration, Instant};

use quell::task::{Cause, Cleanup, Record, Status, StoppedBy};
use quell::{CommandError, Readiness, Receipt, Refusal, StartError, StartOutcome};
use serde_json::json;

use crate::support::{
    Again, AgainPatient, Brief, Hold, LONG, Patient, Plain, Thorough, World, eventually, poll_once, request,
    seconds, sent, stop_of, stopped_by,
};

/// A body that waits, one that occupies a place until it is told to go, and one that stays though it was told.
fn bodies(world: &World) {
    world.body("waits", |_, stage| async move {
        stage.mark("began");
        std::future::pending().await
    });
    world.body("occupies", |_, stage| async move {
        stage.mark("began");
        stage.wait("go").await;
        Ok(json!("done"))
    });
    world.body("stays", |ctx, stage| async move {
        stage.mark("began");
        ctx.cancelled().await;
        stage.mark("told");
        stage.wait("go").await;
        ctx.check_cancellation()?;
        Ok(json!("not reached"))
    });
    world.body("spins", |_, stage| async move {
        stage.mark("began");
        stage.wait_blocking("released");
        Ok(json!("late"))
    });
}

fn says_nothing_of_a_stop(record: &Record) {
    let nothing = (None, None, None, None, None);
    let told =
        (record.cancel.clone(), record.cancelled_at, record.stopped_by, record.cleanup, record.completed_at);
    assert_eq!(told, nothing);
}

#[test]
fn i25_a_task_of_a_model_that_restarts_goes_back_without_a_trace_and_runs_again() {
    let world = World::new();
    bodies(&world);
    let (key, started_at) = world.run(async |s| {
        let key = s.begin::<Again>("occupies").await;
        s.stage().reached("began", 1).await;
        let started_at = s.task(&key).await.unwrap().started_at;
        s.shutdown(LONG).await;
        let record = s.task(&key).await.unwrap();
        assert_eq!((record.status, record.queued, record.attempt), (Status::Pending, true, 1));
        assert_eq!(record.node, None);
        says_nothing_of_a_stop(&record);
        assert_eq!(s.kinds(&key).await, ["running"]);
        (key, started_at)
    });
    world.run(async |s| {
        s.stage().reached("began", 2).await;
        let record = s.task(&key).await.unwrap();
        assert_eq!((record.status, record.attempt, record.started_at), (Status::Running, 1, started_at));
        s.stage().mark("go");
        let record = s.ended(&key).await;
        assert_eq!((record.status, record.started_at), (Status::Completed, started_at));
        says_nothing_of_a_stop(&Record { completed_at: None, ..record });
        assert_eq!(s.kinds(&key).await, ["running", "running", "completed"]);
    });
}

#[test]
fn i25_a_shutdown_ends_every_other_task_that_runs_and_names_the_cause() {
    let world = World::new();
    bodies(&world);
    let keys = world.run(async |s| {
        let mut keys = Vec::new();
        for _ in 0..20 {
            keys.push(s.begin::<Plain>("waits").await);
        }
        s.shutdown(LONG).await;
        keys
    });
    world.run(async |s| {
        for key in keys {
            let record = s.task(&key).await.unwrap();
            assert_eq!(record.status, Status::Cancelled);
            let (reason, cause, by) = stop_of(&record);
            assert_eq!((reason, cause), ("Cancelled by system", Cause::Shutdown));
            assert!(matches!(by, StoppedBy::Dropped | StoppedBy::NeverStarted), "{by}");
            assert_eq!(record.cancel.unwrap().by, None);
            assert_eq!(s.kinds(&key).await, ["running", "cancellation_requested", "cancelled"]);
        }
        assert!(s.stage().count("began") <= 20, "none was run again");
    });
}

#[test]
fn i02_what_waits_stays_and_what_was_queued_starts_after_the_restart_oldest_first() {
    let world = World::with(|settings| settings.max_running = 1);
    bodies(&world);
    world.body("tells", |ctx, stage| async move {
        stage.mark(&format!("ran {}", ctx.key().id));
        stage.mark("ran");
        Ok(json!(stage.count("ran")))
    });
    let (created, queued) = world.run(async |s| {
        let first = s.begin::<Plain>("waits").await;
        s.stage().reached("began", 1).await;
        let created = s.create(request::<Plain>("tells")).await.unwrap().key;
        let mut queued = Vec::new();
        for _ in 0..5 {
            queued.push(s.begin::<Plain>("tells").await);
        }
        s.shutdown(LONG).await;
        assert_eq!(s.task(&first).await.unwrap().status, Status::Cancelled);
        for key in &queued {
            let record = s.task(key).await.unwrap();
            assert_eq!((record.status, record.queued), (Status::Pending, true));
        }
        (created, queued)
    });
    assert_eq!(world.stage().count("ran"), 0, "nobody took the place that became free");
    world.run(async |s| {
        for (place, key) in (1..).zip(&queued) {
            let record = s.ended(key).await;
            assert_eq!(record.final_value.unwrap().as_str(), place.to_string());
        }
        let record = s.task(&created).await.unwrap();
        assert_eq!((record.status, record.queued), (Status::Pending, false));
        assert_eq!(s.stage().count(&format!("ran {}", created.id)), 0);
        assert!(matches!(s.start_task(&created, None).await.unwrap(), StartOutcome::Started(_)));
        assert_eq!(s.ended(&created).await.status, Status::Completed);
    });
}

#[test]
fn i25_after_a_second_signal_a_long_cleanup_is_given_up_on() {
    let world = World::new();
    bodies(&world);
    world.cleanup("waits", |_, stage| async move {
        stage.mark("cleaning");
        std::future::pending().await
    });
    world.run(async |s| {
        let key = s.begin::<Thorough>("waits").await;
        s.stage().reached("began", 1).await;
        // Before a shutdown there is nothing to hurry.
        s.hurry();
        let mut shutdown = sent(s.shutdown(LONG * 10));
        s.stage().reached("cleaning", 1).await;
        assert!(poll_once(&mut shutdown).is_pending());
        s.hurry();
        tokio::time::timeout(LONG, shutdown).await.expect("it waits for the cleanup");
        let record = s.task(&key).await.unwrap();
        assert_eq!((record.stopped_by, record.cleanup), (Some(StoppedBy::Dropped), Some(Cleanup::TimedOut)));
    });
}

#[test]
fn i25_a_second_signal_skips_the_grace_and_leaves_no_row_running() {
    let world = World::new();
    bodies(&world);
    let keys = world.run(async |s| {
        let keys = [
            s.begin::<Patient>("stays").await,
            s.begin::<AgainPatient>("stays").await,
            s.begin::<Brief>("spins").await,
        ];
        s.stage().reached("began", 3).await;
        let began = Instant::now();
        let mut shutdown = sent(s.shutdown(LONG * 10));
        s.stage().reached("told", 2).await;
        assert!(poll_once(&mut shutdown).is_pending());
        s.hurry();
        tokio::time::timeout(LONG, shutdown).await.unwrap();
        let took = began.elapsed();
        assert!(took < LONG / 2, "it took {took:?}");
        let stopped = s.task(&keys[0]).await.unwrap();
        assert_eq!(stop_of(&stopped), ("Cancelled by system", Cause::Shutdown, StoppedBy::Dropped));
        let again = s.task(&keys[1]).await.unwrap();
        assert_eq!(again.status, Status::Pending);
        says_nothing_of_a_stop(&again);
        let stuck = s.task(&keys[2]).await.unwrap();
        assert_eq!(stop_of(&stuck), ("Cancelled by system", Cause::Shutdown, StoppedBy::Abandoned));
        s.stage().mark("released");
        keys
    });
    world.stage().mark("go");
    world.run(async |s| {
        s.stage().reached("began", 4).await;
        assert_eq!(s.task(&keys[2]).await.unwrap().stopped_by, Some(StoppedBy::Abandoned));
    });
}

#[test]
fn i25_the_budget_bounds_the_shutdown_whatever_the_bodies_do() {
    let world = World::new();
    bodies(&world);
    world.run(async |s| {
        let stays = s.begin::<Patient>("stays").await;
        let spins = s.begin::<Patient>("spins").await;
        s.stage().reached("began", 2).await;
        let began = Instant::now();
        s.shutdown(Duration::from_secs(2)).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2 + 1), "it took {took:?}");
        assert_eq!(s.task(&stays).await.unwrap().stopped_by, Some(StoppedBy::Dropped));
        assert_eq!(s.task(&spins).await.unwrap().stopped_by, Some(StoppedBy::Abandoned));
        s.stage().mark("released");
    });
}

#[test]
fn i05_a_cancel_before_or_during_a_shutdown_decides_over_the_restart() {
    let world = World::new();
    bodies(&world);
    world.run(async |s| {
        let before = s.begin::<AgainPatient>("stays").await;
        let during = s.begin::<AgainPatient>("stays").await;
        s.stage().reached("began", 2).await;
        assert!(matches!(s.ask(&before, "before").await, Receipt::Cancelling { .. }));
        let shutdown = sent(s.shutdown(LONG));
        s.stage().reached("told", 2).await;
        assert_eq!(s.task(&during).await.unwrap().cancel, None, "the shutdown's own request is not written");
        let cancel = sent(s.stop(&during, "during"));
        s.stage().mark("go");
        assert_eq!(stopped_by(&cancel.await), StoppedBy::Itself);
        shutdown.await;
        for (key, reason) in [(before, "before"), (during, "during")] {
            let record = s.task(&key).await.unwrap();
            assert_eq!(stop_of(&record), (reason, Cause::User, StoppedBy::Itself));
            assert_eq!(s.kinds(&key).await, ["running", "cancellation_requested", "cancelled"]);
        }
    });
    world.run(async |s| assert_eq!(s.stage().count("began"), 2, "neither runs again"));
}

#[test]
fn a_body_that_ends_by_itself_during_a_shutdown_stands_as_it_ended() {
    let world = World::new();
    world.body("finishes", |ctx, _| async move {
        ctx.cancelled().await;
        Ok(json!("finished"))
    });
    world.run(async |s| {
        let again = s.begin::<AgainPatient>("finishes").await;
        let plain = s.begin::<Patient>("finishes").await;
        s.shutdown(LONG).await;
        let again = s.task(&again).await.unwrap();
        assert_eq!((again.status, &again.cancel), (Status::Completed, &None));
        let plain = s.task(&plain).await.unwrap();
        assert_eq!((plain.status, plain.stopped_by), (Status::Cancelled, Some(StoppedBy::Itself)));
        assert_eq!(again.final_value, plain.final_value);
    });
}

#[test]
fn i25_while_it_goes_down_it_takes_no_starts_but_still_cancels_and_says_so() {
    World::new().run(async |s| {
        bodies(&s.world);
        let waiting = s.create(request::<Plain>("waits")).await.unwrap().key;
        let stays = s.begin::<Patient>("stays").await;
        s.stage().reached("began", 1).await;
        let shutdown = sent(s.shutdown(LONG));
        s.stage().reached("told", 1).await;
        assert_eq!(s.readiness(), Readiness::Draining);
        let started = s.start(request::<Plain>("waits")).await;
        assert!(matches!(started, Err(StartError::Refused(Refusal::ShuttingDown))), "{started:?}");
        let started = s.start_task(&waiting, None).await;
        assert!(matches!(started, Err(CommandError::Refused(Refusal::ShuttingDown))), "{started:?}");
        assert_eq!(stopped_by(&s.stop(&waiting, "enough").await), StoppedBy::NeverStarted);
        let cancel = sent(s.stop(&stays, "too late"));
        s.stage().mark("go");
        let Receipt::Cancelled { cause, .. } = cancel.await else { panic!("it stopped") };
        assert_eq!(cause, Cause::Shutdown);
        shutdown.await;
    });
}

#[test]
fn i25_a_task_whose_start_is_on_its_way_to_the_disk_never_begins() {
    World::new().run(async |s| {
        bodies(&s.world);
        let hold = Hold::writer(&s).await;
        let plain = sent(s.start(request::<Plain>("waits")));
        let again = sent(s.start(request::<Again>("waits")));
        let shutdown = sent(s.shutdown(LONG));
        eventually("it drains", async || s.readiness() == Readiness::Draining).await;
        drop(hold);
        let (plain, again) = (plain.await, again.await);
        shutdown.await;
        if let Ok(plain) = plain {
            let record = s.task(&plain.key).await.unwrap();
            assert_eq!((record.status, record.cancel.unwrap().cause), (Status::Cancelled, Cause::Shutdown));
        }
        if let Ok(again) = again {
            assert_eq!(s.task(&again.key).await.unwrap().status, Status::Pending);
        }
    });
}

#[test]
fn commands_after_a_shutdown_are_answered() {
    World::new().run(async |s| {
        bodies(&s.world);
        let waiting = s.create(request::<Plain>("waits")).await.unwrap().key;
        s.shutdown(LONG).await;
        s.shutdown(LONG).await;
        let all = async {
            assert!(s.start(request::<Plain>("waits")).await.is_err());
            assert!(s.start_task(&waiting, None).await.is_err());
            assert!(s.set_timeout(&waiting, Some(seconds(1.0))).await.is_err());
            assert!(s.cancel_task(&waiting, None).await.is_err());
            assert!(s.result(&waiting).await.is_err());
            s.hurry();
            s.task(&waiting).await.unwrap()
        };
        let record = tokio::time::timeout(LONG, all).await.expect("answers");
        assert_eq!((record.status, record.timeout), (Status::Pending, None));
    });
}
