//! The contract's section 2: one winner, and the loser is told. Each race in both orders, driven by signals.

mod ends;
mod starts;

use quell::task::{Cause, Status, StoppedBy};
use quell::{CancelOptions, Receipt};
use serde_json::json;

use crate::support::{
    Hold, LONG, Patient, Plain, World, eventually, not_running, poll_once, seconds, sent, stop_of, stopped_by,
};

#[test]
fn race_1_a_value_returned_after_an_accepted_cancel_is_kept_and_the_task_is_cancelled() {
    World::new().run(async |s| {
        s.world.body("answers", |ctx, _| async move {
            ctx.cancelled().await;
            Ok(json!({ "rows": 7 }))
        });
        let key = s.begin::<Patient>("answers").await;
        let receipt = s.stop(&key, "enough").await;
        assert_eq!(stopped_by(&receipt), StoppedBy::Itself);
        let record = s.task(&key).await.unwrap();
        assert_eq!(record.status, Status::Cancelled);
        assert_eq!(record.final_value.as_ref().unwrap().as_str(), r#"{"rows":7}"#);
        assert_eq!(stop_of(&record), ("enough", Cause::User, StoppedBy::Itself));
        assert_eq!(record.failure, None);
        assert_eq!(record.cancelled_at, record.completed_at);
    });
}

#[test]
fn race_1_an_error_after_an_accepted_cancel_is_kept_and_that_of_the_check_does_not_count() {
    World::new().run(async |s| {
        s.world.body("errs", |ctx, _| async move {
            ctx.cancelled().await;
            Err(quell::TaskError::new("Broken", "in the middle"))
        });
        s.world.body("panics", |ctx, _| async move {
            ctx.cancelled().await;
            panic!("in the middle")
        });
        s.world.body("checks", |ctx, _| async move {
            ctx.cancelled().await;
            ctx.check_cancellation()?;
            Ok(json!("not reached"))
        });
        for (body, error_type) in [("errs", Some("Broken")), ("panics", Some("panic")), ("checks", None)] {
            let key = s.begin::<Patient>(body).await;
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself, "{body}");
            let record = s.task(&key).await.unwrap();
            assert_eq!(record.status, Status::Cancelled, "{body}");
            let failure = record.failure.as_ref();
            assert_eq!(failure.map(|failure| failure.error_type.as_str()), error_type, "{body}");
            assert!(failure.is_none_or(|failure| failure.message == "in the middle"), "{body}");
            assert_eq!(record.final_value, None, "{body}");
        }
    });
}

/// A body that answers 7 when it is told to.
fn answers_when_told(world: &World) {
    world.body("answers", |_, stage| async move {
        stage.mark("began");
        stage.wait("answer").await;
        stage.mark("answered");
        Ok(json!(7))
    });
}

#[test]
fn race_1_a_cancel_that_is_accepted_before_the_end_is_decided_wins() {
    World::new().run(async |s| {
        answers_when_told(&s.world);
        let key = s.begin::<Plain>("answers").await;
        s.stage().reached("began", 1).await;
        // The cancel stands in front of the body's report.
        let hold = Hold::coordinator(&s).await;
        let cancel = sent(s.stop(&key, "just in time"));
        s.stage().mark("answer");
        s.stage().reached("answered", 1).await;
        drop(hold);
        let receipt = cancel.await;
        assert_eq!(stopped_by(&receipt), StoppedBy::Itself);
        let record = s.task(&key).await.unwrap();
        assert_eq!(record.status, Status::Cancelled);
        assert_eq!(record.final_value.unwrap().as_str(), "7");
        assert_eq!(s.kinds(&key).await, ["running", "cancellation_requested", "cancelled"]);
    });
}

#[test]
fn race_1_a_result_that_is_on_its_way_to_the_disk_stands_and_the_cancel_waits_to_say_so() {
    World::new().run(async |s| {
        answers_when_told(&s.world);
        let key = s.begin::<Plain>("answers").await;
        s.stage().reached("began", 1).await;
        let hold = Hold::writer(&s).await;
        s.stage().mark("answer");
        eventually("the end is decided", async || s.status(&key).await.unwrap().rung == Some("ending")).await;
        let mut cancel = sent(s.stop(&key, "too late"));
        s.status(&key).await.unwrap();
        assert!(poll_once(&mut cancel).is_pending(), "nothing is durable yet, so nothing is said");
        assert_eq!(s.task(&key).await.unwrap().status, Status::Running);
        drop(hold);
        let record = not_running(cancel.await);
        assert_eq!(record.status, Status::Completed);
        assert_eq!(record.final_value.as_ref().unwrap().as_str(), "7");
        assert_eq!(record, s.task(&key).await.unwrap());
        assert_eq!(s.kinds(&key).await, ["running", "completed"]);
    });
}

