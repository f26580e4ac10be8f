//! Chapter: a task is asked to stop.

use super::*;

pub(super) fn the_first_request_stands<H: Harness>(mut db: H) {
    db.commit(&[create_running(1)]);
    assert_eq!(db.one(ask(1, 1)), Answer::Applied);
    let row = db.record(1);
    assert_eq!((row.status, row.updated_at), (Status::Running, at(300)));
    assert_eq!(row.cancel, Some(request(300, "enough")));
    let second = Ask { request: request(310, "again"), limit: None };
    db.is_stale(Write::Ask {
        id: id(1),
        epoch: 1,
        ask: second,
        events: vec![event("cancellation_requested")],
    });
}

pub(super) fn i05_a_request_survives_a_restart_and_decides<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), ask(1, 1)]);
    let mut db = db.reopen();
    assert_eq!(db.record(1).cancel, Some(request(300, "enough")));
    db.is_stale(ask(1, 1));
    let lost = Ending {
        stopped_by: Some(StoppedBy::Lost),
        request: Some(request(300, "enough")),
        ..ending(Status::Cancelled)
    };
    assert_eq!(db.one(end(1, 1, lost)), Answer::Applied);
    let row = db.record(1);
    assert_eq!((row.status, row.stopped_by), (Status::Cancelled, Some(StoppedBy::Lost)));
    assert_eq!(row.cancel, Some(request(300, "enough")));
}

pub(super) fn a_task_that_was_asked_cannot_end_as_if_it_was_not<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), ask(1, 1)]);
    for wrong in [complete(1, 1), fail(1, 1)] {
        let refused = db.store().commit(&[wrong]);
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    assert_eq!(db.record(1).status, Status::Running);
    assert_eq!(db.one(cancel(1, 1)), Answer::Applied);
}

pub(super) fn a_request_and_the_end_may_be_one_write<H: Harness>(mut db: H) {
    db.commit(&[create_running(1)]);
    let value = Some(json(r#""done""#));
    let late = Ending {
        final_value: value.clone(),
        stopped_by: Some(StoppedBy::Itself),
        request: Some(request(390, "late")),
        ..ending(Status::Cancelled)
    };
    assert_eq!(db.one(end(1, 1, late)), Answer::Applied);
    let row = db.record(1);
    assert_eq!((row.status, row.cancel), (Status::Cancelled, Some(request(390, "late"))));
    assert_eq!((row.cancelled_at, row.completed_at, row.updated_at), (Some(at(400)), Some(at(400)), at(400)));
    assert_eq!(row.final_value, value);
}

pub(super) fn a_request_in_the_row_is_not_replaced_at_the_end<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), ask(1, 1), cancel(1, 1)]);
    assert_eq!(db.record(1).cancel, Some(request(300, "enough")));
    db.commit(&[create_running(2)]);
    db.commit(&[ask(2, 1)]);
    db.commit(&[cancel(2, 1)]);
    assert_eq!(db.record(2).cancel, Some(request(300, "enough")));
}

pub(super) fn a_pending_task_is_cancelled_without_a_start<H: Harness>(mut db: H) {
    db.commit(&[create(1, false), create(2, true)]);
    for number in [1, 2] {
        db.is_stale(ask(number, 0));
        assert_eq!(db.one(cancel(number, 0)), Answer::Applied);
        let row = db.record(number);
        assert_eq!((row.status, row.started_at, row.queued), (Status::Cancelled, None, false));
        assert_eq!(db.kinds(number), [(1, "cancelled".to_owned())]);
        db.is_stale(begin(number, 0));
    }
}

pub(super) fn i10_a_stale_epoch_changes_nothing<H: Harness>(mut db: H) {
    db.commit(&[create(1, true), begin(1, 0), requeue(1, 1, true), begin(1, 1)]);
    assert_eq!(db.record(1).epoch, 2);
    for epoch in [0, 1, 3] {
        let guarded =
            [begin(1, epoch), ask(1, epoch), send(1, epoch), requeue(1, epoch, true), complete(1, epoch)];
        for write in guarded.into_iter().chain([fail(1, epoch), cancel(1, epoch)]) {
            db.is_stale(write);
        }
    }
    assert_eq!(db.one(complete(1, 2)), Answer::Applied);
}
