//! Holds what happens while the database takes no writes, or does not say whether it took them: nothing is answered
//! that is not durable, bodies go on, and what happened meanwhile is written once, when it is back.

mod bounds;
mod disk;
mod lock;
mod outcome;
mod served;
mod sync;

use std::time::{Duration, Instant};

use quell::task::{Cause, Status};
use quell::testing::{Fault, Faults};
use quell::{CommandError, Notice, Readiness, Refusal, StartError};
use serde_json::json;

use crate::support::{MarkOnDrop, OWNER, Plain, Session, World, eventually, request, seconds};

const FAULTS: [Fault; 3] = [Fault::Refuse, Fault::LoseCommit, Fault::LoseAnswer];

/// The longest that an answer may take: a second, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(2);

/// A world whose database fails on demand.
fn world() -> (World, Faults) {
    let faults = Faults::default();
    let given = faults.clone();
    let world = World::with(move |settings| settings.faults = given);
    world.body("waits", |ctx, stage| async move {
        stage.mark("began");
        let _gone = MarkOnDrop(stage, "gone");
        ctx.cancelled().await;
        Ok(json!("told"))
    });
    world.body("works", |ctx, stage| async move {
        ctx.send_event("step", &0).await?;
        stage.mark("works");
        stage.wait("go").await;
        for step in 1..=20 {
            ctx.send_event("step", &step).await?;
        }
        stage.mark("worked");
        Ok(json!("done"))
    });
    (world, faults)
}

async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = answer.await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    answer
}

/// Waits until what the runtime itself writes at its start is durable, so that the next write is the test's: moving a
/// deadline goes the same way, behind it.
async fn calm(s: &Session) {
    let key = s.create(request::<Plain>("waits")).await.unwrap().key;
    s.set_timeout(&key, Some(seconds(9.0))).await.unwrap();
}

/// A start that is refused because of the database.
async fn no_start(s: &Session) -> quell::store::StoreError {
    match in_time(s.start(request::<Plain>("waits"))).await {
        Err(StartError::Refused(Refusal::Unavailable(error))) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn i19_bodies_go_on_and_their_ends_and_events_are_written_once_when_the_database_is_back() {
    for fault in FAULTS {
        let (world, faults) = world();
        world.run(async |s| {
            calm(&s).await;
            let works = s.begin::<Plain>("works").await;
            let waits = s.begin::<Plain>("waits").await;
            let late = s.start(request::<Plain>("waits").timeout(seconds(0.3))).await.unwrap().key;
            s.stage().reached("works", 1).await;
            s.stage().reached("began", 2).await;
            let mut watch = s.watch(&works, 0).await.unwrap();
            assert_eq!(s.readiness(), Readiness::Ready);
            faults.set(fault);
            s.stage().mark("go");
            s.stage().reached("worked", 1).await;
            // Its deadline passes all the same.
            s.stage().reached("gone", 1).await;
            eventually("it says that it has no database", async || s.readiness() == Readiness::NoDatabase)
                .await;
            no_start(&s).await;
            let refused = in_time(s.cancel_task(&waits, None)).await;
            assert!(matches!(refused, Err(CommandError::Refused(Refusal::Unavailable(_)))), "{refused:?}");
            // Where only the answer was lost, the rows are on the disk already.
            for key in [&works, &waits, &late].into_iter().filter(|_| fault != Fault::LoseAnswer) {
                assert_eq!(
                    s.task(key).await.unwrap().status,
                    Status::Running,
                    "{fault:?}: nothing is durable"
                );
            }
            faults.clear();
            let record = s.ended(&works).await;
            assert_eq!(
                (record.status, record.final_value.unwrap().as_str()),
                (Status::Completed, "\"done\"")
            );
            assert_eq!(s.ended(&late).await.cancel.unwrap().cause, Cause::Timeout);
            let mut wanted = vec!["running".to_owned()];
            wanted.extend((0..=20).map(|step| format!("step {step}")));
            wanted.push("completed".to_owned());
            let told = |event: &quell::task::Event| match event
                .data
                .to_value::<serde_json::Value>()
                .unwrap()
                .get("value")
            {
                Some(step) => format!("{} {step}", event.kind),
                None => event.kind.to_string(),
            };
            let kept: Vec<_> = s.events(&works).await.unwrap().iter().map(|event| told(event)).collect();
            assert_eq!(kept, wanted, "{fault:?}");
            let mut seen = Vec::new();
            while let Some(notice) = watch.next().await {
                if let Notice::Event(event) = notice.unwrap() {
                    seen.push(told(&event));
                }
            }
            assert_eq!(seen, wanted, "{fault:?}: a stream goes on");
            // The refused cancel had no effect: the body was not told.
            assert_eq!(s.kinds(&waits).await, ["running"]);
            assert_eq!(s.stage().count("gone"), 1);
            eventually("it is ready again", async || s.readiness() == Readiness::Ready).await;
            assert!(s.stop(&waits, "enough").await.is_cancelled());
        });
    }
}

#[test]
fn i19_a_shutdown_without_a_database_ends_in_its_time_and_the_next_start_settles_the_rest() {
    let (world, faults) = world();
    let waits = world.run(async |s| {
        let waits = s.begin::<Plain>("waits").await;
        s.stage().reached("began", 1).await;
        faults.set(Fault::Refuse);
        let began = Instant::now();
        s.quell.shutdown(Duration::from_secs(3)).await;
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        waits
    });
    faults.clear();
    world.run(async |s| {
        let record = s.task(&waits).await.unwrap();
        assert!(record.status.is_terminal(), "{record:?}");
        assert_eq!(&*record.owner, OWNER);
    });
}
