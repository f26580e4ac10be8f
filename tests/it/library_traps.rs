//! What actix and diesel-async do unexpectedly (traps 1, 2, 6 and 17), shown with the smallest actor there is, and
//! that quell does not fall into it. A later version of a library cannot change it unseen.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskCx, Poll, Wake, Waker};
use std::time::Duration;

use actix::{
    Actor, ActorContext, Addr, Arbiter, Context, Handler, MailboxError, Message, Supervised, Supervisor,
};
use quell::task::{Status, StoppedBy};
use quell::{CancelOptions, StartOutcome, TaskContext};
use serde_json::json;

use crate::support::{
    Hold, LONG, Plain, Stage, World, eventually, poll_once, request, seconds, sent, stop_of,
};

/// Counts its lives and its messages.
struct Tiny(Arc<Stage>);

impl Actor for Tiny {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1);
        self.0.mark("started");
    }
}

impl Supervised for Tiny {}

#[derive(Message)]
#[rtype(result = "()")]
enum Do {
    Stop,
    Panic,
    Block,
    Count,
}

impl Handler<Do> for Tiny {
    type Result = ();

    fn handle(&mut self, what: Do, ctx: &mut Self::Context) {
        match what {
            Do::Stop => ctx.stop(),
            Do::Panic => panic!("in a handler"),
            Do::Block => {
                self.0.mark("blocked");
                self.0.wait_blocking("released");
            }
            Do::Count => self.0.mark("counted"),
        }
    }
}

/// Runs a part of a test with a tiny actor on a thread of its own.
fn with_actor(part: impl AsyncFnOnce(Arc<Stage>, Addr<Tiny>)) {
    let system = actix::System::new();
    system.block_on(async {
        let stage = Arc::<Stage>::default();
        let own = Arc::clone(&stage);
        let actor = Tiny::start_in_arbiter(&Arbiter::new().handle(), move |_| Tiny(own));
        part(stage, actor).await;
    });
    actix::System::current().stop();
    system.run().unwrap();
}

#[test]
fn trap_1_a_supervisor_restarts_an_actor_that_stopped_while_somebody_holds_its_address() {
    actix::System::new().block_on(async {
        let stage = Arc::<Stage>::default();
        let own = Arc::clone(&stage);
        let actor = Supervisor::start(move |_| Tiny(own));
        actor.send(Do::Count).await.unwrap();
        // Stopped: its answer is lost, and it lives again all the same.
        let _ = actor.send(Do::Stop).await;
        stage.reached("started", 2).await;
        actor.send(Do::Count).await.unwrap();
        assert_eq!(stage.count("counted"), 2);
    });
}

#[test]
fn trap_1_a_finished_task_is_not_run_again_whoever_holds_on_to_it() {
    let kept = Arc::new(Mutex::new(Vec::<TaskContext>::new()));
    World::new().run(async |s| {
        let keep = Arc::clone(&kept);
        s.world.body("counts", move |ctx, stage| {
            keep.lock().unwrap().push(ctx);
            stage.mark("began");
            async { Ok(json!("done")) }
        });
        let key = s.begin::<Plain>("counts").await;
        let watch = s.watch(&key, 0).await.unwrap();
        let ended = s.ended(&key).await;
        for _ in 0..10 {
            assert_eq!(s.start_task(&key, None).await.unwrap(), StartOutcome::AlreadyEnded);
            s.stop(&key, "again").await;
        }
        drop(watch);
        kept.lock().unwrap().clear();
        let other = s.begin::<Plain>("counts").await;
        s.ended(&other).await;
        assert_eq!(s.stage().count("began"), 2, "once for each");
        assert_eq!(s.task(&key).await.unwrap(), ended);
    });
}

#[test]
fn trap_2_a_panic_in_a_handler_closes_an_actor_silently() {
    with_actor(async |_, actor| {
        assert!(matches!(actor.send(Do::Panic).await, Err(MailboxError::Closed)));
        eventually("the address is dead", async || !actor.connected()).await;
        assert!(matches!(actor.send(Do::Count).await, Err(MailboxError::Closed)));
        assert!(matches!(actor.try_send(Do::Count), Err(actix::prelude::SendError::Closed(_))));
    });
}

