//! The document that the project started from, ported: its two tests, its three scenarios and its usage examples
//! 2, 3 and 4, each under its own name. Example 1 speaks HTTP.

use std::time::Duration;

use quell::task::{Cause, Status, TaskKey};
use quell::{ModelSettings, Registry, StartOutcome, StartRequest, Task, TaskContext, TaskError};
use serde::Deserialize;
use serde_json::json;

use crate::support::{OWNER, Session, World, eventually, seconds};

/// A task type of the seed, without input.
macro_rules! seed_task {
    ($name:ident, $settings:expr, $output:ty, |$ctx:ident| $body:expr) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {}

        impl Task for $name {
            const APP: &'static str = "tests";
            const MODEL: &'static str = stringify!($name);
            type Output = $output;

            fn settings() -> ModelSettings {
                $settings
            }

            async fn process(&self, $ctx: TaskContext) -> Result<$output, TaskError> {
                $body
            }
        }
    };
}

const GRACE: ModelSettings = ModelSettings::new().grace(Duration::from_secs(60));

seed_task!(StuckTask, ModelSettings::new(), (), |ctx| {
    ctx.send_event("start", &json!({ "message": "Starting infinite loop" })).await?;
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        ctx.send_event("still_running", &json!({ "message": "Still going..." })).await?;
    }
});

seed_task!(SlowTask, ModelSettings::new(), (), |ctx| {
    for second in 0..3_600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        ctx.send_event("progress", &json!({ "seconds": second })).await?;
    }
    Ok(())
});

seed_task!(ContinueTask, GRACE, &'static str, |ctx| {
    ctx.send_event("started", &json!({ "message": "Waiting for continue signal" })).await?;
    match ctx.signal_within("continue", Duration::from_secs(300)).await? {
        Some(_) => {
            ctx.send_event("final", &json!({ "message": "Continue signal received" })).await?;
            ctx.send_event("complete", &json!({ "message": "Task completed successfully" })).await?;
            Ok("Completed")
        }
        None => Ok("Timeout"),
    }
});

seed_task!(CancellableTask, GRACE, &'static str, |ctx| {
    for step in 0..100 {
        ctx.check_cancellation()?;
        ctx.send_event("step", &step).await?;
        ctx.sleep(Duration::from_millis(100)).await?;
    }
    Ok("Should not reach here")
});

seed_task!(LongTask, GRACE, &'static str, |ctx| {
    ctx.send_event("start", &json!({ "total_steps": 1000 })).await?;
    for step in 0..1_000 {
        ctx.check_cancellation()?;
        ctx.sleep(Duration::from_secs(1)).await?;
        ctx.send_event("progress", &json!({ "step": step })).await?;
    }
    ctx.send_event("complete", &json!({})).await?;
    Ok("Completed all 1000 steps")
});

seed_task!(SmartTask, GRACE, (), |ctx| {
    for step in 0..1_000 {
        ctx.check_cancellation()?;
        let should_stop = step == 3;
        if should_stop {
            ctx.request_cancellation("").await?;
            ctx.check_cancellation()?;
            ctx.send_event("not_reached", &()).await?;
        }
        ctx.send_event("step", &step).await?;
    }
    Ok(())
});

fn world() -> World {
    World::with_types(
        |_| {},
        |registry: Registry| {
            let registry = registry.task::<StuckTask>().unwrap().task::<SlowTask>().unwrap();
            let registry = registry.task::<ContinueTask>().unwrap().task::<CancellableTask>().unwrap();
            registry.task::<LongTask>().unwrap().task::<SmartTask>().unwrap()
        },
    )
}

async fn begin(s: &Session, model: &str) -> TaskKey {
    s.start(StartRequest::new("tests", model, OWNER)).await.unwrap().key
}

/// Waits until a task has sent an event of that type.
async fn has_sent(s: &Session, key: &TaskKey, kind: &str) {
    eventually(kind, async || s.kinds(key).await.iter().any(|sent| sent == kind)).await;
}

async fn assert_cancelled(s: &Session, key: &TaskKey, reason: &str) {
    let record = s.task(key).await.unwrap();
    assert_eq!(record.status, Status::Cancelled);
    assert!(record.cancelled_at.is_some());
    assert_eq!(&*record.cancel.unwrap().reason, reason);
    assert_eq!(s.kinds(key).await.last().unwrap(), "cancelled");
}

#[test]
fn test_task_cancellation() {
    world().run(async |s| {
        let task = s.create(StartRequest::new("tests", "CancellableTask", OWNER)).await.unwrap();
        assert!(matches!(s.start_task(&task.key, None).await.unwrap(), StartOutcome::Started(_)));
        has_sent(&s, &task.key, "step").await;
        let cancelled = s.cancel_task(&task.key, Some("Test cancellation")).await.unwrap();
        assert!(cancelled.is_cancelled());
        assert_cancelled(&s, &task.key, "Test cancellation").await;
    });
}

