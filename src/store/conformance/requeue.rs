//! Chapter: a task runs again, after a shutdown or the death of its process.

use super::*;

pub(super) fn a_requeued_task_waits_with_its_epoch<H: Harness>(mut db: H) {
    db.commit(&[create_running(1)]);
    assert_eq!(db.one(requeue(1, 1, false)), Answer::Applied);
    let row = db.record(1);
    assert_eq!((row.status, row.queued, row.epoch, row.attempt), (Status::Pending, true, 1, 1));
    assert_eq!((row.node, row.updated_at, row.started_at), (None, at(350), Some(at(100))));
    for late in [send(1, 1), ask(1, 1), requeue(1, 1, true), complete(1, 1), begin(1, 0), queue(1)] {
        db.is_stale(late);
    }
    let mut db = db.reopen();
    assert_eq!(db.reader().queued(0, 9).unwrap().len(), 1);
    assert_eq!(db.one(begin(1, 1)), Answer::Begun(Vec::new()));
    assert_eq!(db.record(1).epoch, 2);
}

pub(super) fn an_attempt_counts_where_it_should<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), requeue(1, 1, true), begin(1, 1), requeue(1, 2, false)]);
    assert_eq!(db.record(1).attempt, 2);
}

pub(super) fn a_task_that_was_asked_is_not_requeued<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), ask(1, 1)]);
    db.is_stale(requeue(1, 1, true));
}

pub(super) fn started_at_is_that_of_the_first_attempt<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), requeue(1, 1, true), begin(1, 1)]);
    assert_eq!(db.record(1).started_at, Some(at(100)));
}

pub(super) fn i22_a_second_attempt_goes_on_numbering<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), send(1, 1)]);
    let mut db = db.reopen();
    db.commit(&[requeue(1, 1, true)]);
    db.commit(&[begin(1, 1), send(1, 2)]);
    let numbers: Vec<i64> = db.kinds(1).into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}
