//! The roster by itself: each case, and long random lives beside a model that counts naively.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::roster::{Admission, Bounds, Denial, Roster};
use crate::task::TaskId;

fn id(number: i64) -> TaskId {
    TaskId::new(number).unwrap()
}

fn roster(running: usize, pending: usize) -> Roster {
    Roster::new(Bounds { running, pending, per_owner: None })
}

fn of_owners(per_owner: usize) -> Roster {
    Roster::new(Bounds { running: 2, pending: 10, per_owner: Some(per_owner) })
}

fn ann() -> Arc<str> {
    "ann".into()
}

#[test]
fn a_task_waits_where_there_is_no_place_and_the_oldest_comes_first() {
    let mut roster = roster(1, 2);
    assert_eq!(roster.may_start("ann"), Ok(Admission::Run));
    roster.seat(id(1));
    for _ in 0..2 {
        assert_eq!(roster.may_start("ann"), Ok(Admission::Wait));
        roster.come();
    }
    assert_eq!(roster.may_start("ann"), Err(Denial::TooManyPending(2)));
    roster.wait(id(3));
    roster.wait(id(2));
    assert_eq!(roster.next(), None);
    roster.ended(id(1));
    assert_eq!(roster.next(), Some(id(2)));
    assert_eq!(roster.next(), None);
    roster.ended(id(2));
    assert_eq!(roster.next(), Some(id(3)));
}

#[test]
fn a_newcomer_does_not_pass_those_who_wait_or_come() {
    let mut roster = roster(1, 5);
    roster.seat(id(1));
    roster.come();
    roster.ended(id(1));
    assert_eq!(roster.may_start("ann"), Ok(Admission::Wait), "task 2 is on its way");
    roster.wait(id(2));
    assert_eq!(roster.may_start("ann"), Ok(Admission::Wait), "task 2 is first");
}

#[test]
fn a_row_that_was_not_made_frees_its_place_in_the_queue() {
    let mut roster = roster(0, 1);
    roster.come();
    assert_eq!(roster.may_start("ann"), Err(Denial::TooManyPending(1)));
    roster.turn_back(id(1), false);
    assert_eq!(roster.may_start("ann"), Ok(Admission::Wait));
}

#[test]
fn nobody_comes_in_while_draining() {
    let mut roster = roster(1, 1);
    roster.wait_again(id(5));
    roster.drain();
    assert_eq!(roster.may_start("ann"), Err(Denial::Draining));
    assert_eq!(roster.may_create("ann"), Err(Denial::Draining));
    assert_eq!(roster.may_resume(), Err(Denial::Draining));
    assert_eq!(roster.next(), None);
    assert!(roster.knows(id(5)));
}

#[test]
fn a_cancelled_one_leaves_the_queue() {
    let mut roster = roster(1, 1);
    roster.wait_again(id(5));
    roster.leave(id(5));
    assert_eq!(roster.next(), None);
    assert!(!roster.knows(id(5)));
}

#[test]
fn one_that_stands_aside_is_known_no_more_and_its_place_is_free() {
    let mut roster = roster(1, 1);
    roster.seat(id(1));
    roster.stand_aside(id(1));
    assert!(!roster.knows(id(1)));
    assert_eq!(roster.may_resume(), Ok(Admission::Run));
}

#[test]
fn i31_an_owner_has_as_many_as_the_limit_and_others_are_not_touched() {
    let mut roster = of_owners(2);
    for number in 1..=2 {
        assert!(roster.may_start("ann").is_ok());
        roster.count(id(number), &ann());
        roster.seat(id(number));
    }
    assert_eq!(roster.may_start("ann"), Err(Denial::TooManyOfOwner(2)));
    assert_eq!(roster.may_create("ann"), Err(Denial::TooManyOfOwner(2)));
    assert_eq!(roster.may_start("bob"), Ok(Admission::Wait));
    roster.over(id(1));
    assert!(roster.may_start("ann").is_ok(), "its end is durable");
    roster.count(id(3), &ann());
    roster.ended(id(1));
    assert_eq!(roster.may_start("ann"), Err(Denial::TooManyOfOwner(2)), "an end counts once");
}

