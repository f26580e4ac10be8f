//! The roster by itself: long random lives beside a model that counts naively.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::lines::Line;
use super::roster::{Admission, Bounds, Denial, Roster};
use crate::task::TaskId;

/// The line of the models without places, and those of two models with some.
const ALL: Line = Line::COMMON;
const FIRST: Line = Line::of_model(0);
const SECOND: Line = Line::of_model(1);

fn id(number: i64) -> TaskId {
    TaskId::new(number).unwrap()
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
    Start(u8, Line),
    Create(u8, Line),
    Durable(usize, bool),
    Resume(usize),
    Next,
    Fails(usize),
    Ends(usize),
    Cancels(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    let line = || prop::sample::select(vec![ALL, FIRST, SECOND]);
    prop_oneof![
        4 => (0..3u8, line()).prop_map(|(owner, line)| Happens::Start(owner, line)),
        1 => (0..3u8, line()).prop_map(|(owner, line)| Happens::Create(owner, line)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(n, ok)| Happens::Durable(n, ok)),
        1 => any::<usize>().prop_map(Happens::Resume),
        3 => Just(Happens::Next),
        1 => any::<usize>().prop_map(Happens::Fails),
        2 => any::<usize>().prop_map(Happens::Ends),
        1 => any::<usize>().prop_map(Happens::Cancels),
    ]
}

/// Tasks by id: whose they are, their lines, where they are; and the places of the lines with some.
struct Naive(BTreeMap<i64, (u8, Line, Place)>, [(Line, usize); 2]);

impl Naive {
    fn count(&self, is: impl Fn(u8, Line, Place) -> bool) -> usize {
        self.0.values().filter(|(owner, line, place)| is(*owner, *line, *place)).count()
    }

    fn run(&self, line: Line) -> usize {
        self.count(|_, of, at| of == line && at == Place::Running)
    }

    fn has_place(&self, line: Line) -> bool {
        self.1.iter().all(|(of, places)| *of != line || self.run(line) < *places)
    }

    fn room(&self, bounds: Bounds) -> bool {
        self.count(|_, _, at| at == Place::Running) < bounds.running
    }

    /// The oldest that waits and could run now.
    fn oldest(&self, bounds: Bounds) -> Option<i64> {
        let mut all =
            self.0.iter().filter(|(_, (_, line, at))| *at == Place::Waiting && self.has_place(*line));
        all.next().map(|(id, _)| *id).filter(|_| self.room(bounds))
    }

    fn pick(&self, number: usize, place: &[Place]) -> Option<i64> {
        let all: Vec<i64> =
            self.0.iter().filter(|(_, (_, _, at))| place.contains(at)).map(|(id, _)| *id).collect();
        (!all.is_empty()).then(|| all[number % all.len()])
    }

    fn expected(&self, bounds: Bounds, owner: Option<u8>, line: Line) -> Result<Admission, Denial> {
        if let Some(owner) = owner {
            let has = self.count(|of, _, _| of == owner);
            if Some(has) >= bounds.per_owner {
                return Err(Denial::TooManyOfOwner(has));
            }
        }
        let waits = |at| matches!(at, Place::Coming | Place::Waiting);
        let pending = self.count(|_, _, at| waits(at));
        let ahead = self.count(|_, of, at| waits(at) && self.has_place(of));
        if self.room(bounds) && self.has_place(line) && ahead == 0 {
            Ok(Admission::Run)
        } else if pending < bounds.pending {
            Ok(Admission::Wait)
        } else {
            Err(Denial::TooManyPending(pending))
        }
    }
}

fn enter(roster: &mut Roster, naive: &mut Naive, task: i64, (owner, line): (u8, Line), admission: Admission) {
    let place = match admission {
        Admission::Run => {
            roster.seat(id(task), line);
            Place::Running
        }
        Admission::Wait => {
            roster.come(line);
            Place::Coming
        }
    };
    naive.0.insert(task, (owner, line, place));
}

fn live(roster: &mut Roster, naive: &mut Naive, bounds: Bounds, task: i64, what: Happens) {
    match what {
        Happens::Start(owner, line) => {
            let admission = roster.may_start(&format!("owner {owner}"), line);
            assert_eq!(admission, naive.expected(bounds, Some(owner), line));
            let Ok(admission) = admission else { return };
            roster.count(id(task), &format!("owner {owner}").into());
            enter(roster, naive, task, (owner, line), admission);
        }
        Happens::Create(owner, line) => {
            if roster.may_create(&format!("owner {owner}")).is_ok() {
                roster.count(id(task), &format!("owner {owner}").into());
                naive.0.insert(task, (owner, line, Place::Created));
            }
        }
        Happens::Durable(number, is_made) => {
            let Some(task) = naive.pick(number, &[Place::Coming]) else { return };
            let line = naive.0[&task].1;
            if is_made {
                roster.wait(id(task), line);
                naive.0.get_mut(&task).unwrap().2 = Place::Waiting;
            } else {
                roster.turn_back(id(task), line, false);
                naive.0.remove(&task);
            }
        }
        Happens::Resume(number) => {
            let Some(task) = naive.pick(number, &[Place::Created]) else { return };
            let (owner, line, _) = naive.0[&task];
            let admission = roster.may_resume(line);
            assert_eq!(admission, naive.expected(bounds, None, line));
            if let Ok(admission) = admission {
                enter(roster, naive, task, (owner, line), admission);
            }
        }
        Happens::Next => {
            let oldest = naive.oldest(bounds);
            assert_eq!(roster.next(), oldest.map(id));
            if let Some(task) = oldest {
                naive.0.get_mut(&task).unwrap().2 = Place::Running;
            }
        }
        Happens::Fails(number) => {
            let Some(task) = naive.pick(number, &[Place::Running]) else { return };
            roster.wait_again(id(task));
            naive.0.get_mut(&task).unwrap().2 = Place::Waiting;
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

/// Whoever still waits when the roster has given out what there is has no place.
fn nobody_waits_without_need(roster: &mut Roster, naive: &mut Naive, bounds: Bounds) {
    while let Some(task) = roster.next() {
        assert_eq!(naive.oldest(bounds).map(id), Some(task));
        naive.0.get_mut(&task.get()).unwrap().2 = Place::Running;
    }
    for (_, line, at) in naive.0.values() {
        assert!(*at != Place::Waiting || !naive.room(bounds) || !naive.has_place(*line));
    }
}

proptest! {
    #[test]
    fn i31_the_roster_counts_as_a_naive_model_does(
        bounds in (0..4usize, 0..6usize, 0..5usize),
        places in (0..3usize, 0..3usize),
        all in prop::collection::vec(happens(), 0..120),
    ) {
        let bounds = Bounds { running: bounds.0, pending: bounds.1, per_owner: Some(bounds.2) };
        let mut roster = Roster::new(bounds, &[places.0, places.1]);
        let mut naive = Naive(BTreeMap::new(), [(FIRST, places.0), (SECOND, places.1)]);
        for (task, what) in (1..).zip(all) {
            live(&mut roster, &mut naive, bounds, task, what);
            for owner in 0..3u8 {
                let has = naive.count(|of, _, _| of == owner);
                prop_assert_eq!(roster.may_create(&format!("owner {owner}")).is_ok(), has < bounds.per_owner.unwrap());
                prop_assert!(has <= bounds.per_owner.unwrap());
            }
            prop_assert!(naive.count(|_, _, at| at == Place::Running) <= bounds.running);
            prop_assert!(naive.run(FIRST) <= places.0 && naive.run(SECOND) <= places.1);
        }
        nobody_waits_without_need(&mut roster, &mut naive, bounds);
    }
}
