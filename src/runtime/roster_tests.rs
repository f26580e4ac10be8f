//! The roster by itself, case by case.

use std::sync::Arc;

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

fn roster(running: usize, pending: usize) -> Roster {
    Roster::new(Bounds { running, pending, per_owner: None }, &[])
}

/// Room for ten, of which the two models have so many places each.
fn of_models(first: usize, second: usize) -> Roster {
    Roster::new(Bounds { running: 10, pending: 100, per_owner: None }, &[first, second])
}

fn of_owners(per_owner: usize) -> Roster {
    Roster::new(Bounds { running: 2, pending: 10, per_owner: Some(per_owner) }, &[])
}

fn ann() -> Arc<str> {
    "ann".into()
}

#[test]
fn a_task_waits_where_there_is_no_place_and_the_oldest_comes_first() {
    let mut roster = roster(1, 2);
    assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Run));
    roster.seat(id(1), ALL);
    for _ in 0..2 {
        assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Wait));
        roster.come(ALL);
    }
    assert_eq!(roster.may_start("ann", ALL), Err(Denial::TooManyPending(2)));
    roster.wait(id(3), ALL);
    roster.wait(id(2), ALL);
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
    roster.seat(id(1), ALL);
    roster.come(ALL);
    roster.ended(id(1));
    assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Wait), "task 2 is on its way");
    roster.wait(id(2), ALL);
    assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Wait), "task 2 is first");
}

#[test]
fn a_row_that_was_not_made_frees_its_place_in_the_queue() {
    let mut roster = roster(0, 1);
    roster.come(ALL);
    assert_eq!(roster.may_start("ann", ALL), Err(Denial::TooManyPending(1)));
    roster.turn_back(id(1), ALL, false);
    assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Wait));
}

#[test]
fn nobody_comes_in_while_draining() {
    let mut roster = roster(1, 1);
    roster.find(id(5), ALL);
    roster.drain();
    assert_eq!(roster.may_start("ann", ALL), Err(Denial::Draining));
    assert_eq!(roster.may_create("ann"), Err(Denial::Draining));
    assert_eq!(roster.may_resume(ALL), Err(Denial::Draining));
    assert_eq!(roster.next(), None);
    assert!(roster.knows(id(5)));
}

#[test]
fn a_cancelled_one_leaves_the_queue() {
    let mut roster = roster(1, 1);
    roster.find(id(5), ALL);
    roster.leave(id(5));
    assert_eq!(roster.next(), None);
    assert!(!roster.knows(id(5)));
}

#[test]
fn one_that_stands_aside_is_known_no_more_and_its_place_is_free() {
    let mut roster = roster(1, 1);
    roster.seat(id(1), ALL);
    roster.stand_aside(id(1));
    assert!(!roster.knows(id(1)));
    assert_eq!(roster.may_resume(ALL), Ok(Admission::Run));
}

#[test]
fn i31_an_owner_has_as_many_as_the_limit_and_others_are_not_touched() {
    let mut roster = of_owners(2);
    for number in 1..=2 {
        assert!(roster.may_start("ann", ALL).is_ok());
        roster.count(id(number), &ann());
        roster.seat(id(number), ALL);
    }
    assert_eq!(roster.may_start("ann", ALL), Err(Denial::TooManyOfOwner(2)));
    assert_eq!(roster.may_create("ann"), Err(Denial::TooManyOfOwner(2)));
    assert_eq!(roster.may_start("bob", ALL), Ok(Admission::Wait));
    roster.over(id(1));
    assert!(roster.may_start("ann", ALL).is_ok(), "its end is durable");
    roster.count(id(3), &ann());
    roster.ended(id(1));
    assert_eq!(roster.may_start("ann", ALL), Err(Denial::TooManyOfOwner(2)), "an end counts once");
}

