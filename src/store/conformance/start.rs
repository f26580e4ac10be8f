//! Chapter: a task is made, waits and begins.

use super::*;

pub(super) fn a_created_task_waits_and_has_what_was_given<H: Harness>(mut db: H) {
    let mut given = task(5);
    given.input = json(r#"{"steps":3}"#);
    given.timeout = seconds(90.25);
    given.idle_timeout = seconds(0.5);
    assert_eq!(db.one(Write::Create { task: Box::new(given.clone()), queued: false }), Answer::Applied);
    let expected = Record {
        key: given.key,
        status: Status::Pending,
        input: given.input,
        owner: "alice".into(),
        timeout: given.timeout,
        idle_timeout: given.idle_timeout,
        created_at: at(100),
        updated_at: at(100),
        started_at: None,
        completed_at: None,
        final_value: None,
        failure: None,
        cancel: None,
        cancelled_at: None,
        stopped_by: None,
        cleanup: None,
        attempt: 1,
        node: None,
        epoch: 0,
        queued: false,
    };
    assert_eq!(db.record(5), expected);
    assert_eq!(db.kinds(5), []);
}

pub(super) fn a_task_created_running_runs_from_the_start<H: Harness>(mut db: H) {
    assert_eq!(db.one(create_running(1)), Answer::Applied);
    let row = db.record(1);
    assert_eq!((row.status, row.epoch, row.attempt), (Status::Running, 1, 1));
    assert_eq!((row.started_at, row.node.as_deref()), (Some(at(100)), Some("n1")));
    assert_eq!(row.input.as_str(), "{}");
    assert_eq!(db.kinds(1), [(1, "running".to_owned())]);
}

pub(super) fn a_waiting_task_is_queued_once<H: Harness>(mut db: H) {
    db.commit(&[create(1, false)]);
    assert_eq!(db.one(queue(1)), Answer::Applied);
    let row = db.record(1);
    assert_eq!((row.status, row.queued, row.updated_at), (Status::Pending, true, at(150)));
    db.is_stale(queue(1));
}

pub(super) fn a_pending_task_begins_with_the_next_epoch<H: Harness>(mut db: H) {
    db.commit(&[create(1, false), create(2, true)]);
    for number in [1, 2] {
        assert_eq!(db.one(begin(number, 0)), Answer::Begun(Vec::new()));
        let row = db.record(number);
        assert_eq!((row.status, row.epoch, row.queued), (Status::Running, 1, false));
        assert_eq!((row.started_at, row.updated_at), (Some(at(200)), at(200)));
        assert_eq!(row.node.as_deref(), Some("n2"));
        assert_eq!(db.kinds(number), [(1, "running".to_owned())]);
    }
}

pub(super) fn a_begin_with_another_epoch_is_stale<H: Harness>(mut db: H) {
    db.commit(&[create(1, true)]);
    db.is_stale(begin(1, 1));
    db.commit(&[begin(1, 0)]);
    db.is_stale(begin(1, 0));
    db.is_stale(begin(1, 1));
    db.is_stale(queue(1));
}

pub(super) fn a_start_may_replace_the_timeout<H: Harness>(mut db: H) {
    db.commit(&[create(1, false), set_timeout(1, seconds(1.0))]);
    db.commit(&[Write::Queue { id: id(1), timeout: seconds(2.0), at: at(150) }]);
    assert_eq!(db.record(1).timeout, seconds(2.0));
    db.commit(&[begin(1, 0)]);
    assert_eq!(db.record(1).timeout, seconds(2.0), "none leaves it");

    db.commit(&[create(2, false)]);
    let Write::Begin { id, epoch, node, at, events, .. } = begin(2, 0) else { panic!() };
    db.commit(&[Write::Begin { id, epoch, node, timeout: seconds(3.0), at, events }]);
    assert_eq!(db.record(2).timeout, seconds(3.0));
}

pub(super) fn the_timeout_of_a_live_task_can_be_set_and_removed<H: Harness>(mut db: H) {
    db.commit(&[create(1, false), create_running(2)]);
    for number in [1, 2] {
        assert_eq!(db.one(set_timeout(number, seconds(600.0))), Answer::Applied);
        assert_eq!(db.record(number).timeout, seconds(600.0));
        assert_eq!(db.one(set_timeout(number, None)), Answer::Applied);
        assert_eq!(db.record(number).timeout, None);
        assert_eq!(db.record(number).updated_at, at(360));
    }
}

pub(super) fn the_same_id_twice_is_refused_and_leaves_nothing<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), complete(1, 1)]);
    for again in [create_running(1), create(1, true)] {
        let refused = db.store().commit(&[create_running(2), again]);
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    assert_eq!(db.reader().task(id(2)).unwrap(), None);
    assert_eq!(db.record(1).status, Status::Completed);
    assert_eq!(db.kinds(1).len(), 2);
    assert_eq!(db.one(create_running(2)), Answer::Applied);
}

pub(super) fn i02_a_started_task_survives_a_restart<H: Harness>(mut db: H) {
    let mut given = task(1);
    given.input = json(r#"{"text":"ä\u0000\"x"}"#);
    db.commit(&[Write::CreateRunning {
        task: Box::new(given),
        node: "n1".into(),
        events: vec![event("running")],
    }]);
    let before = db.record(1);
    let mut db = db.reopen();
    assert_eq!(db.record(1), before);
    assert_eq!(db.one(complete(1, 1)), Answer::Applied);
}

pub(super) fn live_rows_are_listed_in_pages<H: Harness>(mut db: H) {
    for number in 1..=4 {
        db.commit(&[
            create_running(number * 10),
            create(number * 10 + 1, true),
            create(number * 10 + 2, false),
        ]);
    }
    db.commit(&[complete(30, 1)]);
    let ids = |rows: Vec<Record>| rows.iter().map(|row| row.key.id.get()).collect::<Vec<_>>();
    assert_eq!(ids(db.reader().running(0, 2).unwrap()), [10, 20]);
    assert_eq!(ids(db.reader().running(20, 2).unwrap()), [40]);
    assert_eq!(ids(db.reader().running(40, 2).unwrap()), [0; 0]);
    assert_eq!(ids(db.reader().queued(11, 5).unwrap()), [21, 31, 41]);
    assert_eq!(ids(db.reader().queued(0, 1).unwrap()), [11]);
}

pub(super) fn rows_that_nobody_has_started_are_found_with_their_owners<H: Harness>(mut db: H) {
    let other = NewTask { owner: "bob".into(), ..task(4) };
    db.commit(&[create(1, false), create(2, true), create_running(3)]);
    db.commit(&[Write::Create { task: Box::new(other), queued: false }, create(5, false), create(6, false)]);
    db.commit(&[queue(5), begin(6, 0)]);
    let mut db = db.reopen();
    let alice = (id(1), Arc::from("alice"));
    let bob = (id(4), Arc::from("bob"));
    assert_eq!(db.reader().created(0, 10).unwrap(), [alice.clone(), bob.clone()]);
    assert_eq!(db.reader().created(0, 1).unwrap(), [alice]);
    assert_eq!(db.reader().created(1, 10).unwrap(), [bob]);
    assert_eq!(db.reader().created(4, 10).unwrap(), []);
}
