//! One group of writes inside its transaction: each is decided in order, then all are carried out in bulk.
//!
//! Invariants: a write sees what earlier writes of its group did; what it decides on is the row as it will be when
//! its turn comes. Statements follow in an order in which that stays true: new rows, changes, ends, events. Nothing
//! outside changes before the commit: the caller takes [`Done::touched`] over only then.
//!
//! It neither begins nor ends the transaction.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::SqliteConnection;

use crate::lifecycle::Ending;
use crate::store::{Answer, Committed, MAX_SIGNALS, NewTask, RepeatableRequest, Write};
use crate::task::{Event, NewEvent, Status, TaskId, Timeout, Timestamp};

use super::error::Failed;
use super::live::{Live, Stage};
use super::statements::{self, Change, DataKind, DataRow, Ends, NewRows};
use super::witness::Witness;
use super::{prune, repeat};

/// What a group did, to be believed once it is committed.
pub(super) struct Done {
    pub(super) committed: Committed,
    /// What is known of each task that was looked at; nothing where it is over or unknown.
    pub(super) touched: HashMap<i64, Option<Live>>,
    /// What shows that it was committed; nothing where it changes nothing.
    pub(super) witness: Option<Witness>,
}

/// A group that is being decided.
pub(super) struct Group<'a> {
    db: &'a mut SqliteConnection,
    known: &'a HashMap<i64, Live>,
    touched: HashMap<i64, Option<Live>>,
    rows: NewRows<'a>,
    inputs: Vec<DataRow<'a>>,
    /// Each with the epoch that the row has before it.
    changes: Vec<(TaskId, i64, Change<'a>)>,
    final_values: Vec<DataRow<'a>>,
    ends: Ends<'a>,
    events: Vec<Arc<Event>>,
    answers: Vec<Answer>,
    witness: Option<Witness>,
}

impl<'a> Group<'a> {
    pub(super) fn new(db: &'a mut SqliteConnection, known: &'a HashMap<i64, Live>) -> Self {
        Self {
            db,
            known,
            touched: HashMap::new(),
            rows: NewRows::default(),
            inputs: Vec::new(),
            changes: Vec::new(),
            final_values: Vec::new(),
            ends: Ends::default(),
            events: Vec::new(),
            answers: Vec::new(),
            witness: None,
        }
    }

    /// Decides one write.
    pub(super) fn take(&mut self, write: &'a Write) -> Result<(), Failed> {
        let done = match write {
            Write::ReserveIds { count } => Some(Answer::Ids(statements::reserve_ids(self.db, *count)?)),
            Write::Create { task, queued } => {
                let stage = if *queued { Stage::Queued } else { Stage::Waiting };
                Some(self.create(task, stage, None, &[])?)
            }
            Write::CreateRunning { task, node, events } => {
                Some(self.create(task, Stage::Running, Some(node), events)?)
            }
            Write::Queue { id, timeout, at } => self.queue(*id, *timeout, *at)?,
            Write::Begin { id, epoch, node, timeout, at, events } => {
                self.begin(*id, *epoch, node, *timeout, *at, events)?
            }
            Write::Ask { id, epoch, ask, events } => self.unasked(*id, *epoch)?.map(|live| {
                self.changes.push((*id, *epoch, Change::Ask(&ask.request)));
                self.know(*id, Live { asked: true, ..live }, events)
            }),
            Write::End { id, epoch, ending, at, events } => self.end(*id, *epoch, ending, *at, events)?,
            Write::Requeue { id, epoch, counts, at } => self.unasked(*id, *epoch)?.map(|live| {
                self.changes.push((*id, *epoch, Change::Requeue { counts: *counts, at: at.as_micros() }));
                self.know(*id, Live { stage: Stage::Queued, ..live }, &[])
            }),
            Write::SetTimeout { id, timeout, at } => self.live(*id)?.map(|live| {
                self.set_timeout(*id, live.epoch, *timeout, *at);
                Answer::Applied
            }),
            Write::Signal { id, name, data, at, request } => match self.live(*id)? {
                Some(live) if live.signals >= MAX_SIGNALS => Some(Answer::Full(live.signals)),
                Some(_) if !self.claim(request.as_deref(), *id, *at)? => Some(Answer::KeyTaken),
                Some(live) => {
                    let signal = statements::add_signal(self.db, *id, name, data, *at)?;
                    self.know(*id, Live { signals: live.signals + 1, ..live }, &[]);
                    Some(Answer::Signalled(signal))
                }
                None => None,
            },
            Write::TakeSignal { id, signal } => self.take_signal(*id, *signal)?.then_some(Answer::Applied),
            Write::Event { id, epoch, event } => {
                self.running(*id, *epoch)?.map(|live| self.know(*id, live, std::slice::from_ref(event)))
            }
            Write::KeepAnswer { request, task, answer, at } => {
                repeat::keep(self.db, request, *task, answer, *at)?.then_some(Answer::Applied)
            }
            Write::PruneKeys { before, rows } => {
                let gone = u32::try_from(repeat::prune(self.db, *before, *rows)?).unwrap_or(u32::MAX);
                Some(Answer::Pruned { gone, more: gone >= *rows })
            }
            Write::Prune { tasks, before, rows } => Some(prune::prune(self.db, tasks, *before, *rows)?),
        };
        let answer = done.unwrap_or(Answer::Stale);
        self.witness = Witness::of(write, &answer).or(self.witness);
        self.answers.push(answer);
        Ok(())
    }

