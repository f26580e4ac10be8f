//! The decisions about a row: pure, and far below everything that surrounds them.

#![expect(missing_docs, reason = "criterion's own functions have no docs")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quell::lifecycle::{Ask, BodyEnd, Input, Life, transition};
use quell::task::{Cause, Status, Timestamp};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn lifecycle(criterion: &mut Criterion) {
    let running = || Life { status: Status::Running, request: None, queued: false };
    let ask = || Ask::new(NOW, Cause::User, Some("enough"), None);
    let mut group = criterion.benchmark_group("transition of a running row");
    group.bench_function("asked", |bencher| {
        let input = || (running(), Input::Ask(ask()));
        let decide = |(life, input)| black_box(transition(life, input));
        bencher.iter_batched(input, decide, BatchSize::SmallInput);
    });
    group.bench_function("ended", |bencher| {
        let end = |ask| Input::End { end: BodyEnd::Dropped, cleanup: None, ask };
        let input = || (running(), end(Some(ask())));
        let decide = |(life, input)| black_box(transition(life, input));
        bencher.iter_batched(input, decide, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    targets = lifecycle
}
criterion_main!(benches);
