//! What waits for the database, and in which order it goes. Pure.
//!
//! Invariants: the writes of one task keep their order, so a change of a row takes the events that its body sent
//! before along; changes of rows go before other tasks' events; events of many tasks take turns, so that a flood
//! of one delays nobody. It holds what came in: the bounds are where writes are made.
//!
//! A request to stop that still waits when the end of its task comes is written together with it, as one change:
//! in a storm of cancels that is most of them.

use std::collections::VecDeque;

use crate::store::Write;
use crate::task::{IdMap, TaskId};

/// The most changes of rows, and the most events of bodies, in one group.
pub(crate) const GROUP: usize = 256;

/// Who is to be told, where two writes may become one.
pub(crate) trait Joins: Sized {
    /// Who is told of this request and that end in one; the end's own where they stay two.
    ///
    /// # Errors
    /// Gives back whom the end is told to.
    fn join(&self, end: Self) -> Result<Self, Self>;
}

/// A write and who is to be told.
pub(crate) struct Op<R> {
    pub(crate) write: Write,
    pub(crate) reply: R,
}

/// A change of a row, and the events that its body had sent before it.
struct Change<R> {
    before: VecDeque<Op<R>>,
    op: Op<R>,
}

/// The queue in front of the writer.
pub(crate) struct Intake<R> {
    changes: VecDeque<Change<R>>,
    /// How many changes have left the queue: the number of the first one in it.
    left: usize,
    /// How many changes of each task wait, so that events that were sent after them go no earlier, and the number of
    /// the last one.
    changing: IdMap<(usize, usize)>,
    events: IdMap<VecDeque<Op<R>>>,
    /// Tasks with events, each once: whose turn it is.
    turns: VecDeque<TaskId>,
}

