//! What becomes of a database that an earlier schema made.

use diesel::SqliteConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel_migrations::MigrationHarness;

use super::*;
use crate::store::sqlite::connect::{nowhere, number, plain, run, texts};

/// The migrations before the one that said the rules anew.
const EARLIER: usize = 3;

fn migrate_to_earlier(db: &mut SqliteConnection) {
    let migrations: Vec<Box<dyn Migration<Sqlite>>> = migrate::MIGRATIONS.migrations().unwrap();
    // Makes the table in which migrations are noted.
    assert!(db.applied_migrations().unwrap().is_empty());
    for migration in &migrations[..EARLIER] {
        db.run_migration(migration).unwrap();
    }
}

/// Tries a row of each status, known or not, with and without each value that a rule is about. The id says which.
const EVERY_ROW: &str = "WITH bit(v) AS (VALUES (0), (1)), word(n, status) AS (VALUES (0, 'pending'), (1, 'running'),
        (2, 'completed'), (3, 'failed'), (4, 'cancelled'), (5, 'paused'), (6, 'Running'), (7, ''))
    INSERT OR IGNORE INTO tasks (id, app, model, owner, created_at, updated_at, attempt, epoch, status, queued,
        started_at, node, completed_at, cancelled_at, stopped_by, cancel_requested_at, cancel_cause,
        cancellation_reason, error_type, error_message)
    SELECT 1 + word.n + 8 * (q.v + 2 * (st.v + 2 * (no.v + 2 * (co.v + 2 * (ca.v + 2 * (sb.v + 2 * (cr.v + 2 * (cc.v
            + 2 * (re.v + 2 * (et.v + 2 * em.v)))))))))),
        'tests', 'Model', 'ann', 1, 1, 1, 0, status, q.v, iif(st.v, 1, NULL), iif(no.v, 'n1', NULL), iif(co.v, 1, NULL),
        iif(ca.v, 1, NULL), iif(sb.v, 'dropped', NULL), iif(cr.v, 1, NULL), iif(cc.v, 'user', NULL),
        iif(re.v, 'x', NULL), iif(et.v, 'E', NULL), iif(em.v, 'x', NULL)
    FROM word, bit AS q, bit AS st, bit AS no, bit AS co, bit AS ca, bit AS sb, bit AS cr, bit AS cc, bit AS re,
        bit AS et, bit AS em";

/// Numbers that a rule is about, one by one, in a row that is right but for them.
const EVERY_NUMBER: &str = "WITH number(column_name, value) AS (VALUES ('id', 0), ('id', 9007199254740991),
        ('id', 9007199254740992), ('id', -1), ('attempt', 0), ('attempt', 1), ('epoch', -1), ('epoch', 0), ('queued', 2),
        ('queued', -1), ('timeout_seconds', 0), ('timeout_seconds', -1), ('timeout_seconds', 1),
        ('idle_timeout_seconds', 0), ('idle_timeout_seconds', 1)), row(n, name, value) AS (SELECT 1000000
            + row_number() OVER (), column_name, value FROM number)
    INSERT OR IGNORE INTO tasks (id, app, model, owner, created_at, updated_at, status, attempt, epoch, queued,
        timeout_seconds, idle_timeout_seconds)
    SELECT iif(name = 'id', value, n), 'tests', 'Model', 'ann', 1, 1, 'pending', iif(name = 'attempt', value, 1),
        iif(name = 'epoch', value, 0), iif(name = 'queued', value, 0), iif(name = 'timeout_seconds', value, NULL),
        iif(name = 'idle_timeout_seconds', value, NULL) FROM row";

/// All that a database holds of tasks, as text.
fn rows(db: &mut SqliteConnection) -> Vec<String> {
    let columns = "SELECT group_concat('quote(' || name || ')', ' || '' '' || ') AS value
        FROM pragma_table_info('tasks')";
    let columns = texts(db, columns).unwrap().remove(0);
    let mut rows = texts(db, &format!("SELECT {columns} AS value FROM tasks ORDER BY id")).unwrap();
    rows.extend(
        texts(db, "SELECT task_id || kind || data AS value FROM task_data ORDER BY task_id, kind").unwrap(),
    );
    rows
}

#[test]
fn the_rules_said_anew_take_the_rows_that_they_took_before() {
    let (mut before, mut now) = (nowhere().unwrap(), nowhere().unwrap());
    migrate_to_earlier(&mut before);
    migrate::migrate(&mut now).unwrap();
    for db in [&mut before, &mut now] {
        run(db, EVERY_ROW).unwrap();
        run(db, EVERY_NUMBER).unwrap();
    }
    let taken = rows(&mut before);
    assert_eq!(taken, rows(&mut now));
    let count = |status: &str| taken.iter().filter(|row| row.contains(&format!("'{status}'"))).count();
    for status in ["pending", "running", "completed", "failed", "cancelled"] {
        assert!(count(status) >= 4, "{status}");
    }
    assert_eq!(count("paused") + count("Running"), 0);
}

#[test]
fn a_database_of_an_earlier_schema_keeps_its_rows_and_gets_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    let mut db = plain(&path).unwrap();
    run(&mut db, &format!("PRAGMA application_id = {APPLICATION_ID}")).unwrap();
    migrate_to_earlier(&mut db);
    run(&mut db, r#"INSERT INTO task_data (task_id, kind, data) VALUES (2, 'input', '{"a":1}')"#).unwrap();
    run(&mut db, EVERY_ROW).unwrap();
    let before = rows(&mut db);
    drop(db);

    drop(open(&path).unwrap());
    let mut db = plain(&path).unwrap();
    assert_eq!(rows(&mut db), before);
    let ended = number(&mut db, "SELECT min(id) AS value FROM tasks WHERE completed_at IS NOT NULL").unwrap();
    for sql in [
        format!("UPDATE tasks SET updated_at = 2 WHERE id = {ended}"),
        format!("INSERT INTO task_data (task_id, kind, data) VALUES ({ended}, 'final_value', '1')"),
    ] {
        assert!(run(&mut db, &sql).unwrap_err().contains("a terminal row never changes"));
    }
    assert_eq!(rows(&mut db), before);
    assert_eq!(
        texts(&mut db, "SELECT integrity_check AS value FROM pragma_integrity_check").unwrap(),
        ["ok"]
    );
}
