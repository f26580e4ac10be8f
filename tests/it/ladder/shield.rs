//! A shielded section ends although its task was asked to stop, bounded by the grace.

use std::time::Duration;

use quell::task::{Cause, Status, StoppedBy};
use serde_json::json;

use crate::support::{Brief, Graced, MarkOnDrop, Patient, World, seconds, sent, stopped_by};

/// A body whose shielded section uses everything that errs once the task is asked to stop.
fn shielded(world: &World) {
    world.body("shielded", |ctx, stage| async move {
        let done = ctx
            .shield(async {
                stage.mark("began");
                stage.wait("asked").await;
                assert_eq!(ctx.cancel_cause(), Some(Cause::User));
                assert!(!ctx.is_cancellation_requested() && !ctx.should_stop());
                ctx.check_cancellation()?;
                ctx.sleep(Duration::from_millis(5)).await?;
                assert!(ctx.signal_within("none", Duration::from_millis(1)).await?.is_none());
                ctx.progress_iter([1]).await?;
                let whole = tokio::select! {
                    biased;
                    _ = ctx.cancelled() => "cut short",
                    () = tokio::time::sleep(Duration::from_millis(5)) => "whole",
                };
                Ok::<_, quell::TaskError>(whole)
            })
            .await?;
        stage.mark(done);
        ctx.sleep(Duration::from_secs(3_600)).await?;
        Ok(json!("not reached"))
    });
}

#[test]
fn a_shielded_section_ends_although_the_task_is_asked_and_then_the_body_errs() {
    World::new().run(async |s| {
        shielded(&s.world);
        let key = s.begin::<Patient>("shielded").await;
        s.stage().reached("began", 1).await;
        let stop = sent(s.stop(&key, "enough"));
        crate::support::eventually("it is asked", async || s.task(&key).await.unwrap().cancel.is_some())
            .await;
        s.stage().mark("asked");
        assert_eq!(stopped_by(&stop.await), StoppedBy::Itself);
        assert_eq!(s.stage().count("whole"), 1);
        let record = s.task(&key).await.unwrap();
        assert_eq!((record.status, record.failure, record.final_value), (Status::Cancelled, None, None));
        assert!(s.kinds(&key).await.contains(&"progress".to_owned()));
    });
}

#[test]
fn a_section_that_begins_after_the_ask_is_shielded_too() {
    World::new().run(async |s| {
        s.world.body("late", |ctx, stage| async move {
            stage.mark("began");
            ctx.cancelled().await;
            let slept = ctx.shield(ctx.sleep(Duration::from_millis(5))).await;
            stage.mark(if slept.is_ok() { "slept" } else { "woken" });
            ctx.check_cancellation()?;
            Ok(json!("not reached"))
        });
        let key = s.begin::<Patient>("late").await;
        s.stage().reached("began", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself);
        assert_eq!(s.stage().count("slept"), 1);
    });
}

#[test]
fn the_shield_ends_with_the_grace_and_without_a_grace_at_once() {
    World::new().run(async |s| {
        s.world.body("too long", |ctx, stage| async move {
            let _gone = MarkOnDrop(stage.clone(), "gone");
            ctx.shield(async {
                stage.mark("began");
                std::future::pending::<()>().await;
            })
            .await;
            Ok(json!("not reached"))
        });
        for (number, graced) in [(1, true), (2, false)] {
            let key =
                if graced { s.begin::<Graced>("too long").await } else { s.begin::<Brief>("too long").await };
            s.stage().reached("began", number).await;
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped);
            assert_eq!(s.stage().count("gone"), number);
            let record = s.task(&key).await.unwrap();
            let asked = record.cancel.unwrap().at;
            let took = record.cancelled_at.unwrap().micros_since(asked);
            assert_eq!(took >= 150_000, graced, "{took} µs");
        }
    });
}

#[test]
fn a_timeout_leaves_a_shielded_section_its_grace_too() {
    World::new().run(async |s| {
        s.world.body("timed", |ctx, stage| async move {
            ctx.shield(async {
                while ctx.cancel_cause().is_none() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
            .await;
            stage.mark("whole");
            ctx.check_cancellation()?;
            Ok(json!("not reached"))
        });
        let request = crate::support::request::<Patient>("timed").timeout(seconds(0.05));
        let key = s.start(request).await.unwrap().key;
        let record = s.ended(&key).await;
        assert_eq!(record.stopped_by, Some(StoppedBy::Itself));
        assert_eq!((record.cancel.unwrap().cause, s.stage().count("whole")), (Cause::Timeout, 1));
    });
}

#[test]
fn a_panic_in_a_shielded_section_leaves_no_shield_behind() {
    World::with(|settings| settings.body_threads = 1).run(async |s| {
        s.world.body("panics", |ctx, _| async move {
            ctx.shield(async { panic!("as asked") }).await;
            Ok(json!("not reached"))
        });
        s.world.body("caught", |ctx, stage| async move {
            use futures_util::FutureExt;
            let shield = std::panic::AssertUnwindSafe(ctx.shield(async { panic!("as asked") }));
            let _: Result<(), _> = shield.catch_unwind().await;
            stage.mark("began");
            ctx.cancelled().await;
            ctx.check_cancellation()?;
            Ok(json!("not reached"))
        });
        let key = s.begin::<Patient>("panics").await;
        assert_eq!(s.ended(&key).await.failure.unwrap().error_type, "panic");
        let key = s.begin::<Patient>("caught").await;
        s.stage().reached("began", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself);
    });
}
