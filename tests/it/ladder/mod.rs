//! The ladder from outside: grace, shield, dropped, itself, abandoned; blocking bodies; children; interrupts.

mod abandoned;
mod cleanup;
mod interrupt;
mod panics;
mod shield;
mod waits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use quell::task::{Cause, Status, StoppedBy};
use serde_json::json;

use crate::support::{
    Brief, Graced, MarkOnDrop, Patient, Plain, Session, World, eventually, sent, stop_of, stopped_by,
};

/// A body that never ends and never looks; its future marks `gone` when it is dropped.
fn waits(world: &World) {
    world.body("waits", |_, stage| async move {
        let _gone = MarkOnDrop(Arc::clone(&stage), "gone");
        stage.mark("began");
        std::future::pending().await
    });
}

#[test]
fn i06_a_body_without_grace_is_dropped_at_its_await_and_is_gone_when_the_answer_comes() {
    World::new().run(async |s| {
        waits(&s.world);
        let key = s.begin::<Plain>("waits").await;
        s.stage().reached("began", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped);
        assert_eq!(s.stage().count("gone"), 1);
        assert_eq!(s.kinds(&key).await, ["running", "cancellation_requested", "cancelled"]);
        let event = s.data(&key, "cancelled").await;
        assert_eq!(event["message"], "Task was cancelled");
        assert_eq!(event["stopped_by"], "dropped");
    });
}

#[test]
fn a_body_that_stops_within_its_grace_stopped_itself() {
    World::new().run(async |s| {
        s.world.body("obeys", |ctx, stage| async move {
            stage.mark("began");
            loop {
                ctx.check_cancellation()?;
                tokio::task::yield_now().await;
            }
        });
        let key = s.begin::<Patient>("obeys").await;
        s.stage().reached("began", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself);
        assert_eq!(s.task(&key).await.unwrap().failure, None);
    });
}

#[test]
fn i07_a_body_that_ignores_its_grace_is_told_first_and_dropped_after_it() {
    World::new().run(async |s| {
        s.world.body("ignores", |ctx, stage| async move {
            let _gone = MarkOnDrop(Arc::clone(&stage), "gone");
            ctx.cancelled().await;
            stage.mark("told");
            std::future::pending().await
        });
        let key = s.begin::<Graced>("ignores").await;
        let began = Instant::now();
        let cancel = sent(s.stop(&key, "enough"));
        s.stage().reached("told", 1).await;
        assert_eq!(stopped_by(&cancel.await), StoppedBy::Dropped);
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(150), "the grace was cut to {took:?}");
        assert!(took < Duration::from_millis(450 + 1_000), "it took {took:?}");
        assert_eq!(s.stage().count("gone"), 1);
    });
}

#[test]
fn i07_a_body_that_never_yields_is_written_off_in_time_and_the_answer_says_so() {
    World::new().run(async |s| {
        s.world.body("spins", |_, stage| async move {
            let _gone = MarkOnDrop(Arc::clone(&stage), "gone");
            stage.mark("began");
            stage.wait_blocking("released");
            Ok(json!("late"))
        });
        let key = s.begin::<Brief>("spins").await;
        s.stage().reached("began", 1).await;
        let began = Instant::now();
        let receipt = s.stop(&key, "enough").await;
        let took = began.elapsed();
        assert_eq!(stopped_by(&receipt), StoppedBy::Abandoned);
        assert!(took < Duration::from_millis(300 + 1_000), "it took {took:?}");
        let record = s.task(&key).await.unwrap();
        assert_eq!(stop_of(&record), ("enough", Cause::User, StoppedBy::Abandoned));
        assert_eq!((record.status, record.cleanup), (Status::Cancelled, None));
        assert_eq!(s.stage().count("gone"), 0, "the body still runs, and the row says so");
        s.stage().mark("released");
        s.stage().reached("gone", 1).await;
        assert_eq!(s.task(&key).await.unwrap(), record);
    });
}

#[test]
fn i21_other_bodies_go_on_while_one_never_yields() {
    World::new().run(async |s| {
        s.world.body("spins", |_, stage| async move {
            stage.mark("spinning");
            stage.wait_blocking("released");
            Ok(().into())
        });
        s.world.body("works", |ctx, _| async move {
            for step in 0..20 {
                ctx.send_event("progress", &step).await?;
                tokio::task::yield_now().await;
            }
            Ok(json!("done"))
        });
        for _ in 0..3 {
            s.begin::<Brief>("spins").await;
        }
        s.stage().reached("spinning", 3).await;
        let mut workers = Vec::new();
        for _ in 0..20 {
            workers.push(s.begin::<Plain>("works").await);
        }
        for key in &workers {
            assert_eq!(s.ended(key).await.status, Status::Completed);
        }
        s.stage().mark("released");
    });
}

#[test]
fn the_live_status_names_the_rung() {
    World::new().run(async |s| {
        s.world.body("lingers", |ctx, stage| async move {
            ctx.cancelled().await;
            stage.mark("told");
            stage.wait("go").await;
            Ok(().into())
        });
        let key = s.begin::<Patient>("lingers").await;
        let status = s.status(&key).await.unwrap();
        assert_eq!(status.rung, Some("running"));
        assert!(status.last_sign_of_life.is_some());
        let cancel = sent(s.stop(&key, "enough"));
        s.stage().reached("told", 1).await;
        assert_eq!(s.status(&key).await.unwrap().rung, Some("grace"));
        s.stage().mark("go");
        cancel.await;
        eventually("the task is forgotten", async || s.status(&key).await.unwrap().rung.is_none()).await;
    });
}

