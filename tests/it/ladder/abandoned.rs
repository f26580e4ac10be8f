//! Bodies that were written off: counted, refused, given back; and the pool around them.

use std::sync::Arc;

use quell::task::{Status, StoppedBy};
use quell::{Readiness, TaskContext};
use serde_json::json;

use crate::support::{Brief, MarkOnDrop, Plain, Stage, World, eventually, stopped_by};

/// Bodies of both kinds that keep their thread until they are released, and then still have something to say.
fn sticks(world: &World) {
    world.body("sticks", |ctx, stage| async move {
        stage.mark("stuck");
        stage.wait_blocking("released");
        stage.mark(if ctx.send_event("late", &()).await.is_err() { "refused" } else { "accepted" });
        Ok(json!("late"))
    });
    world.blocking("sticks", |ctx, stage| {
        stage.mark("stuck");
        stage.wait_blocking("released");
        stage.mark(if ctx.send_event_blocking("late", &()).is_err() { "refused" } else { "accepted" });
        Ok(json!("late"))
    });
    world.body("works", |_, _| async { Ok(json!("worked")) });
}

#[test]
fn i07_an_abandoned_body_is_counted_what_it_says_later_is_refused_and_its_thread_given_back() {
    World::with(|settings| settings.body_threads = 2).run(async |s| {
        sticks(&s.world);
        let keys = [s.begin::<Brief>("sticks").await, s.begin_blocking::<Brief>("sticks").await];
        s.stage().reached("stuck", 2).await;
        let mut rows = Vec::new();
        for key in &keys {
            assert_eq!(stopped_by(&s.stop(key, "enough").await), StoppedBy::Abandoned);
            rows.push(s.task(key).await.unwrap());
        }
        let status = s.pool_status();
        assert_eq!((status.abandoned_async, status.abandoned_blocking, status.abandoned_threads), (1, 1, 2));
        assert_eq!((status.late_events, status.late_results), (0, 0));
        s.stage().mark("released");
        s.stage().reached("refused", 2).await;
        eventually("the threads are given back", async || s.pool_status().abandoned_threads == 0).await;
        eventually("the pool has its base number of threads", async || s.pool_status().body_threads == 2)
            .await;
        let status = s.pool_status();
        assert_eq!((status.abandoned_async, status.abandoned_blocking), (1, 1), "these only grow");
        assert_eq!((status.late_events, status.late_results), (2, 2));
        for (key, row) in keys.iter().zip(rows) {
            assert_eq!(s.task(key).await.unwrap(), row, "I-1");
            assert_eq!(s.kinds(key).await, ["running", "cancellation_requested", "cancelled"]);
        }
    });
}

#[test]
fn i21_more_endless_bodies_than_threads_hold_up_nobody() {
    World::with(|settings| settings.body_threads = 2).run(async |s| {
        sticks(&s.world);
        let mut stuck = Vec::new();
        for _ in 0..8 {
            stuck.push(s.begin::<Plain>("sticks").await);
        }
        s.stage().reached("stuck", 8).await;
        for _ in 0..20 {
            let key = s.begin::<Plain>("works").await;
            assert_eq!(s.ended(&key).await.status, Status::Completed);
        }
        assert!(s.pool_status().body_threads > 8, "{:?}", s.pool_status());
        assert_eq!(s.readiness(), Readiness::Ready);
        s.stage().mark("released");
        for key in &stuck {
            assert_eq!(s.ended(key).await.status, Status::Completed);
        }
        eventually("the pool shrinks", async || s.pool_status().body_threads == 2).await;
    });
}

#[test]
fn at_the_thread_limit_it_is_not_ready_until_a_body_returns() {
    let bounded = World::with(|settings| (settings.body_threads, settings.max_body_threads) = (1, 2));
    bounded.run(async |s| {
        sticks(&s.world);
        let stuck = [s.begin::<Brief>("sticks").await, s.begin::<Brief>("sticks").await];
        s.stage().reached("stuck", 2).await;
        eventually("it is not ready", async || s.readiness() == Readiness::PoolFull).await;
        // Starts and cancels go on; what cannot begin is told so.
        let waiting = s.begin::<Brief>("works").await;
        assert_eq!(stopped_by(&s.stop(&waiting, "enough").await), StoppedBy::NeverStarted);
        for key in &stuck {
            assert_eq!(stopped_by(&s.stop(key, "enough").await), StoppedBy::Abandoned);
        }
        s.stage().mark("released");
        eventually("it is ready again", async || s.readiness() == Readiness::Ready).await;
        let key = s.begin::<Plain>("works").await;
        assert_eq!(s.ended(&key).await.status, Status::Completed);
    });
}

#[test]
fn lost_blocking_threads_are_replaced_and_past_the_bound_it_is_not_ready() {
    let bounded = World::with(|settings| (settings.max_blocking, settings.max_body_threads) = (1, 1));
    bounded.run(async |s| {
        sticks(&s.world);
        for number in 1..=2 {
            assert_eq!(s.readiness(), Readiness::Ready);
            let key = s.begin_blocking::<Brief>("sticks").await;
            s.stage().reached("stuck", number).await;
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Abandoned);
        }
        eventually("it is not ready", async || s.readiness() == Readiness::PoolFull).await;
        s.stage().mark("released");
        eventually("it is ready again", async || s.readiness() == Readiness::Ready).await;
    });
}

#[test]
fn a_written_off_body_that_never_began_is_no_lost_thread() {
    let bounded = World::with(|settings| (settings.body_threads, settings.max_body_threads) = (1, 1));
    bounded.run(async |s| {
        sticks(&s.world);
        let stage = Arc::clone(&s.stage());
        s.begin::<Plain>("sticks").await;
        stage.reached("stuck", 1).await;
        let waiting = s.begin::<Brief>("works").await;
        assert_eq!(stopped_by(&s.stop(&waiting, "enough").await), StoppedBy::NeverStarted);
        let status = s.pool_status();
        assert_eq!((status.abandoned_async, status.abandoned_threads), (0, 0));
        stage.mark("released");
        eventually("it is ready", async || s.readiness() == Readiness::Ready).await;
        assert_eq!(s.pool_status().late_results, 0);
    });
}

#[test]
fn i07_what_is_spawned_for_a_task_that_is_over_does_not_run_on() {
    World::with(|settings| settings.body_threads = 2).run(async |s| {
        let spawn = |ctx: &TaskContext, stage: &Arc<Stage>, name| {
            let gone = MarkOnDrop(Arc::clone(stage), name);
            ctx.spawn(async move {
                let _gone = gone;
                std::future::pending::<()>().await;
            });
        };
        s.world.body("sticks", move |ctx, stage| async move {
            stage.mark("stuck");
            stage.wait_blocking("written off");
            spawn(&ctx, &stage, "gone while it is stuck");
            stage.mark("spawned");
            stage.wait_blocking("released");
            Ok(json!(null))
        });
        s.world.body("leaves", move |ctx, stage| async move {
            std::thread::spawn(move || {
                stage.wait_blocking("over");
                spawn(&ctx, &stage, "gone when it is over");
            });
            Ok(json!(null))
        });
        let key = s.begin::<Brief>("sticks").await;
        s.stage().reached("stuck", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Abandoned);
        s.stage().mark("written off");
        s.stage().reached("spawned", 1).await;
        s.stage().reached("gone while it is stuck", 1).await;
        s.stage().mark("released");
        let key = s.begin::<Brief>("leaves").await;
        assert_eq!(s.ended(&key).await.status, Status::Completed);
        s.stage().mark("over");
        s.stage().reached("gone when it is over", 1).await;
    });
}
