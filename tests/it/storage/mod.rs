//! What is in the database, and when: receipts, reads, deadlines, creations, the queue.

mod signals;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use quell::task::{Cause, JsonText, Status, StoppedBy};
use quell::{CancelOptions, CommandError, Receipt, Refusal, StartError, StartOutcome, StartRequest};
use serde_json::json;

use crate::support::{
    Hold, OWNER, Patient, Plain, Session, World, eventually, not_running, poll_once, request, seconds, sent,
    stopped_by,
};

/// A body that waits for ever, one that ends when it is told to, and one that ends at once.
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
    world.body("returns", |_, _| async { Ok(json!("done")) });
    world.body("errs", |_, _| async { Err(quell::TaskError::new("Broken", "as asked")) });
}

#[test]
fn i01_no_command_changes_a_task_that_has_ended() {
    World::new().run(async |s| {
        bodies(&s.world);
        let waits = s.begin::<Plain>("waits").await;
        s.stop(&waits, "enough").await;
        let keys = [waits, s.begin::<Plain>("returns").await, s.begin::<Plain>("errs").await];
        for key in keys {
            let before = s.ended(&key).await;
            let events = s.kinds(&key).await;
            let moved = s.set_timeout(&key, Some(seconds(1.0))).await;
            let Err(CommandError::Ended(record)) = moved else { panic!("{moved:?}") };
            assert_eq!(*record, before);
            let signalled = s.signal(&key, "go", JsonText::default()).await;
            let Err(CommandError::Ended(record)) = signalled else { panic!("{signalled:?}") };
            assert_eq!(*record, before);
            assert_eq!(not_running(s.stop(&key, "again").await), before);
            assert_eq!(s.start_task(&key, Some(seconds(1.0))).await.unwrap(), StartOutcome::AlreadyEnded);
            assert_eq!(s.task(&key).await.unwrap(), before);
            assert_eq!(s.kinds(&key).await, events);
        }
    });
}

#[test]
fn i06_nothing_is_answered_before_it_is_durable() {
    World::new().run(async |s| {
        bodies(&s.world);
        let running = s.begin::<Patient>("waits").await;
        let created = s.create(request::<Plain>("waits")).await.unwrap().key;
        let pending = s.create(request::<Plain>("waits")).await.unwrap().key;
        let hold = Hold::writer(&s).await;
        let mut start = sent(s.start(request::<Plain>("waits")));
        let mut create = sent(s.create(request::<Plain>("waits")));
        let mut signal = sent(s.signal(&running, "go", JsonText::default()));
        let mut cancel = sent(s.stop(&pending, "enough"));
        let mut ask = sent(s.ask(&running, "enough"));
        let mut moved = sent(s.set_timeout(&created, Some(seconds(9.0))));
        // Everything that does not need the disk has happened when this has been answered a few times.
        for _ in 0..50 {
            s.status(&running).await.unwrap();
        }
        assert!(poll_once(&mut start).is_pending());
        assert!(poll_once(&mut create).is_pending());
        assert!(poll_once(&mut signal).is_pending());
        assert!(poll_once(&mut cancel).is_pending());
        assert!(poll_once(&mut ask).is_pending());
        assert!(poll_once(&mut moved).is_pending());
        assert_eq!(s.task(&pending).await.unwrap().status, Status::Pending);
        drop(hold);
        assert_eq!(start.await.unwrap().status, Status::Running);
        assert_eq!(create.await.unwrap().status, Status::Pending);
        signal.await.unwrap();
        assert_eq!(stopped_by(&cancel.await), StoppedBy::NeverStarted);
        let Receipt::Cancelling { cancel_requested_at, .. } = ask.await else { panic!("it has a grace") };
        assert_eq!(s.task(&running).await.unwrap().cancel.unwrap().at, cancel_requested_at);
        assert_eq!(moved.await.unwrap().timeout, Some(seconds(9.0)));
    });
}

#[test]
fn i06_a_cancel_whose_end_took_no_effect_claims_no_end() {
    World::new().run(async |s| {
        bodies(&s.world);
        let key = s.begin::<Plain>("waits").await;
        s.stage().reached("began", 1).await;
        // As if another owner had taken the row: the end that the cancel writes finds it changed.
        let mut stranger = SqliteConnection::establish(s.world.database().to_str().unwrap()).unwrap();
        let taken = format!("UPDATE tasks SET epoch = epoch + 1 WHERE id = {}", key.id.get());
        stranger.batch_execute(&format!("PRAGMA busy_timeout = 10000; {taken}")).unwrap();
        let told = s.cancel(&key, CancelOptions::default()).await;
        assert_eq!(s.task(&key).await.unwrap().status, Status::Running);
        assert!(matches!(told, Err(CommandError::Refused(Refusal::Busy))), "{told:?}");
    });
}

