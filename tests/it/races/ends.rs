//! What may not come after an end: races 7 and 8.

use std::sync::{Arc, Mutex};

use quell::TaskContext;
use quell::task::{EventError, Status, StoppedBy, TaskKey};
use serde_json::json;

use crate::support::{Brief, MarkOnDrop, Patient, Plain, Session, World, eventually, stopped_by};

#[test]
fn race_7_a_context_that_outlives_its_task_sends_nothing_and_is_told() {
    let kept = Arc::new(Mutex::new(None::<TaskContext>));
    World::new().run(async |s| {
        let keep = Arc::clone(&kept);
        s.world.body("keeps", move |ctx, _| {
            *keep.lock().unwrap() = Some(ctx.clone());
            async move {
                ctx.send_event("before", &()).await?;
                Ok(json!(1))
            }
        });
        let key = s.begin::<Plain>("keeps").await;
        let ended = s.ended(&key).await;
        let ctx = kept.lock().unwrap().take().unwrap();
        let sent = ctx.send_event("after", &()).await;
        assert!(matches!(sent, Err(EventError::Ended)), "{sent:?}");
        ctx.heartbeat();
        ctx.request_cancellation("too late").await.unwrap();
        assert_eq!(s.kinds(&key).await, ["running", "before", "completed"]);
        assert_eq!(s.task(&key).await.unwrap(), ended);
    });
}

#[test]
fn i07_race_7_the_events_of_a_body_that_was_written_off_are_refused() {
    World::new().run(async |s| {
        s.world.body("never_yields", |ctx, stage| async move {
            let _gone = MarkOnDrop(Arc::clone(&stage), "gone");
            ctx.send_event("before", &()).await?;
            stage.mark("began");
            stage.wait_blocking("released");
            let late = ctx.send_event("after", &()).await;
            stage.mark(if matches!(late, Err(EventError::Ended)) { "refused" } else { "accepted" });
            Ok(json!("late"))
        });
        let key = s.begin::<Brief>("never_yields").await;
        s.stage().reached("began", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Abandoned);
        let written_off = s.task(&key).await.unwrap();
        s.stage().mark("released");
        s.stage().reached("gone", 1).await;
        assert_eq!((s.stage().count("refused"), s.stage().count("accepted")), (1, 0));
        assert_eq!(s.task(&key).await.unwrap(), written_off, "its late value is not recorded");
        assert_eq!(s.kinds(&key).await, ["running", "before", "cancellation_requested", "cancelled"]);
    });
}

#[test]
fn i24_race_7_the_terminal_event_is_the_last_under_a_flood() {
    World::new().run(async |s| {
        s.world.body("floods", |ctx, stage| async move {
            for _ in 0..4 {
                let child = ctx.clone();
                ctx.spawn(async move {
                    for number in 0.. {
                        if child.send_event("child", &number).await.is_err() {
                            return;
                        }
                    }
                });
            }
            for number in 0.. {
                ctx.send_event("body", &number).await?;
                stage.mark("sent");
            }
            Ok(().into())
        });
        for _ in 0..5 {
            let key = s.begin::<Plain>("floods").await;
            let before = s.stage().count("sent");
            s.stage().reached("sent", before + 100).await;
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped);
            let (last, kind) = s.newest(&key).await;
            assert_eq!(kind, "cancelled");
            s.stop_is_silent(&key, last).await;
        }
    });
}

impl Session {
    /// Looks again after another task came and went: the log has not grown.
    async fn stop_is_silent(&self, key: &TaskKey, last: i64) {
        self.world.body("returns", |_, _| async { Ok(().into()) });
        let other = self.begin::<Plain>("returns").await;
        self.ended(&other).await;
        assert_eq!(self.newest(key).await.0, last);
    }

    /// Number and type of the newest event. A flood may write more than the log of a task
    /// gives at once, which is its newest part: that has no gap, wherever it begins.
    async fn newest(&self, key: &TaskKey) -> (i64, String) {
        let events = self.events(key).await.unwrap();
        for pair in events.windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq + 1, "the events of `{key}` have a gap");
        }
        let newest = events.last().unwrap();
        (newest.seq, newest.kind.as_str().to_owned())
    }
}

#[test]
fn i17_race_8_a_panic_in_a_body_fails_its_task_and_harms_nobody() {
    World::new().run(async |s| {
        s.world.body("panics", |_, _| async { panic!("as asked") });
        s.world.body("lives", |ctx, stage| async move {
            ctx.cancelled().await;
            stage.mark("told");
            Ok(().into())
        });
        let alive = s.begin::<Patient>("lives").await;
        for _ in 0..20 {
            let key = s.begin::<Plain>("panics").await;
            let record = s.ended(&key).await;
            assert_eq!(record.status, Status::Failed);
            let failure = record.failure.unwrap();
            assert_eq!((failure.error_type.as_str(), failure.message.as_str()), ("panic", "as asked"));
            assert_eq!((record.stopped_by, record.cancel), (None, None));
            let event = s.data(&key, "error").await;
            assert_eq!(event, json!({ "message": "as asked", "error_type": "panic" }));
        }
        assert_eq!(stopped_by(&s.stop(&alive, "done").await), StoppedBy::Itself);
        assert_eq!(s.stage().count("told"), 1);
        eventually("ready", async || s.readiness() == quell::Readiness::Ready).await;
    });
}
