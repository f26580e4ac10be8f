//! What a body waits for ends when it is asked to stop, and a body can ask itself.

use std::time::Duration;

use futures_util::StreamExt;
use quell::TaskError;
use quell::task::{Cause, Status, StoppedBy};
use serde_json::json;

use crate::support::{Patient, Plain, World, stop_of, stopped_by};

const HOUR: Duration = Duration::from_secs(3_600);

/// Bodies that wait in each way that the context offers.
fn waiting_bodies(world: &World) -> [&'static str; 6] {
    world.body("sleep", |ctx, stage| async move {
        stage.mark("waits");
        ctx.sleep(HOUR).await?;
        Ok(json!("not reached"))
    });
    world.body("cancelled", |ctx, stage| async move {
        stage.mark("waits");
        let cancelled = ctx.cancelled().await;
        assert_eq!((&*cancelled.reason, cancelled.cause), ("enough", Cause::User));
        Err(cancelled.into())
    });
    world.body("signal", |ctx, stage| async move {
        stage.mark("waits");
        ctx.signal("never").await?;
        Ok(json!("not reached"))
    });
    world.body("signal_within", |ctx, stage| async move {
        stage.mark("waits");
        ctx.signal_within("never", HOUR).await?;
        Ok(json!("not reached"))
    });
    world.body("progress_stream", |ctx, stage| async move {
        let two_and_no_more = futures_util::stream::iter([1, 2]).chain(futures_util::stream::pending());
        stage.mark("waits");
        ctx.progress_stream(two_and_no_more).await?;
        Ok(json!("not reached"))
    });
    world.body("progress_iter", |ctx, stage| async move {
        stage.mark("waits");
        ctx.progress_iter(1..).await?;
        Ok(json!("not reached"))
    });
    ["sleep", "cancelled", "signal", "signal_within", "progress_stream", "progress_iter"]
}

#[test]
fn every_wait_of_a_body_ends_when_it_is_asked_to_stop() {
    World::new().run(async |s| {
        for (number, body) in (1..).zip(waiting_bodies(&s.world)) {
            let key = s.begin::<Patient>(body).await;
            s.stage().reached("waits", number).await;
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself, "{body}");
            let record = s.task(&key).await.unwrap();
            assert_eq!((record.final_value, record.failure), (None, None), "{body}");
        }
    });
}

#[test]
fn every_wait_of_a_body_that_was_asked_before_ends_at_once() {
    World::new().run(async |s| {
        s.world.body("asked_before", |ctx, _| async move {
            ctx.cancelled().await;
            let mut ended = 0;
            ended += u32::from(ctx.sleep(HOUR).await.is_err());
            ended += u32::from(ctx.signal("never").await.is_err());
            ended += u32::from(ctx.signal_within("never", HOUR).await.is_err());
            ended += u32::from(ctx.progress_iter(1..).await.is_err());
            ended += u32::from(ctx.check_cancellation().is_err());
            ended += u32::from(ctx.is_cancellation_requested() && ctx.should_stop());
            assert_eq!(ctx.cancel_cause(), Some(Cause::User));
            Ok(json!(ended))
        });
        let key = s.begin::<Patient>("asked_before").await;
        s.stop(&key, "enough").await;
        assert_eq!(s.task(&key).await.unwrap().final_value.unwrap().as_str(), "6");
    });
}

#[test]
fn a_body_can_ask_itself_to_stop_and_its_next_check_says_so() {
    World::new().run(async |s| {
        s.world.body("has_enough", |ctx, stage| async move {
            assert!(ctx.check_cancellation().is_ok());
            ctx.request_cancellation("nothing left to do").await?;
            stage.mark("asked");
            ctx.check_cancellation()?;
            Ok(json!("not reached"))
        });
        let key = s.begin::<Patient>("has_enough").await;
        let record = s.ended(&key).await;
        assert_eq!(record.status, Status::Cancelled);
        assert_eq!(stop_of(&record), ("nothing left to do", Cause::Itself, StoppedBy::Itself));
        assert_eq!(record.cancel.unwrap().by, None);
        assert_eq!(s.stage().count("asked"), 1);
        let without_grace = s.begin::<Plain>("has_enough").await;
        assert_eq!(s.ended(&without_grace).await.cancel.unwrap().cause, Cause::Itself);
    });
}

#[test]
fn a_request_of_the_body_that_comes_second_changes_nothing() {
    World::new().run(async |s| {
        s.world.body("late", |ctx, _| async move {
            ctx.cancelled().await;
            ctx.request_cancellation("I as well").await?;
            Ok(().into())
        });
        s.world.body("twice", |ctx, _| async move {
            ctx.request_cancellation("").await?;
            ctx.request_cancellation("once more").await?;
            Ok(().into())
        });
        let late = s.begin::<Patient>("late").await;
        s.stop(&late, "by hand").await;
        assert_eq!(stop_of(&s.task(&late).await.unwrap()), ("by hand", Cause::User, StoppedBy::Itself));
        let twice = s.begin::<Patient>("twice").await;
        let record = s.ended(&twice).await;
        assert_eq!(stop_of(&record), ("Cancelled by user", Cause::Itself, StoppedBy::Itself));
    });
}

#[test]
fn the_error_of_a_check_that_nobody_caused_is_a_failure() {
    World::new().run(async |s| {
        s.world.body("pretends", |_, _| async {
            let cancelled = quell::TaskCancelled { cause: Cause::User, reason: "made up".into() };
            Err(TaskError::from(cancelled))
        });
        let key = s.begin::<Plain>("pretends").await;
        let record = s.ended(&key).await;
        assert_eq!(record.status, Status::Failed);
        assert_eq!(record.failure.unwrap().error_type, "TaskCancelled");
    });
}
