//! `schema.rs` is kept by hand: here it is held to the migrated database. And the plans that matter.

use std::collections::BTreeSet;

use diesel::RunQueryDsl;
use diesel_migrations::MigrationHarness;

use super::*;
use crate::store::sqlite::connect::{nowhere, texts};
use crate::task::{Name, Status, TaskFilter};

/// `tasks.id BigInt`, `tasks.node Nullable<Text>`, … as the source says.
fn declared() -> BTreeSet<String> {
    let mut table = String::new();
    let mut columns = BTreeSet::new();
    for line in include_str!("../../schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with('{')) {
            name.clone_into(&mut table);
        } else if let Some((name, kind)) = line.split_once(" -> ") {
            columns.insert(format!("{table}.{name} {}", kind.trim_end_matches(',')));
        }
    }
    columns
}

#[test]
fn the_declared_schema_is_the_migrated_one() {
    let mut db = nowhere().unwrap();
    migrate::migrate(&mut db).unwrap();
    // SQLite has one integer type and no truth values: `queued` is the one column that is read as such.
    let sql = "SELECT m.name || '.' || c.name || ' ' || iif(c.\"notnull\", '', 'Nullable<')
               || CASE WHEN c.name = 'queued' THEN 'Bool' WHEN c.type = 'INTEGER' THEN 'BigInt'
                       WHEN c.type = 'TEXT' THEN 'Text' WHEN c.type = 'REAL' THEN 'Double' ELSE 'Binary' END
               || iif(c.\"notnull\", '', '>') AS value
               FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\'";
    let migrated: BTreeSet<String> = texts(&mut db, sql).unwrap().into_iter().collect();
    assert!(migrated.len() > 40);
    assert_eq!(declared(), migrated);
}

#[test]
fn migrating_down_leaves_nothing() {
    let mut db = nowhere().unwrap();
    migrate::migrate(&mut db).unwrap();
    db.revert_all_migrations(migrate::MIGRATIONS).unwrap();
    let left =
        texts(&mut db, "SELECT name AS value FROM sqlite_schema WHERE name NOT LIKE '%schema_migrations%'");
    assert_eq!(left.unwrap(), ["sqlite_sequence"]);
    migrate::migrate(&mut db).unwrap();
}

#[derive(diesel::QueryableByName)]
struct Step {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

#[test]
fn live_rows_are_found_by_their_index() {
    let mut db = nowhere().unwrap();
    migrate::migrate(&mut db).unwrap();
    for (sql, index) in [
        (reader::RUNNING, "tasks_running"),
        (reader::QUEUED, "tasks_queued"),
        (reader::CREATED, "tasks_created"),
    ] {
        let sql = sql.replacen('?', "5", 1).replacen('?', "9", 1);
        let plan: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(&mut db).unwrap();
        let plan: Vec<String> = plan.into_iter().map(|step| step.detail).collect();
        assert_eq!(plan, [format!("SEARCH tasks USING COVERING INDEX {index} (id>?)")]);
    }
}

fn plan(db: &mut diesel::SqliteConnection, query: &search::Query) -> Vec<String> {
    // Each value has a place; what stands there does not matter for the plan.
    let sql = query.sql.replace('?', "5");
    let plan: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(db).unwrap();
    plan.into_iter().map(|step| step.detail).collect()
}

#[test]
fn no_list_goes_through_the_tasks_of_others() {
    let mut db = nowhere().unwrap();
    migrate::migrate(&mut db).unwrap();
    let filter = TaskFilter {
        app: Name::new("a").ok(),
        model: Name::new("B").ok(),
        status: Some(Status::Failed),
        owner: Some("ann".into()),
    };
    for (way, expected) in [
        (search::Way::OfOwner, "SEARCH tasks USING INDEX tasks_of_owner (owner=? AND rowid>? AND rowid<?)"),
        (search::Way::Running, "SEARCH tasks USING INDEX tasks_running (id>? AND id<?)"),
        (search::Way::Queued, "SEARCH tasks USING INDEX tasks_queued (id>? AND id<?)"),
        (search::Way::Created, "SEARCH tasks USING INDEX tasks_created (id>? AND id<?)"),
        (search::Way::All, "SEARCH tasks USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    ] {
        // Nothing is sorted either: the index has the order.
        assert_eq!(plan(&mut db, &search::find(way, &filter, 9, 1, 5)), [expected]);
    }
}
