//! The watchdog over real threads: added for stuck ones, given back, lower in priority.

use std::sync::mpsc::TryRecvError;
use std::time::Instant;

use super::*;

fn watched(threads: usize, max_threads: usize) -> Pool {
    Pool::new(PoolSettings { threads, max_threads, blocking_limit: 2 }).unwrap()
}

/// A body that keeps its thread until it is told to go.
fn stick(pool: &Pool) -> (SyncSender<()>, Ear) {
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    let (stuck, ear) = script();
    start(pool, &stuck, async move {
        begun.send(()).unwrap();
        wait(&may_go);
        BodyEnd::Returned(None)
    });
    wait(&has_begun);
    (go, ear)
}

/// Looks until it holds; the watchdog has nothing that could be waited for.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn i21_endless_loops_get_threads_of_their_own_which_are_given_back() {
    let pool = watched(2, 12);
    let stuck: Vec<_> = (0..8).map(|_| stick(&pool)).collect();
    assert_alive(&pool);
    assert!(!pool.is_full());
    assert!((9..=12).contains(&pool.threads()), "{}", pool.threads());
    for (go, ear) in stuck {
        go.send(()).unwrap();
        assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    }
    eventually("the pool has its base number of threads", || pool.threads() == 2);
    assert_alive(&pool);
}

#[test]
fn at_the_limit_the_pool_says_that_it_is_full_until_a_body_returns() {
    let pool = watched(1, 2);
    let stuck = [stick(&pool), stick(&pool)];
    eventually("it is full", || pool.is_full());
    let (waiting, ear) = script();
    start(&pool, &waiting, async { BodyEnd::Returned(None) });
    assert_eq!(ear.0.try_recv().err(), Some(TryRecvError::Empty));
    let [(go, first), (go_too, second)] = stuck;
    go.send(()).unwrap();
    assert_eq!(first.report(), ended(BodyEnd::Returned(None)));
    assert_eq!(ear.report(), ended(BodyEnd::Returned(None)));
    eventually("it is not full any more", || !pool.is_full());
    go_too.send(()).unwrap();
    assert_eq!(second.report(), ended(BodyEnd::Returned(None)));
}

#[test]
fn a_body_that_keeps_its_thread_is_named_by_its_label() {
    let pool = watched(2, 4);
    let (tell, named) = sync_channel(4);
    pool.on_long_poll(move |label| tell.try_send(label).unwrap());
    let (go, ear) = stick(&pool);
    assert_eq!(named.recv_timeout(DEADLINE), Ok(7));
    go.send(()).unwrap();
    ear.report();
}

#[test]
fn i21_a_watchdog_that_dozes_is_called_by_the_next_body() {
    let pool = watched(2, 4);
    let (tell, named) = sync_channel(4);
    pool.on_long_poll(move |label| tell.try_send(label).unwrap());
    for _ in 0..2 {
        eventually("nobody polls, and it dozes", || pool.0.doze.is_on());
        let stuck = [stick(&pool), stick(&pool)];
        assert_alive(&pool);
        assert_eq!([named.recv_timeout(DEADLINE), named.recv_timeout(DEADLINE)], [Ok(7), Ok(7)]);
        for (go, ear) in stuck {
            go.send(()).unwrap();
            ear.report();
        }
    }
}

#[test]
fn a_drop_that_never_ends_is_seen_like_a_poll() {
    struct Stuck(SyncSender<()>, Receiver<()>);
    impl Drop for Stuck {
        fn drop(&mut self) {
            let _ = self.0.try_send(());
            wait(&self.1);
        }
    }
    let pool = watched(1, 2);
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    let stuck = Stuck(begun, may_go);
    let child = pool.spawn_child(7, async move {
        let _stuck = stuck;
        std::future::pending::<()>().await;
    });
    assert_alive(&pool);
    drop(child);
    wait(&has_begun);
    assert_alive(&pool);
    go.send(()).unwrap();
}

#[test]
fn threads_for_bodies_give_way_to_others_and_no_further_with_each_step() {
    let nice = || rustix::process::getpriority_process(None).unwrap();
    let ours = nice();
    let pool = watched(1, 4);
    let (tell, told) = sync_channel(2);
    let (tell_too, inner) = (tell.clone(), pool.clone());
    pool.spawn(7, async move {
        tell.send(nice()).unwrap();
        inner.spawn_blocking(Box::new(move || tell_too.send(nice()).unwrap()));
    });
    let wanted = (ours + 5).min(19);
    assert_eq!(told.recv_timeout(DEADLINE), Ok(wanted));
    assert_eq!(told.recv_timeout(DEADLINE), Ok(wanted), "the thread of a blocking body");
    assert_eq!(nice(), ours);
}

#[test]
fn lost_blocking_threads_are_replaced_up_to_a_bound() {
    // One at a time, and two that may be replaced: three threads in all.
    let pool = Pool::new(PoolSettings { threads: 1, max_threads: 2, blocking_limit: 1 }).unwrap();
    let mut stuck = Vec::new();
    for _ in 0..3 {
        let ((begun, has_begun), (go, may_go)) = (signal(), signal());
        let (script, ear) = script();
        let body = move || {
            begun.send(()).unwrap();
            wait(&may_go);
            BodyEnd::Returned(None)
        };
        run_blocking(Arc::clone(&script), body, &pool);
        wait(&has_begun);
        assert!(!pool.is_full());
        assert_eq!(script.control.abandon(), Probe::Abandoned);
        stuck.push((go, ear));
    }
    eventually("every thread is lost", || pool.is_full());
    let (waiting, waiting_ear) = script();
    run_blocking(waiting, || BodyEnd::Returned(None), &pool);
    assert_eq!(waiting_ear.0.try_recv().err(), Some(TryRecvError::Empty));
    for (go, ear) in stuck {
        go.send(()).unwrap();
        ear.late();
    }
    assert_eq!(waiting_ear.report(), ended(BodyEnd::Returned(None)));
    assert!(!pool.is_full());
}
