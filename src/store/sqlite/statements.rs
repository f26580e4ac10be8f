//! The writer's statements, and the rows that they are given.
//!
//! Invariants: each change names the row, the epoch it expects and that the row is not over; one that meets
//! another row fails its group, because the decision it carries out was made on what is not there. Values go in
//! by parameters only.
//!
//! It decides nothing: `group` does.

use std::sync::Arc;

use diesel::prelude::*;

use crate::lifecycle::Ending;
use crate::store::schema::{id_blocks, signals, task_events};
use crate::store::{NewTask, QueuedSignal, StoreError};
use crate::task::{CancelRequest, Cleanup, Event, JsonText, Status, StoppedBy, TaskId, Timeout, Timestamp};

use super::error::Failed;
use super::live::Stage;
use super::prepared::{Row, Statement, run};

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident($values:literal): $head:literal, $tail:literal;)+) => {
        $($(#[$doc])* pub(super) enum $name {}

        impl Statement<$values> for $name {
            const HEAD: &'static str = $head;
            const TAIL: &'static str = $tail;
        })+
    };
}

// OR FAIL: a constraint leaves the rows before it, and the whole transaction is rolled back anyway. Without it
// SQLite keeps a copy of every page that a statement changes.
statements! {
    InsertTask(14): "INSERT OR FAIL INTO tasks (id, app, model, status, owner, timeout_seconds, idle_timeout_seconds,
        created_at, updated_at, started_at, node, epoch, queued, attempt) VALUES ", "";
    // A row that runs from the start and has no limits of time: all but what differs stands in the text, because each
    // value that is handed over costs as much as two that are written.
    InsertRunning(6): "INSERT OR FAIL INTO tasks (id, app, model, status, owner, created_at, updated_at, started_at, node,
        epoch, queued, attempt) SELECT column1, column2, column3, 'running', column4, column5, column5, column5, column6,
        1, 0, 1 FROM (VALUES ", ")";
    InsertData(3): "INSERT OR FAIL INTO task_data (task_id, kind, data) VALUES ", "";
    InsertEvent(5): "INSERT OR FAIL INTO task_events (task_id, seq, at, kind, data) VALUES ", "";
    // A request that the row has stands against the one that comes with the end.
    EndTask(13): "UPDATE OR FAIL tasks SET status = column3, queued = 0, updated_at = column4, completed_at = column4,
        error_type = column5, error_message = column6, cancelled_at = column7, stopped_by = column8,
        cleanup = column9, cancellation_reason = coalesce(cancellation_reason, column11),
        cancel_cause = coalesce(cancel_cause, column12),
        cancelled_by = CASE WHEN cancel_requested_at IS NULL THEN column13 ELSE cancelled_by END,
        cancel_requested_at = coalesce(cancel_requested_at, column10) FROM (VALUES ", ") WHERE id = column1 AND epoch = column2 AND completed_at IS NULL";
    // The end of most tasks: nothing but that it has completed.
    CompleteTask(3): "UPDATE OR FAIL tasks SET status = 'completed', updated_at = column3, completed_at = column3
        FROM (VALUES ", ") WHERE id = column1 AND epoch = column2 AND status = 'running' AND cancel_requested_at IS NULL";
    QueueTask(3): "UPDATE OR FAIL tasks SET queued = 1, updated_at = column3 FROM (VALUES ",
        ") WHERE id = column1 AND epoch = column2 AND status = 'pending'";
    BeginTask(4): "UPDATE OR FAIL tasks SET status = 'running', queued = 0, epoch = epoch + 1, node = column4,
        started_at = coalesce(started_at, column3), updated_at = column3 FROM (VALUES ",
        ") WHERE id = column1 AND epoch = column2 AND status = 'pending'";
    AskTask(6): "UPDATE OR FAIL tasks SET cancel_requested_at = column3, updated_at = column3, cancellation_reason = column4,
        cancel_cause = column5, cancelled_by = column6 FROM (VALUES ",
        ") WHERE id = column1 AND epoch = column2 AND completed_at IS NULL AND cancel_requested_at IS NULL";
    RequeueTask(4): "UPDATE OR FAIL tasks SET status = 'pending', queued = 1, node = NULL, attempt = attempt + column4,
        updated_at = column3 FROM (VALUES ",
        ") WHERE id = column1 AND epoch = column2 AND status = 'running' AND cancel_requested_at IS NULL";
    TimeoutTask(4): "UPDATE OR FAIL tasks SET timeout_seconds = column4, updated_at = column3 FROM (VALUES ",
        ") WHERE id = column1 AND epoch = column2 AND completed_at IS NULL";
}

/// Rows of `tasks` that are to be made.
#[derive(Debug, Default)]
pub(super) struct NewRows<'a> {
    any: Vec<Row<'a, 14>>,
    running: Vec<Row<'a, 6>>,
}

impl<'a> NewRows<'a> {
    pub(super) fn push(&mut self, task: &'a NewTask, stage: Stage, node: Option<&'a Arc<str>>) {
        let id = task.key.id.get().into();
        let (app, model, owner) =
            (task.key.app.as_str().into(), task.key.model.as_str().into(), (&*task.owner).into());
        let (at, node) = (task.at.as_micros(), node.map(|node| &**node).into());
        let runs = stage == Stage::Running;
        if runs && task.timeout.is_none() && task.idle_timeout.is_none() {
            self.running.push([id, app, model, owner, at.into(), node]);
            return;
        }
        self.any.push([
            id,
            app,
            model,
            if runs { Status::Running } else { Status::Pending }.as_str().into(),
            owner,
            task.timeout.map(Timeout::as_seconds).into(),
            task.idle_timeout.map(Timeout::as_seconds).into(),
            at.into(),
            at.into(),
            runs.then_some(at).into(),
            node,
            i64::from(runs).into(),
            i64::from(stage == Stage::Queued).into(),
            1.into(),
        ]);
    }

    pub(super) fn insert(&self, db: &mut SqliteConnection) -> QueryResult<()> {
        run::<InsertTask, _>(db, &self.any)?;
        run::<InsertRunning, _>(db, &self.running)?;
        Ok(())
    }
}

/// Which value a row of `task_data` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataKind {
    Input,
    FinalValue,
}

