//! Watching: resuming without gap or repeat, retention, the one terminal event, slow watchers.

use std::sync::Arc;

use quell::task::{Event, Status, TaskKey};
use quell::{Notice, Watch};
use serde_json::json;

use crate::support::{Again, LONG, Plain, Session, World, request, sent, stopped_by};

/// Everything that a watch still gives.
async fn rest(mut watch: Watch) -> Vec<Notice> {
    let mut notices = Vec::new();
    let all = async {
        while let Some(notice) = watch.next().await {
            notices.push(notice.unwrap());
        }
    };
    tokio::time::timeout(LONG, all).await.expect("a watch ends");
    notices
}

fn numbers(notices: &[Notice]) -> Vec<i64> {
    let event = |notice: &Notice| match notice {
        Notice::Event(event) => event.seq,
        other => panic!("{other:?} instead of an event"),
    };
    notices.iter().map(event).collect()
}

fn last_event(notices: &[Notice]) -> Arc<Event> {
    match notices.last() {
        Some(Notice::Event(event)) => Arc::clone(event),
        other => panic!("{other:?} instead of an event"),
    }
}

/// A body that sends a number of events, waits to be told, and sends as many again.
fn counts(world: &World, half: i64) {
    world.body("counts", move |ctx, stage| async move {
        for number in 0..half {
            ctx.send_event("first", &number).await?;
        }
        stage.mark("half");
        stage.wait("go on").await;
        for number in 0..half {
            ctx.send_event("second", &number).await?;
        }
        Ok(json!("counted"))
    });
}

#[test]
fn i23_a_watch_resumes_from_every_number_without_gap_or_repeat() {
    World::new().run(async |s| {
        counts(&s.world, 100);
        let key = s.begin::<Plain>("counts").await;
        s.stage().reached("half", 1).await;
        let mut watches = Vec::new();
        for after in 0..=202 {
            watches.push((after, sent_watch(&s, &key, after).await));
        }
        s.stage().mark("go on");
        for (after, watch) in watches {
            assert_eq!(numbers(&watch.await.unwrap()), (after + 1..=202).collect::<Vec<_>>());
        }
        for after in 0..=203 {
            let late = rest(s.watch(&key, after).await.unwrap()).await;
            assert_eq!(numbers(&late), (after + 1..=202).collect::<Vec<_>>(), "after {after}");
        }
        let negative = rest(s.watch(&key, -5).await.unwrap()).await;
        assert_eq!(negative.len(), 202);
    });
}

/// A watcher on its own.
async fn sent_watch(s: &Session, key: &TaskKey, after: i64) -> tokio::task::JoinHandle<Vec<Notice>> {
    let watch = s.watch(key, after).await.unwrap();
    actix_rt::spawn(rest(watch))
}

#[test]
fn i23_a_watch_that_is_left_and_taken_up_at_every_event_misses_nothing() {
    World::new().run(async |s| {
        counts(&s.world, 60);
        let key = s.begin::<Plain>("counts").await;
        s.stage().mark("go on");
        let mut seen = Vec::new();
        while seen.len() < 122 {
            let after = seen.last().copied().unwrap_or(0);
            let mut watch = s.watch(&key, after).await.unwrap();
            for _ in 0..3 {
                let Some(notice) = watch.next().await else { break };
                seen.extend(numbers(&[notice.unwrap()]));
            }
        }
        assert_eq!(seen, (1..=122).collect::<Vec<_>>());
    });
}

#[test]
fn i23_past_the_retention_a_watch_says_reset_and_goes_on_from_the_oldest() {
    World::with(|settings| settings.keep_events = 10).run(async |s| {
        counts(&s.world, 20);
        let key = s.begin::<Plain>("counts").await;
        s.stage().mark("go on");
        s.ended(&key).await;
        let kept: Vec<_> = s.events(&key).await.unwrap().iter().map(|event| event.seq).collect();
        assert_eq!(kept, (33..=42).collect::<Vec<_>>());
        for after in [0, 1, 20, 31] {
            let notices = rest(s.watch(&key, after).await.unwrap()).await;
            assert_eq!(notices[0], Notice::Reset { from: 33 }, "after {after}");
            assert_eq!(numbers(&notices[1..]), kept);
        }
        for after in 32..=42 {
            let notices = rest(s.watch(&key, after).await.unwrap()).await;
            assert_eq!(numbers(&notices), (after + 1..=42).collect::<Vec<_>>());
        }
    });
}

#[test]
fn i24_whoever_subscribes_at_whatever_moment_sees_one_terminal_event_and_it_is_the_last() {
    World::new().run(async |s| {
        s.world.body("counts", |ctx, stage| async move {
            for number in 0..300 {
                ctx.send_event("progress", &number).await?;
                stage.mark("sent");
            }
            stage.wait("finish").await;
            Ok(json!("counted"))
        });
        let key = s.begin::<Plain>("counts").await;
        let mut watches = Vec::new();
        for moment in 1..=150 {
            s.stage().reached("sent", moment).await;
            watches.push(sent_watch(&s, &key, 0).await);
        }
        s.stage().mark("finish");
        for moment in 0..150 {
            watches.push(sent_watch(&s, &key, moment).await);
        }
        for watch in watches {
            let notices = watch.await.unwrap();
            assert_eq!(last_event(&notices).kind.as_str(), "completed");
            let numbers = numbers(&notices);
            assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
            assert_eq!(*numbers.last().unwrap(), 302);
        }
    });
}

