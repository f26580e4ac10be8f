//! Places of a model: so many of its tasks run at once, and those who wait hold up nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use futures_util::future::join_all;
use quell::task::{Status, StoppedBy, TaskKey};
use quell::testing::{Fault, Faults};
use quell::{CommandError, StartError, StartOutcome};
use serde_json::json;

use crate::support::{
    Child, LONG, Plain, Session, Single, SingleAgain, Triple, World, eventually, is_child_of, request,
    stopped_by,
};

/// A body that holds its place until it is told to go, one that says as which it ran, one that never ends, and one
/// that cannot be stopped.
fn bodies(world: &World) {
    world.body("occupies", |_, stage| async move {
        stage.mark("began");
        stage.wait("go").await;
        Ok(json!("done"))
    });
    world.body("tells", |_, stage| async move {
        stage.mark("told");
        Ok(json!(stage.count("told")))
    });
    world.body("waits", |_, stage| async move {
        stage.mark("waits");
        std::future::pending().await
    });
    world.body("spins", |_, stage| async move {
        stage.mark("spins");
        stage.wait_blocking("released");
        Ok(json!("late"))
    });
}

async fn is_waiting(s: &Session, key: &TaskKey) {
    let record = s.task(key).await.unwrap();
    assert_eq!((record.status, record.queued), (Status::Pending, true), "{key}");
}

#[test]
fn what_is_over_a_models_places_waits_in_order_and_other_models_pass() {
    World::new().run(async |s| {
        bodies(&s.world);
        let first = s.begin::<Single>("occupies").await;
        s.stage().reached("began", 1).await;
        let mut waiting = Vec::new();
        for _ in 0..5 {
            waiting.push(s.begin::<Single>("tells").await);
        }
        // A model without places, and one with places of its own: they came later and do not wait.
        let plain = s.start(request::<Plain>("tells")).await.unwrap();
        assert_eq!(plain.status, Status::Running);
        let triple = s.start(request::<Triple>("tells")).await.unwrap();
        assert_eq!(triple.status, Status::Running);
        for key in [&plain.key, &triple.key] {
            assert_eq!(s.ended(key).await.status, Status::Completed);
        }
        for key in &waiting {
            is_waiting(&s, key).await;
        }
        s.stage().mark("go");
        s.ended(&first).await;
        for (place, key) in (3..).zip(&waiting) {
            assert_eq!(s.ended(key).await.final_value.unwrap().as_str(), place.to_string());
        }
    });
}

#[test]
fn never_more_of_a_model_run_at_once_than_it_has_places_and_all_come_to_run() {
    let world = World::with(|settings| settings.max_running = 8);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (Arc::clone(&now), Arc::clone(&most));
    world.body("counts", move |_, _| {
        let (now, most) = (Arc::clone(&counted), Arc::clone(&peak));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(json!(null))
        }
    });
    world.run(async |s| {
        bodies(&s.world);
        let starts = (0..300).map(|number| {
            let s = &s;
            async move {
                match number % 4 {
                    0 => s.begin::<Plain>("tells").await,
                    1 => {
                        let key = s.create(request::<Triple>("counts")).await.unwrap().key;
                        let started = s.start_task(&key, None).await.unwrap();
                        assert!(matches!(started, StartOutcome::Started(_)));
                        key
                    }
                    _ => s.begin::<Triple>("counts").await,
                }
            }
        });
        for key in join_all(starts).await {
            assert_eq!(s.ended(&key).await.status, Status::Completed);
        }
        let most = most.load(Ordering::SeqCst);
        assert!((1..=3).contains(&most), "{most} ran at once");
    });
}

#[test]
fn i09_one_that_waits_for_a_place_of_its_model_is_cancelled_without_a_poll() {
    World::new().run(async |s| {
        bodies(&s.world);
        let first = s.begin::<Single>("waits").await;
        let second = s.begin::<Single>("tells").await;
        let third = s.begin::<Single>("occupies").await;
        assert_eq!(stopped_by(&s.stop(&second, "not needed").await), StoppedBy::NeverStarted);
        is_waiting(&s, &third).await;
        s.stop(&first, "room").await;
        s.stage().reached("began", 1).await;
        assert_eq!(s.stage().count("told"), 0);
        s.stage().mark("go");
        assert_eq!(s.ended(&third).await.status, Status::Completed);
    });
}

