//! Idle timeouts: what is a sign of life, and what is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use quell::task::{Cause, Status, StoppedBy, TaskKey, Timestamp};
use quell::{Clock, StartRequest, SystemClock, TaskContext};
use serde_json::json;

use crate::support::{
    Again, Hold, Patient, Plain, Session, World, blocking_request, eventually, request, seconds, stop_of,
};

/// So long that a body that gives signs is not taken for idle on a busy machine.
const LONG: f64 = 2.0;

/// A step of a body that is alive.
const STEP: Duration = Duration::from_millis(20);

async fn begin(s: &Session, request: StartRequest, idle: f64) -> TaskKey {
    s.start(request.idle_timeout(seconds(idle))).await.unwrap().key
}

async fn cause(s: &Session, key: &TaskKey) -> Cause {
    s.ended(key).await.cancel.unwrap().cause
}

/// Ends when a task that is silent for twice [`LONG`] has: whatever should have been idle meanwhile has ended too.
async fn long_enough(s: &Session) {
    let clock = s.start(request::<Plain>("silent").timeout(seconds(LONG * 2.0))).await.unwrap().key;
    assert_eq!(cause(s, &clock).await, Cause::Timeout);
}

fn world() -> World {
    let world = World::new();
    world.body("silent", |_, _| std::future::pending());
    world
}

#[test]
fn a_silent_body_is_stopped_by_the_same_ladder() {
    world().run(async |s| {
        let key = begin(&s, request::<Plain>("silent"), 1.0).await;
        let record = s.ended(&key).await;
        assert_eq!(stop_of(&record), ("Idle for 1s", Cause::Idle, StoppedBy::Dropped));
        assert_eq!((record.status, record.cancel.as_ref().unwrap().by.as_deref()), (Status::Cancelled, None));
        let ran = record.completed_at.unwrap().micros_since(record.started_at.unwrap());
        assert!(ran >= 900_000, "{ran} µs: too early, and the wall clock is nobody's to set here");
        assert_eq!(s.kinds(&key).await, ["running", "timeout", "cancellation_requested", "cancelled"]);
        assert_eq!(s.data(&key, "timeout").await, json!({ "message": "Task was idle for 1 seconds" }));

        s.world.body("returns", |ctx, _| async move { Ok(json!(ctx.cancelled().await.cause)) });
        let key = begin(&s, request::<Patient>("returns"), 0.1).await;
        let record = s.ended(&key).await;
        assert_eq!(stop_of(&record), ("Idle for 0.1s", Cause::Idle, StoppedBy::Itself));
        assert_eq!(record.final_value.unwrap().as_str(), "\"idle\"");
    });
}

#[test]
fn checks_sleeps_and_waits_are_no_signs_of_life() {
    world().run(async |s| {
        s.world.body("sleeps", |ctx, _| async move {
            loop {
                ctx.check_cancellation()?;
                ctx.sleep(Duration::from_millis(5)).await?;
            }
        });
        s.world
            .body("waits for a signal", |ctx, _| async move { Ok(ctx.signal("go").await?.data.to_value()?) });
        s.world.blocking("looks", |ctx, _| {
            while !ctx.should_stop() {
                std::thread::yield_now();
            }
            Ok(().into())
        });
        let keys = [
            begin(&s, request::<Plain>("sleeps"), 0.2).await,
            begin(&s, request::<Plain>("waits for a signal"), 0.2).await,
            begin(&s, blocking_request::<Patient>("looks"), 0.2).await,
        ];
        for key in keys {
            assert_eq!(cause(&s, &key).await, Cause::Idle);
        }
    });
}

#[test]
fn events_and_heartbeats_are_signs_of_life_of_each_kind_of_body() {
    world().run(async |s| {
        async fn steps(ctx: &TaskContext) -> Result<(), quell::TaskError> {
            Ok(ctx.sleep(STEP).await?)
        }
        s.world.body("beats", |ctx, _| async move {
            loop {
                ctx.heartbeat();
                steps(&ctx).await?;
            }
        });
        s.world.body("sends", |ctx, _| async move {
            loop {
                ctx.send_event("progress", &1).await?;
                steps(&ctx).await?;
            }
        });
        s.world.blocking("beats", |ctx, stage| {
            while !ctx.should_stop() {
                ctx.heartbeat();
                stage.mark("beat");
                std::thread::yield_now();
            }
            Ok(().into())
        });
        let keys = [
            begin(&s, request::<Plain>("beats"), LONG).await,
            begin(&s, request::<Plain>("sends"), LONG).await,
            begin(&s, blocking_request::<Patient>("beats"), LONG).await,
        ];
        long_enough(&s).await;
        for key in keys {
            let status = s.status(&key).await.unwrap();
            assert_eq!((status.record.status, status.rung), (Status::Running, Some("running")));
            assert!(status.last_sign_of_life.unwrap() > status.record.started_at.unwrap());
            assert_eq!(stop_of_by_hand(&s, &key).await, Cause::User);
        }
    });
}

