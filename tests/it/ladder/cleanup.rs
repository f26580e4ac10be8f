//! The cleanup on cancel: when it runs, and how it can end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quell::task::{Cleanup, Status, StoppedBy};
use quell::{Cleaned, TaskError};
use serde_json::json;

use crate::support::{Brief, Hold, MarkOnDrop, Plain, World, eventually, request, seconds, sent, stopped_by};

/// A body that waits, and marks when its future is gone.
fn waits(world: &World, name: &str) {
    world.body(name, |_, stage| async move {
        let _gone = MarkOnDrop(Arc::clone(&stage), "gone");
        stage.mark("began");
        std::future::pending().await
    });
}

/// Cleanups that end in each way there is.
fn cleanups(world: &World) {
    for name in ["ok", "nothing", "failed", "panicked", "panicked_early", "timed_out"] {
        waits(world, name);
    }
    world.cleanup("ok", |ctx, _| async move {
        ctx.send_event("cleaned_up", &()).await?;
        Ok(Cleaned::Done)
    });
    world.cleanup("failed", |_, _| async { Err(TaskError::new("Dirty", "could not clean")) });
    world.cleanup("panicked", |_, _| async { panic!("while cleaning") });
    world.cleanup("panicked_early", |_, stage| {
        assert!(stage.count("never marked") > 0, "before cleaning");
        std::future::ready(Ok(Cleaned::Done))
    });
    world.cleanup("timed_out", |_, _| std::future::pending());
}

#[test]
fn i18_the_row_tells_how_the_cleanup_ended() {
    World::new().run(async |s| {
        cleanups(&s.world);
        let ends = [
            ("ok", Some(Cleanup::Done)),
            ("nothing", None),
            ("failed", Some(Cleanup::Failed)),
            ("panicked", Some(Cleanup::Panicked)),
            ("panicked_early", Some(Cleanup::Panicked)),
            ("timed_out", Some(Cleanup::TimedOut)),
        ];
        for (number, (body, cleanup)) in (1..).zip(ends) {
            let key = s.begin::<Brief>(body).await;
            s.stage().reached("began", number).await;
            let began = Instant::now();
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped, "{body}");
            let took = began.elapsed();
            assert!(took < Duration::from_millis(450 + 1_000), "{body} took {took:?}");
            let record = s.task(&key).await.unwrap();
            assert_eq!((record.status, record.cleanup), (Status::Cancelled, cleanup), "{body}");
            assert_eq!(record.failure, None, "{body}");
            assert_eq!(s.kinds(&key).await.last().unwrap(), "cancelled");
        }
        let cleaned = "tests/Brief/1".parse().unwrap();
        let kinds = s.kinds(&cleaned).await;
        assert_eq!(kinds, ["running", "cancellation_requested", "cleaned_up", "cancelled"]);
    });
}

#[test]
fn i18_a_cleanup_that_never_yields_is_given_up_on() {
    World::new().run(async |s| {
        waits(&s.world, "blocks");
        s.world.cleanup("blocks", |_, stage| async move {
            stage.mark("cleaning");
            stage.wait_blocking("released");
            stage.mark("back");
            Ok(Cleaned::Done)
        });
        let key = s.begin::<Brief>("blocks").await;
        s.stage().reached("began", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped);
        let record = s.task(&key).await.unwrap();
        assert_eq!(record.cleanup, Some(Cleanup::TimedOut));
        s.stage().mark("released");
        s.stage().reached("back", 1).await;
        assert_eq!(s.task(&key).await.unwrap(), record);
    });
}

