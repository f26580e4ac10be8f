//! Bodies on the pool, beside tokio's scheduler and the pool's queue without a watchdog; and what a check costs.

#![expect(
    clippy::expect_used,
    missing_docs,
    reason = "a measurement that fails may stop at once; criterion's own functions have no docs"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quell::bench::{Bodies, Engine};
use quell::task::JsonText;
use quell::{BlockingTask, Coordinator, Registry, Runtime, RuntimeSettings, StartRequest};
use quell::{TaskContext, TaskError};

const ENGINES: [(&str, Engine); 3] =
    [("pool", Engine::Pool), ("pool, unwatched", Engine::Unwatched), ("tokio", Engine::Tokio)];

/// Bodies that yield side by side.
const BODIES: u32 = 64;

fn counted(count: u64) -> u32 {
    u32::try_from(count).expect("criterion asks for fewer")
}

fn pool(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spawn and end");
    group.throughput(Throughput::Elements(1));
    for (name, engine) in ENGINES {
        let bodies = Bodies::start(engine).expect("an engine");
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| bodies.spawns(counted(count)).expect("an end"));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("yield, 64 bodies");
    group.throughput(Throughput::Elements(u64::from(BODIES)));
    for (name, engine) in ENGINES {
        let bodies = Bodies::start(engine).expect("an engine");
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| bodies.yields(BODIES, counted(count)).expect("an end"));
        });
    }
    group.finish();
}

/// Checks so often whether it should stop, and returns the nanoseconds that took.
#[derive(serde::Deserialize)]
struct Checks {
    times: u64,
}

impl BlockingTask for Checks {
    const APP: &'static str = "bench";
    const MODEL: &'static str = "Checks";
    type Output = u64;

    fn process(&self, ctx: &TaskContext) -> Result<u64, TaskError> {
        let began = Instant::now();
        for _ in 0..self.times {
            black_box(black_box(ctx).should_stop());
        }
        Ok(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

async fn checks(coordinator: &Coordinator, times: u64) -> Duration {
    let input = JsonText::from_value(&serde_json::json!({ "times": times })).expect("an input");
    let request = StartRequest::new(Checks::APP, Checks::MODEL, "bench").input(input);
    let started = coordinator.start(request).await.expect("a start");
    let record = coordinator.result(&started.key).await.expect("an end");
    let nanos = record.final_value.expect("a result").as_str().parse().expect("a number");
    Duration::from_nanos(nanos)
}

fn check(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let system = actix::System::new();
    let url = format!("sqlite://{}", dir.path().join("bodies.db").display());
    let registry = Registry::new().blocking::<Checks>().expect("a model");
    let coordinator =
        system.block_on(Runtime::start(&url, registry, RuntimeSettings::default())).expect("a runtime");
    criterion.bench_function("should_stop", |bencher| {
        bencher.iter_custom(|count| system.block_on(checks(&coordinator, count)));
    });
    system.block_on(async {
        coordinator.shutdown(Duration::from_secs(10)).await;
        actix::System::current().stop();
    });
    // Its threads end before their folder goes.
    system.run().expect("an end");
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = pool, check
}
criterion_main!(benches);
