//! What goes wrong while a database is in use.

use std::fs;

use diesel::connection::SimpleConnection;

use super::*;
use crate::store::conformance::Harness;
use crate::store::{Answer, Fault, Write};
use crate::task::TaskId;

fn reserve(db: &mut SqliteHarness) -> Result<Answer, StoreError> {
    db.store().commit(&[Write::ReserveIds { count: 1 }]).map(|mut done| done.answers.remove(0))
}

/// Rows of any content: the rules of the schema are switched off for this connection.
fn vandalise(db: &SqliteHarness, sql: &str) {
    let mut raw = connect::plain(&db.path()).unwrap();
    connect::run(&mut raw, "PRAGMA ignore_check_constraints = ON").unwrap();
    connect::run(&mut raw, sql).unwrap();
}

fn add_rows(db: &SqliteHarness) {
    vandalise(
        db,
        "INSERT INTO tasks (id, app, model, status, owner, created_at, updated_at, started_at, attempt, node, epoch, queued)
         VALUES (1, 'tests', 'M', 'running', 'alice', 1, 1, 1, 1, 'n1', 1, 0), (2, 'tests', 'M', 'pending', 'alice', 1, 1, NULL, 1, NULL, 0, 1);
         INSERT INTO task_events VALUES (1, 1, 5, 'running', '{}'), (1, 2, 5, 'progress', '{}')",
    );
}

#[test]
fn rows_changed_into_nonsense_are_refused() {
    for bad in [
        "status = 'paused'",
        "app = '../etc'",
        "model = ''",
        "timeout_seconds = -1",
        "idle_timeout_seconds = 1e300",
        "attempt = 0",
        "attempt = 5000000000",
        "epoch = -1",
        "queued = 1",
        "started_at = NULL",
        "completed_at = 5",
        "cancelled_at = 5",
        "stopped_by = 'itself'",
        "error_type = 'E'",
        "cancel_requested_at = 5",
        "cancel_requested_at = 5, cancel_cause = 'whim', cancellation_reason = 'x'",
        "cleanup = 'fine'",
        "status = 'completed'",
        "status = 'failed', completed_at = 5",
        "status = 'cancelled', completed_at = 5, cancelled_at = 5, stopped_by = 'itself'",
        "app = CAST(X'FF' AS TEXT)",
    ] {
        let mut db = SqliteHarness::new();
        add_rows(&db);
        vandalise(&db, &format!("UPDATE tasks SET {bad} WHERE id = 1"));
        let read = db.reader().task(TaskId::new(1).unwrap());
        assert!(matches!(read, Err(StoreError::BadRow { id: 1, .. })), "{bad}: {read:?}");
        db.reader().task(TaskId::new(2).unwrap()).unwrap().unwrap();
    }
}

#[test]
fn a_bad_row_among_good_ones_is_named() {
    let mut db = SqliteHarness::new();
    add_rows(&db);
    vandalise(
        &db,
        "UPDATE tasks SET status = 'running', started_at = 1, queued = 0, owner = CAST(X'FF' AS TEXT) WHERE id = 2",
    );
    let read = db.reader().running(0, 9);
    assert!(matches!(read, Err(StoreError::BadRow { id: 2, .. })), "{read:?}");
}

#[test]
fn values_changed_into_nonsense_are_refused() {
    let mut db = SqliteHarness::new();
    add_rows(&db);
    vandalise(&db, "INSERT INTO task_data VALUES (1, 'final_value', '1'), (2, 'input', '{')");
    for id in [1, 2] {
        let read = db.reader().task(TaskId::new(id).unwrap());
        assert!(matches!(read, Err(StoreError::BadRow { .. })), "{read:?}");
    }
}

#[test]
fn events_changed_into_nonsense_are_refused() {
    for bad in [
        "UPDATE task_events SET kind = 'a' || char(13) WHERE seq = 2",
        "UPDATE task_events SET data = '{' WHERE seq = 2",
        "UPDATE task_events SET data = '[]' WHERE seq = 2",
        "UPDATE task_events SET seq = 4 WHERE seq = 2",
        "UPDATE task_events SET data = CAST(X'FF' AS TEXT) WHERE seq = 2",
    ] {
        let mut db = SqliteHarness::new();
        add_rows(&db);
        vandalise(&db, bad);
        let read = db.reader().events(TaskId::new(1).unwrap(), 0, 9);
        assert!(matches!(read, Err(StoreError::BadRow { id: 1, .. })), "{bad}: {read:?}");
        assert!(db.reader().events(TaskId::new(1).unwrap(), 0, 1).is_ok());
    }
}

