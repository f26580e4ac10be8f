//! Chapter: requests that are made twice.

use super::*;

fn request(key: &str, digest: u8) -> Arc<RepeatableRequest> {
    Arc::new(RepeatableRequest { owner: "alice".into(), key: key.into(), digest: [digest; 32], answer: None })
}

fn answer(status: u16, body: &str) -> KeptAnswer {
    KeptAnswer { status, body: body.to_owned() }
}

fn keep(request: &Arc<RepeatableRequest>, told: &KeptAnswer, micros: i64) -> Write {
    let (request, answer) = (Arc::clone(request), told.clone());
    Write::KeepAnswer { request, task: TaskId::new(1), answer, at: at(micros) }
}

fn keyed(number: i64, request: &Arc<RepeatableRequest>, micros: i64) -> NewTask {
    NewTask { request: Some(Arc::clone(request)), at: at(micros), ..task(number) }
}

fn create_keyed(number: i64, request: &Arc<RepeatableRequest>, micros: i64) -> Write {
    Write::Create { task: Box::new(keyed(number, request, micros)), queued: true }
}

fn run_keyed(number: i64, request: &Arc<RepeatableRequest>) -> Write {
    let task = Box::new(keyed(number, request, 100));
    Write::CreateRunning { task, node: "n1".into(), events: vec![event("running")] }
}

pub(super) fn a_day() -> i64 {
    i64::try_from(KEEP_ANSWERS.as_micros()).unwrap()
}

pub(super) fn i03_a_key_and_its_task_are_one_write<H: Harness>(mut db: H) {
    let first = request("k", 1);
    assert!(db.store().commit(&[run_keyed(1, &first), create(2, true), create(2, true)]).is_err());
    assert_eq!(db.reader().request("alice", "k").unwrap(), None, "it failed with its group");
    assert_eq!(db.one(run_keyed(1, &first)), Answer::Applied);
    let mut db = db.reopen();
    let kept = db.reader().request("alice", "k").unwrap().unwrap();
    assert_eq!((kept.digest, kept.at, kept.task, kept.answer), (vec![1; 32], at(100), TaskId::new(1), None));
    assert_eq!(db.record(1).status, Status::Running);
    assert_eq!(db.reader().request("bob", "k").unwrap(), None, "a key is its owner's");
}

pub(super) fn i03_a_key_is_taken_once_within_a_group_and_over_a_restart<H: Harness>(mut db: H) {
    let (first, other) = (request("k", 1), request("k", 2));
    let group =
        [run_keyed(1, &first), run_keyed(2, &first), create_keyed(3, &other, 100), send(1, 1), send(2, 1)];
    let told = db.commit(&group).answers;
    let expected = [Answer::Applied, Answer::KeyTaken, Answer::KeyTaken, Answer::Applied, Answer::Stale];
    assert_eq!(told, expected);
    let mut db = db.reopen();
    assert_eq!(db.one(create_keyed(4, &first, 100)), Answer::KeyTaken);
    for number in 2..=4 {
        assert_eq!(db.reader().task(id(number)).unwrap(), None);
        assert_eq!(db.kinds(number), []);
    }
    assert_eq!(db.reader().request("alice", "k").unwrap().unwrap().task, TaskId::new(1));
}

pub(super) fn a_signal_and_its_key_are_one_write<H: Harness>(mut db: H) {
    let told = answer(202, "{}");
    let with = Arc::new(RepeatableRequest { answer: Some(told.clone()), ..(*request("s", 1)).clone() });
    let signal = |number, request| Write::Signal {
        id: id(number),
        name: "go".to_owned(),
        data: json("1"),
        at: at(100),
        request: Some(Arc::clone(request)),
    };
    db.commit(&[create(1, true), create_running(2), complete(2, 1)]);
    assert_eq!(db.one(signal(2, &with)), Answer::Stale);
    assert_eq!(db.reader().request("alice", "s").unwrap(), None, "a refusal leaves the key free");
    assert!(matches!(db.one(signal(1, &with)), Answer::Signalled(_)));
    assert_eq!(db.one(signal(1, &with)), Answer::KeyTaken);
    let Answer::Begun(signals) = db.one(begin(1, 0)) else { panic!() };
    assert_eq!(signals.len(), 1);
    assert_eq!(db.reader().request("alice", "s").unwrap().unwrap().answer, Some(told));
}

pub(super) fn an_answer_is_kept_once<H: Harness>(mut db: H) {
    let (first, other) = (request("k", 1), request("k", 2));
    db.commit(&[run_keyed(1, &first)]);
    let told = answer(202, "first");
    assert_eq!(db.one(keep(&other, &told, 150)), Answer::Stale, "another request has the key");
    assert_eq!(db.one(keep(&first, &told, 150)), Answer::Applied);
    assert_eq!(db.one(keep(&first, &answer(200, "second"), 160)), Answer::Stale);
    let kept = db.reader().request("alice", "k").unwrap().unwrap();
    assert_eq!((kept.answer, kept.at, kept.task), (Some(told), at(100), TaskId::new(1)));
    let alone = request("cancel", 3);
    assert_eq!(db.one(keep(&alone, &answer(200, "done"), 170)), Answer::Applied);
    assert_eq!(db.reader().request("alice", "cancel").unwrap().unwrap().at, at(170));
}

pub(super) fn a_key_is_free_again_after_a_day<H: Harness>(mut db: H) {
    let (first, other) = (request("k", 1), request("k", 2));
    db.commit(&[run_keyed(1, &first), keep(&first, &answer(202, "first"), 100)]);
    assert_eq!(db.one(create_keyed(2, &other, 99 + a_day())), Answer::KeyTaken);
    assert_eq!(db.one(create_keyed(2, &other, 100 + a_day())), Answer::Applied);
    let kept = db.reader().request("alice", "k").unwrap().unwrap();
    assert_eq!((kept.digest, kept.task, kept.answer), (vec![2; 32], TaskId::new(2), None));
    let again = answer(200, "again");
    assert_eq!(db.one(keep(&first, &again, 100 + 2 * a_day())), Answer::Applied);
    let kept = db.reader().request("alice", "k").unwrap().unwrap();
    assert_eq!((kept.digest, kept.at, kept.answer), (vec![1; 32], at(100 + 2 * a_day()), Some(again)));
}

pub(super) fn old_keys_are_pruned_a_few_at_a_time<H: Harness>(mut db: H) {
    let told = answer(200, "{}");
    let group: Vec<_> = (1..=5).map(|n| keep(&request(&format!("k{n}"), 1), &told, n * 10)).collect();
    db.commit(&group);
    let prune = |before, rows| Write::PruneKeys { before: at(before), rows };
    assert_eq!(db.one(prune(30, 2)), Answer::Pruned { gone: 2, more: true });
    assert_eq!(db.one(prune(30, 2)), Answer::Pruned { gone: 1, more: false });
    let left: Vec<_> =
        (1..=5).filter(|n| db.reader().request("alice", &format!("k{n}")).unwrap().is_some()).collect();
    assert_eq!(left, [4, 5]);
}