/// A waker that panics on the thread that wakes it: the only foreign code that an actor of quell ever calls.
struct Grenade;

impl Wake for Grenade {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

/// Sends a command whose answer wakes the grenade, and says which one it was: one whose answer is there at the
/// first look wakes nobody.
fn throw<F: Future>(command: impl Fn() -> F) -> (Pin<Box<F>>, u32) {
    let grenade = Waker::from(Arc::new(Grenade));
    let mut number = 1;
    loop {
        let mut command = Box::pin(command());
        if command.as_mut().poll(&mut TaskCx::from_waker(&grenade)).is_pending() {
            return (command, number);
        }
        number += 1;
    }
}

/// A world that expects its runtime to fail for good, and how often it said so.
fn failing_world() -> (World, Arc<AtomicUsize>) {
    let failures = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&failures);
    let world = World::with(|settings| {
        settings.on_failure = Arc::new(move |_| {
            counter.fetch_add(1, SeqCst);
        });
    });
    (world, failures)
}

#[test]
fn trap_2_a_central_actor_that_panics_is_noticed_and_ends_the_process() {
    let (world, failures) = failing_world();
    world.run(async |s| {
        s.world.body("returns", |_, _| async { Ok(json!("done")) });
        let (_create, _) = throw(|| s.create(request::<Plain>("returns")));
        eventually("the default would end the process", async || failures.load(SeqCst) > 0).await;
    });
}

#[test]
fn trap_2_a_task_whose_actor_panicked_is_noticed_when_it_is_spoken_to() {
    let (world, failures) = failing_world();
    world.run(async |s| {
        s.world.body("waits", |_, _| std::future::pending());
        let (_start, id) = throw(|| s.start(request::<Plain>("waits")));
        let key = format!("tests/Plain/{id}").parse().unwrap();
        eventually("it runs", async || {
            s.task(&key).await.is_ok_and(|record| record.status == Status::Running)
        })
        .await;
        let options = CancelOptions { wait: Duration::ZERO, ..CancelOptions::default() };
        eventually("the default would end the process", async || {
            let _ = s.cancel(&key, options.clone()).await;
            failures.load(SeqCst) > 0
        })
        .await;
        // Its task never ends: the shutdown takes all the time it is given.
        s.shutdown(Duration::from_millis(200)).await;
    });
}

#[test]
fn trap_6_do_send_ignores_the_bound_of_a_mailbox() {
    with_actor(async |stage, actor| {
        actor.try_send(Do::Block).unwrap();
        stage.reached("blocked", 1).await;
        for _ in 0..1_000 {
            #[expect(clippy::disallowed_methods, reason = "this shows why")]
            actor.do_send(Do::Count);
        }
        // Even `try_send` lets each sender go one message past it.
        actor.try_send(Do::Count).unwrap();
        assert!(matches!(actor.try_send(Do::Count), Err(actix::prelude::SendError::Full(_))));
        stage.mark("released");
        stage.reached("counted", 1_001).await;
    });
}

#[test]
fn trap_6_a_send_that_is_dropped_takes_its_message_back() {
    with_actor(async |stage, actor| {
        actor.try_send(Do::Block).unwrap();
        stage.reached("blocked", 1).await;
        let mut gone = Box::pin(actor.send(Do::Count));
        assert!(poll_once(&mut gone).is_pending());
        drop(gone);
        stage.mark("released");
        // Everything that waited has been handled when this is answered.
        actor.send(Do::Count).await.unwrap();
        assert_eq!(stage.count("counted"), 1, "the first one was taken back");
    });
}