#[test]
fn test_task_timeout() {
    world().run(async |s| {
        let task = s.create(StartRequest::new("tests", "SlowTask", OWNER)).await.unwrap();
        s.start_task(&task.key, Some(seconds(0.2))).await.unwrap();
        let record = s.ended(&task.key).await;
        assert_eq!(record.status, Status::Cancelled);
        let cancel = record.cancel.unwrap();
        assert_eq!((&*cancel.reason, cancel.cause), ("Timeout after 0.2s", Cause::Timeout));
        let event = s.data(&task.key, "timeout").await;
        assert_eq!(event["message"], "Task timed out after 0.2 seconds");
    });
}

#[test]
fn scenario_1_a_stuck_task_can_be_stopped_without_killing_the_process() {
    world().run(async |s| {
        let key = begin(&s, "StuckTask").await;
        has_sent(&s, &key, "still_running").await;
        assert!(s.cancel_task(&key, None).await.unwrap().is_cancelled());
        assert_cancelled(&s, &key, "Cancelled by user").await;
        let events = s.kinds(&key).await;
        assert_eq!(events[..2], ["running", "start"]);
        let other = begin(&s, "StuckTask").await;
        has_sent(&s, &other, "still_running").await;
        assert_eq!(s.kinds(&key).await, events, "it sends nothing any more");
    });
}

#[test]
fn scenario_2_a_slow_task_that_was_a_mistake_need_not_be_waited_for() {
    world().run(async |s| {
        let key = begin(&s, "SlowTask").await;
        let began = std::time::Instant::now();
        assert!(s.cancel_task(&key, Some("a mistake")).await.unwrap().is_cancelled());
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_cancelled(&s, &key, "a mistake").await;
    });
}

#[test]
fn scenario_3_a_task_that_waits_for_external_input_can_be_interrupted_and_continued() {
    world().run(async |s| {
        let interrupted = begin(&s, "ContinueTask").await;
        has_sent(&s, &interrupted, "started").await;
        assert!(s.cancel_task(&interrupted, Some("changed my mind")).await.unwrap().is_cancelled());
        assert_cancelled(&s, &interrupted, "changed my mind").await;
        let continued = begin(&s, "ContinueTask").await;
        has_sent(&s, &continued, "started").await;
        s.signal(&continued, "continue", json_true()).await.unwrap();
        assert_eq!(s.ended(&continued).await.final_value.unwrap().as_str(), r#""Completed""#);
        assert_eq!(s.kinds(&continued).await, ["running", "started", "final", "complete", "completed"]);
    });
}

fn json_true() -> quell::task::JsonText {
    quell::task::JsonText::from_value(&true).unwrap()
}

#[test]
fn example_2_cancel_via_the_coordinator() {
    world().run(async |s| {
        let key = begin(&s, "LongTask").await;
        has_sent(&s, &key, "start").await;
        let written: TaskKey = format!("tests/LongTask/{}", key.id).parse().unwrap();
        assert!(s.cancel_task(&written, Some("Cancelled by admin")).await.unwrap().is_cancelled());
        assert_cancelled(&s, &key, "Cancelled by admin").await;
    });
}

#[test]
fn example_3_a_task_with_a_timeout() {
    world().run(async |s| {
        let five_minutes = StartRequest::new("tests", "LongTask", OWNER).timeout(seconds(300.0));
        let task = s.create(five_minutes).await.unwrap();
        assert_eq!(task.timeout, Some(seconds(300.0)));
        let StartOutcome::Started(started) = s.start_task(&task.key, task.timeout).await.unwrap() else {
            panic!("it was waiting to be started");
        };
        assert_eq!((started.status, started.timeout), (Status::Running, Some(seconds(300.0))));
        assert_eq!(s.start_task(&task.key, None).await.unwrap(), StartOutcome::AlreadyRunning);
        s.set_timeout(&task.key, Some(seconds(0.05))).await.unwrap();
        s.ended(&task.key).await;
        assert_cancelled(&s, &task.key, "Timeout after 0.05s").await;
    });
}

#[test]
fn example_4_a_self_cancelling_task() {
    world().run(async |s| {
        let key = begin(&s, "SmartTask").await;
        let record = s.ended(&key).await;
        assert_eq!(record.cancel.unwrap().cause, Cause::Itself);
        assert_cancelled(&s, &key, "Cancelled by user").await;
        let kinds = s.kinds(&key).await;
        assert_eq!(kinds[..4], ["running", "step", "step", "step"]);
        assert_eq!(kinds[4..], ["cancellation_requested", "cancelled"]);
    });
}
