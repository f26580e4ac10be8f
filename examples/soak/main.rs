//! A soak: bodies of every kind that end in every way, for as long as it is told, and then a look whether threads,
//! file descriptors, child processes and memory are where they began. `scripts/soak 600`.
//!
//! It starts nothing but itself, and again for each task in a process of its own: a runtime with its HTTP routes, and
//! clients that start, cancel, watch and read. Each end is held against what the model allows. It exits with 1 and a
//! line where something is not as it should be.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

mod client;
mod machine;
mod models;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{App, HttpServer, rt};
use quell::http::{HttpOptions, TokenPrincipal, TokenTable, on_connect, routes};
use quell::{Coordinator, Runtime, RuntimeSettings};

use client::Tally;
use machine::Reading;

type Failed = Box<dyn std::error::Error>;

/// Clients of the handle, each with one task at a time.
const CLIENTS: u64 = 24;

/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(60);

/// More memory than this above the first reading is a leak.
const MEMORY_KIB: i64 = 32 * 1024;

/// Its share of the time goes to a first mix, so that what is made once is made before the first reading.
const WARM_UP: f64 = 0.1;

fn main() -> Result<(), Failed> {
    quell::run_child_if_asked(models::isolated);
    soak()
}

#[actix_web::main]
async fn soak() -> Result<(), Failed> {
    hide_asked_panics();
    let seconds: f64 = std::env::args().nth(1).map_or(Ok(30.0), |text| text.parse())?;
    let whole = Duration::from_secs_f64(seconds);
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("soak.db").display());
    let coordinator = Runtime::start(&url, models::registry()?, RuntimeSettings::default()).await?;
    let (address, server) = serve(coordinator.clone())?;

    let tally = Arc::new(Tally::default());
    mix(&coordinator, address, &tally, whole.mul_f64(WARM_UP)).await?;
    let before = at_rest(&coordinator).await?;
    println!("before: {before}");
    let began = Instant::now();
    mix(&coordinator, address, &tally, whole.mul_f64(1.0 - WARM_UP)).await?;
    let took = began.elapsed();
    let after = at_rest(&coordinator).await?;
    println!("after:  {after}");
    println!("{tally}\nin {:.0} s; {:?}", took.as_secs_f64(), coordinator.pool_status());

    coordinator.shutdown(Duration::from_secs(10)).await;
    server.stop(false).await;
    judge(&before, &after)?;
    println!("all is where it began");
    Ok(())
}

/// Thousands of panics are part of the mix; only others are shown.
fn hide_asked_panics() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if text.is_none_or(|text| text != models::AS_ASKED) {
            shown(panic);
        }
    }));
}

fn serve(coordinator: Coordinator) -> Result<(std::net::SocketAddr, actix_web::dev::ServerHandle), Failed> {
    let table = TokenTable::parse(client::TOKENS)?;
    let app = move || {
        App::new()
            .app_data(table.clone())
            .configure(routes::<TokenPrincipal>(coordinator.clone(), HttpOptions::default()))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .on_connect(on_connect)
        .h1_allow_half_closed(false)
        .disable_signals()
        .bind("127.0.0.1:0")?;
    let address = server.addrs().first().copied().ok_or("no address")?;
    let server = server.run();
    let handle = server.handle();
    rt::spawn(server);
    Ok((address, handle))
}

/// Runs all clients for that long, each to the end of its last task.
async fn mix(
    coordinator: &Coordinator,
    address: std::net::SocketAddr,
    tally: &Arc<Tally>,
    time: Duration,
) -> Result<(), Failed> {
    let until = Instant::now() + time;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (coordinator, tally) = (coordinator.clone(), Arc::clone(tally));
        clients
            .push(rt::spawn(async move { client::of_the_handle(&coordinator, &tally, number, until).await }));
    }
    for number in 0..4 {
        let tally = Arc::clone(tally);
        clients.push(rt::spawn(async move { client::of_http(address, &tally, number, until).await }));
    }
    for client in clients {
        client.await??;
    }
    Ok(())
}

/// Waits until nothing is left of the mix, and reads the machine.
async fn at_rest(coordinator: &Coordinator) -> Result<Reading, Failed> {
    let base = std::thread::available_parallelism()?.get();
    let until = Instant::now() + REST;
    loop {
        let status = coordinator.pool_status();
        let reading = Reading::now()?;
        let is_at_rest = status.abandoned_threads == 0
            && status.body_threads <= base
            && reading.threads_for_some_time_only == 0;
        if is_at_rest {
            return Ok(reading);
        }
        if Instant::now() > until {
            return Err(format!("it does not come to rest: {status:?}, {reading}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn judge(before: &Reading, after: &Reading) -> Result<(), Failed> {
    for (what, before, after, slack) in [
        ("threads", before.threads, after.threads, 0),
        ("file descriptors", before.descriptors, after.descriptors, 2),
        ("child processes", before.children, after.children, 0),
        ("KiB of memory", before.memory_kib, after.memory_kib, MEMORY_KIB),
    ] {
        if after > before + slack {
            return Err(format!("{what}: {before} before, {after} after").into());
        }
    }
    Ok(())
}