#[test]
fn i31_each_way_out_gives_the_place_back_and_no_other_does() {
    type Step = fn(&mut Roster);
    let ways: [(&str, Step, bool); 9] = [
        ("it ended", |r| r.ended(id(1)), true),
        ("its end is durable", |r| r.over(id(1)), true),
        ("it was cancelled while it waited", |r| r.leave(id(1)), true),
        ("its row was not made", |r| r.turn_back(id(1), ALL, false), true),
        ("its row was not queued, and is there", |r| r.turn_back(id(1), ALL, true), false),
        ("it waits", |r| r.wait(id(1), ALL), false),
        ("it waits since an earlier process", |r| r.find(id(1), ALL), false),
        ("it waits again", |r| r.wait_again(id(1)), false),
        ("it stays pending", |r| r.stand_aside(id(1)), false),
    ];
    for (what, step, is_free) in ways {
        let mut roster = of_owners(1);
        roster.count(id(1), &ann());
        roster.come(ALL);
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
    assert_eq!(roster.may_start("ann", ALL), Err(Denial::TooManyOfOwner(3)));
    for number in 1..=3 {
        assert!(roster.may_start("ann", ALL).is_err());
        roster.leave(id(number));
    }
    assert!(roster.may_start("ann", ALL).is_ok());
}

#[test]
fn a_row_that_exists_is_started_whatever_its_owner_has() {
    let mut roster = of_owners(1);
    roster.count(id(1), &ann());
    assert_eq!(roster.may_resume(ALL), Ok(Admission::Run));
}

#[test]
fn what_is_over_the_places_of_a_model_waits_and_holds_up_no_other_model() {
    let mut roster = of_models(1, 2);
    roster.seat(id(1), FIRST);
    for number in 2..=3 {
        assert_eq!(roster.may_start("ann", FIRST), Ok(Admission::Wait));
        roster.come(FIRST);
        assert_eq!(roster.may_start("ann", SECOND), Ok(Admission::Run), "none of the first model could run");
        roster.wait(id(number), FIRST);
        assert_eq!(roster.next(), None, "the model has no place");
    }
    for (number, line) in [(4, SECOND), (5, ALL), (6, SECOND)] {
        assert_eq!(roster.may_start("ann", line), Ok(Admission::Run));
        roster.seat(id(number), line);
    }
    assert_eq!(roster.may_resume(SECOND), Ok(Admission::Wait));
    roster.ended(id(1));
    assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Wait), "task 2 is first");
    assert_eq!(roster.next(), Some(id(2)));
    assert_eq!(roster.next(), None);
    assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Run));
    roster.ended(id(2));
    assert_eq!(roster.next(), Some(id(3)));
}

#[test]
fn of_several_models_with_places_the_oldest_comes_first_and_the_room_over_all_counts() {
    let mut roster = Roster::new(Bounds { running: 1, pending: 10, per_owner: None }, &[1, 1]);
    roster.seat(id(1), ALL);
    for (number, line) in [(5, FIRST), (2, SECOND), (4, ALL), (3, FIRST)] {
        roster.come(line);
        roster.wait(id(number), line);
    }
    assert_eq!(roster.next(), None);
    for number in 1..=4 {
        roster.ended(id(number));
        assert_eq!(roster.next(), Some(id(number + 1)));
        assert_eq!(roster.next(), None);
    }
}

#[test]
fn those_who_come_to_a_model_without_a_place_hold_up_nobody_and_count_as_pending() {
    let mut roster = Roster::new(Bounds { running: 10, pending: 2, per_owner: None }, &[1]);
    roster.seat(id(1), FIRST);
    for _ in 0..2 {
        assert_eq!(roster.may_start("ann", FIRST), Ok(Admission::Wait));
        roster.come(FIRST);
    }
    assert_eq!(roster.may_start("ann", FIRST), Err(Denial::TooManyPending(2)));
    assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Run));
    roster.ended(id(1));
    assert_eq!(roster.may_start("ann", ALL), Err(Denial::TooManyPending(2)), "one of them has a place now");
    roster.turn_back(id(2), FIRST, false);
    roster.wait(id(3), FIRST);
    assert_eq!(roster.next(), Some(id(3)));
    assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Run));
}