    /// Carries out what was decided.
    pub(super) fn carry_out(self, keep_events: i64) -> Result<Done, Failed> {
        let db = self.db;
        self.rows.insert(db)?;
        statements::insert_data(db, &self.inputs)?;
        for (id, epoch, change) in &self.changes {
            statements::change_task(db, *id, *epoch, change)?;
        }
        statements::insert_data(db, &self.final_values)?;
        self.ends.carry_out(db)?;
        statements::insert_events(db, &self.events)?;
        let mut newest = HashMap::new();
        for event in self.events.iter().filter(|event| event.seq > keep_events) {
            newest.insert(event.task.get(), event.seq);
        }
        for (id, seq) in newest {
            statements::prune_events(db, id, seq.saturating_sub(keep_events))?;
        }
        let witness = self.events.last().map(|event| Witness::of_event(event)).or(self.witness);
        let committed = Committed { answers: self.answers, events: self.events };
        Ok(Done { committed, touched: self.touched, witness })
    }

    /// What a task is now, after the writes that were decided before.
    fn live(&mut self, id: TaskId) -> Result<Option<Live>, Failed> {
        let id = id.get();
        if let Some(found) = self.touched.get(&id) {
            return Ok(*found);
        }
        let found = match self.known.get(&id) {
            Some(live) => Some(*live),
            None => Live::load(self.db, id)?,
        };
        self.touched.insert(id, found);
        Ok(found)
    }

    /// The same, where it runs with this epoch.
    fn running(&mut self, id: TaskId, epoch: i64) -> Result<Option<Live>, Failed> {
        Ok(self.live(id)?.filter(|live| live.stage == Stage::Running && live.epoch == epoch))
    }

    /// The same, where nobody has asked it to stop.
    fn unasked(&mut self, id: TaskId, epoch: i64) -> Result<Option<Live>, Failed> {
        Ok(self.running(id, epoch)?.filter(|live| !live.asked))
    }

    /// Notes what a task is from now on, and numbers its events.
    fn know(&mut self, id: TaskId, live: Live, events: &[NewEvent]) -> Answer {
        let last_seq = self.append(id, live.last_seq, events);
        self.touched.insert(id.get(), Some(Live { last_seq, ..live }));
        Answer::Applied
    }

    fn append(&mut self, task: TaskId, mut seq: i64, events: &[NewEvent]) -> i64 {
        for NewEvent { kind, data, at } in events {
            seq = seq.saturating_add(1);
            self.events.push(Arc::new(Event { task, seq, kind: kind.clone(), data: data.clone(), at: *at }));
        }
        seq
    }