#[test]
fn i06_a_look_sees_whatever_was_answered_before() {
    World::new().run(async |s| {
        bodies(&s.world);
        let mut clients = Vec::new();
        for _ in 0..16 {
            let s: Session = s.clone();
            clients.push(actix_rt::spawn(async move {
                for _ in 0..10 {
                    let started = s.start(request::<Plain>("waits")).await.unwrap();
                    let seen = s.task(&started.key).await.unwrap();
                    assert_eq!((&seen.owner, &seen.input), (&started.owner, &started.input));
                    assert_eq!((seen.status, seen.started_at), (Status::Running, started.started_at));
                    let receipt = s.stop(&started.key, "enough").await;
                    let Receipt::Cancelled { reason, cause, stopped_by, cancelled_at } = receipt else {
                        panic!("{receipt:?}");
                    };
                    let seen = s.task(&started.key).await.unwrap();
                    let cancel = seen.cancel.unwrap();
                    assert_eq!((cancel.reason, cancel.cause), (reason, cause));
                    assert_eq!((seen.stopped_by, seen.cancelled_at), (Some(stopped_by), Some(cancelled_at)));
                    let created = s.create(request::<Plain>("waits")).await.unwrap();
                    assert_eq!(s.task(&created.key).await.unwrap(), created);
                }
            }));
        }
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn a_deadline_can_be_moved_forward_back_and_away() {
    World::new().run(async |s| {
        bodies(&s.world);
        let key = s.start(request::<Plain>("waits").timeout(seconds(100.0))).await.unwrap().key;
        let forward = s.set_timeout(&key, Some(seconds(2_000.0))).await.unwrap();
        assert_eq!((forward.status, forward.timeout), (Status::Running, Some(seconds(2_000.0))));
        let away = s.set_timeout(&key, None).await.unwrap();
        assert_eq!((away.status, away.timeout), (Status::Running, None));
        s.set_timeout(&key, Some(seconds(0.001))).await.unwrap();
        let record = s.ended(&key).await;
        let cancel = record.cancel.unwrap();
        assert_eq!((&*cancel.reason, cancel.cause), ("Timeout after 0.001s", Cause::Timeout));
        assert_eq!(record.timeout, Some(seconds(0.001)));
        let unknown = "tests/Plain/99999".parse().unwrap();
        assert!(matches!(s.set_timeout(&unknown, None).await, Err(CommandError::NotFound(_))));
    });
}

#[test]
fn a_deadline_that_was_taken_away_or_moved_on_does_not_fire() {
    World::new().run(async |s| {
        bodies(&s.world);
        for moved in [None, Some(seconds(3_000.0))] {
            let key = loop {
                let key = s.start(request::<Plain>("waits").timeout(seconds(0.3))).await.unwrap().key;
                match s.set_timeout(&key, moved).await {
                    Ok(_) => break key,
                    // This machine stood still for a third of a second: once more.
                    Err(CommandError::Ended(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            };
            // Timers fire in order: this later one fires after the one that was taken away would have.
            let later = s.start(request::<Plain>("waits").timeout(seconds(0.4))).await.unwrap().key;
            assert_eq!(s.ended(&later).await.cancel.unwrap().cause, Cause::Timeout);
            let record = s.task(&key).await.unwrap();
            if record.status != Status::Running {
                // Asked for in time, and too late all the same: only on a machine that stood still.
                assert_eq!(record.cancel.unwrap().cause, Cause::Timeout);
                assert!(record.cancelled_at.unwrap() > record.created_at);
            }
        }
    });
}

#[test]
fn the_timeout_of_a_pending_task_is_that_of_its_row_when_it_starts() {
    World::with(|settings| settings.max_running = 1).run(async |s| {
        bodies(&s.world);
        let occupies = s.begin::<Plain>("occupies").await;
        s.stage().reached("began", 1).await;
        let queued = s.start(request::<Plain>("waits").timeout(seconds(3_000.0))).await.unwrap();
        assert_eq!(queued.status, Status::Pending);
        let moved = s.set_timeout(&queued.key, Some(seconds(0.05))).await.unwrap();
        assert_eq!((moved.status, moved.timeout), (Status::Pending, Some(seconds(0.05))));
        let created = s.create(request::<Plain>("waits").timeout(seconds(3_000.0))).await.unwrap().key;
        s.set_timeout(&created, Some(seconds(2_000.0))).await.unwrap();
        s.stage().mark("go");
        s.ended(&occupies).await;
        let record = s.ended(&queued.key).await;
        assert_eq!(record.cancel.unwrap().cause, Cause::Timeout);
        assert!(record.started_at.is_some(), "while it waited, no time counted");
        // A timeout at the start replaces the row's.
        s.start_task(&created, Some(seconds(0.05))).await.unwrap();
        let record = s.ended(&created).await;
        assert_eq!((record.timeout, record.cancel.unwrap().cause), (Some(seconds(0.05)), Cause::Timeout));
    });
}

#[test]
fn i14_a_deadline_that_is_moved_while_the_task_begins_holds() {
    World::with(|settings| settings.max_running = 1).run(async |s| {
        bodies(&s.world);
        for round in 1..=30 {
            let occupies = s.begin::<Plain>("occupies").await;
            s.stage().reached("began", round * 2 - 1).await;
            let queued = s.begin::<Plain>("waits").await;
            let free = sent(s.stop(&occupies, "room"));
            s.set_timeout(&queued, Some(seconds(0.01))).await.unwrap();
            free.await;
            let record = s.ended(&queued).await;
            assert_eq!(record.cancel.unwrap().cause, Cause::Timeout);
            // It may have been over before its first poll: the count is kept in step.
            while s.stage().count("began") < round * 2 {
                s.stage().mark("began");
            }
        }
    });
}

#[test]
fn the_owner_is_told_from_memory_and_from_the_row_and_a_key_has_one_model_only() {
    World::new().run(async |s| {
        bodies(&s.world);
        let running =
            s.start(StartRequest { owner: "bob".into(), ..request::<Plain>("waits") }).await.unwrap();
        let ended = s.begin::<Plain>("returns").await;
        s.ended(&ended).await;
        assert_eq!(&*s.owner(&running.key).await.unwrap(), "bob");
        assert_eq!(&*s.owner(&ended).await.unwrap(), OWNER);
        for id in [running.key.id, ended.id] {
            let other = format!("tests/Patient/{id}").parse().unwrap();
            assert!(matches!(s.owner(&other).await, Err(CommandError::NotFound(_))));
            assert!(matches!(s.task(&other).await, Err(CommandError::NotFound(_))));
            assert!(matches!(s.cancel_task(&other, None).await, Err(CommandError::NotFound(_))));
            assert!(matches!(s.start_task(&other, None).await, Err(CommandError::NotFound(_))));
            assert!(matches!(s.set_timeout(&other, None).await, Err(CommandError::NotFound(_))));
            let signalled = s.signal(&other, "go", JsonText::default()).await;
            assert!(matches!(signalled, Err(CommandError::NotFound(_))));
            assert!(matches!(s.watch(&other, 0).await, Err(CommandError::NotFound(_))));
            assert!(matches!(s.events(&other).await, Err(CommandError::NotFound(_))));
        }
        assert_eq!(s.task(&running.key).await.unwrap().status, Status::Running);
    });
}

#[test]
fn ids_grow_and_none_is_given_twice_under_many_starts_at_once() {
    World::new().run(async |s| {
        bodies(&s.world);
        let starts = (0..1_500).map(|_| s.create(request::<Plain>("waits")));
        let records = futures_util::future::join_all(starts).await;
        let ids: Vec<_> = records.into_iter().map(|record| record.unwrap().key.id.get()).collect();
        assert_eq!(ids, (1..=1_500).collect::<Vec<_>>());
    });
}

#[test]
fn those_who_wait_get_their_places_in_the_order_they_came_and_the_queue_is_bounded() {
    let world = World::with(|settings| {
        settings.max_running = 1;
        settings.max_pending = 4;
    });
    world.run(async |s| {
        bodies(&s.world);
        s.world.body("tells", |_, stage| async move {
            stage.mark("ran");
            Ok(json!(stage.count("ran")))
        });
        let first = s.begin::<Plain>("occupies").await;
        let mut queued = Vec::new();
        for _ in 0..4 {
            queued.push(s.begin::<Plain>("tells").await);
        }
        let refused = s.start(request::<Plain>("tells")).await;
        assert!(matches!(refused, Err(StartError::TooManyPending(4))), "{refused:?}");
        let created = s.create(request::<Plain>("tells")).await.unwrap().key;
        let refused = s.start_task(&created, None).await;
        assert!(matches!(refused, Err(CommandError::TooManyPending(4))), "{refused:?}");
        // One that leaves makes room for the last.
        s.stop(&queued.remove(1), "not needed").await;
        eventually("there is room", async || {
            matches!(s.start_task(&created, None).await, Ok(StartOutcome::Started(_)))
        })
        .await;
        queued.push(created);
        s.stage().mark("go");
        s.ended(&first).await;
        for (place, key) in (1..).zip(&queued) {
            assert_eq!(s.ended(key).await.final_value.unwrap().as_str(), place.to_string());
        }
    });
}
