//! Groups of writes through the store: made rows, and ended rows, each commit on the disk.

#![expect(
    clippy::expect_used,
    missing_docs,
    reason = "a measurement that fails may stop at once; criterion's own functions have no docs"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quell::lifecycle::{BodyEnd, Change, Input, Life, transition};
use quell::store::{Answer, NewTask, SqliteDatabase, SqliteOptions, SqliteWriter, Store, Write};
use quell::task::{JsonText, Name, NewEvent, Status, TaskId, TaskKey, Timestamp};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

struct Rows {
    name: Name,
    node: Arc<str>,
    owner: Arc<str>,
    next: i64,
}

impl Rows {
    fn new() -> Self {
        let name = Name::new("Bench").expect("a name");
        Self { name, node: "n1".into(), owner: "bench".into(), next: 1 }
    }

    fn begin(&mut self) -> Write {
        let id = TaskId::new(self.next).expect("an id");
        self.next += 1;
        let task = NewTask {
            key: TaskKey { app: self.name.clone(), model: self.name.clone(), id },
            input: JsonText::default(),
            owner: Arc::clone(&self.owner),
            timeout: None,
            idle_timeout: None,
            at: NOW,
            request: None,
        };
        let events = vec![event("begun")];
        Write::CreateRunning { task: Box::new(task), node: Arc::clone(&self.node), events }
    }
}

/// Of the same size as the runtime's own, whose names only the runtime may use.
fn event(kind: &str) -> NewEvent {
    NewEvent::new(kind, &serde_json::json!({ "attempt": 1 }), NOW).expect("an event")
}

fn end_of(begun: &Write) -> Write {
    let id = begun.task().expect("a task");
    let life = Life { status: Status::Running, request: None, queued: false };
    let input = Input::End { end: BodyEnd::Returned(None), cleanup: None, ask: None };
    let Ok(Change::Ended(ending)) = transition(life, input) else {
        unreachable!("a body that returned ends")
    };
    Write::End { id, epoch: 1, ending, at: NOW, events: vec![event("ended")] }
}

fn commit(writer: &mut SqliteWriter, group: &[Write]) -> Duration {
    let began = Instant::now();
    let committed = writer.commit(group).expect("a commit");
    let time = began.elapsed();
    assert!(committed.answers.iter().all(|answer| *answer == Answer::Applied));
    time
}

fn store(criterion: &mut Criterion) {
    let dir = tempfile::tempdir_in(".").expect("a folder on the disk that is measured");
    let path = dir.path().join("store.db");
    let database = SqliteDatabase::open(&path, SqliteOptions::default()).expect("a database");
    let mut writer = database.writer().expect("a writer");
    let mut rows = Rows::new();
    let mut group = criterion.benchmark_group("commit of a group");
    for size in [1_u64, 64, 256] {
        group.throughput(Throughput::Elements(size));
        for ends in [false, true] {
            let what = if ends { "ended rows" } else { "new rows" };
            group.bench_function(BenchmarkId::new(what, size), |bencher| {
                bencher.iter_custom(|count| {
                    let mut time = Duration::ZERO;
                    for _ in 0..count {
                        let begins: Vec<_> = (0..size).map(|_| rows.begin()).collect();
                        let made = commit(&mut writer, &begins);
                        time += if ends {
                            let ends: Vec<_> = begins.iter().map(end_of).collect();
                            commit(&mut writer, &ends)
                        } else {
                            made
                        };
                    }
                    time
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = store
}
criterion_main!(benches);