    fn create(
        &mut self,
        task: &'a NewTask,
        stage: Stage,
        node: Option<&'a Arc<str>>,
        events: &[NewEvent],
    ) -> Result<Answer, Failed> {
        if !self.claim(task.request.as_deref(), task.key.id, task.at)? {
            return Ok(Answer::KeyTaken);
        }
        self.rows.push(task, stage, node);
        if task.input.as_str() != "{}" {
            self.inputs.push(statements::data_row(task.key.id, DataKind::Input, &task.input));
        }
        let epoch = i64::from(stage == Stage::Running);
        let live = Live { stage, epoch, asked: false, signals: 0, last_seq: 0 };
        Ok(self.know(task.key.id, live, events))
    }

    /// Whether the key of a request is its own now; a write without one needs none.
    fn claim(
        &mut self,
        request: Option<&RepeatableRequest>,
        task: TaskId,
        at: Timestamp,
    ) -> Result<bool, Failed> {
        Ok(match request {
            Some(request) => repeat::claim(self.db, request, task, at)?,
            None => true,
        })
    }

    fn queue(
        &mut self,
        id: TaskId,
        timeout: Option<Timeout>,
        at: Timestamp,
    ) -> Result<Option<Answer>, Failed> {
        let Some(live) = self.live(id)?.filter(|live| live.stage == Stage::Waiting) else { return Ok(None) };
        self.replace_timeout(id, live.epoch, timeout, at);
        self.changes.push((id, live.epoch, Change::Queue { at: at.as_micros() }));
        Ok(Some(self.know(id, Live { stage: Stage::Queued, ..live }, &[])))
    }

    fn begin(
        &mut self,
        id: TaskId,
        epoch: i64,
        node: &'a str,
        timeout: Option<Timeout>,
        at: Timestamp,
        events: &[NewEvent],
    ) -> Result<Option<Answer>, Failed> {
        let pending = self.live(id)?.filter(|live| live.stage != Stage::Running && live.epoch == epoch);
        let Some(live) = pending else { return Ok(None) };
        let signals = if live.signals > 0 { statements::signals(self.db, id)? } else { Vec::new() };
        self.replace_timeout(id, epoch, timeout, at);
        self.changes.push((id, epoch, Change::Begin { node, at: at.as_micros() }));
        self.know(id, Live { stage: Stage::Running, epoch: epoch.saturating_add(1), ..live }, events);
        Ok(Some(Answer::Begun(signals)))
    }

    fn end(
        &mut self,
        id: TaskId,
        epoch: i64,
        ending: &'a Ending,
        at: Timestamp,
        events: &[NewEvent],
    ) -> Result<Option<Answer>, Failed> {
        let Some(live) = self.live(id)?.filter(|live| live.epoch == epoch) else { return Ok(None) };
        if live.stage != Stage::Running && ending.status == Status::Completed {
            return Ok(None);
        }
        if live.signals > 0 {
            statements::drop_signals(self.db, id)?;
        }
        if let Some(value) = &ending.final_value {
            self.final_values.push(statements::data_row(id, DataKind::FinalValue, value));
        }
        self.ends.push(id, epoch, ending, at);
        self.append(id, live.last_seq, events);
        self.touched.insert(id.get(), None);
        Ok(Some(Answer::Applied))
    }

    fn take_signal(&mut self, id: TaskId, signal: i64) -> Result<bool, Failed> {
        // Looked at before: what is loaded now counts this one.
        let live = self.live(id)?;
        let is_taken = statements::take_signal(self.db, id, signal)?;
        if let Some(live) = live.filter(|_| is_taken) {
            self.know(id, Live { signals: live.signals.saturating_sub(1), ..live }, &[]);
        }
        Ok(is_taken)
    }

    fn replace_timeout(&mut self, id: TaskId, epoch: i64, timeout: Option<Timeout>, at: Timestamp) {
        if timeout.is_some() {
            self.set_timeout(id, epoch, timeout, at);
        }
    }

    fn set_timeout(&mut self, id: TaskId, epoch: i64, timeout: Option<Timeout>, at: Timestamp) {
        let seconds = timeout.map(Timeout::as_seconds);
        self.changes.push((id, epoch, Change::Timeout { seconds, at: at.as_micros() }));
    }
}