impl DataKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::FinalValue => "final_value",
        }
    }
}

/// A row of `task_data`.
pub(super) type DataRow<'a> = Row<'a, 3>;

pub(super) fn data_row(id: TaskId, kind: DataKind, value: &JsonText) -> DataRow<'_> {
    [id.get().into(), kind.as_str().into(), value.as_str().into()]
}

/// How rows of `tasks` end.
#[derive(Debug, Default)]
pub(super) struct Ends<'a> {
    any: Vec<Row<'a, 13>>,
    completed: Vec<Row<'a, 3>>,
}

impl<'a> Ends<'a> {
    pub(super) fn push(&mut self, id: TaskId, epoch: i64, ending: &'a Ending, at: Timestamp) {
        let Ending { status, final_value: _, failure, stopped_by, cleanup, request, ask: _ } = ending;
        let (id, epoch, at) = (id.get().into(), epoch.into(), at.as_micros());
        let has_more = failure.is_some() || stopped_by.is_some() || cleanup.is_some() || request.is_some();
        if *status == Status::Completed && !has_more {
            self.completed.push([id, epoch, at.into()]);
            return;
        }
        let (failure, request) = (failure.as_ref(), request.as_ref());
        self.any.push([
            id,
            epoch,
            status.as_str().into(),
            at.into(),
            failure.map(|failure| failure.error_type.as_str()).into(),
            failure.map(|failure| failure.message.as_str()).into(),
            (*status == Status::Cancelled).then_some(at).into(),
            stopped_by.map(StoppedBy::as_str).into(),
            cleanup.map(Cleanup::as_str).into(),
            request.map(|request| request.at.as_micros()).into(),
            request.map(|request| &*request.reason).into(),
            request.map(|request| request.cause.as_str()).into(),
            request.and_then(|request| request.by.as_deref()).into(),
        ]);
    }

    pub(super) fn carry_out(&self, db: &mut SqliteConnection) -> Result<(), Failed> {
        let ended = run::<EndTask, _>(db, &self.any)? + run::<CompleteTask, _>(db, &self.completed)?;
        as_many(self.any.len() + self.completed.len(), ended)
    }
}

pub(super) fn insert_data(db: &mut SqliteConnection, rows: &[DataRow<'_>]) -> QueryResult<()> {
    run::<InsertData, _>(db, rows).map(|_| ())
}

pub(super) fn insert_events(db: &mut SqliteConnection, events: &[Arc<Event>]) -> QueryResult<()> {
    let rows: Vec<Row<'_, 5>> = events.iter().map(|event| event_row(event)).collect();
    run::<InsertEvent, _>(db, &rows).map(|_| ())
}

fn event_row(event: &Event) -> Row<'_, 5> {
    [
        event.task.get().into(),
        event.seq.into(),
        event.at.as_micros().into(),
        event.kind.as_str().into(),
        event.data.as_str().into(),
    ]
}

