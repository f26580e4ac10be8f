//! Chapter: signals wait for a body.

use super::*;

fn number(answer: &Answer) -> i64 {
    let Answer::Signalled(number) = answer else { panic!("{answer:?}") };
    *number
}

fn waiting<H: Harness>(db: &mut H, epoch: i64) -> Vec<String> {
    let Answer::Begun(signals) = db.one(begin(1, epoch)) else { panic!() };
    signals.into_iter().map(|signal| signal.name).collect()
}

pub(super) fn signals_wait_in_order_until_they_are_taken<H: Harness>(mut db: H) {
    db.commit(&[create(1, true)]);
    let first = number(&db.one(signal(1, "one")));
    db.commit(&[signal(1, "two"), signal(1, "three")]);
    let mut db = db.reopen();
    assert_eq!(waiting(&mut db, 0), ["one", "two", "three"]);
    db.commit(&[take_signal(1, first), requeue(1, 1, true)]);
    assert_eq!(waiting(&mut db, 1), ["two", "three"]);
}

pub(super) fn a_signal_is_taken_once<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2)]);
    let signal = number(&db.one(signal(1, "go")));
    db.is_stale(take_signal(2, signal));
    let group = [take_signal(1, signal), take_signal(1, signal)];
    assert_eq!(db.commit(&group).answers, [Answer::Applied, Answer::Stale]);
    db.is_stale(take_signal(1, signal));
}

pub(super) fn signals_end_with_their_task<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2)]);
    let first = number(&db.one(signal(1, "go")));
    let mut db = db.reopen();
    let group = [signal(2, "go"), complete(2, 1), complete(1, 1), take_signal(1, first), signal(1, "late")];
    let answers = db.commit(&group).answers;
    assert_eq!(answers[3..], [Answer::Stale, Answer::Stale]);
    db.run_sql("CREATE TABLE of_none (n INTEGER CHECK (n = 0))").unwrap();
    db.run_sql("INSERT INTO of_none SELECT count(*) FROM signals").unwrap();
}

pub(super) fn a_later_signal_has_a_larger_number<H: Harness>(mut db: H) {
    db.commit(&[create_running(1)]);
    let first = number(&db.one(signal(1, "go")));
    db.commit(&[take_signal(1, first)]);
    let mut db = db.reopen();
    assert!(number(&db.one(signal(1, "go"))) > first);
}

pub(super) fn a_begin_hands_over_what_waits<H: Harness>(mut db: H) {
    let answers = db.commit(&[create(1, false), signal(1, "go"), begin(1, 0)]).answers;
    let Answer::Begun(signals) = &answers[2] else { panic!("{answers:?}") };
    assert_eq!(signals.len(), 1);
    assert_eq!((signals[0].name.as_str(), signals[0].data.as_str()), ("go", r#"{"go":true}"#));
    assert_eq!(answers[1], Answer::Signalled(signals[0].signal));
}

pub(super) fn i20_signals_of_one_task_are_bounded<H: Harness>(mut db: H) {
    db.commit(&[create_running(1), create_running(2)]);
    let first = number(&db.one(signal(1, "go")));
    let rest: Vec<Write> = (2..MAX_SIGNALS).map(|_| signal(1, "go")).collect();
    db.commit(&rest);
    let group = [signal(1, "go"), signal(1, "go"), signal(2, "go")];
    let answers = db.commit(&group).answers;
    assert_eq!(answers[1], Answer::Full(MAX_SIGNALS));
    assert!(matches!(answers[0], Answer::Signalled(_)) && matches!(answers[2], Answer::Signalled(_)));
    // What is counted is what is in the rows, also where they are looked at anew.
    let mut db = db.reopen();
    assert_eq!(db.one(signal(1, "go")), Answer::Full(MAX_SIGNALS));
    let group = [take_signal(1, first), take_signal(1, first), signal(1, "go"), signal(1, "go")];
    let answers = db.commit(&group).answers;
    assert_eq!(answers[..2], [Answer::Applied, Answer::Stale]);
    assert!(matches!(answers[2], Answer::Signalled(_)));
    assert_eq!(answers[3], Answer::Full(MAX_SIGNALS));
    let mut db = db.reopen();
    let group = [take_signal(1, first + 1), signal(1, "go"), signal(1, "go")];
    let answers = db.commit(&group).answers;
    assert!(matches!(answers[1], Answer::Signalled(_)), "the first look counted the one that was taken");
    assert_eq!(answers[2], Answer::Full(MAX_SIGNALS));
}
