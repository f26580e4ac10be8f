//! Tasks through the handle: start and complete, events, and cancel. What an application sees, the disk included.

#![expect(
    clippy::expect_used,
    missing_docs,
    reason = "a measurement that fails may stop at once; criterion's own functions have no docs"
)]

use std::future::pending;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::try_join_all;
use quell::task::JsonText;
use quell::{Coordinator, Registry, Runtime, RuntimeSettings, StartRequest, Task, TaskContext, TaskError};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(serde::Deserialize)]
struct Noop {}

impl Task for Noop {
    const APP: &'static str = "bench";
    const MODEL: &'static str = "Noop";
    type Output = ();

    async fn process(&self, _ctx: TaskContext) -> std::result::Result<(), TaskError> {
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Idle {}

impl Task for Idle {
    const APP: &'static str = "bench";
    const MODEL: &'static str = "Idle";
    type Output = ();

    async fn process(&self, _ctx: TaskContext) -> std::result::Result<(), TaskError> {
        pending().await
    }
}

/// Sends so many events.
#[derive(serde::Deserialize)]
struct Sends {
    count: u64,
}

impl Task for Sends {
    const APP: &'static str = "bench";
    const MODEL: &'static str = "Sends";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> std::result::Result<(), TaskError> {
        for step in 0..self.count {
            ctx.send_event("step", &serde_json::json!({ "step": step })).await?;
        }
        Ok(())
    }
}

async fn start(dir: &std::path::Path) -> Result<Coordinator> {
    let registry = Registry::new().task::<Noop>()?.task::<Idle>()?.task::<Sends>()?;
    let url = format!("sqlite://{}", dir.join("tasks.db").display());
    let coordinator = Runtime::start(&url, registry, RuntimeSettings::default()).await?;
    lives(&coordinator, 1, 1).await?;
    Ok(coordinator)
}

fn request(model: &str) -> StartRequest {
    StartRequest::new("bench", model, "bench")
}

async fn lives(coordinator: &Coordinator, in_flight: u64, count: u64) -> Result<Duration> {
    let left = std::cell::Cell::new(count);
    let client = || async {
        while left.get() > 0 {
            left.set(left.get() - 1);
            let started = coordinator.start(request(Noop::MODEL)).await?;
            coordinator.result(&started.key).await?;
        }
        Result::Ok(())
    };
    let began = Instant::now();
    try_join_all((0..in_flight).map(|_| client())).await?;
    Ok(began.elapsed())
}

/// As many events by as many tasks at once, until all are durable.
async fn events(coordinator: &Coordinator, tasks: u64, count: u64) -> Result<Duration> {
    let input = JsonText::from_value(&serde_json::json!({ "count": count.div_ceil(tasks) }))?;
    let sender = async |_| {
        let started = coordinator.start(request(Sends::MODEL).input(input.clone())).await?;
        coordinator.result(&started.key).await?;
        Result::Ok(())
    };
    let began = Instant::now();
    try_join_all((0..tasks).map(sender)).await?;
    Ok(began.elapsed())
}

async fn cancels(coordinator: &Coordinator, count: u64) -> Result<Duration> {
    let starts = (0..count).map(|_| coordinator.start(request(Idle::MODEL)));
    let tasks = try_join_all(starts).await?;
    let mut time = Duration::ZERO;
    for task in &tasks {
        let began = Instant::now();
        let receipt = coordinator.cancel_task(&task.key, None).await?;
        time += began.elapsed();
        assert!(receipt.is_cancelled(), "{receipt:?}");
    }
    Ok(time)
}

fn tasks(criterion: &mut Criterion) {
    let dir = tempfile::tempdir_in(".").expect("a folder on the disk that is measured");
    let system = actix::System::new();
    let coordinator = system.block_on(start(dir.path())).expect("a runtime");
    let mut group = criterion.benchmark_group("start and complete");
    group.throughput(Throughput::Elements(1));
    for in_flight in [1, 64, 512] {
        group.bench_function(BenchmarkId::new("in flight", in_flight), |bencher| {
            bencher
                .iter_custom(|count| system.block_on(lives(&coordinator, in_flight, count)).expect("lives"));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("events");
    group.throughput(Throughput::Elements(1));
    for tasks in [1, 64] {
        group.bench_function(BenchmarkId::new("tasks", tasks), |bencher| {
            bencher.iter_custom(|count| system.block_on(events(&coordinator, tasks, count)).expect("events"));
        });
    }
    group.finish();
    criterion.bench_function("cancel to durable end", |bencher| {
        bencher.iter_custom(|count| system.block_on(cancels(&coordinator, count)).expect("cancels"));
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
    targets = tasks
}
criterion_main!(benches);
