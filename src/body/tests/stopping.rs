//! Stops: before, during, at the same time as the end, and too late.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::*;

#[test]
fn i09_a_stop_before_the_start_polls_and_makes_nothing() {
    let (pool, (script, ear)) = (pool(), script());
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    script.control.request_stop();
    pool.spawn(
        7,
        run(Arc::clone(&script), move || {
            count.fetch_add(1, SeqCst);
            async { BodyEnd::Returned(None) }.boxed()
        }),
    );
    assert_eq!(ear.report(), ended(BodyEnd::Dropped));
    assert_eq!(made.load(SeqCst), 0);
    ear.nothing_more(script);
}

#[test]
fn a_stop_drops_a_waiting_body_on_a_pool_thread() {
    struct TellThread(SyncSender<Option<String>>);
    impl Drop for TellThread {
        fn drop(&mut self) {
            self.0.send(std::thread::current().name().map(str::to_owned)).unwrap();
        }
    }
    let (pool, (script, ear)) = (pool(), script());
    let (begun, has_begun) = signal();
    let (tell, thread) = sync_channel(1);
    start(&pool, &script, async move {
        let _guard = TellThread(tell);
        begun.send(()).unwrap();
        std::future::pending().await
    });
    wait(&has_begun);
    script.control.request_stop();
    script.control.request_stop();
    assert_eq!(ear.report(), ended(BodyEnd::Dropped));
    let thread = thread.try_recv().expect("not dropped before the report").unwrap();
    assert!(thread.starts_with("quell-body-"), "{thread}");
    ear.nothing_more(script);
}

#[test]
fn a_stop_during_a_poll_drops_the_body_at_its_next_await() {
    let (pool, (script, ear)) = (pool(), script());
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    start(&pool, &script, async move {
        begun.send(()).unwrap();
        wait(&may_go);
        std::future::pending().await
    });
    wait(&has_begun);
    script.control.request_stop();
    go.send(()).unwrap();
    assert_eq!(ear.report(), ended(BodyEnd::Dropped));
}

#[test]
fn a_body_that_ends_in_the_poll_in_which_it_was_stopped_keeps_its_end() {
    let (pool, (script, ear)) = (pool(), script());
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    start(&pool, &script, async move {
        begun.send(()).unwrap();
        wait(&may_go);
        BodyEnd::Returned(Some("1".to_owned()))
    });
    wait(&has_begun);
    script.control.request_stop();
    go.send(()).unwrap();
    assert_eq!(ear.report(), ended(BodyEnd::Returned(Some("1".to_owned()))));
}

#[test]
fn i17_a_body_that_panics_in_its_drop_is_stopped_all_the_same() {
    let (pool, (script, ear)) = (pool(), script());
    let (other, other_ear) = super::script();
    let (finish, may_finish) = tokio::sync::oneshot::channel::<()>();
    start(&pool, &other, async move {
        let _ = may_finish.await;
        BodyEnd::Returned(None)
    });
    let (begun, has_begun) = signal();
    start(&pool, &script, async move {
        let _guard = PanicDrop;
        begun.send(()).unwrap();
        std::future::pending().await
    });
    wait(&has_begun);
    script.control.request_stop();
    assert_eq!(ear.report(), ended(BodyEnd::Dropped));
    finish.send(()).unwrap();
    assert_eq!(other_ear.report(), ended(BodyEnd::Returned(None)));
}

#[test]
fn a_stop_that_races_with_the_end_makes_exactly_one_report() {
    let pool = pool();
    for _ in 0..2_000 {
        let (script, ear) = script();
        let (finish, may_finish) = tokio::sync::oneshot::channel::<()>();
        start(&pool, &script, async move {
            let _ = may_finish.await;
            BodyEnd::Returned(None)
        });
        let stopper = Arc::clone(&script);
        pool.spawn(7, async move { stopper.control.request_stop() });
        let _ = finish.send(());
        match ear.report().end {
            BodyEnd::Dropped | BodyEnd::Returned(None) => {}
            other => panic!("{other:?}"),
        }
        ear.nothing_more(script);
    }
}

