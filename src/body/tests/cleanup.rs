//! Cleanups: when they run, how they end, and that they end.

use super::*;

/// Starts a body that waits for ever, asks for its stop, and gives back what comes of it.
fn stop_with_cleanup<C>(asked: Asked, cleanup: C) -> Report
where
    C: Fn() -> BoxFuture<'static, Result<Cleaned, ()>> + Send + Sync + 'static,
{
    let (pool, (script, ear)) = (pool(), script_with(cleanup));
    start(&pool, &script, std::future::pending());
    script.control.mark_asked(asked);
    script.control.request_stop();
    let report = ear.report();
    assert_eq!(script.control.abandon(), Probe::Done);
    assert_alive(&pool);
    ear.nothing_more(script);
    report
}

fn dropped(cleanup: CleanupEnd) -> Report {
    Report { end: BodyEnd::Dropped, cleanup }
}

#[test]
fn i18_a_cleanup_that_works_is_reported_as_ok() {
    let report = stop_with_cleanup(Asked::Asked, || {
        async {
            futures_lite::future::yield_now().await;
            Ok(Cleaned::Done)
        }
        .boxed()
    });
    assert_eq!(report, dropped(CleanupEnd::Ok));
}

#[test]
fn i18_a_model_without_a_cleanup_has_nothing_to_report() {
    let report = stop_with_cleanup(Asked::Asked, || async { Ok(Cleaned::Nothing) }.boxed());
    assert_eq!(report, dropped(CleanupEnd::Nothing));
}

#[test]
fn only_a_cleanup_that_goes_on_is_told_before_its_end() {
    let (pool, (script, ear)) = (pool(), script());
    script.control.mark_asked(Asked::Asked);
    start(&pool, &script, async { BodyEnd::Cancelled });
    ear.report();
    assert_eq!(script.cleanings.load(Ordering::SeqCst), 0, "it ended at once");
    let slow = || {
        async {
            futures_lite::future::yield_now().await;
            futures_lite::future::yield_now().await;
            Ok(Cleaned::Done)
        }
        .boxed()
    };
    let (script, ear) = script_with(slow);
    script.control.mark_asked(Asked::Asked);
    start(&pool, &script, async { BodyEnd::Cancelled });
    ear.report();
    assert_eq!(script.cleanings.load(Ordering::SeqCst), 1, "once, however often it is polled");
}

#[test]
fn i18_a_cleanup_that_fails_is_reported_as_failed() {
    let report = stop_with_cleanup(Asked::Asked, || async { Err(()) }.boxed());
    assert_eq!(report, dropped(CleanupEnd::Failed));
}

#[test]
fn i17_i18_a_cleanup_that_panics_in_its_poll_or_its_making_is_reported_as_panicked() {
    let report = stop_with_cleanup(Asked::Asked, || async { std::panic::panic_any(PanicPayload) }.boxed());
    assert_eq!(report, dropped(CleanupEnd::Panicked));
    let report = stop_with_cleanup(Asked::Asked, || panic!("no cleanup"));
    assert_eq!(report, dropped(CleanupEnd::Panicked));
}

#[test]
fn no_cleanup_runs_for_a_stop_that_will_run_the_task_again() {
    let report = stop_with_cleanup(Asked::AskedWithoutCleanup, || panic!("it ran"));
    assert_eq!(report, dropped(CleanupEnd::NotRun));
    let report = stop_with_cleanup(Asked::NotAsked, || panic!("it ran"));
    assert_eq!(report, dropped(CleanupEnd::NotRun));
}

#[test]
fn a_body_that_ended_by_itself_after_the_ask_is_cleaned_up_and_keeps_its_end() {
    let (pool, (script, ear)) = (pool(), script_with(|| async { Ok(Cleaned::Done) }.boxed()));
    script.control.mark_asked(Asked::Asked);
    start(&pool, &script, async { BodyEnd::Returned(Some("1".to_owned())) });
    let end = BodyEnd::Returned(Some("1".to_owned()));
    assert_eq!(ear.report(), Report { end, cleanup: CleanupEnd::Ok });
}