#[test]
fn race_1_of_many_cancels_against_many_results_each_has_one_winner() {
    World::new().run(async |s| {
        answers_when_told(&s.world);
        let mut keys = Vec::new();
        for _ in 0..100 {
            keys.push(s.begin::<Plain>("answers").await);
        }
        s.stage().reached("began", 100).await;
        let cancels: Vec<_> = keys.iter().map(|key| sent(s.stop(key, "race"))).collect();
        s.stage().mark("answer");
        for (key, cancel) in keys.iter().zip(cancels) {
            let receipt = cancel.await;
            let record = s.task(key).await.unwrap();
            let last = s.kinds(key).await.pop().unwrap();
            match receipt {
                Receipt::NotRunning(seen) => {
                    assert_eq!((*seen, last.as_str()), (record.clone(), "completed"));
                    assert_eq!(record.status, Status::Completed);
                }
                Receipt::Cancelled { .. } => {
                    assert_eq!((record.status, last.as_str()), (Status::Cancelled, "cancelled"));
                    let by_itself = record.stopped_by == Some(StoppedBy::Itself);
                    assert_eq!(by_itself, record.final_value.is_some());
                }
                Receipt::Cancelling { .. } => panic!("it was waited for"),
            }
        }
    });
}

#[test]
fn race_2_cancelling_a_finished_task_changes_nothing_and_says_so() {
    World::new().run(async |s| {
        s.world.body("returns", |_, _| async { Ok(json!(1)) });
        s.world.body("errs", |_, _| async { Err(quell::TaskError::new("Broken", "as asked")) });
        s.world.body("waits", |_, _| std::future::pending());
        let returned = s.begin::<Plain>("returns").await;
        let erred = s.begin::<Plain>("errs").await;
        let cancelled = s.begin::<Plain>("waits").await;
        s.stop(&cancelled, "the first").await;
        let statuses =
            [(returned, Status::Completed), (erred, Status::Failed), (cancelled, Status::Cancelled)];
        for (key, status) in statuses {
            let before = s.ended(&key).await;
            assert_eq!(before.status, status);
            let events = s.kinds(&key).await;
            assert_eq!(not_running(s.stop(&key, "again").await), before);
            assert_eq!(s.task(&key).await.unwrap(), before, "the row is as it was");
            assert_eq!(s.kinds(&key).await, events);
        }
    });
}

#[test]
fn race_3_the_first_of_two_cancels_names_the_reason_and_both_get_the_same_answer() {
    World::new().run(async |s| {
        s.world.body("lingers", |ctx, stage| async move {
            ctx.cancelled().await;
            stage.wait("go").await;
            Ok(().into())
        });
        let key = s.begin::<Patient>("lingers").await;
        let options = |reason: &str, by: &str, cause| CancelOptions {
            reason: Some(reason.to_owned()),
            by: Some(by.into()),
            cause,
            wait: LONG,
        };
        let first = sent(s.cancel(&key, options("mine", "alice", Cause::User)));
        let second = sent(s.cancel(&key, options("no, mine", "bob", Cause::System)));
        // A third one does not wait: it, too, hears the first one's reason.
        let Receipt::Cancelling { reason, cancel_requested_at } = s.ask(&key, "and mine").await else {
            panic!("it lingers");
        };
        assert_eq!(&*reason, "mine");
        let running = s.task(&key).await.unwrap();
        assert_eq!(running.status, Status::Running, "`cancelled` is not written while the body runs");
        assert_eq!(running.cancel.unwrap().at, cancel_requested_at);
        s.stage().mark("go");
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!(first, second);
        let record = s.task(&key).await.unwrap();
        assert_eq!(stop_of(&record), ("mine", Cause::User, StoppedBy::Itself));
        assert_eq!(record.cancel.unwrap().by.as_deref(), Some("alice"));
        let asked = s.data(&key, "cancellation_requested").await;
        assert_eq!(asked["reason"], "mine");
        assert_eq!(asked["by"], "alice");
    });
}

/// A body that stays after it was asked, until it is told to go.
fn stays(world: &World) {
    world.body("stays", |ctx, stage| async move {
        ctx.cancelled().await;
        stage.mark("asked");
        stage.wait("go").await;
        Ok(().into())
    });
    world.body("waits", |_, _| std::future::pending());
}

#[test]
fn race_6_a_timeout_that_comes_before_a_cancel_names_the_cause() {
    World::new().run(async |s| {
        stays(&s.world);
        let key = s.begin::<Patient>("stays").await;
        s.set_timeout(&key, Some(seconds(0.01))).await.unwrap();
        s.stage().reached("asked", 1).await;
        let cancel = sent(s.stop(&key, "by hand"));
        s.stage().mark("go");
        let Receipt::Cancelled { reason, cause, .. } = cancel.await else { panic!("it stopped") };
        assert_eq!((&*reason, cause), ("Timeout after 0.01s", Cause::Timeout));
        assert_eq!(s.kinds(&key).await, ["running", "timeout", "cancellation_requested", "cancelled"]);
    });
}

#[test]
fn race_6_a_cancel_that_comes_before_a_timeout_names_the_cause() {
    World::new().run(async |s| {
        stays(&s.world);
        let key = s.begin::<Patient>("stays").await;
        s.ask(&key, "by hand").await;
        s.set_timeout(&key, Some(seconds(0.01))).await.unwrap();
        // Timers fire in order: when this later one has fired, so has the earlier one.
        let later = s.begin::<Plain>("waits").await;
        s.set_timeout(&later, Some(seconds(0.02))).await.unwrap();
        assert_eq!(s.ended(&later).await.cancel.unwrap().cause, Cause::Timeout);
        s.stage().mark("go");
        let record = s.ended(&key).await;
        assert_eq!(stop_of(&record), ("by hand", Cause::User, StoppedBy::Itself));
        assert_eq!(s.kinds(&key).await, ["running", "cancellation_requested", "cancelled"]);
    });
}
