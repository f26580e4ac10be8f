//! Chapter: tasks are searched, newest first.

use super::*;
use crate::task::TaskBrief;

fn of(number: i64, model: &str, owner: &str) -> NewTask {
    let mut task = task(number);
    (task.key.model, task.owner) = (Name::new(model).unwrap(), owner.into());
    task
}

fn running(task: NewTask) -> Write {
    Write::CreateRunning { task: Box::new(task), node: "n1".into(), events: vec![event("running")] }
}

fn ids(tasks: &[TaskBrief]) -> Vec<i64> {
    tasks.iter().map(|task| task.key.id.get()).collect()
}

fn found<H: Harness>(db: &mut H, filter: TaskFilter) -> Vec<i64> {
    let briefs = db.reader().search(&Search { filter, limit: 100, ..Search::default() }).unwrap();
    assert_eq!(briefs.next, None);
    ids(&briefs.tasks)
}

/// 1 to 4 of ann, 5 and 6 of bob; 2 and 5 have ended, 4 waits for room, 6 for its start.
fn six<H: Harness>(db: &mut H) {
    let queued = Write::Create { task: Box::new(of(4, "B", "ann")), queued: true };
    let created = Write::Create { task: Box::new(of(6, "A", "bob")), queued: false };
    let runs = [of(1, "A", "ann"), of(2, "A", "ann"), of(3, "B", "ann"), of(5, "B", "bob")].map(running);
    db.commit(&runs);
    db.commit(&[queued, created, complete(2, 1), fail(5, 1)]);
}

pub(super) fn a_search_finds_what_fits_newest_first<H: Harness>(mut db: H) {
    six(&mut db);
    let all = TaskFilter::default;
    let ann = || Some(Arc::from("ann"));
    assert_eq!(found(&mut db, all()), [6, 5, 4, 3, 2, 1]);
    assert_eq!(found(&mut db, TaskFilter { owner: ann(), ..all() }), [4, 3, 2, 1]);
    assert_eq!(found(&mut db, TaskFilter { model: Name::new("A").ok(), ..all() }), [6, 2, 1]);
    assert_eq!(found(&mut db, TaskFilter { app: Name::new("other").ok(), ..all() }), [0; 0]);
    assert_eq!(found(&mut db, TaskFilter { owner: Some("nobody".into()), ..all() }), [0; 0]);
    for (status, expected) in [
        (Status::Pending, vec![6, 4]),
        (Status::Running, vec![3, 1]),
        (Status::Completed, vec![2]),
        (Status::Failed, vec![5]),
        (Status::Cancelled, vec![]),
    ] {
        assert_eq!(found(&mut db, TaskFilter { status: Some(status), ..all() }), expected, "{status}");
    }
    let narrow =
        TaskFilter { owner: ann(), status: Some(Status::Running), model: Name::new("B").ok(), ..all() };
    assert_eq!(found(&mut db, narrow.clone()), [3]);
    let (fits, other) = (db.record(3), db.record(1));
    assert!(narrow.fits(&fits) && !narrow.fits(&other), "the filter says the same of records");
    let told = db.reader().search(&Search { limit: 1, ..Search::default() }).unwrap();
    let told = told.tasks.first().unwrap();
    assert_eq!((told.key.to_string().as_str(), told.status), ("tests/A/6", Status::Pending));
    assert_eq!(&*told.owner, "bob");
}

pub(super) fn a_search_goes_on_where_it_stopped<H: Harness>(mut db: H) {
    six(&mut db);
    let mut newest = 100;
    for limit in 1..=7 {
        let (mut seen, mut below) = (Vec::new(), None);
        loop {
            let page = db.reader().search(&Search { below, limit, ..Search::default() }).unwrap();
            assert!(page.tasks.len() <= usize::try_from(limit).unwrap());
            seen.extend(ids(&page.tasks));
            // What comes in between is newer, and so in no later page.
            newest += 1;
            db.commit(&[running(of(newest, "A", "ann"))]);
            below = page.next;
            if below.is_none() {
                break;
            }
        }
        let old: Vec<i64> = seen.iter().copied().filter(|id| *id <= 6).collect();
        assert_eq!(old, [6, 5, 4, 3, 2, 1], "{limit}");
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    }
}

