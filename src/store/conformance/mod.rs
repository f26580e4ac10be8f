//! What every database behind [`Store`] and [`Reader`] does, in chapters.
//!
//! Invariant: nothing here names a database. Each test is given one that is new; a database joins by a [`Harness`]
//! and one line at the end of this file.

mod cancel;
mod doubt;
mod end;
mod events;
mod ids;
mod lists;
mod prune;
mod repeat;
mod requeue;
mod signals;
mod start;

use std::sync::Arc;

use crate::lifecycle::{Ask, Ending};
use crate::task::{
    CancelRequest, Cause, Failure, JsonText, Name, NewEvent, Record, Status, StoppedBy, TaskFilter, TaskId,
    TaskKey, Timeout, Timestamp,
};

use super::{
    Answer, Committed, Faults, KEEP_ANSWERS, KeptAnswer, MAX_SIGNALS, NewTask, Reader, RepeatableRequest,
    Search, Store, StoreError, Write,
};

/// How many events of a task a database under test keeps.
pub(super) const KEEP: i64 = 10;

/// A database under test.
pub(super) trait Harness: Sized {
    /// A new one, which keeps [`KEEP`] events of a task.
    fn new() -> Self;

    fn store(&mut self) -> &mut dyn Store;

    fn reader(&mut self) -> &mut dyn Reader;

    /// What makes its commits fail.
    fn faults(&self) -> Faults;

    /// The same database, closed and opened again.
    fn reopen(self) -> Self;

    /// Runs SQL behind the store's back, as a person with a shell would.
    fn run_sql(&mut self, sql: &str) -> Result<(), String>;
}

/// What the chapters do with a database.
trait Steps: Harness {
    fn commit(&mut self, group: &[Write]) -> Committed {
        self.store().commit(group).unwrap()
    }

