//! I-17: wherever user code panics, one task ends and nobody else is harmed.

use quell::task::{JsonText, Status, StoppedBy};
use quell::{BlockingTask, Registry, StartError, StartRequest, Task, TaskContext, TaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::support::{Patient, Plain, Session, World, stopped_by};

/// Its input cannot be read.
struct PanickyInput;

impl<'de> Deserialize<'de> for PanickyInput {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("while the input is read")
    }
}

impl Task for PanickyInput {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "PanickyInput";
    type Output = ();

    async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Its result cannot be written.
#[derive(Deserialize)]
struct PanickyOutput {
    panics: bool,
}

struct Unwritable {
    panics: bool,
}

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(!self.panics, "while the result is written");
        Err(serde::ser::Error::custom("not writable"))
    }
}

impl Task for PanickyOutput {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "PanickyOutput";
    type Output = Unwritable;

    async fn process(&self, _ctx: TaskContext) -> Result<Unwritable, TaskError> {
        Ok(Unwritable { panics: self.panics })
    }
}

/// Its input panics when it is dropped, whoever had it last.
#[derive(Deserialize)]
struct PanickyDrop {}

impl Drop for PanickyDrop {
    fn drop(&mut self) {
        panic!("while the input is dropped")
    }
}

impl Task for PanickyDrop {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "PanickyDrop";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        Err(ctx.cancelled().await.into())
    }
}

impl BlockingTask for PanickyDrop {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "PanickyBlockingDrop";
    type Output = ();

    fn process(&self, ctx: &TaskContext) -> Result<(), TaskError> {
        while !ctx.is_cancellation_requested() {
            std::thread::yield_now();
        }
        Ok(())
    }
}

fn world() -> World {
    World::with_types(
        |settings| settings.max_running_per_owner = Some(4),
        |registry: Registry| {
            let registry = registry.task::<PanickyInput>().unwrap().task::<PanickyOutput>().unwrap();
            registry.task::<PanickyDrop>().unwrap().blocking::<PanickyDrop>().unwrap()
        },
    )
}

/// A neighbour that lives through all of it.
struct Neighbour(quell::task::TaskKey);

impl Neighbour {
    async fn moves_in(s: &Session) -> Self {
        s.world.body("neighbour", |ctx, _| async move {
            ctx.cancelled().await;
            Ok(json!("lived"))
        });
        Self(s.begin::<Patient>("neighbour").await)
    }

    async fn lives(self, s: &Session) {
        assert_eq!(stopped_by(&s.stop(&self.0, "done").await), StoppedBy::Itself);
        assert_eq!(s.task(&self.0).await.unwrap().final_value.unwrap().as_str(), r#""lived""#);
        assert_eq!(s.readiness(), quell::Readiness::Ready);
    }
}

#[test]
fn i17_a_panic_while_the_input_is_read_refuses_the_start_and_makes_no_row() {
    world().run(async |s| {
        let neighbour = Neighbour::moves_in(&s).await;
        let started = s.start(StartRequest::new("tests", "PanickyInput", "alice")).await;
        assert!(matches!(started, Err(StartError::InvalidInput { .. })), "{started:?}");
        neighbour.lives(&s).await;
    });
}

#[test]
fn i17_a_panic_or_an_error_while_the_result_is_written_fails_the_task() {
    world().run(async |s| {
        let neighbour = Neighbour::moves_in(&s).await;
        for (panics, error_type) in [(true, "panic"), (false, "ResultNotJson")] {
            let input = JsonText::from_value(&json!({ "panics": panics })).unwrap();
            let request = StartRequest::new("tests", "PanickyOutput", "alice").input(input);
            let key = s.start(request).await.unwrap().key;
            let record = s.ended(&key).await;
            assert_eq!((record.status, record.final_value), (Status::Failed, None));
            assert_eq!(record.failure.unwrap().error_type, error_type);
        }
        neighbour.lives(&s).await;
    });
}

#[test]
fn i17_a_panic_while_the_input_is_dropped_harms_nobody() {
    world().run(async |s| {
        let neighbour = Neighbour::moves_in(&s).await;
        for model in ["PanickyDrop", "PanickyBlockingDrop"] {
            let start = async || s.start(StartRequest::new("tests", model, "bob")).await;
            for _ in 0..20 {
                let key = start().await.unwrap().key;
                s.stop(&key, "enough").await;
            }
            // One that is refused is dropped by whoever refuses it.
            let mut running = Vec::new();
            let refused = loop {
                match start().await {
                    Ok(record) => running.push(record.key),
                    Err(refused) => break refused,
                }
            };
            assert!(matches!(refused, StartError::TooManyOfOwner(4)), "{refused:?}");
            for key in &running {
                s.stop(key, "enough").await;
            }
        }
        neighbour.lives(&s).await;
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("while it is dropped");
    }
}

#[test]
fn i17_a_body_that_panics_while_it_is_dropped_is_cancelled_all_the_same() {
    world().run(async |s| {
        let neighbour = Neighbour::moves_in(&s).await;
        s.world.body("bomb", |_, stage| async move {
            let _bomb = Bomb;
            stage.mark("armed");
            std::future::pending().await
        });
        for number in 1..=8 {
            let key = s.begin::<Plain>("bomb").await;
            s.stage().reached("armed", number).await;
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped);
            assert_eq!(s.task(&key).await.unwrap().failure, None);
        }
        neighbour.lives(&s).await;
    });
}

#[test]
fn i17_a_child_that_panics_harms_neither_its_body_nor_others() {
    world().run(async |s| {
        let neighbour = Neighbour::moves_in(&s).await;
        s.world.body("parent", |ctx, stage| async move {
            let child = stage.clone();
            ctx.spawn(async move {
                child.mark("panics");
                panic!("in a child")
            });
            ctx.spawn(async move {
                let _bomb = Bomb;
                std::future::pending::<()>().await;
            });
            stage.wait("panics").await;
            Ok(json!("fine"))
        });
        let key = s.begin::<Plain>("parent").await;
        assert_eq!(s.ended(&key).await.status, Status::Completed);
        neighbour.lives(&s).await;
    });
}

#[test]
fn i17_a_panic_without_a_text_and_one_with_a_long_text_fit_into_a_row() {
    world().run(async |s| {
        let neighbour = Neighbour::moves_in(&s).await;
        s.world.body("odd", |_, _| async { std::panic::panic_any(7_u8) });
        s.world.body("long", |_, _| async { panic!("{}\0", "x".repeat(1024 * 1024)) });
        s.world.body("zero", |_, _| async { Err(TaskError::new("Zero", "a\0b")) });
        for (body, text) in [("odd", "a panic without a text"), ("long", "xxx"), ("zero", "a\u{fffd}b")] {
            let key = s.begin::<Plain>(body).await;
            let message = s.ended(&key).await.failure.unwrap().message;
            assert!(
                message.starts_with(text) && message.len() < 32 * 1024,
                "{body}: {} bytes",
                message.len()
            );
        }
        neighbour.lives(&s).await;
    });
}
