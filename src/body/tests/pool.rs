//! The pool: tokio inside bodies, and the close. Threads that are added: see `watchdog`.

use std::sync::mpsc::RecvTimeoutError;

use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[test]
fn tokio_timers_and_sockets_work_inside_bodies() {
    let (pool, (script, ear)) = (pool(), script());
    let inner = pool.clone();
    start(&pool, &script, async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = inner.spawn_child(7, async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let write = stream.async_io(Interest::WRITABLE, || stream.try_write(b"word"));
            assert_eq!(write.await.unwrap(), 4);
        });
        let (stream, _) = listener.accept().await.unwrap();
        let mut text = [0; 4];
        let read = stream.async_io(Interest::READABLE, || stream.try_read(&mut text));
        assert_eq!(read.await.unwrap(), 4);
        client.await;
        BodyEnd::Returned(Some(String::from_utf8_lossy(&text).into_owned()))
    });
    assert_eq!(ear.report(), ended(BodyEnd::Returned(Some("word".to_owned()))));
}

#[test]
fn a_body_in_a_tokio_sleep_is_dropped_and_the_timers_go_on() {
    let (pool, (script, ear)) = (pool(), script());
    let (begun, has_begun) = signal();
    start(&pool, &script, async move {
        begun.send(()).unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        BodyEnd::Returned(None)
    });
    wait(&has_begun);
    script.control.request_stop();
    assert_eq!(ear.report(), ended(BodyEnd::Dropped));
    let (done, is_done) = signal();
    pool.timers().spawn(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        done.send(()).unwrap();
    });
    wait(&is_done);
}

#[test]
fn i17_a_plain_task_that_panics_harms_nobody() {
    let pool = pool_of(1, 1);
    pool.spawn(7, async { panic!("plain") });
    let guard = PanicDrop;
    drop(pool.spawn_child(7, async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    }));
    assert_alive(&pool);
}

#[test]
fn i17_the_close_drops_what_waits_without_a_report_and_survives_its_panics() {
    let (pool, (script, ear)) = (pool(), script());
    let (begun, has_begun) = signal();
    let (gone, is_gone) = signal();
    // The body holds the pool: that must not keep the threads or the body alive.
    let inner = pool.clone();
    start(&pool, &script, async move {
        let _guards = (inner, TellDrop(gone), PanicDrop);
        begun.send(()).unwrap();
        std::future::pending().await
    });
    wait(&has_begun);
    pool.close();
    wait(&is_gone);
    ear.nothing_more(script);
}

#[test]
fn the_close_does_not_wait_for_stuck_threads() {
    let pool = pool();
    let ((begun, has_begun), (go, may_go)) = (signal(), signal());
    let stuck = begun.clone();
    let (release_job, job_may_go) = signal();
    pool.spawn(7, async move {
        stuck.send(()).unwrap();
        wait(&may_go);
    });
    wait(&has_begun);
    pool.spawn_blocking(Box::new(move || {
        begun.send(()).unwrap();
        wait(&job_may_go);
    }));
    wait(&has_begun);
    pool.close();
    pool.close();
    go.send(()).unwrap();
    release_job.send(()).unwrap();
}

#[test]
fn a_closed_pool_drops_what_it_is_given() {
    let pool = pool();
    let (threads_gone, are_gone) = signal();
    let guard = TellDrop(threads_gone);
    pool.spawn(7, async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    pool.close();
    wait(&are_gone);

    let (gone, is_gone) = signal();
    let (guards, late) = ((TellDrop(gone.clone()), PanicDrop), (TellDrop(gone), PanicDrop));
    pool.spawn_blocking(Box::new(move || drop(guards)));
    wait(&is_gone);
    pool.spawn(7, async move { drop(late) });
    wait(&is_gone);
    pool.0.add_thread().unwrap();
}

#[test]
fn the_pool_closes_with_its_last_handle_even_inside_a_tokio_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (script, ear) = script();
    runtime.block_on(async {
        let pool = pool();
        start(&pool, &script, std::future::pending());
    });
    drop(script);
    assert_eq!(ear.0.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn the_defaults_are_a_thread_per_processor_and_512_blocking_bodies() {
    let settings = PoolSettings::default();
    assert!(settings.threads >= 1);
    assert_eq!(settings.blocking_limit, 512);
}