#[test]
fn the_cleanup_runs_once_after_the_body_is_gone_and_the_row_waits_for_it() {
    World::new().run(async |s| {
        waits(&s.world, "slow");
        s.world.cleanup("slow", |ctx, stage| async move {
            stage.mark(if stage.count("gone") == 1 { "body gone" } else { "body there" });
            assert!(ctx.is_cancellation_requested());
            stage.wait("go").await;
            Ok(Cleaned::Done)
        });
        let key = s.begin::<Plain>("slow").await;
        s.stage().reached("began", 1).await;
        let first = sent(s.stop(&key, "enough"));
        s.stage().reached("body gone", 1).await;
        let second = sent(s.stop(&key, "again"));
        let cleans = async || s.status(&key).await.unwrap().rung == Some("cleaning");
        eventually("its actor has heard of the cleanup", cleans).await;
        assert_eq!(s.task(&key).await.unwrap().status, Status::Running);
        s.stage().mark("go");
        assert_eq!(first.await, second.await);
        assert_eq!(s.task(&key).await.unwrap().cleanup, Some(Cleanup::Done));
        assert_eq!((s.stage().count("body gone"), s.stage().count("body there")), (1, 0));
    });
}

#[test]
fn a_body_that_ended_before_it_was_asked_is_cleaned_up_too_once_the_cancel_is_accepted() {
    World::new().run(async |s| {
        s.world.body("answers", |_, stage| async move {
            stage.mark("began");
            stage.wait("answer").await;
            stage.mark("answered");
            Ok(json!(7))
        });
        s.world.cleanup("answers", |_, stage| async move {
            stage.mark("cleaned");
            Ok(Cleaned::Done)
        });
        let key = s.begin::<Plain>("answers").await;
        s.stage().reached("began", 1).await;
        let hold = Hold::coordinator(&s).await;
        let cancel = sent(s.stop(&key, "just in time"));
        s.stage().mark("answer");
        s.stage().reached("answered", 1).await;
        drop(hold);
        assert_eq!(stopped_by(&cancel.await), StoppedBy::Itself);
        let record = s.task(&key).await.unwrap();
        assert_eq!((record.cleanup, s.stage().count("cleaned")), (Some(Cleanup::Done), 1));
        assert_eq!(record.final_value.unwrap().as_str(), "7");
    });
}

#[test]
fn a_timed_out_task_is_cleaned_up_as_a_cancelled_one() {
    World::new().run(async |s| {
        cleanups(&s.world);
        let key = s.start(request::<Plain>("ok").timeout(seconds(0.02))).await.unwrap().key;
        let record = s.ended(&key).await;
        assert_eq!(record.cleanup, Some(Cleanup::Done));
        let kinds = s.kinds(&key).await;
        assert_eq!(kinds, ["running", "timeout", "cancellation_requested", "cleaned_up", "cancelled"]);
    });
}

#[test]
fn there_is_no_cleanup_where_nobody_asked_or_nothing_began_or_the_body_was_written_off() {
    World::new().run(async |s| {
        for name in ["returns", "never_yields", "never_begins"] {
            s.world.cleanup(name, |_, stage| async move {
                stage.mark("cleaned");
                Ok(Cleaned::Done)
            });
        }
        s.world.body("returns", |_, _| async { Ok(json!(1)) });
        s.world.body("never_begins", |_, _| async { Ok(json!(1)) });
        s.world.body("never_yields", |_, stage| async move {
            let _gone = MarkOnDrop(Arc::clone(&stage), "gone");
            stage.mark("began");
            stage.wait_blocking("released");
            Ok(json!(1))
        });
        let returns = s.begin::<Plain>("returns").await;
        s.ended(&returns).await;
        let never_begins = s.create(request::<Plain>("never_begins")).await.unwrap().key;
        s.stop(&never_begins, "enough").await;
        let never_yields = s.begin::<Brief>("never_yields").await;
        s.stage().reached("began", 1).await;
        s.stop(&never_yields, "enough").await;
        s.stage().mark("released");
        s.stage().reached("gone", 1).await;
        for key in [returns, never_begins, never_yields] {
            assert_eq!(s.task(&key).await.unwrap().cleanup, None, "{key}");
        }
        assert_eq!(s.stage().count("cleaned"), 0);
    });
}
