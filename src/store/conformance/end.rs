//! Chapter: a task ends, once; and what a group is.

use super::*;
use crate::store::Answer::{Applied, Stale};
use crate::task::Cleanup;

fn three_ends<H: Harness>(db: &mut H) {
    db.commit(&[create_running(1), create_running(2), create_running(3), create(4, true)]);
    db.commit(&[complete(1, 1), fail(2, 1), cancel(3, 1), cancel(4, 0)]);
}

pub(super) fn i01_a_terminal_row_refuses_every_write<H: Harness>(mut db: H) {
    three_ends(&mut db);
    let mut db = db.reopen();
    for number in 1..=4 {
        for epoch in [0, 1, 2] {
            for write in all_writes(number, epoch) {
                db.is_stale(write);
            }
        }
    }
}

pub(super) fn i01_a_terminal_row_refuses_raw_sql_too<H: Harness>(mut db: H) {
    three_ends(&mut db);
    let before: Vec<_> = (1..=4).map(|number| db.record(number)).collect();
    for number in 1..=4 {
        for change in
            ["status = 'running'", "updated_at = 1", "cancellation_reason = 'x'", "id = 99", "epoch = 9"]
        {
            let said = db.run_sql(&format!("UPDATE tasks SET {change} WHERE id = {number}")).unwrap_err();
            assert!(said.contains("a terminal row never changes"), "{said}");
        }
        let insert =
            format!("INSERT INTO task_data (task_id, kind, data) VALUES ({number}, 'final_value', '1')");
        assert!(db.run_sql(&insert).unwrap_err().contains("a terminal row never changes"));
    }
    let after: Vec<_> = (1..=4).map(|number| db.record(number)).collect();
    assert_eq!(before, after);
}

pub(super) fn each_way_to_end_keeps_what_belongs_to_it<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2), create_running(3)]);
    let failure = Some(Failure::new("DemoError", "not\0today"));
    let cleaned = Ending {
        failure: failure.clone(),
        cleanup: Some(Cleanup::TimedOut),
        stopped_by: Some(StoppedBy::Itself),
        request: Some(request(390, "late")),
        ..ending(Status::Cancelled)
    };
    db.commit(&[
        end(1, 1, Ending { final_value: Some(json("[1,2]")), ..ending(Status::Completed) }),
        end(2, 1, Ending { failure: failure.clone(), ..ending(Status::Failed) }),
        end(3, 1, cleaned),
    ]);
    let (completed, failed, cancelled) = (db.record(1), db.record(2), db.record(3));
    assert_eq!((completed.status, &completed.final_value), (Status::Completed, &Some(json("[1,2]"))));
    assert_eq!((failed.status, &failed.failure), (Status::Failed, &failure));
    assert_eq!((cancelled.status, &cancelled.failure), (Status::Cancelled, &failure));
    assert_eq!((cancelled.cleanup, cancelled.stopped_by), (Some(Cleanup::TimedOut), Some(StoppedBy::Itself)));
    for row in [completed, failed] {
        assert_eq!(
            (row.completed_at, row.updated_at, row.node.as_deref()),
            (Some(at(400)), at(400), Some("n1"))
        );
        assert_eq!((row.cancelled_at, row.stopped_by, row.cancel), (None, None, None));
    }
}

pub(super) fn a_pending_task_never_completes<H: Harness>(mut db: H) {
    db.commit(&[create(1, true)]);
    db.is_stale(complete(1, 0));
    assert_eq!(db.one(fail(1, 0)), Applied, "a refusal may end it");
}

pub(super) fn an_unknown_task_makes_every_write_stale<H: Harness>(mut db: H) {
    for write in all_writes(77, 1) {
        db.is_stale(write);
    }
    assert_eq!(db.reader().task(id(77)).unwrap(), None);
    assert_eq!(db.reader().events(id(77), 0, 10).unwrap(), super::super::EventPage::default());
}

pub(super) fn a_stale_write_never_fails_its_group<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2), complete(2, 1)]);
    let group = [send(2, 1), send(1, 1), begin(77, 0), send(1, 5), ask(1, 1), complete(2, 1)];
    let answers = db.commit(&group).answers;
    assert_eq!(answers, [Stale, Applied, Stale, Stale, Applied, Stale]);
    assert_eq!(db.kinds(1).len(), 3);
}

pub(super) fn i06_a_group_that_fails_leaves_nothing<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create(2, true), create_running(3)]);
    let before: Vec<_> = (1..=3).map(|number| (db.record(number), db.kinds(number))).collect();
    let group = [
        create_running(4),
        send(1, 1),
        begin(2, 0),
        ask(3, 1),
        signal(1, "go"),
        complete(1, 1),
        Write::ReserveIds { count: 7 },
        create_running(3),
    ];
    for _ in 0..2 {
        assert!(matches!(db.store().commit(&group), Err(StoreError::Refused(_))));
        let after: Vec<_> = (1..=3).map(|number| (db.record(number), db.kinds(number))).collect();
        assert_eq!(before, after);
        assert_eq!(db.reader().task(id(4)).unwrap(), None);
    }
    let answers = db.commit(&group[..7]).answers;
    assert!(!answers.contains(&Stale), "the writer believes none of what failed: {answers:?}");
    assert!(answers.contains(&Answer::Ids(1)), "{answers:?}");
}

pub(super) fn a_change_behind_the_writers_back_is_seen<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2)]);
    db.run_sql("UPDATE tasks SET epoch = 9 WHERE id = 1").unwrap();
    db.run_sql("DELETE FROM tasks WHERE id = 2").unwrap();
    assert_eq!(db.commit(&[complete(1, 1), complete(2, 1)]).answers, [Stale, Stale]);
    assert_eq!(db.one(complete(1, 9)), Applied);
}

pub(super) fn a_whole_life_fits_into_one_group<H: Harness>(mut db: H) {
    let group = [
        Write::ReserveIds { count: 1 },
        create(1, false),
        signal(1, "go"),
        queue(1),
        begin(1, 0),
        send(1, 1),
        requeue(1, 1, false),
        begin(1, 1),
        ask(1, 2),
        cancel(1, 2),
        send(1, 2),
    ];
    let done = db.commit(&group);
    assert_eq!(done.answers.last(), Some(&Stale));
    assert_eq!(done.answers.iter().filter(|answer| **answer == Stale).count(), 1);
    assert!(matches!(&done.answers[4], Answer::Begun(signals) if signals.len() == 1));
    let row = db.record(1);
    assert_eq!((row.status, row.epoch, row.started_at), (Status::Cancelled, 2, Some(at(200))));
    let kinds: Vec<String> = db.kinds(1).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["running", "progress", "running", "cancellation_requested", "cancelled"]);
}