/// Blocking bodies of the kinds that there are.
fn blocking_bodies(world: &World) {
    world.blocking("looks", |ctx, stage| {
        stage.mark("began");
        while !ctx.should_stop() {
            std::thread::yield_now();
        }
        Ok(json!("stopped"))
    });
    world.blocking("checks", |ctx, stage| {
        stage.mark("began");
        loop {
            ctx.check_cancellation()?;
            std::thread::yield_now();
        }
    });
    world.blocking("never_looks", |ctx, stage| {
        stage.mark("began");
        stage.wait_blocking("released");
        stage.mark(if ctx.send_event_blocking("late", &()).is_err() { "refused" } else { "accepted" });
        Ok(json!("late"))
    });
    world.blocking("works", |ctx, _| {
        ctx.send_event_blocking("progress", &json!({ "bytes": 7 }))?;
        Ok(json!("worked"))
    });
    world.blocking("panics", |_, _| panic!("as asked"));
}

#[test]
fn a_blocking_body_runs_fails_and_stops_by_its_checks() {
    World::new().run(async |s| {
        blocking_bodies(&s.world);
        let works = s.begin_blocking::<Plain>("works").await;
        assert_eq!(s.ended(&works).await.final_value.unwrap().as_str(), r#""worked""#);
        assert_eq!(s.kinds(&works).await, ["running", "progress", "completed"]);
        let panics = s.begin_blocking::<Plain>("panics").await;
        assert_eq!(s.ended(&panics).await.failure.unwrap().error_type, "panic");
        for (number, body) in ["looks", "checks"].into_iter().enumerate() {
            let key = s.begin_blocking::<Plain>(body).await;
            s.stage().reached("began", u64::try_from(number).unwrap() + 1).await;
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself, "{body}");
            let kept = s.task(&key).await.unwrap().final_value.is_some();
            assert_eq!(kept, body == "looks");
        }
    });
}

#[test]
fn i07_a_blocking_body_that_never_looks_is_written_off() {
    World::new().run(async |s| {
        blocking_bodies(&s.world);
        let key = s.begin_blocking::<Brief>("never_looks").await;
        s.stage().reached("began", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Abandoned);
        s.stage().mark("released");
        s.stage().reached("refused", 1).await;
        assert_eq!(s.kinds(&key).await, ["running", "cancellation_requested", "cancelled"]);
    });
}

#[test]
fn a_blocking_body_that_waits_for_a_thread_is_withdrawn_by_a_cancel() {
    World::with(|settings| settings.max_blocking = 1).run(async |s| {
        blocking_bodies(&s.world);
        let first = s.begin_blocking::<Plain>("looks").await;
        s.stage().reached("began", 1).await;
        let second = s.begin_blocking::<Plain>("looks").await;
        assert_eq!(stopped_by(&s.stop(&second, "enough").await), StoppedBy::NeverStarted);
        s.stop(&first, "enough").await;
        assert_eq!(s.stage().count("began"), 1, "the second one never began");
    });
}

#[test]
fn i06_the_children_of_a_body_are_gone_before_it_is_cancelled() {
    World::new().run(async |s| {
        s.world.body("parent", |ctx, stage| async move {
            for _ in 0..8 {
                let (child, stage) = (ctx.clone(), Arc::clone(&stage));
                ctx.spawn(async move {
                    let _gone = MarkOnDrop(Arc::clone(&stage), "child gone");
                    stage.mark("child began");
                    let grandchild = MarkOnDrop(Arc::clone(&stage), "child gone");
                    child.spawn(async move {
                        let _gone = grandchild;
                        std::future::pending::<()>().await;
                    });
                    std::future::pending::<()>().await;
                });
            }
            std::future::pending().await
        });
        let key = s.begin::<Plain>("parent").await;
        s.stage().reached("child began", 8).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped);
        assert_eq!(s.stage().count("child gone"), 16);
    });
}

#[test]
fn the_children_of_a_body_that_returns_are_gone_before_it_is_completed() {
    World::new().run(async |s| {
        s.world.body("parent", |ctx, stage| async move {
            let gone = MarkOnDrop(Arc::clone(&stage), "child gone");
            ctx.spawn(async move {
                let _gone = gone;
                std::future::pending::<()>().await;
            });
            Ok(json!("done"))
        });
        let key = s.begin::<Plain>("parent").await;
        assert_eq!(s.ended(&key).await.status, Status::Completed);
        assert_eq!(s.stage().count("child gone"), 1);
    });
}

#[test]
fn a_child_that_never_yields_is_part_of_its_body_and_is_written_off_with_it() {
    World::new().run(async |s| {
        s.world.body("parent", |ctx, stage| async move {
            let child = Arc::clone(&stage);
            ctx.spawn(async move {
                child.mark("spinning");
                child.wait_blocking("released");
            });
            std::future::pending().await
        });
        let key = s.begin::<Brief>("parent").await;
        s.stage().reached("spinning", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Abandoned);
        s.stage().mark("released");
        still_works(&s).await;
    });
}

/// The runtime still runs and stops tasks.
async fn still_works(s: &Session) {
    waits(&s.world);
    let key = s.begin::<Plain>("waits").await;
    assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped);
}
