//! The limit for one owner: exact, and each place comes back.

use futures_util::future::join_all;
use quell::task::{Status, TaskKey};
use quell::{StartError, StartOutcome, StartRequest};

use crate::support::{OWNER, Plain, Session, World, eventually, request};

fn world(per_owner: usize, max_running: usize) -> World {
    let world = World::with(|settings| {
        settings.max_running_per_owner = Some(per_owner);
        settings.max_running = max_running;
    });
    world.body("waits", |_, _| std::future::pending());
    world.body("returns", |_, _| async { Ok(().into()) });
    world
}

fn of(owner: &str) -> StartRequest {
    StartRequest { owner: owner.into(), ..request::<Plain>("waits") }
}

/// How many more the owner may have: they are started, and stopped again.
async fn room(s: &Session) -> usize {
    let mut keys: Vec<TaskKey> = Vec::new();
    loop {
        match s.start(request::<Plain>("waits")).await {
            Ok(record) => keys.push(record.key),
            Err(StartError::TooManyOfOwner(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    for key in &keys {
        s.stop(key, "it was only asked").await;
    }
    keys.len()
}

#[test]
fn i31_of_200_parallel_starts_exactly_as_many_as_the_limit_are_accepted() {
    world(50, 20).run(async |s| {
        let starts = (0..200).map(|number| {
            let request = request::<Plain>("waits");
            let s = &s;
            // Both ways to make a row share the limit.
            async move { if number % 3 == 0 { s.create(request).await } else { s.start(request).await } }
        });
        let (made, refused): (Vec<_>, Vec<_>) = join_all(starts).await.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), refused.len()), (50, 150));
        assert!(refused.iter().all(|refused| matches!(refused, Err(StartError::TooManyOfOwner(50)))));
        assert_eq!(s.start(of("bob")).await.unwrap().status, Status::Pending);
        assert_eq!(room(&s).await, 0);
    });
}

#[test]
fn i31_a_place_comes_back_whichever_way_its_task_goes() {
    world(3, 1).run(async |s| {
        let runs = s.begin::<Plain>("waits").await;
        let waits = s.begin::<Plain>("waits").await;
        let created = s.create(request::<Plain>("waits")).await.unwrap().key;
        assert_eq!(room(&s).await, 0);
        for key in [&waits, &created] {
            s.stop(key, "enough").await;
            assert_eq!(room(&s).await, 1, "{key} was cancelled while it was pending");
            s.create(request::<Plain>("waits")).await.unwrap();
        }
        s.stop(&runs, "enough").await;
        assert_eq!(room(&s).await, 1);
    });
}

#[test]
fn i31_whoever_waited_for_an_end_finds_the_place_free() {
    world(1, 10).run(async |s| {
        for _ in 0..100 {
            let key = s.start(request::<Plain>("returns")).await.unwrap().key;
            assert_eq!(s.ended(&key).await.status, Status::Completed);
        }
        // A cancel is answered by the thread that wrote the end, not by the coordinator.
        for _ in 0..300 {
            let key = s.start(request::<Plain>("waits")).await.unwrap().key;
            s.stop(&key, "enough").await;
        }
        let left = s.create(request::<Plain>("waits")).await.unwrap().key;
        for _ in 0..20 {
            s.stop(&left, "enough").await;
            assert_eq!(room(&s).await, 1);
        }
    });
}

#[test]
fn a_task_that_was_created_is_started_though_its_owner_has_as_many_as_may_be() {
    world(2, 1).run(async |s| {
        let first = s.create(request::<Plain>("waits")).await.unwrap().key;
        let second = s.create(request::<Plain>("waits")).await.unwrap().key;
        for key in [&first, &second] {
            assert!(matches!(s.start_task(key, None).await.unwrap(), StartOutcome::Started(_)));
            assert_eq!(room(&s).await, 0);
        }
        s.stop(&first, "enough").await;
        eventually("the second one runs", async || s.task(&second).await.unwrap().status == Status::Running)
            .await;
        s.stop(&second, "enough").await;
        assert_eq!(room(&s).await, 2);
    });
}

#[test]
fn i31_the_counts_are_those_of_the_rows_after_a_restart() {
    let world = world(6, 1);
    let (waits, created) = world.run(async |s| {
        s.begin::<Plain>("waits").await;
        let waits = s.begin::<Plain>("waits").await;
        let created = s.create(request::<Plain>("waits")).await.unwrap().key;
        s.create(of("bob")).await.unwrap();
        (waits, created)
    });
    // The one that ran went down with the runtime; one that waited and one that was created are left.
    world.run(async |s| {
        assert_eq!(s.task(&created).await.unwrap().owner.as_ref(), OWNER);
        assert_eq!(room(&s).await, 4);
        for (key, left) in [(&created, 5), (&waits, 6)] {
            s.stop(key, "enough").await;
            assert_eq!(room(&s).await, left);
        }
    });
}

#[test]
fn without_the_setting_an_owner_has_no_limit() {
    World::new().run(async |s| {
        s.world.body("waits", |_, _| std::future::pending());
        let starts = join_all((0..1_200).map(|_| s.start(request::<Plain>("waits")))).await;
        assert!(starts.iter().all(Result::is_ok));
    });
}