#[test]
fn trap_6_a_cancel_that_is_dropped_after_its_first_poll_is_carried_out() {
    World::new().run(async |s| {
        s.world.body("waits", |_, stage| async move {
            stage.mark("began");
            std::future::pending().await
        });
        for round in 1..=20 {
            let running = s.begin::<Plain>("waits").await;
            let pending = s.create(request::<Plain>("waits")).await.unwrap().key;
            s.stage().reached("began", round).await;
            let hold = Hold::coordinator(&s).await;
            drop(sent(s.cancel_task(&running, Some("gone away"))));
            drop(sent(s.cancel_task(&pending, Some("gone away"))));
            drop(hold);
            let record = s.ended(&running).await;
            assert_eq!((record.status, stop_of(&record).0), (Status::Cancelled, "gone away"));
            let record = s.ended(&pending).await;
            assert_eq!(stop_of(&record).2, StoppedBy::NeverStarted);
        }
    });
}

#[test]
fn trap_6_a_start_a_signal_and_a_moved_deadline_that_are_dropped_are_carried_out() {
    World::new().run(async |s| {
        s.world.body("takes", |ctx, _| async move { Ok(json!(ctx.signal("go").await?.data)) });
        drop(sent(s.start(request::<Plain>("takes"))));
        let started = "tests/Plain/1".parse().unwrap();
        eventually("it runs", async || s.task(&started).await.is_ok()).await;
        eventually("its actor knows it", async || s.status(&started).await.unwrap().rung.is_some()).await;
        drop(sent(s.set_timeout(&started, Some(seconds(900.0)))));
        eventually("it is moved", async || s.task(&started).await.unwrap().timeout.is_some()).await;
        drop(sent(s.signal(&started, "go", quell::task::JsonText::default())));
        assert_eq!(s.ended(&started).await.status, Status::Completed);
        let created = s.create(request::<Plain>("takes")).await.unwrap().key;
        drop(sent(s.start_task(&created, None)));
        eventually("it runs", async || s.task(&created).await.unwrap().status == Status::Running).await;
    });
}

/// Polls a future so often, each time when it was woken, and drops it.
async fn drop_after<F: Future>(polls: usize, future: F) {
    let mut future = pin!(future);
    let mut left = polls;
    let stopped = std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        let polled = future.as_mut().poll(cx).map(drop);
        if left == 0 { Poll::Ready(()) } else { polled }
    });
    tokio::time::timeout(LONG, stopped).await.expect("a command is answered");
}

#[test]
fn trap_17_futures_that_are_dropped_at_every_stage_harm_nothing() {
    World::new().run(async |s| {
        s.world.body("waits", |_, _| std::future::pending());
        let unfinished = s.begin::<Plain>("waits").await;
        for polls in (0..6).cycle().take(60) {
            let running = s.begin::<Plain>("waits").await;
            let created = s.create(request::<Plain>("waits")).await.unwrap().key;
            drop_after(polls, s.start(request::<Plain>("waits"))).await;
            drop_after(polls, s.create(request::<Plain>("waits"))).await;
            drop_after(polls, s.task(&running)).await;
            drop_after(polls, s.events(&running)).await;
            drop_after(polls, s.status(&running)).await;
            drop_after(polls, s.owner(&created)).await;
            drop_after(polls, s.set_timeout(&running, Some(seconds(900.0)))).await;
            drop_after(polls, s.signal(&running, "go", quell::task::JsonText::default())).await;
            drop_after(polls.min(1), s.result(&unfinished)).await;
            let mut watch = s.watch(&running, 0).await.unwrap();
            drop_after(polls.min(2), watch.next()).await;
            drop_after(polls, s.start_task(&created, None)).await;
            drop_after(polls, s.cancel_task(&created, None)).await;
            drop_after(polls, s.cancel_task(&running, None)).await;
            // Whatever was dropped: what is asked for now is done.
            s.stop(&running, "in earnest").await;
            assert_eq!(s.ended(&running).await.status, Status::Cancelled);
            s.stop(&created, "in earnest").await;
            assert_eq!(s.ended(&created).await.status, Status::Cancelled);
        }
        assert_eq!(s.task(&unfinished).await.unwrap().status, Status::Running);
        assert_eq!(s.readiness(), quell::Readiness::Ready);
    });
}
