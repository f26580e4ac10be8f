//! Time that jumps: the wall clock of these worlds is the test's to set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use quell::task::{Cause, Status, StoppedBy, Timestamp};
use quell::{Clock, Coordinator, SystemClock};

use crate::support::{Again, Plain, Session, World, eventually, request, seconds};

/// An hour in microseconds.
const HOUR: i64 = 3_600_000_000;

/// The system's clock, put forward or back.
#[derive(Default)]
struct Jumping(AtomicI64);

impl Jumping {
    fn jump_to(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }
}

impl Clock for Jumping {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.wall().as_micros() + self.0.load(Ordering::SeqCst))
    }
}

fn world() -> (World, Arc<Jumping>) {
    let clock = Arc::new(Jumping::default());
    let theirs = Arc::clone(&clock);
    let world = World::with(move |settings| settings.clock = theirs);
    world.body("waits", |_, _| std::future::pending());
    (world, clock)
}

/// A deadline that is due at once fires: every earlier one would have fired before it.
async fn deadlines_are_served(s: &Session) {
    let short = s.start(request::<Plain>("waits").timeout(seconds(0.05))).await.unwrap();
    assert_eq!(s.ended(&short.key).await.cancel.unwrap().cause, Cause::Timeout);
}

async fn status(quell: &Coordinator, key: &quell::task::TaskKey) -> Status {
    quell.task(key).await.unwrap().status
}

#[test]
fn i15_a_jump_of_the_wall_clock_moves_no_deadline() {
    let (world, clock) = world();
    world.run(async |s| {
        let long = s.start(request::<Plain>("waits").timeout(seconds(3_000.0))).await.unwrap().key;
        for jump in [10 * HOUR, -10 * HOUR, 0] {
            clock.jump_to(jump);
            deadlines_are_served(&s).await;
            assert_eq!(status(&s, &long).await, Status::Running, "after a jump to {jump}");
            // Moved deadlines count from the start as it was, not from what the clock says of it now.
            s.set_timeout(&long, Some(seconds(2_000.0))).await.unwrap();
            deadlines_are_served(&s).await;
            assert_eq!(status(&s, &long).await, Status::Running, "moved after a jump to {jump}");
        }
        clock.jump_to(-10 * HOUR);
        s.set_timeout(&long, Some(seconds(0.05))).await.unwrap();
        assert_eq!(s.ended(&long).await.cancel.unwrap().cause, Cause::Timeout);
    });
}

#[test]
fn i15_a_jump_of_the_wall_clock_changes_no_order() {
    let (world, clock) = world();
    world.run(async |s| {
        let first = s.begin::<Plain>("waits").await;
        clock.jump_to(-10 * HOUR);
        let second = s.begin::<Plain>("waits").await;
        assert!(second.id > first.id);
        s.stop(&first, "enough").await;
        assert_eq!(s.kinds(&first).await, ["running", "cancellation_requested", "cancelled"]);
    });
}

#[test]
fn i14_a_deadline_that_passed_while_the_server_was_down_fires_at_the_next_start() {
    let (world, clock) = world();
    let (past, ahead) = world.run(async |s| {
        let past = s.start(request::<Again>("waits").timeout(seconds(3_000.0))).await.unwrap();
        let ahead = s.start(request::<Again>("waits").timeout(seconds(30_000.0))).await.unwrap();
        (past, ahead)
    });
    clock.jump_to(HOUR);
    world.run(async |s| {
        let record = s.ended(&past.key).await;
        let cancel = record.cancel.unwrap();
        assert_eq!((&*cancel.reason, cancel.cause), ("Timeout after 3000s", Cause::Timeout));
        assert_eq!(record.started_at, past.started_at, "it counts from the first start");
        assert_eq!(
            record.stopped_by,
            Some(StoppedBy::NeverStarted),
            "its time was over: it is not run again"
        );
        eventually("it runs again", async || status(&s, &ahead.key).await == Status::Running).await;
        // Counted from the first start, an hour ago by the clock.
        s.set_timeout(&ahead.key, Some(seconds(3_500.0))).await.unwrap();
        assert_eq!(s.ended(&ahead.key).await.cancel.unwrap().cause, Cause::Timeout);
    });
}