impl<R: Joins> Intake<R> {
    pub(crate) fn new() -> Self {
        Self {
            changes: VecDeque::new(),
            left: 0,
            changing: IdMap::default(),
            events: IdMap::default(),
            turns: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, op: Op<R>) {
        if let Write::Event { id, .. } = op.write {
            let queue = self.events.entry(id).or_default();
            if queue.is_empty() {
                self.turns.push_back(id);
            }
            queue.push_back(op);
        } else {
            // The turn of these events stays in the list, and may find nothing.
            let task = op.write.task();
            let before = task.and_then(|id| self.events.remove(&id)).unwrap_or_default();
            let Some(op) = (if before.is_empty() { self.join(op) } else { Some(op) }) else { return };
            if let Some(id) = task {
                let number = self.left + self.changes.len();
                let (count, last) = self.changing.entry(id).or_default();
                (*count, *last) = (*count + 1, number);
            }
            self.changes.push_back(Change { before, op });
        }
    }

    /// Puts an end into the request of its task, if that waits and is the last of its changes; gives it back where
    /// it is not.
    fn join(&mut self, op: Op<R>) -> Option<Op<R>> {
        let Op { write: Write::End { id, epoch, mut ending, at, events }, mut reply } = op else {
            return Some(op);
        };
        let place = self.changing.get(&id).and_then(|(_, last)| last.checked_sub(self.left));
        if let Some(Change { op: asked, .. }) = place.and_then(|place| self.changes.get_mut(place))
            && let Write::Ask { epoch: of, ask, events: first, .. } = &mut asked.write
            && *of == epoch
        {
            match asked.reply.join(reply) {
                Ok(both) => {
                    let mut all = std::mem::take(first);
                    all.extend(events);
                    ending.ask = Some(ask.clone());
                    *asked = Op { write: Write::End { id, epoch, ending, at, events: all }, reply: both };
                    return None;
                }
                Err(ends) => reply = ends,
            }
        }
        Some(Op { write: Write::End { id, epoch, ending, at, events }, reply })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.turns.is_empty()
    }

    /// Whether a group is full already.
    pub(crate) fn is_full(&self) -> bool {
        self.changes.len() >= GROUP
    }

    /// Takes the next group.
    pub(crate) fn next_group(&mut self) -> Vec<Op<R>> {
        let mut group = Vec::with_capacity(self.changes.len().min(GROUP));
        let mut events = 0;
        for _ in 0..GROUP {
            let Some(Change { before, op }) = self.changes.pop_front() else { break };
            self.left += 1;
            self.changed(op.write.task());
            events += before.len();
            group.extend(before);
            group.push(op);
        }
        let mut later = Vec::new();
        while events < GROUP {
            let Some(id) = self.turns.pop_front() else { break };
            if self.changing.contains_key(&id) {
                later.push(id);
                continue;
            }
            let Some(queue) = self.events.get_mut(&id) else { continue };
            if let Some(op) = queue.pop_front() {
                group.push(op);
                events += 1;
            }
            if queue.is_empty() {
                self.events.remove(&id);
            } else {
                self.turns.push_back(id);
            }
        }
        self.turns.extend(later);
        group
    }

    fn changed(&mut self, task: Option<TaskId>) {
        let Some(id) = task else { return };
        if let Some((count, _)) = self.changing.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.changing.remove(&id);
            }
        }
    }

    /// Puts back what could not be written, in front of everything that came since.
    pub(crate) fn put_back(&mut self, group: Vec<Op<R>>) {
        let later = std::mem::replace(self, Self::new());
        for op in group {
            self.push(op);
        }
        self.append(later);
    }

    /// Puts what was set aside behind what waits.
    pub(crate) fn append(&mut self, later: Self) {
        for op in later.drain() {
            self.push(op);
        }
    }

    /// Takes out what is not to wait any longer; the rest stays in its order.
    pub(crate) fn take_out(&mut self, stays: impl Fn(&Op<R>) -> bool) -> Vec<Op<R>> {
        let all = std::mem::replace(self, Self::new()).drain();
        let (kept, out): (Vec<_>, Vec<_>) = all.into_iter().partition(stays);
        for op in kept {
            self.push(op);
        }
        out
    }

    fn drain(mut self) -> Vec<Op<R>> {
        let mut all = Vec::new();
        while !self.is_empty() {
            all.extend(self.next_group());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Ask, BodyEnd, Change as Row, Input, Life, events_of, transition};
    use crate::task::{Cause, NewEvent, Status, Timestamp};

    impl Joins for &'static str {
        fn join(&self, end: Self) -> Result<Self, Self> {
            if *self == "asked" { Ok("asked and ended") } else { Err(end) }
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn id(number: i64) -> TaskId {
        TaskId::new(number).unwrap()
    }

    fn event(task: i64, label: &'static str) -> Op<&'static str> {
        let event = NewEvent::new("x", &(), NOW).unwrap();
        Op { write: Write::Event { id: id(task), epoch: 1, event }, reply: label }
    }

    fn change(task: i64, label: &'static str) -> Op<&'static str> {
        let write = Write::Requeue { id: id(task), epoch: 1, counts: false, at: NOW };
        Op { write, reply: label }
    }

    fn ask() -> Ask {
        Ask::new(NOW, Cause::User, None, None)
    }

    fn asked(task: i64, label: &'static str) -> Op<&'static str> {
        let events = events_of(&Row::Asked(ask()), 1, NOW);
        Op { write: Write::Ask { id: id(task), epoch: 1, ask: ask(), events }, reply: label }
    }

    /// The end of a body that was dropped, of a row that has its request already.
    fn ended(task: i64) -> Op<&'static str> {
        let life = Life { status: Status::Running, request: Some(ask().request), queued: false };
        let input = Input::End { end: BodyEnd::Dropped, cleanup: None, ask: None };
        let Ok(Row::Ended(ending)) = transition(life, input) else { unreachable!() };
        let events = events_of(&Row::Ended(ending.clone()), 1, NOW);
        Op { write: Write::End { id: id(task), epoch: 1, ending, at: NOW, events }, reply: "ended" }
    }

    #[test]
    fn a_request_that_waits_when_its_end_comes_is_written_with_it() {
        let mut intake = Intake::new();
        for op in [change(7, "7"), asked(1, "asked"), asked(2, "asked"), ended(2), change(8, "8"), ended(1)] {
            intake.push(op);
        }
        let group = intake.next_group();
        assert_eq!(labels(&group), ["7", "asked and ended", "asked and ended", "8"]);
        let Write::End { id: task, ending, events, .. } = &group[1].write else { panic!("not an end") };
        assert_eq!((task.get(), ending.ask.as_ref()), (1, Some(&ask())));
        let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["cancellation_requested", "cancelled"]);
        assert!(intake.is_empty() && intake.changing.is_empty());
    }

    #[test]
    fn a_request_and_an_end_stay_two_where_something_is_between_them() {
        let mut intake = Intake::new();
        intake.push(change(9, "gone"));
        intake.next_group();
        // An event that was sent after the request; another change; somebody else's request.
        for op in [asked(1, "asked"), event(1, "1a"), ended(1)] {
            intake.push(op);
        }
        for op in [asked(2, "asked"), change(2, "2"), ended(2), asked(3, "other"), ended(3)] {
            intake.push(op);
        }
        let labels = labels(&intake.next_group());
        assert_eq!(labels, ["asked", "1a", "ended", "asked", "2", "ended", "other", "ended"]);
        // One that is on its way already.
        intake.push(asked(4, "asked"));
        assert_eq!(intake.next_group().len(), 1);
        intake.push(ended(4));
        assert_eq!(intake.next_group()[0].reply, "ended");
    }

    fn labels(group: &[Op<&'static str>]) -> Vec<&'static str> {
        group.iter().map(|op| op.reply).collect()
    }

    #[test]
    fn a_change_takes_the_events_of_its_task_along_and_passes_those_of_others() {
        let mut intake = Intake::new();
        for op in [event(1, "1a"), event(2, "2a"), event(2, "2b"), change(2, "2 ends")] {
            intake.push(op);
        }
        assert_eq!(labels(&intake.next_group()), ["2a", "2b", "2 ends", "1a"]);
        assert!(intake.is_empty());
    }

    #[test]
    fn events_of_many_tasks_take_turns() {
        let mut intake = Intake::new();
        for op in [event(1, "1a"), event(1, "1b"), event(1, "1c"), event(2, "2a")] {
            intake.push(op);
        }
        assert_eq!(labels(&intake.next_group()), ["1a", "2a", "1b", "1c"]);
    }

    #[test]
    fn a_flood_fills_a_group_and_no_more() {
        let mut intake = Intake::new();
        for _ in 0..GROUP + 5 {
            intake.push(event(1, "flood"));
        }
        assert_eq!(intake.next_group().len(), GROUP);
        intake.push(change(2, "quick"));
        assert_eq!(labels(&intake.next_group()).first(), Some(&"quick"));
        assert!(intake.is_empty());
        assert!(intake.next_group().is_empty());
    }

    #[test]
    fn what_was_put_back_goes_first() {
        let mut intake = Intake::new();
        for op in [event(1, "1a"), change(1, "1 ends")] {
            intake.push(op);
        }
        let group = intake.next_group();
        intake.push(event(2, "2a"));
        intake.push(change(3, "3 ends"));
        intake.put_back(group);
        assert_eq!(labels(&intake.next_group()), ["1a", "1 ends", "3 ends", "2a"]);
    }

    #[test]
    fn what_is_taken_out_leaves_the_order_of_the_rest() {
        let mut intake = Intake::new();
        for op in [event(1, "1a"), change(2, "out"), change(1, "1 ends"), event(3, "3a"), change(4, "out")] {
            intake.push(op);
        }
        assert_eq!(labels(&intake.take_out(|op| op.reply != "out")), ["out", "out"]);
        assert_eq!(labels(&intake.next_group()), ["1a", "1 ends", "3a"]);
        assert!(intake.is_empty());
    }

    #[test]
    fn what_was_set_aside_goes_behind() {
        let mut aside = Intake::new();
        aside.push(event(1, "1b"));
        aside.push(change(1, "1 ends"));
        let mut intake = Intake::new();
        intake.push(event(1, "1a"));
        intake.append(aside);
        assert_eq!(labels(&intake.next_group()), ["1a", "1b", "1 ends"]);
    }

    #[test]
    fn events_sent_after_a_change_follow_it() {
        let mut intake = Intake::new();
        intake.push(event(1, "before"));
        intake.push(change(1, "asked"));
        assert_eq!(labels(&intake.next_group()), ["before", "asked"]);
        intake.push(event(1, "after"));
        assert_eq!(labels(&intake.next_group()), ["after"]);
    }

    #[test]
    fn an_event_does_not_pass_a_change_that_was_made_before_it() {
        let mut intake = Intake::new();
        for op in [event(1, "before"), change(1, "asked"), event(1, "between"), change(1, "ends")] {
            intake.push(op);
        }
        intake.push(event(1, "after"));
        assert_eq!(labels(&intake.next_group()), ["before", "asked", "between", "ends", "after"]);
        assert!(intake.is_empty());
    }

    #[test]
    fn an_event_waits_for_a_change_of_its_task_that_found_no_place_in_the_group() {
        let mut intake = Intake::new();
        for _ in 0..GROUP {
            intake.push(change(2, "other"));
        }
        for op in [change(1, "asked"), event(1, "after"), event(3, "free")] {
            intake.push(op);
        }
        assert_eq!(labels(&intake.next_group()).split_off(GROUP), ["free"]);
        assert_eq!(labels(&intake.next_group()), ["asked", "after"]);
        assert!(intake.is_empty());
    }
}
