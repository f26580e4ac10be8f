//! Holds I-16: a commit without an answer is found out about, or told as unknown; never a false no, never twice.

use quell::store::StoreError;
use quell::task::{JsonText, Status};
use quell::testing::Fault;
use quell::{CommandError, Readiness, Refusal, StartOutcome, StartRequest};
use serde_json::json;

use super::{calm, in_time, no_start, world};
use crate::support::{Plain, Session, eventually, request, seconds};

const LOST: [Fault; 2] = [Fault::LoseCommit, Fault::LoseAnswer];

fn unknown<T: std::fmt::Debug>(answer: &Result<T, CommandError>) {
    let Err(CommandError::Refused(Refusal::Unavailable(StoreError::OutcomeUnknown(_)))) = answer else {
        panic!("{answer:?}");
    };
}

async fn ready(s: &Session) {
    eventually("it is ready", async || s.readiness() == Readiness::Ready).await;
}

#[test]
fn i16_an_answer_that_is_lost_once_is_looked_for_and_the_truth_is_told() {
    let (world, faults) = world();
    world.run(async |s| {
        calm(&s).await;
        faults.set_once(Fault::LoseAnswer);
        let key = in_time(s.start(request::<Plain>("waits"))).await.unwrap().key;
        s.stage().reached("began", 1).await;
        ready(&s).await;
        faults.set_once(Fault::LoseCommit);
        assert!(matches!(no_start(&s).await, StoreError::Unavailable(_)), "it is known not to be there");
        ready(&s).await;
        faults.set_once(Fault::LoseAnswer);
        assert!(s.stop(&key, "enough").await.is_cancelled());
        assert_eq!(s.kinds(&key).await, ["running", "cancellation_requested", "cancelled"]);
        assert_eq!(s.stage().count("began"), 1);
    });
}

#[test]
fn i16_a_start_of_unknown_outcome_is_told_so_and_then_runs_once_or_never() {
    for fault in LOST {
        let (world, faults) = world();
        world.run(async |s| {
            calm(&s).await;
            let key = s.begin::<Plain>("waits").await;
            faults.set(fault);
            assert!(matches!(no_start(&s).await, StoreError::OutcomeUnknown(_)));
            // Known to fail now: the next one is not even tried.
            assert!(matches!(no_start(&s).await, StoreError::Unavailable(_)));
            faults.clear();
            ready(&s).await;
            let there = format!("tests/Plain/{}", key.id.get() + 1).parse().unwrap();
            let runs = fault == Fault::LoseAnswer;
            assert_eq!(s.task(&there).await.is_ok(), runs, "{fault:?}");
            s.stage().reached("began", if runs { 2 } else { 1 }).await;
            if runs {
                assert!(s.stop(&there, "enough").await.is_cancelled());
                assert_eq!(s.kinds(&there).await, ["running", "cancellation_requested", "cancelled"]);
            }
            let next = s.begin::<Plain>("waits").await;
            s.stage().reached("began", if runs { 3 } else { 2 }).await;
            s.stop(&next, "enough").await;
        });
    }
}

#[test]
fn i16_commands_of_unknown_outcome_are_done_once_or_never() {
    for fault in LOST {
        let (world, faults) = world();
        world.body("listens", |ctx, stage| async move {
            stage.mark("listens");
            ctx.signal("go").await?;
            stage.mark("heard");
            ctx.cancelled().await;
            Ok(json!(null))
        });
        world.run(async |s| {
            calm(&s).await;
            let done = fault == Fault::LoseAnswer;
            let listens = s.begin::<Plain>("listens").await;
            s.stage().reached("listens", 1).await;
            faults.set(fault);
            unknown(&in_time(s.signal(&listens, "go", JsonText::default())).await);
            faults.clear();
            ready(&s).await;
            if done {
                s.stage().reached("heard", 1).await;
            }
            // When this is durable, so is what the body wrote when it took the signal.
            let created = s.create(request::<Plain>("waits")).await.unwrap().key;
            faults.set(fault);
            unknown(&in_time(s.set_timeout(&listens, Some(seconds(900.0)))).await);
            faults.clear();
            ready(&s).await;
            assert_eq!(s.task(&listens).await.unwrap().timeout, done.then(|| seconds(900.0)));
            faults.set(fault);
            unknown(&in_time(s.start_task(&created, None)).await);
            faults.clear();
            ready(&s).await;
            assert_eq!(s.task(&created).await.unwrap().status == Status::Running, done);
            let again = s.start_task(&created, None).await.unwrap();
            assert_eq!(matches!(again, StartOutcome::AlreadyRunning), done);
            s.stage().reached("began", 1).await;
            let pending = s.create(request::<Plain>("waits")).await.unwrap().key;
            faults.set(fault);
            unknown(&in_time(s.cancel_task(&pending, None)).await);
            faults.clear();
            ready(&s).await;
            assert_eq!(s.task(&pending).await.unwrap().status == Status::Cancelled, done);
            s.stop(&created, "enough").await;
            assert_eq!(s.stage().count("began"), 1, "{fault:?}");
            assert_eq!(s.stage().count("heard"), u64::from(done));
        });
    }
}

#[test]
fn i16_a_start_that_waits_for_room_and_whose_outcome_was_unknown_runs_once_or_never() {
    for fault in LOST {
        let faults = quell::testing::Faults::default();
        let given = faults.clone();
        let world = crate::support::World::with(move |settings| {
            settings.faults = given;
            settings.max_running = 1;
        });
        world.body("waits", |ctx, stage| async move {
            stage.mark("began");
            ctx.cancelled().await;
            Ok(json!(null))
        });
        world.run(async |s| {
            calm(&s).await;
            let first = s.begin::<Plain>("waits").await;
            s.stage().reached("began", 1).await;
            faults.set(fault);
            assert!(matches!(no_start(&s).await, StoreError::OutcomeUnknown(_)));
            faults.clear();
            ready(&s).await;
            s.stop(&first, "room").await;
            if fault == Fault::LoseAnswer {
                s.stage().reached("began", 2).await;
            }
            let last =
                s.start(StartRequest { owner: "bob".into(), ..request::<Plain>("waits") }).await.unwrap();
            let second = format!("tests/Plain/{}", first.id.get() + 1).parse().unwrap();
            if fault == Fault::LoseAnswer {
                assert_eq!(last.status, Status::Pending);
                s.stop(&second, "room").await;
            }
            let began = if fault == Fault::LoseAnswer { 3 } else { 2 };
            s.stage().reached("began", began).await;
            s.stop(&last.key, "enough").await;
            assert_eq!(s.stage().count("began"), began, "{fault:?}");
        });
    }
}

#[test]
fn i16_a_cancel_that_fired_before_the_database_failed_is_refused_and_takes_effect_once() {
    for fault in LOST {
        let (world, faults) = world();
        world.run(async |s| {
            calm(&s).await;
            let key = s.begin::<Plain>("waits").await;
            s.stage().reached("began", 1).await;
            faults.set(fault);
            // Nobody knew yet that writes fail, so it fires.
            let answer = in_time(s.cancel_task(&key, Some("enough"))).await;
            assert!(matches!(answer, Err(CommandError::Refused(Refusal::Unavailable(_)))), "{answer:?}");
            s.stage().reached("gone", 1).await;
            faults.clear();
            let record = s.ended(&key).await;
            assert_eq!((record.status, &*record.cancel.unwrap().reason), (Status::Cancelled, "enough"));
            assert_eq!(s.kinds(&key).await, ["running", "cancellation_requested", "cancelled"]);
        });
    }
}
