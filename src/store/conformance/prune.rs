//! Chapter: what is old is removed.

use super::*;

fn prune(numbers: &[i64], before: i64, rows: u32) -> Write {
    Write::Prune { tasks: numbers.iter().map(|number| id(*number)).collect(), before: at(before), rows }
}

fn gone(gone: u32, more: bool) -> Answer {
    Answer::Pruned { gone, more }
}

/// Fails where a table has anything of a task.
fn nothing_is_left_of<H: Harness>(db: &mut H, number: i64) {
    assert_eq!(db.reader().task(id(number)).unwrap(), None);
    assert_eq!(db.reader().events(id(number), 0, 10).unwrap(), super::super::EventPage::default());
    assert_eq!(db.reader().last_event(id(number)).unwrap(), 0);
    db.run_sql("CREATE TABLE IF NOT EXISTS of_none (n INTEGER CHECK (n = 0))").unwrap();
    for table in ["task_data", "task_events", "signals"] {
        db.run_sql(&format!("INSERT INTO of_none SELECT count(*) FROM {table} WHERE task_id = {number}"))
            .unwrap();
    }
}

pub(super) fn a_task_goes_with_all_that_belongs_to_it<H: Harness>(mut db: H) {
    let mut given = task(1);
    given.input = json(r#"{"steps":3}"#);
    let made = Write::Create { task: Box::new(given), queued: true };
    let value = Ending { final_value: Some(json("7")), ..ending(Status::Completed) };
    db.commit(&[made, create_running(2), signal(1, "go"), begin(1, 0), send(1, 1), end(1, 1, value)]);
    assert_eq!(db.one(prune(&[1, 2, 77], 400, 500)), gone(1, false));
    nothing_is_left_of(&mut db, 1);
    let mut db = db.reopen();
    nothing_is_left_of(&mut db, 1);
    assert_eq!(db.record(2).status, Status::Running);
    for write in all_writes(1, 1) {
        db.is_stale(write);
    }
}

pub(super) fn what_has_not_ended_or_ended_late_stays<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create(2, true), create(3, false), create_running(4), complete(4, 1)]);
    db.commit(&[ask(1, 1)]);
    let before: Vec<_> = (1..=4).map(|number| (db.record(number), db.kinds(number))).collect();
    assert_eq!(db.one(prune(&[1, 2, 3, 4], 399, 500)), gone(0, false), "4 ended at 400");
    // An end of the same group is not there yet.
    let told = db.commit(&[cancel(1, 1), prune(&[1, 2, 3], i64::MAX, 500)]).answers;
    assert_eq!(told[1], gone(0, false));
    assert_eq!(db.record(1).status, Status::Cancelled);
    let after: Vec<_> = (2..=4).map(|number| (db.record(number), db.kinds(number))).collect();
    assert_eq!(before[1..], after);
}

pub(super) fn a_long_log_goes_bit_by_bit_from_its_oldest_event<H: Harness>(mut db: H) {
    let mut group = vec![create_running(1), create_running(2), complete(2, 1)];
    group.extend((0..7).map(|_| send(1, 1)));
    db.commit(&group);
    db.commit(&[complete(1, 1)]);
    let record = db.record(1);
    assert_eq!(db.kinds(1).len(), 9);
    assert_eq!(db.one(prune(&[1, 2], 400, 4)), gone(0, true));
    let page = db.reader().events(id(1), 0, 100).unwrap();
    assert_eq!((page.oldest, page.events.len()), (5, 5), "I-23: no hole, and it says where it begins");
    assert_eq!(db.record(1), record, "its row goes last");
    assert_eq!(db.one(prune(&[1, 2], 400, 4)), gone(0, true));
    assert_eq!(db.one(prune(&[1, 2], 400, 4)), gone(1, true));
    assert_eq!(db.one(prune(&[1, 2], 400, 4)), gone(1, false));
    nothing_is_left_of(&mut db, 1);
    nothing_is_left_of(&mut db, 2);
}

pub(super) fn old_tasks_are_told_up_to_the_first_that_is_young<H: Harness>(mut db: H) {
    let young = Write::Create { task: Box::new(NewTask { at: at(900), ..task(5) }), queued: true };
    db.commit(&[create_running(1), create_running(2), create(3, true), create_running(4), young]);
    db.commit(&[create_running(6), complete(1, 1), complete(4, 1)]);
    let told: Vec<_> = [(1, true), (2, false), (3, false), (4, true)].map(|(n, over)| (id(n), over)).into();
    assert_eq!(db.reader().old_tasks(0, at(400), 10).unwrap(), told);
    assert_eq!(db.reader().old_tasks(0, at(399), 2).unwrap(), [(id(1), false), (id(2), false)]);
    assert_eq!(db.reader().old_tasks(3, at(400), 10).unwrap(), told[3..]);
    assert_eq!(db.reader().old_tasks(4, at(400), 10).unwrap(), []);
}

pub(super) fn i02_ids_are_not_used_again_after_their_tasks_are_gone<H: Harness>(mut db: H) {
    assert_eq!(db.one(Write::ReserveIds { count: 10 }), Answer::Ids(1));
    db.commit(&[create_running(1), complete(1, 1)]);
    assert_eq!(db.one(prune(&[1], 400, 500)), gone(1, false));
    let mut db = db.reopen();
    assert_eq!(db.one(Write::ReserveIds { count: 10 }), Answer::Ids(11));
}