#[test]
fn i19_a_full_disk_takes_nothing_and_may_be_tried_again() {
    let mut db = SqliteHarness::new();
    assert_eq!(reserve(&mut db), Ok(Answer::Ids(1)));
    let folder = db.folder.path().to_owned();
    db.store.db.batch_execute("PRAGMA max_page_count = 1").unwrap();
    add_rows(&db);
    let big = serde_json::json!({ "x": "y".repeat(60_000) });
    let event = crate::task::NewEvent::new("big", &big, crate::task::Timestamp::from_micros(1)).unwrap();
    let write = Write::Event { id: TaskId::new(1).unwrap(), epoch: 1, event };
    for _ in 0..3 {
        let full = db.store().commit(&[Write::ReserveIds { count: 5 }, write.clone()]);
        assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?} in {folder:?}");
    }
    db.store.db.batch_execute("PRAGMA max_page_count = 1000000").unwrap();
    let done = db.store().commit(&[Write::ReserveIds { count: 5 }, write]).unwrap();
    assert_eq!(done.answers, [Answer::Ids(2), Answer::Applied]);
    assert_eq!(done.events[0].seq, 3);
}

#[test]
fn a_strangers_lock_is_waited_for_and_then_told() {
    let mut db = SqliteHarness::new();
    db.store.db.batch_execute("PRAGMA busy_timeout = 1").unwrap();
    let mut stranger = connect::plain(&db.path()).unwrap();
    connect::run(&mut stranger, "BEGIN IMMEDIATE").unwrap();
    assert!(matches!(reserve(&mut db), Err(StoreError::Unavailable(_))));
    connect::run(&mut stranger, "ROLLBACK").unwrap();
    assert_eq!(reserve(&mut db), Ok(Answer::Ids(1)));
}

#[test]
fn a_transaction_left_open_is_taken_back() {
    let mut db = SqliteHarness::new();
    db.store.db.batch_execute("BEGIN IMMEDIATE; UPDATE id_blocks SET next_id = 99").unwrap();
    assert_eq!(reserve(&mut db), Ok(Answer::Ids(1)));
}

#[test]
fn a_deleted_or_replaced_file_is_noticed() {
    for suffix in ["", "-wal"] {
        let mut db = SqliteHarness::new();
        reserve(&mut db).unwrap();
        let path = file::beside(&db.path(), suffix);
        let copy = db.folder.path().join("copy");
        fs::copy(&path, &copy).unwrap();
        fs::rename(&copy, &path).unwrap();
        assert!(matches!(reserve(&mut db), Err(StoreError::Damaged(_))), "replaced {path:?}");
        fs::remove_file(&path).unwrap();
        assert!(matches!(reserve(&mut db), Err(StoreError::Damaged(_))), "deleted {path:?}");
    }
}

#[test]
fn a_page_broken_while_in_use_is_damage() {
    let mut db = SqliteHarness::new();
    add_rows(&db);
    db.run_sql("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let file = fs::File::options().write(true).open(db.path()).unwrap();
    for page in 1..20 {
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xA5; 4_096], page * 4_096).unwrap();
    }
    std::mem::forget(file);
    let mut fresh = db.database.reader().unwrap();
    let read = fresh.task(TaskId::new(1).unwrap());
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
}

#[test]
fn a_reader_cannot_write() {
    let db = SqliteHarness::new();
    let mut raw = connect::reading(&db.path()).unwrap();
    let said = raw.batch_execute("UPDATE id_blocks SET next_id = 99").unwrap_err();
    assert!(matches!(error::store_error(&said), StoreError::Unavailable(_)), "{said}");
}

#[test]
fn one_readers_snapshot_does_not_outlive_its_look() {
    let mut db = SqliteHarness::new();
    add_rows(&db);
    let id = TaskId::new(1).unwrap();
    db.reader().task(id).unwrap();
    db.reader().events(id, 0, 9).unwrap();
    db.reader().running(0, 9).unwrap();
    let mut raw = connect::plain(&db.path()).unwrap();
    connect::run(&mut raw, "PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert_eq!(fs::metadata(file::beside(&db.path(), "-wal")).unwrap().len(), 0);
}

#[test]
fn i19_a_probe_of_a_database_reaches_the_disk() {
    let mut db = SqliteHarness::new();
    let log = file::beside(&db.path(), "-wal");
    reserve(&mut db).unwrap();
    let before = fs::metadata(&log).unwrap().len();
    reserve(&mut db).unwrap();
    assert!(fs::metadata(&log).unwrap().len() > before, "a reservation of one id is written");
    db.faults.set_once(Fault::LoseCommit);
    assert!(reserve(&mut db).is_err());
    let before = fs::metadata(&log).unwrap().len();
    assert_eq!(db.store().resolve(), Ok(None));
    assert!(fs::metadata(&log).unwrap().len() > before, "so is a resolution");
}
