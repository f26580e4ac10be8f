//! A process that is killed, and the next one that settles what it left: no row stays `running` without a body.

use quell::task::{Cause, JsonText, Status, StoppedBy};
use quell::{Readiness, Receipt, StartOutcome};
use serde_json::json;

use crate::support::{
    Again, Child, LONG, OWNER, Patient, Plain, World, is_child_of, request, seconds, stop_of, stopped_by,
};

fn bodies(world: &World) {
    world.body("waits", |_, stage| async move {
        stage.mark("began");
        std::future::pending().await
    });
    world.body("stays", |ctx, stage| async move {
        stage.mark("began");
        ctx.cancelled().await;
        std::future::pending().await
    });
    world.body("returns", |_, _| async { Ok(json!("done")) });
    world.body("takes", |ctx, stage| async move {
        ctx.send_event("attempt", &ctx.attempt()).await?;
        stage.mark("began");
        let first = ctx.signal("input").await?;
        let second = ctx.signal("input").await?;
        Ok(json!([first.data, second.data, ctx.attempt()]))
    });
}

fn key(model: &str, id: i64) -> quell::task::TaskKey {
    format!("tests/{model}/{id}").parse().unwrap()
}

/// For the child: a task in each state there is, in a known order.
#[test]
fn helper_leaves_a_task_in_each_state() {
    let Some(folder) = is_child_of() else { return };
    let world = World::at(&folder);
    bodies(&world);
    world.run(async |s| {
        s.begin::<Plain>("waits").await;
        let asked = s.begin::<Patient>("stays").await;
        let again = s.begin::<Again>("takes").await;
        s.create(request::<Plain>("returns")).await.unwrap();
        let done = s.begin::<Plain>("returns").await;
        let timed = s.start(request::<Again>("waits").timeout(seconds(3_000.0))).await.unwrap().key;
        s.ended(&done).await;
        s.stage().reached("began", 4).await;
        assert!(matches!(s.ask(&asked, "enough").await, Receipt::Cancelling { .. }));
        s.signal(&again, "other", JsonText::from_value(&0).unwrap()).await.unwrap();
        s.set_timeout(&timed, Some(seconds(2_000.0))).await.unwrap();
        Child::ready(&folder).await;
    });
}

/// For the child: opens what is there, and waits until its one task runs.
#[test]
fn helper_carries_on() {
    let Some(folder) = is_child_of() else { return };
    let world = World::at(&folder);
    bodies(&world);
    world.run(async |s| {
        if s.task(&key("Again", 1)).await.is_err() {
            s.begin::<Again>("waits").await;
        }
        s.stage().reached("began", 1).await;
        Child::ready(&folder).await;
    });
}

#[test]
fn i13_the_next_start_settles_what_a_killed_process_left() {
    let folder = tempfile::tempdir().unwrap();
    Child::start("restart::crash::helper_leaves_a_task_in_each_state", folder.path()).kill();
    let world = World::at(folder.path());
    bodies(&world);
    world.run(async |s| {
        assert_eq!(s.readiness(), Readiness::Ready);
        let lost = s.task(&key("Plain", 1)).await.unwrap();
        assert_eq!((lost.status, lost.failure.unwrap().error_type.as_str()), (Status::Failed, "lost"));
        assert_eq!((&*lost.owner, lost.input.as_str()), (OWNER, r#"{"body":"waits"}"#));
        assert_eq!(s.kinds(&key("Plain", 1)).await, ["running", "error"]);
        let done = s.task(&key("Plain", 5)).await.unwrap();
        assert_eq!((done.status, done.final_value.unwrap().as_str()), (Status::Completed, r#""done""#));
        let created = key("Plain", 4);
        assert_eq!(s.task(&created).await.unwrap().status, Status::Pending);
        assert!(matches!(s.start_task(&created, None).await.unwrap(), StartOutcome::Started(_)));
        assert_eq!(s.ended(&created).await.status, Status::Completed);
        // New ids are larger than every id that was given.
        assert!(s.begin::<Plain>("returns").await.id.get() > 6);
    });
}

#[test]
fn i05_a_cancel_that_was_acknowledged_decides_though_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    Child::start("restart::crash::helper_leaves_a_task_in_each_state", folder.path()).kill();
    let world = World::at(folder.path());
    bodies(&world);
    world.run(async |s| {
        let asked = key("Patient", 2);
        let record = s.task(&asked).await.unwrap();
        assert_eq!(record.status, Status::Cancelled);
        assert_eq!(stop_of(&record), ("enough", Cause::User, StoppedBy::Lost));
        assert_eq!(s.kinds(&asked).await, ["running", "cancellation_requested", "cancelled"]);
        assert_eq!(s.start_task(&asked, None).await.unwrap(), StartOutcome::AlreadyEnded);
    });
}

#[test]
fn i22_a_model_that_restarts_runs_again_with_its_signals_its_deadline_and_the_next_numbers() {
    let folder = tempfile::tempdir().unwrap();
    Child::start("restart::crash::helper_leaves_a_task_in_each_state", folder.path()).kill();
    let world = World::at(folder.path());
    bodies(&world);
    world.run(async |s| {
        s.stage().reached("began", 2).await;
        let again = key("Again", 3);
        for input in ["a", "b"] {
            s.signal(&again, "input", JsonText::from_value(input).unwrap()).await.unwrap();
        }
        let record = s.ended(&again).await;
        assert_eq!(record.attempt, 2);
        assert_eq!(record.final_value.unwrap().as_str(), r#"["a","b",2]"#);
        let kinds = s.kinds(&again).await;
        assert_eq!(kinds, ["running", "attempt", "running", "attempt", "completed"]);
        let timed = key("Again", 6);
        let record = s.task(&timed).await.unwrap();
        assert_eq!((record.status, record.timeout), (Status::Running, Some(seconds(2_000.0))));
        assert_eq!(stopped_by(&s.stop(&timed, "enough").await), StoppedBy::Dropped);
    });
}

#[test]
fn a_task_runs_again_only_as_often_as_its_model_says() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        Child::start("restart::crash::helper_carries_on", folder.path()).kill();
    }
    let world = World::at(folder.path());
    bodies(&world);
    world.run(async |s| {
        let record = s.task(&key("Again", 1)).await.unwrap();
        assert_eq!((record.status, record.attempt), (Status::Failed, 3));
        assert_eq!(record.failure.unwrap().error_type, "lost");
        let again = key("Again", 1);
        assert_eq!(s.kinds(&again).await, ["running", "running", "running", "error"]);
        assert_eq!(s.stage().count("began"), 0);
    });
}

#[test]
fn i26_a_second_process_refuses_the_file_and_gets_it_when_the_first_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let child = Child::start("restart::crash::helper_carries_on", folder.path());
    actix::System::new().block_on(async {
        let url = format!("sqlite://{}/quell.db", folder.path().display());
        let second = quell::Runtime::start(&url, quell::Registry::new(), quell::RuntimeSettings::default());
        let refused = tokio::time::timeout(LONG, second).await.unwrap().unwrap_err().to_string();
        assert!(refused.contains("another process is using it"), "{refused}");
    });
    child.kill();
    let world = World::at(folder.path());
    bodies(&world);
    world.run(async |s| s.stage().reached("began", 1).await);
}