pub(super) fn an_unfinished_search_finds_what_waits_and_what_runs<H: Harness>(mut db: H) {
    six(&mut db);
    let mut search = Search { unfinished: true, limit: 100, ..Search::default() };
    assert_eq!(ids(&db.reader().search(&search).unwrap().tasks), [6, 4, 3, 1]);
    search.limit = 3;
    let page = db.reader().search(&search).unwrap();
    assert_eq!((ids(&page.tasks), page.next), (vec![6, 4, 3], Some(id(3))));
    search.below = page.next;
    let page = db.reader().search(&search).unwrap();
    assert_eq!((ids(&page.tasks), page.next), (vec![1], None));
    search = Search { unfinished: true, limit: 100, ..Search::default() };
    search.filter.owner = Some("ann".into());
    assert_eq!(ids(&db.reader().search(&search).unwrap().tasks), [4, 3, 1]);
    search.filter.status = Some(Status::Completed);
    assert_eq!(db.reader().search(&search).unwrap(), super::super::Briefs::default());
}

pub(super) fn a_search_among_many_others_stops_after_a_while_and_says_where<H: Harness>(mut db: H) {
    db.commit(&[running(of(1, "Rare", "ann")), complete(1, 1)]);
    let fill = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 45000)
        INSERT INTO tasks (id, app, model, status, owner, created_at, updated_at, started_at, completed_at, attempt,
            epoch, queued)
        SELECT i, 'tests', 'Common', 'completed', 'bob', 1, 1, 1, 1, 1, 1, 0 FROM n";
    db.run_sql(fill).unwrap();
    let rare = TaskFilter { model: Name::new("Rare").ok(), ..TaskFilter::default() };
    let (mut looks, mut below, mut seen) = (0, None, Vec::new());
    loop {
        let search = Search { filter: rare.clone(), below, limit: 10, unfinished: false };
        let page = db.reader().search(&search).unwrap();
        looks += 1;
        seen.extend(ids(&page.tasks));
        below = page.next;
        if below.is_none() {
            break;
        }
    }
    assert_eq!((seen, looks), (vec![1], 3));
    // One's own are found at once, however many others there are.
    let own =
        TaskFilter { owner: Some("ann".into()), status: Some(Status::Completed), ..TaskFilter::default() };
    assert_eq!(found(&mut db, own), [1]);
}

pub(super) fn records_come_in_the_order_of_their_ids_and_without_what_is_gone<H: Harness>(mut db: H) {
    let group: Vec<_> = (1..=40).map(create_running).collect();
    db.commit(&group);
    let wanted: Vec<_> = [40, 7, 77, 39, 1].map(id).into();
    let read = db.reader().records(&wanted).unwrap();
    let numbers: Vec<_> = read.tasks.iter().map(|task| task.key.id.get()).collect();
    assert_eq!((numbers, read.looked_at), (vec![40, 7, 39, 1], 5));
    let all: Vec<_> = (1..=40).rev().map(id).collect();
    let read = db.reader().records(&all).unwrap();
    assert_eq!(read.tasks.iter().map(|task| task.key.id).collect::<Vec<_>>(), all);
    assert_eq!(read.tasks[39], db.record(1));
}

pub(super) fn large_records_are_read_a_few_at_a_time<H: Harness>(mut db: H) {
    let input = json(&format!("{{\"text\":\"{}\"}}", "x".repeat(250_000)));
    let group: Vec<_> =
        (1..=60).map(|number| running(NewTask { input: input.clone(), ..task(number) })).collect();
    db.commit(&group);
    let all: Vec<_> = (1..=60).map(id).collect();
    let read = db.reader().records(&all).unwrap();
    assert_eq!(read.tasks.len(), read.looked_at);
    assert!((17..60).contains(&read.looked_at), "{}", read.looked_at);
}

pub(super) fn a_bad_row_hides_no_other<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2), create_running(3)]);
    db.run_sql("PRAGMA ignore_check_constraints = ON; UPDATE tasks SET attempt = 0 WHERE id = 2").unwrap();
    let read = db.reader().records(&[3, 2, 1].map(id)).unwrap();
    let numbers: Vec<_> = read.tasks.iter().map(|task| task.key.id.get()).collect();
    assert_eq!((numbers, read.looked_at), (vec![3, 1], 3));
}
