//! Blocking bodies: threads of their own, a line, and threads that do not come back.

use super::*;

#[test]
fn a_blocking_body_runs_on_a_thread_of_its_own_and_reports() {
    let (pool, (script, ear)) = (pool(), script_with(|| async { Ok(Cleaned::Done) }.boxed()));
    let asker = Arc::clone(&script);
    let body = move || {
        asker.control.mark_asked(Asked::Asked);
        BodyEnd::Returned(std::thread::current().name().map(str::to_owned))
    };
    run_blocking(Arc::clone(&script), body, &pool);
    let report = ear.report();
    let BodyEnd::Returned(Some(thread)) = report.end else { panic!("{report:?}") };
    assert!(thread.starts_with("quell-blocking-"), "{thread}");
    assert_eq!(report.cleanup, CleanupEnd::Ok);
    ear.nothing_more(script);
}

#[test]
fn i17_a_blocking_body_that_panics_reports_the_text_and_its_thread_goes_on() {
    let pool = pool_of(1, 1);
    for _ in 0..3 {
        let (script, ear) = script();
        run_blocking(Arc::clone(&script), || panic!("blocked"), &pool);
        assert_eq!(ear.report(), ended(panicked("blocked")));
        ear.nothing_more(script);
    }
    pool.spawn_blocking(Box::new(|| std::panic::panic_any(PanicPayload)));
    let (begun, has_begun) = signal();
    pool.spawn_blocking(Box::new(move || begun.send(()).unwrap()));
    wait(&has_begun);
}

#[test]
fn i09_a_blocking_body_that_was_stopped_before_it_began_never_runs() {
    let pool = pool();
    // Often enough for a free thread to be faster than the attempt, and the other way round.
    for _ in 0..200 {
        let (script, ear) = script();
        script.control.request_stop();
        let guard = PanicDrop;
        let body = move || {
            let _guard = guard;
            panic!("it ran")
        };
        run_blocking(Arc::clone(&script), body, &pool);
        assert_eq!(ear.report(), never_started());
        ear.nothing_more(script);
    }
    assert_alive(&pool);
}

#[test]
fn a_blocking_body_that_waits_in_line_is_withdrawn_at_once() {
    let (pool, (script, ear)) = (pool_of(1, 1), script_with(|| panic!("it ran")));
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    pool.spawn_blocking(Box::new(move || {
        begun.send(()).unwrap();
        wait(&may_go);
    }));
    wait(&has_begun);
    run_blocking(Arc::clone(&script), || panic!("it ran"), &pool);
    // To ask is enough: nothing runs that could stop by itself.
    script.control.mark_asked(Asked::Asked);
    assert_eq!(ear.report(), never_started());
    go.send(()).unwrap();
    ear.nothing_more(script);
}

/// Keeps the only thread of a pool until it is told to let go.
fn keep_the_only_thread(pool: &Pool) -> SyncSender<()> {
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    pool.spawn(7, async move {
        begun.send(()).unwrap();
        wait(&may_go);
    });
    wait(&has_begun);
    go
}

#[test]
fn the_end_of_a_blocking_body_is_told_while_async_bodies_keep_all_threads() {
    let (pool, (script, ear)) = (pool_of(1, 1), script());
    let go = keep_the_only_thread(&pool);
    run_blocking(Arc::clone(&script), || BodyEnd::Returned(None), &pool);
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    ear.nothing_more(script);
    // Its cleanup needs a thread, and its limit counts while there is none: the watchdog does not know yet.
    let (script, ear) = script_with(|| async { Ok(Cleaned::Done) }.boxed());
    let asker = Arc::clone(&script);
    let body = move || {
        asker.control.mark_asked(Asked::Asked);
        BodyEnd::Cancelled
    };
    run_blocking(Arc::clone(&script), body, &pool);
    while script.cleanings.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(script.control.abandon(), Probe::Cleaning(BodyEnd::Cancelled));
    go.send(()).unwrap();
    assert_eq!(ear.report(), Report { end: BodyEnd::Cancelled, cleanup: CleanupEnd::Ok });
    assert_eq!(script.cleanings.load(Ordering::SeqCst), 1);
    ear.nothing_more(script);
}

#[test]
fn a_thread_that_the_system_does_not_give_is_asked_for_again() {
    let pool = pool_of(1, 1);
    pool.blocking().refuse(2);
    let (script, ear) = script();
    run_blocking(Arc::clone(&script), || BodyEnd::Returned(None), &pool);
    // No other thread is there to take it, and no other job comes.
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    ear.nothing_more(script);
}

#[test]
fn blocking_bodies_beyond_the_limit_wait_and_run_in_order() {
    let pool = pool_of(1, 1);
    let (tell, order) = sync_channel(10);
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    pool.spawn_blocking(Box::new(move || {
        begun.send(()).unwrap();
        wait(&may_go);
    }));
    wait(&has_begun);
    for number in 0..5 {
        let tell = tell.clone();
        pool.spawn_blocking(Box::new(move || tell.send(number).unwrap()));
    }
    assert!(order.try_recv().is_err());
    go.send(()).unwrap();
    let order: Vec<i32> = (0..5).map(|_| order.recv_timeout(DEADLINE).unwrap()).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
}

#[test]
fn as_many_blocking_bodies_as_the_limit_run_at_the_same_time() {
    let pool = pool_of(1, 4);
    let meet = Arc::new(std::sync::Barrier::new(4));
    let ears: Vec<_> = (0..4)
        .map(|_| {
            let (script, ear) = script();
            let meet = Arc::clone(&meet);
            run_blocking(
                script,
                move || {
                    meet.wait();
                    BodyEnd::Returned(None)
                },
                &pool,
            );
            ear
        })
        .collect();
    for ear in ears {
        assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    }
}

#[test]
fn the_thread_of_an_abandoned_blocking_body_is_replaced() {
    let (pool, (stuck, stuck_ear)) = (pool_of(1, 1), script());
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    let body = move || {
        begun.send(()).unwrap();
        wait(&may_go);
        BodyEnd::Cancelled
    };
    run_blocking(Arc::clone(&stuck), body, &pool);
    wait(&has_begun);
    let (waiting, ear) = script();
    run_blocking(Arc::clone(&waiting), || BodyEnd::Returned(None), &pool);
    stuck.control.request_stop();
    assert_eq!(stuck.control.abandon(), Probe::Abandoned);
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    go.send(()).unwrap();
    stuck_ear.late();
    stuck_ear.nothing_more(stuck);
    let (after, after_ear) = script();
    run_blocking(after, || BodyEnd::Returned(None), &pool);
    assert_eq!(after_ear.report(), ended(BodyEnd::Returned(None)));
}

#[test]
fn a_blocking_body_can_wait_for_a_tokio_timer() {
    let (pool, (script, ear)) = (pool(), script());
    let body = || {
        let timer = tokio::time::sleep(Duration::from_millis(1));
        futures_lite::future::block_on(timer);
        BodyEnd::Returned(None)
    };
    run_blocking(script, body, &pool);
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
}
