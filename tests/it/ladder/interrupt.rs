//! Interrupt hooks: what a body waits for is broken when it is asked to stop, and a bad hook harms nobody.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use quell::TaskError;
use quell::task::{Cause, Status, StoppedBy};
use serde_json::json;

use crate::support::{Brief, MarkOnDrop, Patient, Plain, Session, World, request, seconds, stopped_by};

/// A blocking body in a read that nobody ever answers, with a hook that shuts the socket down.
fn reads(world: &World, address: std::net::SocketAddr) {
    world.blocking("reads", move |ctx, stage| {
        let mut from = TcpStream::connect(address)?;
        let other = from.try_clone()?;
        let _interrupt = ctx.on_interrupt(move || other.shutdown(Shutdown::Both).unwrap());
        stage.mark("reads");
        let read = from.read(&mut [0; 16])?;
        stage.mark("read");
        ctx.check_cancellation()?;
        Ok(json!(read))
    });
}

#[test]
fn a_blocking_body_stuck_in_a_read_ends_by_itself_when_its_hook_breaks_the_read() {
    World::new().run(async |s| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        reads(&s.world, listener.local_addr().unwrap());
        let key = s.begin_blocking::<Plain>("reads").await;
        s.stage().reached("reads", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself);
        assert_eq!(s.stage().count("read"), 1);
        let record = s.task(&key).await.unwrap();
        assert_eq!((record.status, record.failure), (Status::Cancelled, None));
        assert_eq!(s.pool_status().abandoned_threads, 0);
    });
}

#[test]
fn a_hook_is_called_for_every_cause() {
    World::new().run(async |s| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        reads(&s.world, listener.local_addr().unwrap());
        let timed = crate::support::blocking_request::<Plain>("reads").timeout(seconds(0.05));
        let key = s.start(timed).await.unwrap().key;
        let record = s.ended(&key).await;
        assert_eq!(record.cancel.unwrap().cause, Cause::Timeout);
        assert_eq!(record.stopped_by, Some(StoppedBy::Itself));
    });
}

#[test]
fn a_hook_is_called_once_and_at_once_where_the_task_was_asked_before() {
    World::new().run(async |s| {
        s.world.body("late", |ctx, stage| async move {
            let (first, second) = (Arc::clone(&stage), Arc::clone(&stage));
            let _first = ctx.on_interrupt(move || first.mark("first"));
            stage.mark("began");
            ctx.cancelled().await;
            let _second = ctx.on_interrupt(move || second.mark("second"));
            stage.wait("first").await;
            stage.wait("second").await;
            Ok(json!("both"))
        });
        let key = s.begin::<Patient>("late").await;
        s.stage().reached("began", 1).await;
        assert_eq!(s.stage().count("first"), 0);
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself);
        s.stop(&key, "again").await;
        assert_eq!((s.stage().count("first"), s.stage().count("second")), (1, 1));
    });
}

#[test]
fn a_hook_that_was_taken_back_is_dropped_and_never_called() {
    World::new().run(async |s| {
        s.world.body("over", |ctx, stage| async move {
            let (called, gone) = (Arc::clone(&stage), MarkOnDrop(Arc::clone(&stage), "hook gone"));
            let interrupt = ctx.on_interrupt(move || {
                let _gone = gone;
                called.mark("called");
            });
            drop(interrupt);
            assert_eq!(stage.count("hook gone"), 1);
            stage.mark("began");
            ctx.cancelled().await;
            // Later hooks are called later: by now the first would have been.
            let (last, seen) = (Arc::clone(&stage), Arc::clone(&stage));
            let _last = ctx.on_interrupt(move || last.mark("last"));
            seen.wait("last").await;
            Ok(json!("over"))
        });
        let key = s.begin::<Patient>("over").await;
        s.stage().reached("began", 1).await;
        assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Itself);
        assert_eq!((s.stage().count("called"), s.stage().count("hook gone")), (0, 1));
    });
}

/// A body whose hook does something bad; it stops as it would without.
async fn stops_all_the_same(s: &Session, body: &str) {
    let key = s.begin::<Brief>(body).await;
    s.stage().reached(&format!("{body} began"), 1).await;
    assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Dropped, "{body}");
    assert_eq!(s.task(&key).await.unwrap().failure, None, "{body}");
}

#[test]
fn i17_a_hook_that_panics_or_hangs_harms_nobody_and_other_hooks_are_called() {
    World::new().run(async |s| {
        s.world.body("panics", |ctx, stage| async move {
            let _interrupt = ctx.on_interrupt(|| panic!("as asked"));
            stage.mark("panics began");
            std::future::pending().await
        });
        s.world.body("hangs", |ctx, stage| async move {
            // More than run at once: they are replaced.
            let hooks: Vec<_> = (0..6)
                .map(|_| {
                    let stage = Arc::clone(&stage);
                    ctx.on_interrupt(move || stage.wait_blocking("released"))
                })
                .collect();
            stage.mark("hangs began");
            std::future::pending::<()>().await;
            drop(hooks);
            Ok(json!("not reached"))
        });
        s.world.body("dropped", |ctx, stage| async move {
            struct Bomb;
            impl Drop for Bomb {
                fn drop(&mut self) {
                    panic!("while it is dropped");
                }
            }
            let bomb = Bomb;
            let _interrupt = ctx.on_interrupt(move || drop(bomb));
            stage.mark("dropped began");
            Err(TaskError::new("Ended", "with a hook that was not called"))
        });
        stops_all_the_same(&s, "panics").await;
        stops_all_the_same(&s, "hangs").await;
        let key = s.start(request::<Plain>("dropped")).await.unwrap().key;
        assert_eq!(s.ended(&key).await.failure.unwrap().error_type, "Ended");

        s.world.body("hears", |ctx, stage| async move {
            let hook = Arc::clone(&stage);
            let _interrupt = ctx.on_interrupt(move || hook.mark("heard"));
            stage.mark("hears began");
            stage.wait("heard").await;
            Ok(json!("heard"))
        });
        let key = s.begin::<Patient>("hears").await;
        s.stage().reached("hears began", 1).await;
        let stopped = tokio::time::timeout(Duration::from_secs(30), s.stop(&key, "enough")).await;
        assert_eq!(stopped_by(&stopped.expect("its hook is called")), StoppedBy::Itself);
        s.stage().mark("released");
    });
}
