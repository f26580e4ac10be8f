//! Bodies that end by themselves, well or badly.

use super::*;

#[test]
fn a_body_that_returns_reports_its_value_once() {
    let (pool, (script, ear)) = (pool(), script());
    start(&pool, &script, async { BodyEnd::Returned(Some("42".to_owned())) });
    assert_eq!(ear.report(), ended(BodyEnd::Returned(Some("42".to_owned()))));
    assert_eq!(script.control.abandon(), Probe::Done);
    assert!(!script.control.is_abandoned());
    ear.nothing_more(script);
}

#[test]
fn a_body_that_fails_reports_its_error() {
    let (pool, (script, ear)) = (pool(), script());
    let end = BodyEnd::Failed { error_type: "Odd".to_owned(), message: "not even".to_owned() };
    let copy = end.clone();
    start(&pool, &script, async move { copy });
    assert_eq!(ear.report(), ended(end));
}

#[test]
fn i17_a_body_that_panics_in_a_poll_reports_the_text() {
    let (pool, (script, ear)) = (pool(), script());
    start(&pool, &script, async {
        futures_lite::future::yield_now().await;
        panic!("at {}", 7)
    });
    assert_eq!(ear.report(), ended(panicked("at 7")));
    assert_alive(&pool);
}

#[test]
fn i17_a_body_that_panics_while_being_made_reports_the_text() {
    let (pool, (script, ear)) = (pool(), script());
    pool.spawn(7, run(Arc::clone(&script), || panic!("no body")));
    assert_eq!(ear.report(), ended(panicked("no body")));
    assert_alive(&pool);
}

#[test]
fn i17_a_panic_whose_payload_panics_when_dropped_harms_nobody() {
    let (pool, (script, ear)) = (pool(), script());
    start(&pool, &script, async { std::panic::panic_any(PanicPayload) });
    assert_eq!(ear.report(), ended(panicked("a panic without a text")));
    assert_alive(&pool);
}

/// A future of the hand-written kind: it is still there to be dropped after its poll panicked or ended.
struct Awkward {
    panics: bool,
    _panic: PanicDrop,
}

impl Future for Awkward {
    type Output = BodyEnd;

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<BodyEnd> {
        assert!(!self.panics, "first");
        std::task::Poll::Ready(BodyEnd::Cancelled)
    }
}

#[test]
fn i17_a_body_that_panics_in_its_poll_and_again_in_its_drop_reports_the_first() {
    let (pool, (script, ear)) = (pool(), script());
    start(&pool, &script, Awkward { panics: true, _panic: PanicDrop });
    assert_eq!(ear.report(), ended(panicked("first")));
    assert_alive(&pool);
}

#[test]
fn i17_a_body_that_ended_keeps_its_end_though_its_drop_panics() {
    let (pool, (script, ear)) = (pool(), script());
    start(&pool, &script, Awkward { panics: false, _panic: PanicDrop });
    assert_eq!(ear.report(), ended(BodyEnd::Cancelled));
    assert_alive(&pool);
}

#[test]
fn i17_the_only_thread_survives_a_hundred_panicking_bodies() {
    let pool = pool_of(1, 1);
    for _ in 0..100 {
        let (script, ear) = script();
        start(&pool, &script, async { panic!("again") });
        assert_eq!(ear.report(), ended(panicked("again")));
        ear.nothing_more(script);
    }
    assert_alive(&pool);
}

#[test]
fn children_are_gone_before_the_report_of_a_body_that_returned() {
    let (pool, (script, ear)) = (pool(), script());
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (gone, is_gone) = signal();
    let (inner, parent) = (pool.clone(), Arc::clone(&script));
    start(&pool, &script, async move {
        let child = inner.spawn_child(7, async move {
            let _guard = TellDrop(gone);
            let _ = begun.send(());
            std::future::pending::<()>().await;
        });
        parent.children.lock().unwrap().push(child);
        let _ = has_begun.await;
        BodyEnd::Returned(None)
    });
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    is_gone.try_recv().expect("the child is still there");
}

#[test]
fn i17_a_child_that_panics_in_its_drop_harms_nobody() {
    let (pool, (script, ear)) = (pool(), script());
    let (inner, parent) = (pool.clone(), Arc::clone(&script));
    start(&pool, &script, async move {
        let mut children = parent.children.lock().unwrap();
        children.push(inner.spawn_child(7, async {
            let _guard = PanicDrop;
            std::future::pending::<()>().await;
        }));
        children.push(inner.spawn_child(7, async { std::panic::panic_any(PanicPayload) }));
        BodyEnd::Returned(None)
    });
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    assert_alive(&pool);
}

#[test]
fn a_child_that_a_dying_child_spawned_is_gone_too() {
    struct SpawnOnDrop(Pool, Arc<Script>, SyncSender<()>);
    impl Drop for SpawnOnDrop {
        fn drop(&mut self) {
            let guard = TellDrop(self.2.clone());
            let child = self.0.spawn_child(7, async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            self.1.children.lock().unwrap().push(child);
        }
    }
    let (pool, (script, ear)) = (pool(), script());
    let (gone, is_gone) = signal();
    let guard = SpawnOnDrop(pool.clone(), Arc::clone(&script), gone);
    let (inner, parent) = (pool.clone(), Arc::clone(&script));
    start(&pool, &script, async move {
        let child = inner.spawn_child(7, async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        parent.children.lock().unwrap().push(child);
        BodyEnd::Returned(None)
    });
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    is_gone.try_recv().expect("the late child is still there");
}

#[test]
fn the_parts_that_exist_once_per_task_stay_small() {
    assert!(size_of::<Control>() <= 64, "{}", size_of::<Control>());
    let (script, _ear) = script();
    let body = async { BodyEnd::Returned(None) }.boxed();
    let attempt = run(script, move || body);
    assert!(size_of_val(&attempt) <= 96, "{}", size_of_val(&attempt));
}
