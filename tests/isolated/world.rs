//! What each test needs: an application with a database, tasks in it, and looks at their processes.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use quell::task::{JsonText, Record, Status, StoppedBy, TaskKey};
use quell::{Coordinator, Receipt, Runtime, RuntimeSettings, StartRequest};
use serde_json::{Value, json};

use super::bodies;

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// An application with a database in a folder.
pub(crate) async fn application(folder: &Path, settings: RuntimeSettings) -> Coordinator {
    let url = format!("sqlite://{}", folder.join("quell.db").display());
    Runtime::start(&url, bodies::registry().unwrap(), settings).await.unwrap()
}

pub(crate) fn with<F: Future<Output = ()>>(test: impl FnOnce(Coordinator) -> F) {
    with_settings(RuntimeSettings { body_threads: 2, ..RuntimeSettings::default() }, test);
}

pub(crate) fn with_settings<F: Future<Output = ()>>(
    settings: RuntimeSettings,
    test: impl FnOnce(Coordinator) -> F,
) {
    let folder = tempfile::tempdir().unwrap();
    actix_rt::System::new().block_on(async {
        let coordinator = application(folder.path(), settings).await;
        let closing = coordinator.clone();
        test(coordinator).await;
        closing.shutdown(Duration::from_secs(10)).await;
    });
}

pub(crate) async fn start(on: &Coordinator, model: &str, act: &str, value: Value) -> TaskKey {
    let input = JsonText::from_value(&json!({ "act": act, "value": value })).unwrap();
    on.start(StartRequest::new("isolated", model, "ann").input(input)).await.unwrap().key
}

pub(crate) async fn ended(on: &Coordinator, key: &TaskKey) -> Record {
    tokio::time::timeout(LONG, on.result(key)).await.expect("the task ends").unwrap()
}

pub(crate) async fn outcome(on: &Coordinator, model: &str, act: &str, value: Value) -> Record {
    let key = start(on, model, act, value).await;
    ended(on, &key).await
}

pub(crate) fn value_of(record: &Record) -> Value {
    assert_eq!(record.status, Status::Completed, "{record:?}");
    record.final_value.as_ref().unwrap().to_value().unwrap()
}

pub(crate) fn failure_of(record: &Record) -> (&str, &str) {
    assert_eq!(record.status, Status::Failed, "{record:?}");
    let failure = record.failure.as_ref().unwrap();
    (&failure.error_type, &failure.message)
}

/// The data of the first event of that type, once it is there.
pub(crate) async fn event(on: &Coordinator, key: &TaskKey, kind: &str) -> Value {
    until(kind, async || {
        let events = on.events(key).await.unwrap();
        let found = events.iter().find(|event| event.kind.as_str() == kind)?;
        Some(found.data.to_value().unwrap())
    })
    .await
}

pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let limit = Instant::now() + LONG;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process lives; one that nobody has reaped yet is dead.
pub(crate) fn lives(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim().chars().next();
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// The children of this process, dead ones too.
pub(crate) fn children() -> Vec<String> {
    let id = std::process::id();
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let lists = threads.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("children")).ok());
    let all = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    // The keeper stays as long as the application.
    let is_keeper = |pid: &String| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.contains("quell-keeper"))
    };
    all.filter(|pid| !is_keeper(pid)).collect()
}

pub(crate) async fn cancel(on: &Coordinator, key: &TaskKey) -> StoppedBy {
    match on.cancel_task(key, Some("enough of it")).await.unwrap() {
        Receipt::Cancelled { stopped_by, .. } => stopped_by,
        other => panic!("{other:?}"),
    }
}
