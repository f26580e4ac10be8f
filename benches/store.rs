//! Groups of writes through the store, by kind of write, size of the group, and rows that are there already. Each
//! commit is on the disk of the current folder.

#![expect(
    clippy::expect_used,
    missing_docs,
    reason = "a measurement that fails may stop at once; criterion's own functions have no docs"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quell::lifecycle::{Ask, BodyEnd, Change, Input, Life, transition};
use quell::store::{Answer, NewTask, SqliteDatabase, SqliteOptions, SqliteWriter, Store, Write};
use quell::task::{Cause, JsonText, Name, NewEvent, Status, TaskId, TaskKey, Timestamp};

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

fn end_of(begun: &Write, end: BodyEnd, ask: Option<Ask>) -> Write {
    let id = begun.task().expect("a task");
    let life = Life { status: Status::Running, request: None, queued: false };
    let Ok(Change::Ended(ending)) = transition(life, Input::End { end, cleanup: None, ask }) else {
        unreachable!("such a body ends")
    };
    Write::End { id, epoch: 1, ending, at: NOW, events: vec![event("ended")] }
}

/// What is done to rows that run; their making is not measured, unless it is this.
#[derive(Clone, Copy)]
enum Kind {
    Begin,
    Event,
    Complete,
    Cancel,
}

impl Kind {
    fn to(self, begun: &Write) -> Write {
        match self {
            Self::Begin => begun.clone(),
            Self::Event => {
                let id = begun.task().expect("a task");
                Write::Event { id, epoch: 1, event: event("progress") }
            }
            Self::Complete => end_of(begun, BodyEnd::Returned(None), None),
            Self::Cancel => {
                end_of(begun, BodyEnd::Dropped, Some(Ask::new(NOW, Cause::User, None, Some("bob".into()))))
            }
        }
    }
}

/// The time of one group of a kind.
fn group(writer: &mut SqliteWriter, rows: &mut Rows, kind: Kind, size: u64) -> Duration {
    let begins: Vec<_> = (0..size).map(|_| rows.begin()).collect();
    let made = commit(writer, &begins);
    if matches!(kind, Kind::Begin) {
        return made;
    }
    let changes: Vec<_> = begins.iter().map(|begun| kind.to(begun)).collect();
    commit(writer, &changes)
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
    let mut measured = criterion.benchmark_group("commit of a group");
    for size in [1_u64, 64, 256, 1_024] {
        measured.throughput(Throughput::Elements(size));
        for (what, kind) in [
            ("new rows", Kind::Begin),
            ("events", Kind::Event),
            ("completed rows", Kind::Complete),
            ("cancelled rows", Kind::Cancel),
        ] {
            measured.bench_function(BenchmarkId::new(what, size), |bencher| {
                bencher
                    .iter_custom(|count| (0..count).map(|_| group(&mut writer, &mut rows, kind, size)).sum());
            });
        }
    }
    measured.finish();

    let mut measured = criterion.benchmark_group("completed rows in groups of 256");
    measured.throughput(Throughput::Elements(256));
    for there in [1_000, 100_000, 1_000_000] {
        measured.bench_function(BenchmarkId::new("over", there), |bencher| {
            while rows.next <= there {
                group(&mut writer, &mut rows, Kind::Complete, 1_024);
            }
            bencher.iter_custom(|count| {
                (0..count).map(|_| group(&mut writer, &mut rows, Kind::Complete, 256)).sum()
            });
        });
    }
    measured.finish();
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
