//! Holds I-20 while the database is away: what bodies send is bounded in memory, and none of it is lost.

use quell::testing::Fault;
use serde_json::json;

use super::world;
use crate::support::{Plain, eventually};

/// Events of one task that may wait.
const WINDOW: u64 = 512;

/// Kilobytes that may wait over all tasks.
const ROOM_KIB: u64 = 64 * 1024;

/// Kilobytes that a large event counts for.
const EVENT_KIB: u64 = 60;

const TALKERS: u64 = 5;

/// Large events of each talker: fewer than its window holds.
const LARGE: u64 = 256;

#[test]
fn i20_what_one_body_sends_while_the_database_is_away_is_bounded_and_kept() {
    let (world, faults) = world();
    world.body("talks", |ctx, stage| async move {
        stage.wait("go").await;
        for word in 0..WINDOW * 2 {
            ctx.send_event("word", &word).await?;
            stage.mark("sent");
        }
        Ok(json!(null))
    });
    world.run(async |s| {
        let key = s.begin::<Plain>("talks").await;
        faults.set(Fault::Refuse);
        s.stage().mark("go");
        eventually("the window is full", async || faults.met() > 0 && s.stage().count("sent") >= WINDOW)
            .await;
        let met = faults.met();
        eventually("the database was tried again and again", async || faults.met() > met + 3).await;
        assert_eq!(s.stage().count("sent"), WINDOW);
        faults.clear();
        s.ended(&key).await;
        let kinds = s.kinds(&key).await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "word").count(), 2 * 512);
    });
}

#[test]
fn i20_what_all_bodies_send_while_the_database_is_away_is_bounded_and_kept() {
    let (world, faults) = world();
    world.body("shouts", |ctx, stage| async move {
        stage.mark("shouts");
        stage.wait("go").await;
        let text = "x".repeat(60 * 1024 - 20);
        for _ in 0..LARGE {
            ctx.send_event("word", &text).await?;
            stage.mark("sent");
        }
        Ok(json!(null))
    });
    world.run(async |s| {
        let mut keys = Vec::new();
        for _ in 0..TALKERS {
            keys.push(s.begin::<Plain>("shouts").await);
        }
        s.stage().reached("shouts", TALKERS).await;
        faults.set(Fault::Refuse);
        s.stage().mark("go");
        let bound = ROOM_KIB / EVENT_KIB;
        assert!(bound < TALKERS * LARGE, "they would all find room");
        s.stage().reached("sent", bound).await;
        let met = faults.met();
        eventually("the database was tried again and again", async || faults.met() > met + 5).await;
        assert_eq!(s.stage().count("sent"), bound);
        faults.clear();
        for key in &keys {
            s.ended(key).await;
        }
        for key in &keys {
            assert_eq!(s.quell.last_event(key).await.unwrap(), i64::try_from(LARGE).unwrap() + 2);
        }
    });
}