#[test]
fn i24_watchers_that_come_around_a_cancel_all_see_it_end_once() {
    World::new().run(async |s| {
        s.world.body("waits", |_, _| std::future::pending());
        for _ in 0..20 {
            let key = s.begin::<Plain>("waits").await;
            let mut watches = vec![sent_watch(&s, &key, 0).await];
            let cancel = sent(s.stop(&key, "enough"));
            for _ in 0..5 {
                watches.push(sent_watch(&s, &key, 0).await);
            }
            assert!(cancel.await.is_cancelled());
            watches.push(sent_watch(&s, &key, 0).await);
            for watch in watches {
                let notices = watch.await.unwrap();
                assert_eq!(numbers(&notices), [1, 2, 3]);
                assert_eq!(last_event(&notices).kind.as_str(), "cancelled");
            }
            assert!(rest(s.watch(&key, 3).await.unwrap()).await.is_empty());
        }
    });
}

#[test]
fn a_watcher_that_falls_behind_is_served_from_the_log_and_slows_nobody_down() {
    World::new().run(async |s| {
        counts(&s.world, 500);
        let key = s.begin::<Plain>("counts").await;
        let mut slow = s.watch(&key, 0).await.unwrap();
        s.stage().reached("half", 1).await;
        let first = slow.next().await.unwrap().unwrap();
        assert_eq!(numbers(&[first]), [1]);
        s.stage().mark("go on");
        // It takes nothing until the task is over.
        assert_eq!(s.ended(&key).await.status, Status::Completed);
        assert_eq!(numbers(&rest(slow).await), (2..=1_002).collect::<Vec<_>>());
    });
}

#[test]
fn a_watcher_sees_an_event_before_the_task_ends() {
    World::new().run(async |s| {
        counts(&s.world, 1);
        let key = s.begin::<Plain>("counts").await;
        let mut watch = s.watch(&key, 1).await.unwrap();
        let event = tokio::time::timeout(LONG, watch.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(numbers(&[event]), [2]);
        assert_eq!(s.task(&key).await.unwrap().status, Status::Running);
        drop(watch);
        s.stage().mark("go on");
        assert_eq!(s.ended(&key).await.status, Status::Completed, "one that leaves stops nothing");
    });
}

#[test]
fn a_watch_on_a_pending_task_waits_for_its_start() {
    World::new().run(async |s| {
        counts(&s.world, 1);
        s.stage().mark("go on");
        let key = s.create(request::<Plain>("counts")).await.unwrap().key;
        let watch = sent_watch(&s, &key, 0).await;
        s.start_task(&key, None).await.unwrap();
        assert_eq!(numbers(&watch.await.unwrap()), [1, 2, 3, 4]);
        let unknown = "tests/Plain/999999".parse().unwrap();
        assert!(matches!(s.watch(&unknown, 0).await, Err(quell::CommandError::NotFound(_))));
    });
}

#[test]
fn i25_at_a_shutdown_a_watch_ends_with_the_terminal_event_or_says_that_the_task_goes_on_later() {
    World::new().run(async |s| {
        s.world.body("waits", |_, _| std::future::pending());
        let ends = s.begin::<Plain>("waits").await;
        let goes_on = s.begin::<Again>("waits").await;
        let pending = s.create(request::<Plain>("waits")).await.unwrap().key;
        let late = pending.clone();
        let watches = [
            sent_watch(&s, &ends, 0).await,
            sent_watch(&s, &goes_on, 0).await,
            sent_watch(&s, &pending, 0).await,
        ];
        s.shutdown(LONG).await;
        let [ends, goes_on, pending] = watches;
        assert_eq!(last_event(&ends.await.unwrap()).kind.as_str(), "cancelled");
        let goes_on = goes_on.await.unwrap();
        assert_eq!((numbers(&goes_on[..1]), &goes_on[1..]), (vec![1], &[Notice::Shutdown][..]));
        assert_eq!(pending.await.unwrap(), [Notice::Shutdown]);
        assert_eq!(rest(s.watch(&late, 0).await.unwrap()).await, [Notice::Shutdown], "a late one ends too");
    });
}

#[test]
fn i06_what_a_receipt_says_is_in_the_log_already() {
    World::new().run(async |s| {
        s.world.body("waits", |_, _| std::future::pending());
        for _ in 0..20 {
            let key = s.begin::<Plain>("waits").await;
            assert_eq!(s.kinds(&key).await, ["running"]);
            stopped_by(&s.stop(&key, "enough").await);
            assert_eq!(s.kinds(&key).await.last().unwrap(), "cancelled");
        }
    });
}

#[test]
fn i20_thousands_of_watches_that_read_a_log_at_once_all_come_to_its_end() {
    World::new().run(async |s| {
        counts(&s.world, 2);
        s.stage().mark("go on");
        let key = s.begin::<Plain>("counts").await;
        let all = numbers(&rest(s.watch(&key, 0).await.unwrap()).await);
        let mut watches = Vec::new();
        for _ in 0..3_000 {
            watches.push(rest(s.watch(&key, 0).await.unwrap()));
        }
        // More than may wait at the readers; none is refused for it.
        for notices in futures_util::future::join_all(watches).await {
            assert_eq!(numbers(&notices), all);
        }
    });
}
