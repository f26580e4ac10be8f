//! Signals: durable, in order, each taken once.

use std::time::Duration;

use quell::CommandError;
use quell::task::JsonText;
use serde_json::json;

use crate::support::{Plain, World, request};

fn number(number: u32) -> JsonText {
    JsonText::from_value(&number).unwrap()
}

/// A body that waits to be told, then takes signals named `go` until one says 0.
fn takes(world: &World) {
    world.body("takes", |ctx, stage| async move {
        stage.wait("take").await;
        let mut taken = Vec::new();
        loop {
            let signal = ctx.signal("go").await?;
            assert_eq!(signal.name, "go");
            let number: u32 = signal.data.to_value()?;
            if number == 0 {
                return Ok(json!(taken));
            }
            taken.push(number);
            stage.mark("taken");
        }
    });
}

#[test]
fn signals_are_kept_in_order_before_and_while_the_body_waits_for_them() {
    World::new().run(async |s| {
        takes(&s.world);
        let key = s.begin::<Plain>("takes").await;
        for data in 1..=5 {
            s.signal(&key, "go", number(data)).await.unwrap();
            s.signal(&key, "other", number(100 + data)).await.unwrap();
        }
        s.stage().mark("take");
        s.stage().reached("taken", 5).await;
        for data in [6, 7, 0] {
            s.signal(&key, "go", number(data)).await.unwrap();
        }
        assert_eq!(s.ended(&key).await.final_value.unwrap().as_str(), "[1,2,3,4,5,6,7]");
    });
}

#[test]
fn signals_to_a_pending_task_wait_for_its_body() {
    World::new().run(async |s| {
        takes(&s.world);
        s.stage().mark("take");
        let key = s.create(request::<Plain>("takes")).await.unwrap().key;
        for data in [1, 2] {
            s.signal(&key, "go", number(data)).await.unwrap();
        }
        s.start_task(&key, None).await.unwrap();
        for data in [3, 0] {
            s.signal(&key, "go", number(data)).await.unwrap();
        }
        assert_eq!(s.ended(&key).await.final_value.unwrap().as_str(), "[1,2,3]");
    });
}

#[test]
fn signals_while_the_task_begins_are_neither_lost_nor_given_twice() {
    World::new().run(async |s| {
        takes(&s.world);
        s.stage().mark("take");
        for _ in 0..30 {
            let key = s.create(request::<Plain>("takes")).await.unwrap().key;
            let begin = s.start_task(&key, None);
            let send = async {
                for data in (1..=8).chain([0]) {
                    s.signal(&key, "go", number(data)).await.unwrap();
                }
            };
            futures_util::future::join(begin, send).await.0.unwrap();
            assert_eq!(s.ended(&key).await.final_value.unwrap().as_str(), "[1,2,3,4,5,6,7,8]");
        }
    });
}

#[test]
fn of_many_signals_at_once_each_is_taken_once() {
    World::new().run(async |s| {
        s.world.body("shares", |ctx, _| async move {
            let take = || async {
                let mut taken = Vec::new();
                for _ in 0..50 {
                    taken.push(ctx.signal("go").await?.data.to_value::<u32>()?);
                }
                Ok::<_, quell::TaskError>(taken)
            };
            let (one, two) = futures_util::future::join(take(), take()).await;
            let mut all = one?;
            all.extend(two?);
            all.sort_unstable();
            Ok(json!(all))
        });
        let key = s.begin::<Plain>("shares").await;
        let sends = (0..100).map(|data| s.signal(&key, "go", number(data)));
        assert!(futures_util::future::join_all(sends).await.iter().all(Result::is_ok));
        let expected = json!((0..100).collect::<Vec<_>>()).to_string();
        assert_eq!(s.ended(&key).await.final_value.unwrap().as_str(), expected);
    });
}

#[test]
fn a_wait_with_a_limit_ends_without_a_signal_and_takes_none_that_comes_later() {
    World::new().run(async |s| {
        s.world.body("waits_a_little", |ctx, stage| async move {
            let nothing = ctx.signal_within("go", Duration::from_millis(1)).await?;
            stage.mark("in vain");
            let late = ctx.signal("go").await?;
            let at_once = ctx.signal_within("go", Duration::from_secs(600)).await?;
            Ok(json!([nothing.is_none(), late.data, at_once.map(|signal| signal.data)]))
        });
        let key = s.begin::<Plain>("waits_a_little").await;
        s.stage().reached("in vain", 1).await;
        for data in [1, 2] {
            s.signal(&key, "go", number(data)).await.unwrap();
        }
        assert_eq!(s.ended(&key).await.final_value.unwrap().as_str(), "[true,1,2]");
    });
}

#[test]
fn a_signal_that_cannot_be_is_refused() {
    World::new().run(async |s| {
        takes(&s.world);
        let key = s.begin::<Plain>("takes").await;
        for name in ["", "Go", "1", "a-b", "a b", &"a".repeat(65)] {
            let refused = s.signal(&key, name, JsonText::default()).await;
            assert!(matches!(refused, Err(CommandError::SignalName(_))), "{name}");
        }
        let unknown = "tests/Plain/77".parse().unwrap();
        let refused = s.signal(&unknown, "go", JsonText::default()).await;
        assert!(matches!(refused, Err(CommandError::NotFound(_))));
        s.stop(&key, "enough").await;
        let refused = s.signal(&key, "go", number(0)).await;
        assert!(matches!(refused, Err(CommandError::Ended(_))));
    });
}
