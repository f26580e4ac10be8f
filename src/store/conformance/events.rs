//! Chapter: the log of a task.

use super::*;

pub(super) fn i22_numbers_have_no_gaps_over_a_restart<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2)]);
    db.commit(&[send(1, 1), send(2, 1), send(1, 1)]);
    let mut db = db.reopen();
    db.commit(&[send(1, 1)]);
    db.commit(&[send(2, 1), complete(1, 1)]);
    let numbers = |kinds: Vec<(i64, String)>| kinds.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>();
    assert_eq!(numbers(db.kinds(1)), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(db.kinds(2)), [1, 2, 3]);
}

pub(super) fn i24_no_event_comes_after_the_terminal_one<H: Harness>(mut db: H) {
    db.commit(&[create_running(1)]);
    let done = db.commit(&[send(1, 1), complete(1, 1), send(1, 1), fail(1, 1)]);
    assert_eq!(done.answers, [Answer::Applied, Answer::Applied, Answer::Stale, Answer::Stale]);
    db.is_stale(send(1, 1));
    assert_eq!(db.kinds(1).last(), Some(&(3, "completed".to_owned())));
}

pub(super) fn the_newest_events_are_kept_and_numbers_go_on<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2)]);
    for _ in 0..5 {
        db.commit(&[send(1, 1), send(1, 1), send(1, 1), send(1, 1), send(1, 1)]);
    }
    let page = db.reader().events(id(1), 0, 1_000).unwrap();
    assert_eq!(page.oldest, 27 - KEEP);
    let numbers: Vec<i64> = page.events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (27 - KEEP..=26).collect::<Vec<_>>());
    let mut db = db.reopen();
    db.commit(&[complete(1, 1), send(2, 1)]);
    let numbers = db.kinds(1);
    assert_eq!((numbers.len(), numbers.last()), (10, Some(&(27, "completed".to_owned()))));
    assert_eq!(db.kinds(2).len(), 2);
}

pub(super) fn a_page_begins_after_a_number<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), send(1, 1), send(1, 1), send(1, 1)]);
    let mut page = |after, limit| {
        let page = db.reader().events(id(1), after, limit).unwrap();
        assert_eq!(page.oldest, 1);
        page.events.iter().map(|event| event.seq).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 2), [1, 2]);
    assert_eq!(page(2, 9), [3, 4]);
    assert_eq!(page(4, 9), [0; 0]);
    assert_eq!(page(99, 9), [0; 0]);
    assert_eq!(page(-5, 1), [1]);
}

pub(super) fn a_group_returns_its_events_in_order<H: Harness>(mut db: H) {
    db.commit(&[create_running(1)]);
    let done = db.commit(&[create_running(2), send(1, 1), send(2, 1), send(1, 9), send(1, 1)]);
    let got: Vec<_> = done.events.iter().map(|event| (event.task.get(), event.seq)).collect();
    assert_eq!(got, [(2, 1), (1, 2), (2, 2), (1, 3)]);
    let stored = db.reader().events(id(2), 0, 9).unwrap().events;
    assert_eq!(stored, [done.events[0].clone(), done.events[2].clone()], "what was told is what is stored");
    assert_eq!((stored[1].data.as_str(), stored[1].at), (r#"{"of":"progress"}"#, at(7)));
}

pub(super) fn a_failed_group_uses_up_no_number<H: Harness>(mut db: H) {
    db.commit(&[create_running(1)]);
    for _ in 0..3 {
        assert!(db.store().commit(&[send(1, 1), send(1, 1), create_running(1)]).is_err());
    }
    let done = db.commit(&[send(1, 1)]);
    assert_eq!(done.events[0].seq, 2);
}