#[test]
fn i07_an_abandoned_task_gives_the_place_of_its_model_back() {
    World::new().run(async |s| {
        bodies(&s.world);
        let spins = s.begin::<Single>("spins").await;
        s.stage().reached("spins", 1).await;
        let next = s.begin::<Single>("tells").await;
        is_waiting(&s, &next).await;
        assert_eq!(stopped_by(&s.stop(&spins, "enough").await), StoppedBy::Abandoned);
        assert_eq!(s.ended(&next).await.status, Status::Completed);
        s.stage().mark("released");
    });
}

#[test]
fn a_waiting_task_whose_row_cannot_be_read_is_begun_once_it_can() {
    World::new().run(async |s| {
        bodies(&s.world);
        let first = s.begin::<Single>("occupies").await;
        let next = s.begin::<Single>("tells").await;
        let name = |model: &str| {
            let path = s.world.database();
            let mut stranger = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            let sql = format!("UPDATE tasks SET model = '{model}' WHERE id = {}", next.id);
            stranger.batch_execute(&format!("PRAGMA busy_timeout = 10000; {sql}")).unwrap();
        };
        name("no name");
        s.stage().mark("go");
        s.ended(&first).await;
        // The readers take turns: whoever asks so often comes after the one that was to begin it.
        for _ in 0..100 {
            assert!(s.task(&next).await.is_err());
        }
        name(next.model.as_str());
        assert_eq!(s.ended(&next).await.status, Status::Completed);
    });
}

#[test]
fn a_task_that_is_started_by_hand_waits_for_a_place_of_its_model() {
    World::with(|settings| settings.max_pending = 2).run(async |s| {
        bodies(&s.world);
        let mut created = Vec::new();
        for _ in 0..4 {
            created.push(s.create(request::<Single>("occupies")).await.unwrap().key);
        }
        for (number, key) in created.iter().take(3).enumerate() {
            let StartOutcome::Started(record) = s.start_task(key, None).await.unwrap() else {
                panic!("nobody has started it");
            };
            assert_eq!((record.status == Status::Running, record.queued), (number == 0, number != 0));
        }
        assert_eq!(s.start_task(&created[1], None).await.unwrap(), StartOutcome::AlreadyRunning);
        // They count for the bound of those who wait.
        let refused = s.start_task(&created[3], None).await;
        assert!(matches!(refused, Err(CommandError::TooManyPending(2))), "{refused:?}");
        let refused = s.start(request::<Single>("tells")).await;
        assert!(matches!(refused, Err(StartError::TooManyPending(2))), "{refused:?}");
        assert_eq!(s.start(request::<Plain>("tells")).await.unwrap().status, Status::Running);
        s.stage().mark("go");
        for key in created.iter().take(3) {
            assert_eq!(s.ended(key).await.status, Status::Completed);
        }
        assert_eq!(s.task(&created[3]).await.unwrap().status, Status::Pending);
    });
}

#[test]
fn the_room_over_all_models_holds_too() {
    World::with(|settings| settings.max_running = 2).run(async |s| {
        bodies(&s.world);
        let first = s.begin::<Triple>("occupies").await;
        let second = s.begin::<Plain>("occupies").await;
        s.stage().reached("began", 2).await;
        let third = s.begin::<Triple>("occupies").await;
        is_waiting(&s, &third).await;
        s.stage().mark("go");
        for key in [first, second, third] {
            assert_eq!(s.ended(&key).await.status, Status::Completed);
        }
    });
}

