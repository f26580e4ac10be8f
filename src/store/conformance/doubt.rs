//! Chapter: a commit whose answer is lost is found out about, and nothing is done twice.

use super::*;
use crate::store::Fault;

/// A life that has each kind of write, one group after the other.
fn life() -> Vec<Vec<Write>> {
    vec![
        vec![create(1, false)],
        vec![queue(1)],
        vec![begin(1, 0)],
        vec![signal(1, "go")],
        vec![take_signal(1, 1)],
        vec![set_timeout(1, seconds(9.1))],
        vec![set_timeout(1, None)],
        vec![send(1, 1), send(1, 1)],
        vec![requeue(1, 1, true)],
        vec![begin(1, 1)],
        vec![ask(1, 2)],
        vec![create_running(2), send(2, 1)],
        vec![cancel(1, 2), complete(2, 1)],
        vec![create(3, true), create_running(4)],
        vec![keep_answer(500)],
        // The same request a day later: the answer of the day before is no witness.
        vec![keep_answer(600 + repeat::a_day())],
        vec![send(1, 2), queue(2)],
    ]
}

fn keep_answer(micros: i64) -> Write {
    let (owner, key) = ("alice".into(), "k".into());
    let request = Arc::new(RepeatableRequest { owner, key, digest: [7; 32], answer: None });
    let answer = KeptAnswer { status: 200, body: "{}".to_owned() };
    Write::KeepAnswer { request, task: TaskId::new(1), answer, at: at(micros) }
}

fn lose<H: Harness>(db: &mut H, fault: Fault, group: &[Write]) -> Option<Committed> {
    db.faults().set_once(fault);
    let lost = db.store().commit(group);
    assert!(matches!(lost, Err(StoreError::OutcomeUnknown(_))), "{lost:?}");
    db.store().resolve().unwrap()
}

fn is_as<H: Harness>(db: &mut H, other: &mut H) {
    for number in 1..=4 {
        assert_eq!(db.record(number), other.record(number));
        assert_eq!(db.kinds(number), other.kinds(number));
    }
}

pub(super) fn i16_a_group_whose_answer_was_lost_is_found_with_its_answers<H: Harness>(mut db: H) {
    let mut other = H::new();
    for group in life() {
        let found = lose(&mut db, Fault::LoseAnswer, &group);
        assert_eq!(found, Some(other.commit(&group)), "{group:?}");
        assert_eq!(db.store().resolve(), Ok(None), "it is settled");
    }
    is_as(&mut db, &mut other);
}

pub(super) fn i16_a_group_that_was_lost_itself_is_not_found_and_can_be_tried_again<H: Harness>(mut db: H) {
    let mut other = H::new();
    for group in life() {
        let done = other.commit(&group);
        let changes_nothing = done.answers.iter().all(|answer| *answer == Answer::Stale);
        let found = lose(&mut db, Fault::LoseCommit, &group);
        assert_eq!(found, changes_nothing.then(|| done.clone()), "{group:?}");
        assert_eq!(db.commit(&group), done, "{group:?}");
    }
    is_as(&mut db, &mut other);
}

pub(super) fn i16_ids_whose_reservation_is_in_doubt_are_given_once<H: Harness>(mut db: H) {
    let group = [Write::ReserveIds { count: 5 }];
    let found = lose(&mut db, Fault::LoseAnswer, &group).map(|done| done.answers);
    assert_eq!(found, Some(vec![Answer::Ids(1)]));
    assert_eq!(lose(&mut db, Fault::LoseCommit, &group), None);
    let Answer::Ids(next) = db.one(Write::ReserveIds { count: 1 }) else { panic!() };
    assert!(next >= 6, "{next}");
}

pub(super) fn i16_a_question_stays_open_while_the_database_is_away<H: Harness>(mut db: H) {
    let faults = db.faults();
    for fault in [Fault::LoseAnswer, Fault::LoseCommit] {
        db.one(Write::ReserveIds { count: 1 });
        faults.set(fault);
        let number = if fault == Fault::LoseAnswer { 1 } else { 2 };
        assert!(db.store().commit(&[create_running(number)]).is_err());
        for _ in 0..3 {
            assert!(db.store().resolve().is_err());
        }
        faults.clear();
        let there = db.store().resolve().unwrap();
        assert_eq!(there.is_some(), fault == Fault::LoseAnswer);
        assert_eq!(db.reader().task(id(number)).unwrap().is_some(), there.is_some());
    }
    assert_eq!(faults.met(), 8);
}

pub(super) fn i19_a_refused_group_leaves_nothing_and_no_question<H: Harness>(mut db: H) {
    db.faults().set_once(Fault::Refuse);
    let refused = db.store().commit(&[create_running(1)]);
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(db.store().resolve(), Ok(None));
    assert_eq!(db.reader().task(id(1)).unwrap(), None);
    db.commit(&[create_running(1)]);
}