#[test]
fn i31_each_way_out_gives_the_place_back_and_no_other_does() {
    type Step = fn(&mut Roster);
    let ways: [(&str, Step, bool); 8] = [
        ("it ended", |r| r.ended(id(1)), true),
        ("its end is durable", |r| r.over(id(1)), true),
        ("it was cancelled while it waited", |r| r.leave(id(1)), true),
        ("its row was not made", |r| r.turn_back(id(1), false), true),
        ("its row was not queued, and is there", |r| r.turn_back(id(1), true), false),
        ("it waits", |r| r.wait(id(1)), false),
        ("it waits again", |r| r.wait_again(id(1)), false),
        ("it stays pending", |r| r.stand_aside(id(1)), false),
    ];
    for (what, step, is_free) in ways {
        let mut roster = of_owners(1);
        roster.count(id(1), &ann());
        roster.come();
        step(&mut roster);
        assert_eq!(roster.may_create("ann").is_ok(), is_free, "{what}");
    }
}

#[test]
fn i31_what_an_earlier_process_left_counts_also_past_the_limit() {
    let mut roster = of_owners(1);
    for number in 1..=3 {
        roster.count(id(number), &ann());
        roster.count(id(number), &ann());
    }
    assert_eq!(roster.may_start("ann"), Err(Denial::TooManyOfOwner(3)));
    for number in 1..=3 {
        assert!(roster.may_start("ann").is_err());
        roster.leave(id(number));
    }
    assert!(roster.may_start("ann").is_ok());
}

#[test]
fn a_row_that_exists_is_started_whatever_its_owner_has() {
    let mut roster = of_owners(1);
    roster.count(id(1), &ann());
    assert_eq!(roster.may_resume(), Ok(Admission::Run));
}

/// Where a task of the naive model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Created,
    Coming,
    Waiting,
    Running,
}

/// What may happen next; the number picks the task.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Start(u8),
    Create(u8),
    Durable(usize, bool),
    Resume(usize),
    Next,
    Fails(usize),
    Ends(usize),
    Cancels(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => (0..3u8).prop_map(Happens::Start),
        1 => (0..3u8).prop_map(Happens::Create),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(n, ok)| Happens::Durable(n, ok)),
        1 => any::<usize>().prop_map(Happens::Resume),
        3 => Just(Happens::Next),
        1 => any::<usize>().prop_map(Happens::Fails),
        2 => any::<usize>().prop_map(Happens::Ends),
        1 => any::<usize>().prop_map(Happens::Cancels),
    ]
}

#[derive(Default)]
struct Naive(BTreeMap<i64, (u8, Place)>);

impl Naive {
    fn count(&self, is: impl Fn(u8, Place) -> bool) -> usize {
        self.0.values().filter(|(owner, place)| is(*owner, *place)).count()
    }

    fn pick(&self, number: usize, place: &[Place]) -> Option<i64> {
        let all: Vec<i64> =
            self.0.iter().filter(|(_, (_, at))| place.contains(at)).map(|(id, _)| *id).collect();
        (!all.is_empty()).then(|| all[number % all.len()])
    }

    fn expected(&self, bounds: Bounds, owner: Option<u8>) -> Result<Admission, Denial> {
        if let Some(owner) = owner {
            let has = self.count(|of, _| of == owner);
            if Some(has) >= bounds.per_owner {
                return Err(Denial::TooManyOfOwner(has));
            }
        }
        let pending = self.count(|_, at| matches!(at, Place::Coming | Place::Waiting));
        let running = self.count(|_, at| at == Place::Running);
        match pending {
            0 if running < bounds.running => Ok(Admission::Run),
            _ if pending < bounds.pending => Ok(Admission::Wait),
            _ => Err(Denial::TooManyPending(pending)),
        }
    }
}

