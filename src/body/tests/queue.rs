//! The queue: nothing waits behind a stuck body, nobody is starved, no wake-up is lost, nothing is left behind.

use std::future::poll_fn;
use std::sync::atomic::AtomicBool;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::*;

/// Threads without spare ones: whatever waits behind a stuck body must be taken by those that are there.
fn two_threads() -> Pool {
    Pool::new(PoolSettings { threads: 2, max_threads: 2, blocking_limit: 1 }).unwrap()
}

/// Keeps a thread busy with polls until it is told to end.
fn yield_on(pool: &Pool, end: &Arc<AtomicBool>) {
    let end = Arc::clone(end);
    pool.spawn(7, async move {
        while !end.load(Ordering::Relaxed) {
            futures_lite::future::yield_now().await;
        }
    });
}

/// A body that spawns so many others and keeps its thread until they have run; then it says so.
fn stick_behind(pool: &Pool, count: usize) -> Receiver<()> {
    let ((done, is_done), inner) = (signal(), pool.clone());
    pool.spawn(7, async move {
        let (ran, have_run) = sync_channel(count);
        for _ in 0..count {
            let ran = ran.clone();
            inner.spawn(8, async move { ran.send(()).unwrap() });
        }
        (0..count).for_each(|_| wait(&have_run));
        done.send(()).unwrap();
    });
    is_done
}

#[test]
fn i21_what_a_body_woke_before_it_stuck_is_run_by_another_thread() {
    let pool = two_threads();
    for count in [1, 2, 100] {
        wait(&stick_behind(&pool, count));
    }
}

#[test]
fn i21_what_waits_behind_a_stuck_body_is_run_though_the_other_threads_never_rest() {
    let (pool, end) = (two_threads(), Arc::default());
    yield_on(&pool, &end);
    wait(&stick_behind(&pool, 100));
    end.store(true, Ordering::Relaxed);
}

#[test]
fn what_is_expected_is_run_when_it_comes_and_who_waits_in_vain_goes_back_to_sleep() {
    let pool = two_threads();
    for number in 0..1_000 {
        pool.expect();
        if number % 3 > 0 {
            assert_alive(&pool);
        }
    }
    pool.expect();
    let (began, all) = (Instant::now(), pool.threads());
    while pool.0.queue.asleep() < all {
        assert!(began.elapsed() < Duration::from_secs(20), "a thread waits for what never comes");
        std::thread::yield_now();
    }
    pool.close();
    pool.expect();
}

#[test]
fn what_comes_from_outside_is_run_though_bodies_yield_all_the_time() {
    let (pool, end) = (pool_of(1, 1), Arc::default());
    (0..100).for_each(|_| yield_on(&pool, &end));
    assert_alive(&pool);
    end.store(true, Ordering::Relaxed);
}

#[test]
fn bodies_that_yield_take_turns() {
    const EACH: usize = 1000;
    let pool = pool_of(1, 1);
    let (tell, told) = sync_channel(2 * EACH);
    let inner = pool.clone();
    // Both are spawned by one poll of the only thread, so neither has a start.
    pool.spawn(7, async move {
        for name in ["a", "b"] {
            let tell = tell.clone();
            inner.spawn(7, async move {
                for _ in 0..EACH {
                    tell.send(name).unwrap();
                    futures_lite::future::yield_now().await;
                }
            });
        }
    });
    for _ in 0..EACH {
        let turns = [told.recv_timeout(DEADLINE), told.recv_timeout(DEADLINE)];
        assert_eq!(turns, [Ok("a"), Ok("b")]);
    }
}

#[test]
fn no_wake_up_between_threads_is_lost() {
    const PAIRS: usize = 16;
    const ROUNDS: usize = 500;
    let pool = pool_of(4, 1);
    let (done, are_done) = sync_channel(PAIRS);
    for pair in 0..PAIRS {
        let (ask, mut asked) = tokio::sync::mpsc::channel(1);
        let (answer, mut answers) = tokio::sync::mpsc::channel(1);
        pool.spawn(7, async move {
            while let Some(word) = asked.recv().await {
                answer.send(word).await.unwrap();
            }
        });
        let done = done.clone();
        let player = async move {
            for round in 0..ROUNDS {
                ask.send(round).await.unwrap();
                assert_eq!(answers.recv().await, Some(round));
            }
            done.send(()).unwrap();
        };
        // Half of them are woken from another runtime's thread, where all threads of the pool may sleep.
        if pair % 2 == 0 { pool.spawn(7, player) } else { drop(pool.timers().spawn(player)) }
    }
    (0..PAIRS).for_each(|_| wait(&are_done));
}

#[test]
fn whatever_is_woken_while_the_pool_closes_is_dropped() {
    const BODIES: usize = 64;
    for _ in 0..50 {
        let pool = pool_of(2, 1);
        let (gone, are_gone) = sync_channel(BODIES);
        let (waits, waiting) = sync_channel::<Waker>(BODIES);
        for _ in 0..BODIES {
            let (guard, waits) = (TellDrop(gone.clone()), waits.clone());
            pool.spawn(7, async move {
                let _guard = guard;
                let mut told = false;
                poll_fn(|cx| {
                    if !std::mem::replace(&mut told, true) {
                        waits.send(cx.waker().clone()).unwrap();
                    }
                    Poll::<()>::Pending
                })
                .await;
            });
        }
        let wakers: Vec<Waker> = (0..BODIES).map(|_| waiting.recv_timeout(DEADLINE).unwrap()).collect();
        let waker = std::thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
        pool.close();
        waker.join().unwrap();
        (0..BODIES).for_each(|_| wait(&are_gone));
    }
}