    fn one(&mut self, write: Write) -> Answer {
        let mut answers = self.commit(&[write]).answers;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    fn record(&mut self, number: i64) -> Record {
        self.reader().task(id(number)).unwrap().unwrap()
    }

    fn kinds(&mut self, number: i64) -> Vec<(i64, String)> {
        let page = self.reader().events(id(number), 0, 1_000).unwrap();
        page.events.iter().map(|event| (event.seq, event.kind.as_str().to_owned())).collect()
    }

    /// Takes a write and makes sure that it changed nothing.
    fn is_stale(&mut self, write: Write) {
        let number = write.task().unwrap();
        let before = (self.reader().task(number).unwrap(), self.reader().events(number, 0, 1_000).unwrap());
        let done = self.commit(std::slice::from_ref(&write));
        assert_eq!(done.answers, [Answer::Stale], "{write:?}");
        assert_eq!(done.events, [], "{write:?}");
        let after = (self.reader().task(number).unwrap(), self.reader().events(number, 0, 1_000).unwrap());
        assert_eq!(before, after, "{write:?}");
    }
}

impl<H: Harness> Steps for H {}

fn id(number: i64) -> TaskId {
    TaskId::new(number).unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn seconds(seconds: f64) -> Option<Timeout> {
    Timeout::from_seconds(seconds).ok()
}

fn json(text: &str) -> JsonText {
    JsonText::from_text(text).unwrap()
}

fn event(kind: &'static str) -> NewEvent {
    NewEvent::runtime(kind, serde_json::json!({ "of": kind }).to_string(), at(7))
}

fn task(number: i64) -> NewTask {
    let key =
        TaskKey { app: Name::new("tests").unwrap(), model: Name::new("Model").unwrap(), id: id(number) };
    let input = JsonText::default();
    NewTask {
        key,
        input,
        owner: "alice".into(),
        timeout: None,
        idle_timeout: None,
        at: at(100),
        request: None,
    }
}

fn create(number: i64, queued: bool) -> Write {
    Write::Create { task: Box::new(task(number)), queued }
}

fn create_running(number: i64) -> Write {
    Write::CreateRunning { task: Box::new(task(number)), node: "n1".into(), events: vec![event("running")] }
}

fn queue(number: i64) -> Write {
    Write::Queue { id: id(number), timeout: None, at: at(150) }
}

fn begin(number: i64, epoch: i64) -> Write {
    let events = vec![event("running")];
    Write::Begin { id: id(number), epoch, node: "n2".into(), timeout: None, at: at(200), events }
}

fn request(micros: i64, reason: &str) -> CancelRequest {
    CancelRequest::new(at(micros), Cause::User, Some(reason), Some(Arc::from("bob")))
}

fn ask(number: i64, epoch: i64) -> Write {
    let ask = Ask { request: request(300, "enough"), limit: None };
    Write::Ask { id: id(number), epoch, ask, events: vec![event("cancellation_requested")] }
}

fn send(number: i64, epoch: i64) -> Write {
    Write::Event { id: id(number), epoch, event: event("progress") }
}

fn requeue(number: i64, epoch: i64, counts: bool) -> Write {
    Write::Requeue { id: id(number), epoch, counts, at: at(350) }
}

fn set_timeout(number: i64, timeout: Option<Timeout>) -> Write {
    Write::SetTimeout { id: id(number), timeout, at: at(360) }
}

fn signal(number: i64, name: &str) -> Write {
    Write::Signal {
        id: id(number),
        name: name.to_owned(),
        data: json(r#"{"go":true}"#),
        at: at(370),
        request: None,
    }
}

fn take_signal(number: i64, signal: i64) -> Write {
    Write::TakeSignal { id: id(number), signal }
}

fn ending(status: Status) -> Ending {
    Ending {
        status,
        final_value: None,
        failure: None,
        stopped_by: None,
        cleanup: None,
        request: None,
        ask: None,
    }
}

fn end(number: i64, epoch: i64, ending: Ending) -> Write {
    let last = match ending.status {
        Status::Failed => event("error"),
        Status::Cancelled => event("cancelled"),
        _ => event("completed"),
    };
    Write::End { id: id(number), epoch, ending: Box::new(ending), at: at(400), events: vec![last] }
}

fn complete(number: i64, epoch: i64) -> Write {
    end(number, epoch, ending(Status::Completed))
}

fn fail(number: i64, epoch: i64) -> Write {
    end(number, epoch, Ending { failure: Some(Failure::new("E", "broken")), ..ending(Status::Failed) })
}

fn cancel(number: i64, epoch: i64) -> Write {
    let request = Some(request(390, "late"));
    end(number, epoch, Ending { stopped_by: Some(StoppedBy::Dropped), request, ..ending(Status::Cancelled) })
}

/// One of each kind of write that a finished task refuses; some of them with the epoch that it had.
fn all_writes(number: i64, epoch: i64) -> Vec<Write> {
    vec![
        queue(number),
        begin(number, epoch),
        ask(number, epoch),
        send(number, epoch),
        requeue(number, epoch, true),
        set_timeout(number, seconds(9.0)),
        signal(number, "late"),
        take_signal(number, 1),
        complete(number, epoch),
        fail(number, epoch),
        cancel(number, epoch),
    ]
}

/// Lists every test once; each database then runs all of them.
macro_rules! chapters {
    (($d:tt) $($chapter:ident { $($test:ident)+ })+) => {
        macro_rules! run_on {
            ($d database:ident, $d harness:ty) => {
                mod $d database {
                    $(mod $chapter {
                        $(#[test] fn $test() {
                            crate::store::conformance::$chapter::$test(
                                <$d harness as crate::store::conformance::Harness>::new(),
                            );
                        })+
                    })+
                }
            };
        }
    };
}

chapters! { ($)
    start {
        a_created_task_waits_and_has_what_was_given
        a_task_created_running_runs_from_the_start
        a_waiting_task_is_queued_once
        a_pending_task_begins_with_the_next_epoch
        a_begin_with_another_epoch_is_stale
        a_start_may_replace_the_timeout
        the_timeout_of_a_live_task_can_be_set_and_removed
        the_same_id_twice_is_refused_and_leaves_nothing
        i02_a_started_task_survives_a_restart
        live_rows_are_listed_in_pages
        rows_that_nobody_has_started_are_found_with_their_owners
    }
    cancel {
        the_first_request_stands
        i05_a_request_survives_a_restart_and_decides
        a_task_that_was_asked_cannot_end_as_if_it_was_not
        a_request_and_the_end_may_be_one_write
        a_request_in_the_row_is_not_replaced_at_the_end
        a_pending_task_is_cancelled_without_a_start
        i10_a_stale_epoch_changes_nothing
    }
    end {
        i01_a_terminal_row_refuses_every_write
        i01_a_terminal_row_refuses_raw_sql_too
        each_way_to_end_keeps_what_belongs_to_it
        a_pending_task_never_completes
        an_unknown_task_makes_every_write_stale
        a_stale_write_never_fails_its_group
        i06_a_group_that_fails_leaves_nothing
        a_change_behind_the_writers_back_is_seen
        a_whole_life_fits_into_one_group
    }
    events {
        i22_numbers_have_no_gaps_over_a_restart
        i24_no_event_comes_after_the_terminal_one
        the_newest_events_are_kept_and_numbers_go_on
        a_page_begins_after_a_number
        a_group_returns_its_events_in_order
        a_failed_group_uses_up_no_number
    }
    signals {
        signals_wait_in_order_until_they_are_taken
        a_signal_is_taken_once
        signals_end_with_their_task
        a_later_signal_has_a_larger_number
        a_begin_hands_over_what_waits
        i20_signals_of_one_task_are_bounded
    }
    lists {
        a_search_finds_what_fits_newest_first
        a_search_goes_on_where_it_stopped
        an_unfinished_search_finds_what_waits_and_what_runs
        a_search_among_many_others_stops_after_a_while_and_says_where
        records_come_in_the_order_of_their_ids_and_without_what_is_gone
        large_records_are_read_a_few_at_a_time
        a_bad_row_hides_no_other
    }
    repeat {
        i03_a_key_and_its_task_are_one_write
        i03_a_key_is_taken_once_within_a_group_and_over_a_restart
        a_signal_and_its_key_are_one_write
        an_answer_is_kept_once
        a_key_is_free_again_after_a_day
        old_keys_are_pruned_a_few_at_a_time
    }
    prune {
        a_task_goes_with_all_that_belongs_to_it
        what_has_not_ended_or_ended_late_stays
        a_long_log_goes_bit_by_bit_from_its_oldest_event
        old_tasks_are_told_up_to_the_first_that_is_young
        i02_ids_are_not_used_again_after_their_tasks_are_gone
    }
    ids {
        blocks_never_overlap
        i02_ids_are_never_reused_after_a_restart
        a_failed_group_reserves_nothing_for_good
    }
    doubt {
        i16_a_group_whose_answer_was_lost_is_found_with_its_answers
        i16_a_group_that_was_lost_itself_is_not_found_and_can_be_tried_again
        i16_ids_whose_reservation_is_in_doubt_are_given_once
        i16_a_question_stays_open_while_the_database_is_away
        i19_a_refused_group_leaves_nothing_and_no_question
    }
    requeue {
        a_requeued_task_waits_with_its_epoch
        an_attempt_counts_where_it_should
        a_task_that_was_asked_is_not_requeued
        started_at_is_that_of_the_first_attempt
        i22_a_second_attempt_goes_on_numbering
    }
}

run_on!(sqlite, crate::store::sqlite::tests::SqliteHarness);