#[test]
fn a_model_without_places_never_runs() {
    let mut roster = of_models(0, 1);
    assert_eq!(roster.may_start("ann", FIRST), Ok(Admission::Wait));
    roster.find(id(1), FIRST);
    assert_eq!(roster.next(), None);
    assert_eq!(roster.may_start("ann", SECOND), Ok(Admission::Run));
}

#[test]
fn each_way_out_gives_the_place_of_a_model_back_once() {
    type Step = fn(&mut Roster);
    let ways: [(&str, Step, Option<i64>); 7] = [
        ("it ended", |r| r.ended(id(1)), Some(3)),
        (
            "it ended and that is told twice",
            |r| [r.ended(id(1)), r.ended(id(1))].into_iter().collect(),
            Some(3),
        ),
        ("it stays pending", |r| r.stand_aside(id(1)), Some(3)),
        ("it waits again", |r| r.wait_again(id(1)), Some(1)),
        ("its end is durable", |r| r.over(id(1)), None),
        ("it was cancelled while its row was read", |r| r.leave(id(1)), None),
        (
            "a second start of it turned back",
            |r| [r.come(FIRST), r.turn_back(id(1), FIRST, true)].into_iter().collect(),
            None,
        ),
    ];
    for (what, step, next) in ways {
        let mut roster = of_models(2, 1);
        for number in 1..=4 {
            roster.find(id(number), FIRST);
        }
        assert_eq!([roster.next(), roster.next(), roster.next()], [Some(id(1)), Some(id(2)), None]);
        step(&mut roster);
        assert_eq!(roster.next(), next.map(id), "{what}");
        assert_eq!(roster.next(), None, "{what}");
    }
}

#[test]
fn a_cancelled_one_leaves_the_line_of_its_model() {
    let mut roster = of_models(1, 1);
    roster.seat(id(1), FIRST);
    for number in 2..=4 {
        roster.find(id(number), FIRST);
    }
    roster.leave(id(2));
    assert!(!roster.knows(id(2)) && roster.knows(id(3)));
    roster.ended(id(1));
    assert_eq!(roster.next(), Some(id(3)));
    roster.leave(id(4));
    roster.ended(id(3));
    assert_eq!(roster.next(), None);
    assert_eq!(roster.may_resume(FIRST), Ok(Admission::Run));
}

#[test]
fn what_an_earlier_process_left_waits_in_the_line_of_its_model_also_past_the_bound() {
    let mut roster = Roster::new(Bounds { running: 3, pending: 1, per_owner: None }, &[1]);
    for (number, line) in [(1, FIRST), (2, FIRST), (3, FIRST), (4, ALL), (5, ALL), (6, ALL)] {
        roster.find(id(number), line);
    }
    assert_eq!([roster.next(), roster.next(), roster.next()].map(Option::unwrap), [id(1), id(4), id(5)]);
    assert_eq!(roster.may_start("ann", ALL), Err(Denial::TooManyPending(3)));
    roster.ended(id(1));
    assert_eq!(roster.next(), Some(id(2)));
    assert!(roster.knows(id(3)));
}

#[test]
fn a_hundred_thousand_that_wait_for_one_model_cost_no_step_more_than_a_few_looks() {
    // With a look at each of them in every step this would take minutes.
    let many = 100_000;
    let mut roster = Roster::new(Bounds { running: 10, pending: 1_000_000, per_owner: None }, &[1]);
    for number in 1..=many {
        roster.find(id(number), FIRST);
    }
    for number in 1..=many {
        assert_eq!(roster.next(), Some(id(number)));
        assert_eq!(roster.may_start("ann", ALL), Ok(Admission::Run));
        roster.seat(id(many + number), ALL);
        assert_eq!(roster.may_start("ann", FIRST), Ok(Admission::Wait));
        assert_eq!(roster.next(), None);
        roster.ended(id(many + number));
        roster.ended(id(number));
    }
    assert_eq!(roster.may_start("ann", FIRST), Ok(Admission::Run));
}