fn enter(roster: &mut Roster, naive: &mut Naive, task: i64, owner: u8, admission: Admission) {
    let place = match admission {
        Admission::Run => {
            roster.seat(id(task));
            Place::Running
        }
        Admission::Wait => {
            roster.come();
            Place::Coming
        }
    };
    naive.0.insert(task, (owner, place));
}

fn live(roster: &mut Roster, naive: &mut Naive, bounds: Bounds, task: i64, what: Happens) {
    match what {
        Happens::Start(owner) => {
            let admission = roster.may_start(&format!("owner {owner}"));
            assert_eq!(admission, naive.expected(bounds, Some(owner)));
            let Ok(admission) = admission else { return };
            roster.count(id(task), &format!("owner {owner}").into());
            enter(roster, naive, task, owner, admission);
        }
        Happens::Create(owner) => {
            if roster.may_create(&format!("owner {owner}")).is_ok() {
                roster.count(id(task), &format!("owner {owner}").into());
                naive.0.insert(task, (owner, Place::Created));
            }
        }
        Happens::Durable(number, is_made) => {
            let Some(task) = naive.pick(number, &[Place::Coming]) else { return };
            if is_made {
                roster.wait(id(task));
                naive.0.get_mut(&task).unwrap().1 = Place::Waiting;
            } else {
                roster.turn_back(id(task), false);
                naive.0.remove(&task);
            }
        }
        Happens::Resume(number) => {
            let Some(task) = naive.pick(number, &[Place::Created]) else { return };
            let admission = roster.may_resume();
            assert_eq!(admission, naive.expected(bounds, None));
            let owner = naive.0[&task].0;
            if let Ok(admission) = admission {
                enter(roster, naive, task, owner, admission);
            }
        }
        Happens::Next => {
            let has_room = naive.count(|_, at| at == Place::Running) < bounds.running;
            let oldest = naive.pick(0, &[Place::Waiting]).filter(|_| has_room);
            assert_eq!(roster.next(), oldest.map(id));
            if let Some(task) = oldest {
                naive.0.get_mut(&task).unwrap().1 = Place::Running;
            }
        }
        Happens::Fails(number) => {
            let Some(task) = naive.pick(number, &[Place::Running]) else { return };
            roster.wait_again(id(task));
            naive.0.get_mut(&task).unwrap().1 = Place::Waiting;
        }
        Happens::Ends(number) => {
            let Some(task) = naive.pick(number, &[Place::Running]) else { return };
            roster.over(id(task));
            roster.ended(id(task));
            naive.0.remove(&task);
        }
        Happens::Cancels(number) => {
            let Some(task) = naive.pick(number, &[Place::Created, Place::Waiting]) else { return };
            roster.leave(id(task));
            naive.0.remove(&task);
        }
    }
}

proptest! {
    #[test]
    fn i31_the_roster_counts_as_a_naive_model_does(
        bounds in (0..3usize, 0..4usize, 0..4usize),
        all in prop::collection::vec(happens(), 0..120),
    ) {
        let bounds = Bounds { running: bounds.0, pending: bounds.1, per_owner: Some(bounds.2) };
        let (mut roster, mut naive) = (Roster::new(bounds), Naive::default());
        for (task, what) in (1..).zip(all) {
            live(&mut roster, &mut naive, bounds, task, what);
            for owner in 0..3u8 {
                let has = naive.count(|of, _| of == owner);
                prop_assert_eq!(roster.may_create(&format!("owner {owner}")).is_ok(), has < bounds.per_owner.unwrap());
                prop_assert!(has <= bounds.per_owner.unwrap());
            }
            prop_assert!(naive.count(|_, at| at == Place::Running) <= bounds.running);
        }
    }
}