#[test]
fn i17_i18_a_cleanup_that_never_ends_is_dropped_and_may_panic_in_that() {
    let (begun, has_begun) = signal();
    let (pool, (script, ear)) = (
        pool(),
        script_with(move || {
            let begun = begun.clone();
            async move {
                let _guard = PanicDrop;
                begun.send(()).unwrap();
                std::future::pending().await
            }
            .boxed()
        }),
    );
    start(&pool, &script, async { BodyEnd::Cancelled });
    let report = ear.report();
    assert_eq!(report, ended(BodyEnd::Cancelled));
    script.control.mark_asked(Asked::Asked);
    pool.spawn(7, run_cleanup(Arc::clone(&script), report.end));
    wait(&has_begun);
    assert_eq!(script.control.abandon(), Probe::Cleaning(BodyEnd::Cancelled));
    // A stop of the body that comes too late wakes the cleanup, and must not use up its wake-up.
    script.control.request_stop();
    script.control.stop_cleanup();
    assert_eq!(ear.report(), Report { end: BodyEnd::Cancelled, cleanup: CleanupEnd::TimedOut });
    assert_eq!(script.control.abandon(), Probe::Done);
    assert_alive(&pool);
    ear.nothing_more(script);
}

#[test]
fn i18_a_cleanup_that_blocks_its_thread_shows_as_cleaning_with_the_bodys_end() {
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    let may_go = Arc::new(Mutex::new(may_go));
    let (pool, (script, ear)) = (
        pool(),
        script_with(move || {
            let (begun, may_go) = (begun.clone(), Arc::clone(&may_go));
            async move {
                begun.send(()).unwrap();
                wait(&may_go.lock().unwrap());
                std::future::pending().await
            }
            .boxed()
        }),
    );
    start(&pool, &script, std::future::pending());
    script.control.mark_asked(Asked::Asked);
    script.control.request_stop();
    wait(&has_begun);
    assert_eq!(script.control.abandon(), Probe::Cleaning(BodyEnd::Dropped));
    assert!(!script.control.is_abandoned());
    script.control.stop_cleanup();
    assert_alive(&pool);
    go.send(()).unwrap();
    assert_eq!(ear.report(), dropped(CleanupEnd::TimedOut));
    ear.nothing_more(script);
}

#[test]
fn a_stop_of_the_cleanup_that_races_with_its_end_makes_exactly_one_report() {
    let pool = pool();
    for _ in 0..1_000 {
        let (script, ear) = script_with(|| {
            async {
                futures_lite::future::yield_now().await;
                Ok(Cleaned::Done)
            }
            .boxed()
        });
        script.control.mark_asked(Asked::Asked);
        start(&pool, &script, async { BodyEnd::Cancelled });
        script.control.stop_cleanup();
        let cleanup = ear.report().cleanup;
        assert!(matches!(cleanup, CleanupEnd::Ok | CleanupEnd::TimedOut), "{cleanup:?}");
        ear.nothing_more(script);
    }
}

#[test]
fn a_cleanup_runs_at_most_once() {
    let (pool, (script, ear)) = (pool(), script_with(|| async { Ok(Cleaned::Done) }.boxed()));
    script.control.mark_asked(Asked::Asked);
    start(&pool, &script, async { BodyEnd::Cancelled });
    assert_eq!(ear.report().cleanup, CleanupEnd::Ok);
    pool.spawn(7, run_cleanup(Arc::clone(&script), BodyEnd::Cancelled));
    ear.nothing_more(script);
}

#[test]
fn an_abandoned_body_gets_no_cleanup_alone() {
    let (pool, (script, ear)) = (pool(), script_with(|| panic!("it ran")));
    assert_eq!(script.control.abandon(), Probe::NeverStarted, "no thread has taken it");
    pool.spawn(7, run_cleanup(Arc::clone(&script), BodyEnd::Dropped));
    ear.nothing_more(script);
}
