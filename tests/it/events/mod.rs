//! Events: numbering, what may be sent, and that no task's flood delays another.

mod watching;

use std::time::{Duration, Instant};

use quell::task::{EventError, JsonText, Status, StoppedBy};
use serde_json::json;

use crate::support::{AgainPatient, Patient, Plain, World, stopped_by};

#[test]
fn i22_the_events_of_many_tasks_are_each_numbered_without_gaps_in_the_order_sent() {
    World::new().run(async |s| {
        s.world.body("counts", |ctx, _| async move {
            for number in 0..50 {
                ctx.send_event("progress", &json!({ "number": number })).await?;
            }
            Ok(json!("counted"))
        });
        let mut keys = Vec::new();
        for _ in 0..64 {
            keys.push(s.begin::<Plain>("counts").await);
        }
        for key in &keys {
            assert_eq!(s.ended(key).await.status, Status::Completed);
            assert_eq!(s.kinds(key).await.len(), 52);
            for (number, event) in s.events(key).await.unwrap()[1..51].iter().enumerate() {
                assert_eq!(event.data.as_str(), format!(r#"{{"number":{number}}}"#));
                assert_eq!(event.task, key.id);
            }
        }
    });
}

#[test]
fn i22_the_numbers_go_on_over_a_restart() {
    let world = World::new();
    world.body("again", |ctx, stage| async move {
        ctx.send_event("before", &ctx.attempt()).await?;
        stage.mark("sent");
        if stage.count("sent") == 2 {
            return Ok(json!("done"));
        }
        ctx.cancelled().await;
        ctx.send_event("told", &()).await?;
        ctx.check_cancellation()?;
        Ok(json!("not reached"))
    });
    let key = world.run(async |s| {
        let key = s.begin::<AgainPatient>("again").await;
        s.stage().reached("sent", 1).await;
        key
    });
    world.run(async |s| {
        assert_eq!(s.ended(&key).await.status, Status::Completed);
        assert_eq!(s.kinds(&key).await, ["running", "before", "told", "running", "before", "completed"]);
    });
}

#[test]
fn a_flood_of_events_of_one_task_does_not_delay_the_cancel_of_another() {
    World::new().run(async |s| {
        s.world.body("floods", |ctx, stage| async move {
            let text = "x".repeat(1_000);
            for _ in 0.. {
                ctx.send_event("flood", &text).await?;
                stage.mark("sent");
            }
            Ok(().into())
        });
        s.world.body("waits", |_, _| std::future::pending());
        for _ in 0..2 {
            s.begin::<Plain>("floods").await;
        }
        s.stage().reached("sent", 2_000).await;
        for _ in 0..20 {
            let key = s.begin::<Plain>("waits").await;
            let began = Instant::now();
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped);
            let took = began.elapsed();
            assert!(took < Duration::from_secs(2), "it took {took:?}");
        }
    });
}

#[test]
fn an_event_that_may_not_be_sent_is_refused_and_leaves_no_number_out() {
    World::new().run(async |s| {
        s.world.body("tries", |ctx, _| async move {
            let reserved = [
                "running",
                "cancellation_requested",
                "warning",
                "completed",
                "error",
                "cancelled",
                "reset",
                "shutdown",
            ];
            for kind in reserved {
                let sent = ctx.send_event(kind, &()).await;
                assert!(matches!(sent, Err(EventError::Reserved(_))), "{kind}");
            }
            for kind in ["", "Progress", "1st", "a-b", "a b", "a\r\nb", "\u{e9}", &"a".repeat(65)] {
                assert!(matches!(ctx.send_event(kind, &()).await, Err(EventError::Type(_))), "{kind}");
            }
            let sent = ctx.send_event("large", &"x".repeat(65 * 1024)).await;
            assert!(matches!(sent, Err(EventError::TooLarge(_))));
            let no_json = std::collections::HashMap::from([((1, 2), 3)]);
            assert!(matches!(ctx.send_event("odd", &no_json).await, Err(EventError::NotJson(_))));
            ctx.send_event("timeout", &()).await?;
            ctx.send_event(&"a".repeat(64), &[1, 2]).await?;
            Ok(json!("tried"))
        });
        let key = s.begin::<Plain>("tries").await;
        let record = s.ended(&key).await;
        assert_eq!(record.status, Status::Completed, "{:?}", record.failure);
        assert_eq!(s.kinds(&key).await, ["running", "timeout", "a".repeat(64).as_str(), "completed"]);
        assert_eq!(s.data(&key, &"a".repeat(64)).await, json!({ "value": [1, 2] }));
        assert_eq!(s.data(&key, "timeout").await, json!({ "value": null }));
    });
}

#[test]
fn what_a_body_sends_when_it_is_told_to_stop_follows_the_request() {
    World::new().run(async |s| {
        s.world.body("says_so", |ctx, stage| async move {
            stage.mark("began");
            ctx.cancelled().await;
            ctx.send_event("stopping", &()).await?;
            Ok(().into())
        });
        for round in 1..=30 {
            let key = s.begin::<Patient>("says_so").await;
            s.stage().reached("began", round).await;
            s.stop(&key, "enough").await;
            let kinds = s.kinds(&key).await;
            assert_eq!(kinds, ["running", "cancellation_requested", "stopping", "cancelled"]);
        }
        for round in 31..=60 {
            let key = s.begin::<Plain>("says_so").await;
            s.stage().reached("began", round).await;
            s.stop(&key, "enough").await;
            let mut kinds = s.kinds(&key).await;
            // It may be dropped before it says anything.
            kinds.retain(|kind| kind != "stopping");
            assert_eq!(kinds, ["running", "cancellation_requested", "cancelled"]);
            assert_eq!(s.kinds(&key).await[1], "cancellation_requested");
        }
    });
}

#[test]
fn the_data_of_an_event_comes_back_as_it_was_given() {
    World::new().run(async |s| {
        s.world.body("sends", |ctx, _| async move {
            let data = JsonText::from_text(r#"{"b":1.10,"a":"\u00e9","b":12345678901234567890123}"#)?;
            ctx.send_event("odd", &data).await?;
            Ok(json!("sent"))
        });
        let key = s.begin::<Plain>("sends").await;
        s.ended(&key).await;
        let events = s.events(&key).await.unwrap();
        assert_eq!(events[1].data.as_str(), r#"{"b":1.10,"a":"\u00e9","b":12345678901234567890123}"#);
    });
}
