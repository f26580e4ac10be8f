//! The numbers of a runtime against the rows of its database, after everything that can happen to a task.

use std::collections::BTreeMap;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use quell::task::{Status, StoppedBy};
use quell::{Coordinator, Receipt};
use serde_json::json;

use crate::support::{
    Again, Brief, Child, Graced, Patient, Plain, Session, World, blocking_request, eventually, request,
    seconds, stopped_by,
};

/// The whole numbers of the text by name and labels.
type Numbers = BTreeMap<String, i64>;

fn numbers(quell: &Coordinator) -> Numbers {
    let text = quell.metrics().expect("the host has no recorder");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| line.rsplit_once(' ').expect("a name and a value"));
    values.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

/// The series of a name that are not 0.
fn of(numbers: &Numbers, name: &str) -> Numbers {
    let within = |key: &str| key == name || key.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
    numbers.iter().filter(|(key, value)| within(key) && **value != 0).map(|(k, v)| (k.clone(), *v)).collect()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    series: String,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Series out of the rows: the query names them in its column `series`.
fn rows(database: &Path, series: &str, condition: &str) -> Numbers {
    let mut db = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
    // A runtime that was shut down may still be closing its file.
    diesel::sql_query("PRAGMA busy_timeout = 20000").execute(&mut db).unwrap();
    let query =
        format!("SELECT {series} AS series, count(*) AS rows FROM tasks WHERE {condition} GROUP BY 1");
    let found: Vec<Row> = diesel::sql_query(query).load(&mut db).unwrap();
    found.into_iter().map(|row| (row.series, row.rows)).collect()
}

const FINISHED: &str =
    r#"'quell_tasks_finished_total{model="'||app||'/'||model||'",outcome="'||status||'"}'"#;
const STARTED: &str = r#"'quell_tasks_started_total{model="'||app||'/'||model||'"}'"#;
const CAUSES: &str = r#"'quell_cancel_requests_total{cause="'||cancel_cause||'"}'"#;
const STOPS: &str = r#"'quell_cancel_latency_seconds_count{stopped_by="'||stopped_by||'"}'"#;
const ENDED: &str = "completed_at IS NOT NULL";

/// What must hold when nothing moves; `seen` are the rows of this life of the runtime. Whoever watches a task hears of
/// its end a moment before it is counted.
async fn compare(quell: &Coordinator, database: &Path, seen: &str) {
    let and = |condition: &str| format!("{condition} AND {seen}");
    let finished = rows(database, FINISHED, &and(ENDED));
    eventually("every end is counted", async || {
        of(&numbers(quell), "quell_tasks_finished_total") == finished
    })
    .await;
    let told = numbers(quell);
    let asked = and("cancel_requested_at IS NOT NULL");
    assert_eq!(of(&told, "quell_cancel_requests_total"), rows(database, CAUSES, &asked));
    let stopped = and("stopped_by IS NOT NULL");
    assert_eq!(of(&told, "quell_cancel_latency_seconds_count"), rows(database, STOPS, &stopped));
    gauges(quell, database);
}

fn gauges(quell: &Coordinator, database: &Path) {
    let told = numbers(quell);
    for status in ["running", "pending"] {
        let series = format!("quell_tasks_{status}");
        let there = rows(database, &format!("'{series}'"), &format!("status = '{status}'"));
        assert_eq!(of(&told, &series), there, "{status}");
    }
}

fn bodies(world: &World) {
    world.body("returns", |ctx, _| async move {
        ctx.send_event("step", &1).await?;
        Ok(json!("done"))
    });
    world.body("fails", |_, _| async { Err(quell::TaskError::new("Odd", "as asked")) });
    world.body("panics", |_, _| async { panic!("as asked") });
    world.body("waits", |_, stage| async move {
        stage.mark("waits");
        std::future::pending().await
    });
    world.body("stays", |ctx, stage| async move {
        stage.mark("stays");
        ctx.cancelled().await;
        Ok(json!("late"))
    });
    world.body("spins", |_, stage| async move {
        stage.mark("spins");
        stage.wait_blocking("released");
        Ok(json!("late"))
    });
    world.blocking("spins", |_, stage| {
        stage.mark("spins");
        stage.wait_blocking("released");
        Ok(json!("late"))
    });
}

/// Two bodies are written off on body threads, two on threads of their own.
async fn abandon_four(s: &Session) {
    for bodies in [2, 4] {
        let spinning = s.begin::<Brief>("spins").await;
        let blocking = s.start(blocking_request::<Brief>("spins")).await.unwrap().key;
        // A body that has not begun would be dropped, or never started.
        s.stage().reached("spins", bodies).await;
        for key in [spinning, blocking] {
            assert_eq!(stopped_by(&s.stop(&key, "enough").await), StoppedBy::Abandoned);
        }
    }
    assert_eq!(of(&numbers(s), "quell_abandoned_threads").values().sum::<i64>(), 4);
    assert_eq!(
        of(&numbers(s), "quell_abandoned_bodies_total").into_iter().collect::<Vec<_>>(),
        [
            (r#"quell_abandoned_bodies_total{kind="async"}"#.to_owned(), 2),
            (r#"quell_abandoned_bodies_total{kind="blocking"}"#.to_owned(), 2),
        ]
    );
}

#[test]
fn the_numbers_are_the_rows_after_everything_that_can_happen_to_a_task() {
    let world = World::with(|settings| {
        settings.body_threads = 6;
        settings.max_running = 50;
    });
    bodies(&world);
    let database = world.database();
    world.run(async |s| {
        let mut ends = Vec::new();
        for _ in 0..60 {
            for body in ["returns", "fails", "panics"] {
                ends.push(s.begin::<Plain>(body).await);
            }
            ends.push(s.begin::<Graced>("returns").await);
        }
        for key in &ends {
            s.ended(key).await;
        }
        abandon_four(&s).await;
        compare(&s, &database, "true").await;
        for _ in 0..10 {
            let timed = s.start(request::<Plain>("waits").timeout(seconds(0.02))).await.unwrap().key;
            assert_eq!(s.ended(&timed).await.status, Status::Cancelled);
        }
        // More than there is room for: the rest waits in line, and some of it is cancelled there.
        let (mut waiting, mut staying) = (Vec::new(), Vec::new());
        for _ in 0..40 {
            waiting.push(s.begin::<Plain>("waits").await);
            staying.push(s.begin::<Patient>("stays").await);
        }
        let mut created = Vec::new();
        for _ in 0..10 {
            created.push(s.create(request::<Graced>("returns")).await.unwrap().key);
        }
        gauges(&s, &database);
        assert_eq!(of(&numbers(&s), "quell_tasks_running").values().sum::<i64>(), 50);
        assert_eq!(of(&numbers(&s), "quell_tasks_pending").values().sum::<i64>(), 40);
        for key in waiting.iter().rev().chain(&staying).chain(&created[..4]) {
            assert!(s.stop(key, "enough").await.is_cancelled());
        }
        // Ended by itself already: counted no second time.
        assert!(matches!(s.stop(&ends[0], "late").await, Receipt::NotRunning(_)));
        s.start_task(&created[4], None).await.unwrap();
        s.ended(&created[4]).await;
        compare(&s, &database, "true").await;
        let started = of(&numbers(&s), "quell_tasks_started_total");
        let mut made = rows(&database, STARTED, "true");
        // Of those that were only created, one was started.
        *made.get_mut(r#"quell_tasks_started_total{model="tests/Graced"}"#).unwrap() -= 9;
        assert_eq!(started, made);
        assert!(started.values().sum::<i64>() > 300);
        s.stage().mark("released");
        eventually("the threads are back", async || of(&numbers(&s), "quell_abandoned_threads").is_empty())
            .await;
        s.shutdown(crate::support::LONG).await;
        compare(&s, &database, "true").await;
    });
}

#[test]
fn what_goes_back_to_wait_waits_in_the_numbers_too_and_the_next_life_begins_with_it() {
    let world = World::new();
    bodies(&world);
    let database = world.database();
    let again = world.run(async |s| {
        let again = s.begin::<Again>("waits").await;
        s.begin::<Plain>("waits").await;
        s.create(request::<Plain>("returns")).await.unwrap();
        s.stage().reached("waits", 2).await;
        s.shutdown(crate::support::LONG).await;
        compare(&s, &database, "true").await;
        let told = numbers(&s);
        assert_eq!((told["quell_tasks_running"], told["quell_tasks_pending"]), (0, 2));
        again
    });
    world.run(async |s| {
        s.stage().reached("waits", 3).await;
        let told = numbers(&s);
        assert_eq!((told["quell_tasks_running"], told["quell_tasks_pending"]), (1, 1));
        // It was started in an earlier life.
        assert!(of(&told, "quell_tasks_started_total").is_empty());
        s.stop(&again, "enough").await;
        compare(&s, &database, &format!("id = {}", again.id)).await;
    });
}

#[test]
fn what_a_killed_process_left_is_counted_by_the_one_that_settles_it() {
    let folder = tempfile::tempdir().unwrap();
    Child::start("restart::crash::helper_leaves_a_task_in_each_state", folder.path()).kill();
    let world = World::at(folder.path());
    bodies(&world);
    world.body("takes", |_, _| async { std::future::pending().await });
    let database = world.database();
    world.run(async |s| {
        let settled = "(stopped_by = 'lost' OR error_type = 'lost')";
        let finished = rows(&database, FINISHED, settled);
        assert_eq!(finished.values().sum::<i64>(), 2);
        assert_eq!(of(&numbers(&s), "quell_tasks_finished_total"), finished);
        // Their ask was counted by the process that took it.
        assert!(of(&numbers(&s), "quell_cancel_requests_total").is_empty());
        eventually("two run again", async || numbers(&s)["quell_tasks_running"] == 2).await;
        gauges(&s, &database);
    });
}

#[test]
fn commits_and_events_are_counted_as_they_are_written() {
    let world = World::new();
    bodies(&world);
    world.run(async |s| {
        let key = s.begin::<Plain>("returns").await;
        s.ended(&key).await;
        let told = numbers(&s);
        // running, step, completed.
        assert_eq!(told["quell_events_total"], 3);
        assert!(told["quell_db_commit_seconds_count"] >= 2);
        assert_eq!(told["quell_db_commit_seconds_count"], told["quell_db_group_size_count"]);
        assert_eq!(told[r#"quell_db_group_size_bucket{le="+Inf"}"#], told["quell_db_group_size_count"]);
        let text = s.metrics().unwrap();
        let took = text.lines().find_map(|line| line.strip_prefix("quell_db_commit_seconds_sum ")).unwrap();
        assert!(took.parse::<f64>().unwrap() > 0.0, "{took}");
        for (name, kind) in [("quell_tasks_started_total", "counter"), ("quell_streams", "gauge")] {
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
        assert!(text.contains("# TYPE quell_cancel_latency_seconds histogram\n"));
    });
}