#[test]
fn i19_one_that_could_not_begin_while_writes_failed_has_its_place_afterwards() {
    let faults = Faults::default();
    let given = faults.clone();
    let world = World::with(move |settings| settings.faults = given);
    bodies(&world);
    world.run(async |s| {
        let first = s.begin::<Single>("occupies").await;
        s.stage().reached("began", 1).await;
        let next = s.begin::<Single>("tells").await;
        let last = s.begin::<Single>("tells").await;
        faults.set(Fault::Refuse);
        s.stage().mark("go");
        eventually("the failure is seen", async || s.readiness() == quell::Readiness::NoDatabase).await;
        is_waiting(&s, &next).await;
        faults.clear();
        for (key, end) in [(&first, "\"done\""), (&next, "1"), (&last, "2")] {
            assert_eq!(s.ended(key).await.final_value.unwrap().as_str(), end);
        }
    });
}

#[test]
fn i25_after_a_shutdown_a_model_has_its_places_again_and_its_tasks_come_in_order() {
    let world = World::new();
    bodies(&world);
    let (first, waiting) = world.run(async |s| {
        let first = s.begin::<SingleAgain>("occupies").await;
        s.stage().reached("began", 1).await;
        let mut waiting = Vec::new();
        for _ in 0..3 {
            waiting.push(s.begin::<SingleAgain>("tells").await);
        }
        s.shutdown(LONG).await;
        for key in [&first].into_iter().chain(&waiting) {
            is_waiting(&s, key).await;
        }
        (first, waiting)
    });
    world.run(async |s| {
        s.stage().reached("began", 2).await;
        assert_eq!(s.start(request::<Plain>("waits")).await.unwrap().status, Status::Running);
        for key in &waiting {
            is_waiting(&s, key).await;
        }
        s.stage().mark("go");
        s.ended(&first).await;
        for (place, key) in (1..).zip(&waiting) {
            assert_eq!(s.ended(key).await.final_value.unwrap().as_str(), place.to_string());
        }
    });
}

/// For the child: of each model one that runs and two that wait.
#[test]
fn helper_leaves_tasks_that_wait_for_places() {
    let Some(folder) = is_child_of() else { return };
    let world = World::at(&folder);
    bodies(&world);
    world.run(async |s| {
        s.begin::<SingleAgain>("occupies").await;
        s.begin::<Single>("waits").await;
        for _ in 0..2 {
            s.begin::<SingleAgain>("tells").await;
            s.begin::<Single>("occupies").await;
        }
        s.stage().reached("began", 1).await;
        s.stage().reached("waits", 1).await;
        Child::ready(&folder).await;
    });
}

#[test]
fn i13_after_a_kill_each_waits_in_the_line_of_its_model() {
    let folder = tempfile::tempdir().unwrap();
    Child::start("limits::places::helper_leaves_tasks_that_wait_for_places", folder.path()).kill();
    let world = World::at(folder.path());
    bodies(&world);
    world.run(async |s| {
        let key = |model: &str, id: i64| format!("tests/{model}/{id}").parse().unwrap();
        // The one that ran runs again, before those of its model that waited; of the other model the next one does.
        s.stage().reached("began", 2).await;
        let again = s.task(&key("SingleAgain", 1)).await.unwrap();
        assert_eq!((again.status, again.attempt), (Status::Running, 2));
        assert_eq!(s.task(&key("Single", 2)).await.unwrap().failure.unwrap().error_type, "lost");
        assert_eq!(s.task(&key("Single", 4)).await.unwrap().status, Status::Running);
        for waits in [key("SingleAgain", 3), key("SingleAgain", 5), key("Single", 6)] {
            is_waiting(&s, &waits).await;
        }
        let newcomer = s.begin::<Single>("tells").await;
        is_waiting(&s, &newcomer).await;
        s.stage().mark("go");
        for ends in [key("SingleAgain", 1), key("Single", 4), key("SingleAgain", 3), key("SingleAgain", 5)] {
            assert_eq!(s.ended(&ends).await.status, Status::Completed);
        }
        let (before, newcomer) = (s.ended(&key("Single", 6)).await, s.ended(&newcomer).await);
        assert_eq!((before.status, newcomer.status), (Status::Completed, Status::Completed));
        assert!(before.completed_at <= newcomer.started_at, "the newcomer is last");
    });
}