async fn stop_of_by_hand(s: &Session, key: &TaskKey) -> Cause {
    s.stop(key, "enough").await;
    cause(s, key).await
}

#[test]
fn a_body_that_falls_silent_later_is_idle_from_its_last_sign_on() {
    world().run(async |s| {
        s.world.body("falls silent", |ctx, stage| async move {
            for _ in 0..20 {
                ctx.send_event("progress", &1).await?;
                ctx.sleep(STEP).await?;
            }
            stage.mark("silent");
            std::future::pending().await
        });
        let key = begin(&s, request::<Plain>("falls silent"), LONG).await;
        let record = s.ended(&key).await;
        assert_eq!((s.stage().count("silent"), record.cancel.as_ref().unwrap().cause), (1, Cause::Idle));
        let last =
            s.events(&key).await.unwrap().iter().rfind(|event| event.kind.as_str() == "progress").unwrap().at;
        assert!(record.completed_at.unwrap().micros_since(last) >= 1_900_000);
    });
}

#[test]
fn a_body_that_waits_for_the_database_is_not_idle() {
    world().run(async |s| {
        s.world.body("floods", |ctx, stage| async move {
            stage.wait("go").await;
            // More than its window: it waits until the writer goes on.
            for number in 0..600 {
                ctx.send_event("progress", &number).await?;
            }
            Ok(().into())
        });
        let floods = begin(&s, request::<Plain>("floods"), LONG).await;
        let silent = begin(&s, request::<Plain>("silent"), LONG * 2.0).await;
        let hold = Hold::writer(&s).await;
        s.stage().mark("go");
        eventually("the silent one is stopped", async || {
            s.status(&silent).await.unwrap().rung != Some("running")
        })
        .await;
        assert_eq!(s.status(&floods).await.unwrap().rung, Some("running"));
        drop(hold);
        assert_eq!(s.ended(&floods).await.status, Status::Completed);
        assert_eq!(cause(&s, &silent).await, Cause::Idle);
    });
}

#[test]
fn a_blocking_body_that_waits_for_a_thread_is_not_idle() {
    let world = World::with(|settings| settings.max_blocking = 1);
    world.body("silent", |_, _| std::future::pending());
    world.blocking("occupies", |_, stage| {
        stage.wait_blocking("go");
        Ok(().into())
    });
    world.blocking("silent", |ctx, _| {
        while !ctx.should_stop() {
            std::thread::yield_now();
        }
        Ok(().into())
    });
    world.run(async |s| {
        s.begin_blocking::<Plain>("occupies").await;
        let waits = begin(&s, blocking_request::<Patient>("silent"), LONG / 2.0).await;
        long_enough(&s).await;
        assert_eq!(s.status(&waits).await.unwrap().rung, Some("running"));
        s.stage().mark("go");
        assert_eq!(cause(&s, &waits).await, Cause::Idle);
    });
}

#[test]
fn each_attempt_counts_by_itself_after_a_restart() {
    let world = world();
    let key = world.run(async |s| begin(&s, request::<Again>("silent"), LONG).await);
    // It went back to wait, and begins again: its idle time begins anew, and is that of its row.
    world.run(async |s| {
        let record = s.ended(&key).await;
        assert_eq!(
            (record.cancel.as_ref().unwrap().cause, record.idle_timeout),
            (Cause::Idle, Some(seconds(LONG)))
        );
        assert_eq!(s.kinds(&key).await.iter().filter(|kind| *kind == "running").count(), 2);
    });
}

#[derive(Default)]
struct Jumping(AtomicI64);

impl Clock for Jumping {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.wall().as_micros() + self.0.load(Ordering::SeqCst))
    }
}

#[test]
fn i15_a_jump_of_the_wall_clock_makes_nobody_idle_and_keeps_nobody_alive() {
    let clock = Arc::new(Jumping::default());
    let theirs = Arc::clone(&clock);
    let world = World::with(move |settings| settings.clock = theirs);
    world.body("silent", |_, _| std::future::pending());
    world.run(async |s| {
        for jump in [36_000_000_000, -36_000_000_000] {
            let patient = begin(&s, request::<Plain>("silent"), 3_000.0).await;
            let silent = begin(&s, request::<Plain>("silent"), 0.2).await;
            clock.0.store(jump, Ordering::SeqCst);
            assert_eq!(cause(&s, &silent).await, Cause::Idle);
            assert_eq!(s.task(&patient).await.unwrap().status, Status::Running);
        }
    });
}