#[test]
fn a_stop_that_races_with_the_first_poll_is_never_lost() {
    let pool = pool();
    for _ in 0..5_000 {
        let (script, ear) = script();
        start(&pool, &script, std::future::pending());
        script.control.request_stop();
        assert_eq!(ear.report(), ended(BodyEnd::Dropped));
    }
}

#[test]
fn an_abandoned_body_says_once_that_it_is_back_and_reports_nothing() {
    let (pool, (script, ear)) = (pool(), script_with(|| panic!("an abandoned body has no cleanup")));
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    start(&pool, &script, async move {
        begun.send(()).unwrap();
        wait(&may_go);
        BodyEnd::Returned(None)
    });
    wait(&has_begun);
    script.control.mark_asked(Asked::Asked);
    script.control.request_stop();
    assert_eq!(script.control.abandon(), Probe::Abandoned);
    assert!(script.control.is_abandoned());
    assert_alive(&pool);
    go.send(()).unwrap();
    ear.late();
    assert_eq!(script.control.abandon(), Probe::Abandoned);
    ear.nothing_more(script);
}

#[test]
fn i09_a_body_that_no_thread_has_taken_is_written_off_as_never_started() {
    let (pool, (script, ear)) = (pool_of(1, 1), script());
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    // The only thread is stuck in another body.
    pool.spawn(7, async move {
        begun.send(()).unwrap();
        wait(&may_go);
    });
    wait(&has_begun);
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    pool.spawn(
        7,
        run(Arc::clone(&script), move || {
            count.fetch_add(1, SeqCst);
            async { BodyEnd::Returned(None) }.boxed()
        }),
    );
    assert_eq!(script.control.abandon(), Probe::NeverStarted);
    go.send(()).unwrap();
    ear.late();
    assert_eq!(made.load(SeqCst), 0);
    ear.nothing_more(script);
}

#[test]
fn an_abandoned_body_is_dropped_at_its_next_await() {
    let (pool, (script, ear)) = (pool(), script());
    let (begun, has_begun) = signal();
    start(&pool, &script, async move {
        begun.send(()).unwrap();
        std::future::pending().await
    });
    wait(&has_begun);
    assert_eq!(script.control.abandon(), Probe::Abandoned);
    ear.late();
    ear.nothing_more(script);
}

#[test]
fn a_child_that_does_not_yield_keeps_its_body_running() {
    let (pool, (script, ear)) = (pool(), script());
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    let (inner, parent) = (pool.clone(), Arc::clone(&script));
    start(&pool, &script, async move {
        let (child_begun, has_child_begun) = tokio::sync::oneshot::channel();
        let child = inner.spawn_child(7, async move {
            child_begun.send(()).unwrap();
            begun.send(()).unwrap();
            wait(&may_go);
        });
        parent.children.lock().unwrap().push(child);
        let _ = has_child_begun.await;
        BodyEnd::Returned(None)
    });
    wait(&has_begun);
    assert_eq!(script.control.abandon(), Probe::Abandoned);
    go.send(()).unwrap();
    ear.late();
    ear.nothing_more(script);
}

#[test]
fn a_wake_up_that_changes_nothing_does_not_use_up_the_next_one() {
    let (pool, (script, ear)) = (pool(), script_with(|| std::future::pending().boxed()));
    let (polled, was_polled) = sync_channel(8);
    start(
        &pool,
        &script,
        std::future::poll_fn(move |_| {
            let _ = polled.try_send(());
            std::task::Poll::Pending
        }),
    );
    wait(&was_polled);
    // Too early: there is no cleanup yet. It wakes the body all the same.
    script.control.stop_cleanup();
    wait(&was_polled);
    script.control.request_stop();
    assert_eq!(ear.report(), ended(BodyEnd::Dropped));
    ear.nothing_more(script);
}

#[test]
fn how_it_was_asked_is_raised_and_never_lowered() {
    let control = Control::new();
    assert_eq!(control.asked(), Asked::NotAsked);
    control.mark_asked(Asked::AskedWithoutCleanup);
    assert_eq!(control.asked(), Asked::AskedWithoutCleanup);
    control.mark_asked(Asked::Asked);
    control.mark_asked(Asked::AskedWithoutCleanup);
    control.mark_asked(Asked::NotAsked);
    assert_eq!(control.asked(), Asked::Asked);
}