/// A change of a row that goes on living.
#[derive(Debug)]
pub(super) enum Change<'a> {
    Queue { at: i64 },
    Begin { node: &'a str, at: i64 },
    Ask(&'a CancelRequest),
    Requeue { counts: bool, at: i64 },
    Timeout { seconds: Option<f64>, at: i64 },
}

/// Changes a row that must be of this epoch.
pub(super) fn change_task(
    db: &mut SqliteConnection,
    id: TaskId,
    epoch: i64,
    change: &Change<'_>,
) -> Result<(), Failed> {
    let (id, epoch) = (id.get().into(), epoch.into());
    let changed = match *change {
        Change::Queue { at } => run::<QueueTask, _>(db, &[[id, epoch, at.into()]]),
        Change::Begin { node, at } => run::<BeginTask, _>(db, &[[id, epoch, at.into(), node.into()]]),
        Change::Ask(CancelRequest { at, reason, cause, by }) => {
            let (reason, by) = ((&**reason).into(), by.as_deref().into());
            run::<AskTask, _>(db, &[[id, epoch, at.as_micros().into(), reason, cause.as_str().into(), by]])
        }
        Change::Requeue { counts, at } => {
            run::<RequeueTask, _>(db, &[[id, epoch, at.into(), i64::from(counts).into()]])
        }
        Change::Timeout { seconds, at } => {
            run::<TimeoutTask, _>(db, &[[id, epoch, at.into(), seconds.into()]])
        }
    };
    as_many(1, changed?)
}

fn as_many(expected: usize, changed: usize) -> Result<(), Failed> {
    if changed == expected {
        return Ok(());
    }
    let text = format!("{changed} of {expected} rows are what the writer knows of them");
    Err(Failed(StoreError::Refused(text)))
}

/// Removes the events up to a number.
pub(super) fn prune_events(db: &mut SqliteConnection, id: i64, up_to: i64) -> QueryResult<()> {
    let old = task_events::table.filter(task_events::task_id.eq(id)).filter(task_events::seq.le(up_to));
    diesel::delete(old).execute(db).map(|_| ())
}

/// The first of the reserved ids.
pub(super) fn reserve_ids(db: &mut SqliteConnection, count: u32) -> QueryResult<i64> {
    let count = i64::from(count);
    let next = diesel::update(id_blocks::table.find(1_i64))
        .set(id_blocks::next_id.eq(id_blocks::next_id + count))
        .returning(id_blocks::next_id)
        .get_result::<i64>(db)?;
    Ok(next - count)
}

/// The number of the new signal.
pub(super) fn add_signal(
    db: &mut SqliteConnection,
    id: TaskId,
    name: &str,
    data: &JsonText,
    at: Timestamp,
) -> QueryResult<i64> {
    let row = (
        signals::task_id.eq(id.get()),
        signals::name.eq(name),
        signals::data.eq(data.as_str()),
        signals::at.eq(at.as_micros()),
    );
    diesel::insert_into(signals::table).values(row).returning(signals::id).get_result(db)
}

/// Whether it was there.
pub(super) fn take_signal(db: &mut SqliteConnection, id: TaskId, signal: i64) -> QueryResult<bool> {
    let row = signals::table.find(signal).filter(signals::task_id.eq(id.get()));
    Ok(diesel::delete(row).execute(db)? == 1)
}

/// The signals of a task, oldest first.
pub(super) fn signals(db: &mut SqliteConnection, id: TaskId) -> QueryResult<Vec<QueuedSignal>> {
    let rows = signals::table
        .filter(signals::task_id.eq(id.get()))
        .order(signals::id)
        .select((signals::id, signals::name, signals::data))
        .load::<(i64, String, String)>(db)?;
    let signal = |(signal, name, data): (i64, String, String)| QueuedSignal {
        signal,
        name,
        data: JsonText::trusted(&data),
    };
    Ok(rows.into_iter().map(signal).collect())
}

/// Removes the signals of a task that is over.
pub(super) fn drop_signals(db: &mut SqliteConnection, id: TaskId) -> QueryResult<()> {
    diesel::delete(signals::table.filter(signals::task_id.eq(id.get()))).execute(db).map(|_| ())
}
