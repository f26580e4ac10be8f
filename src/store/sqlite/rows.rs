//! From a row to a record. A row that no version of this program writes is refused, not believed.
//!
//! It trusts nothing in the file: names, words, numbers, JSON and what belongs together are checked at each look.

use diesel::prelude::*;

use crate::store::StoreError;
use crate::store::schema::{task_events, tasks};
use crate::task::{
    CancelRequest, Event, EventType, Failure, JsonText, Name, Record, Status, TaskId, TaskKey, Timeout,
    Timestamp, is_event_name,
};

/// A row of `tasks`.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = tasks)]
pub(super) struct TaskRow {
    pub(super) id: i64,
    app: String,
    model: String,
    status: String,
    owner: String,
    timeout_seconds: Option<f64>,
    idle_timeout_seconds: Option<f64>,
    created_at: i64,
    updated_at: i64,
    started_at: Option<i64>,
    completed_at: Option<i64>,
    error_type: Option<String>,
    error_message: Option<String>,
    cancel_requested_at: Option<i64>,
    cancelled_at: Option<i64>,
    cancellation_reason: Option<String>,
    cancel_cause: Option<String>,
    cancelled_by: Option<String>,
    stopped_by: Option<String>,
    cleanup: Option<String>,
    attempt: i64,
    node: Option<String>,
    epoch: i64,
    queued: bool,
}

/// What a task has in `task_data`.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) input: Option<String>,
    pub(super) final_value: Option<String>,
}

/// A reason becomes a [`StoreError::BadRow`] where the task is known.
type Checked<T> = Result<T, String>;

impl TaskRow {
    /// Checks the row.
    ///
    /// # Errors
    /// [`StoreError::BadRow`] with the first thing that is wrong.
    pub(super) fn into_record(self, values: Values) -> Result<Record, StoreError> {
        let id = self.id;
        self.check(values).map_err(|reason| StoreError::BadRow { id, reason })
    }

    fn check(self, values: Values) -> Checked<Record> {
        let (failure, cancel) = (self.failure()?, self.cancel()?);
        let status: Status = word(&self.status)?;
        self.check_status(status, cancel.is_some(), values.final_value.is_some())?;
        let key = TaskKey {
            app: Name::new(&self.app).map_err(|_| format!("app `{}` is no name", self.app))?,
            model: Name::new(&self.model).map_err(|_| format!("model `{}` is no name", self.model))?,
            id: TaskId::new(self.id).ok_or("its id is out of range")?,
        };
        Ok(Record {
            key,
            status,
            input: values.input.map(|text| json("input", &text)).transpose()?.unwrap_or_default(),
            owner: self.owner.into(),
            timeout: timeout(self.timeout_seconds)?,
            idle_timeout: timeout(self.idle_timeout_seconds)?,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
            started_at: self.started_at.map(Timestamp::from_micros),
            completed_at: self.completed_at.map(Timestamp::from_micros),
            final_value: values.final_value.map(|text| json("final_value", &text)).transpose()?,
            failure,
            cancel,
            cancelled_at: self.cancelled_at.map(Timestamp::from_micros),
            stopped_by: self.stopped_by.as_deref().map(word).transpose()?,
            cleanup: self.cleanup.as_deref().map(word).transpose()?,
            attempt: u32::try_from(self.attempt)
                .ok()
                .filter(|n| *n >= 1)
                .ok_or("its attempt is out of range")?,
            node: self.node.map(Into::into),
            epoch: if self.epoch >= 0 { self.epoch } else { return Err("its epoch is negative".to_owned()) },
            queued: self.queued,
        })
    }

    /// What a status has, and what it has not.
    fn check_status(&self, status: Status, asked: bool, has_value: bool) -> Checked<()> {
        let terminal = status.is_terminal();
        let cancelled = status == Status::Cancelled;
        let rules = [
            (terminal == self.completed_at.is_some(), "completed_at does not fit its status"),
            (cancelled == self.cancelled_at.is_some(), "cancelled_at does not fit its status"),
            (cancelled == self.stopped_by.is_some(), "stopped_by does not fit its status"),
            (!terminal || cancelled == asked, "cancel_requested_at does not fit its status"),
            (status != Status::Failed || self.error_type.is_some(), "it failed without an error"),
            (status != Status::Running || self.started_at.is_some(), "it runs, but never started"),
            (status == Status::Pending || !self.queued, "it is queued, but not pending"),
            (terminal || !has_value, "it has a final value before its end"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, reason)| Err(reason.to_owned()))
    }

    fn failure(&self) -> Checked<Option<Failure>> {
        match (&self.error_type, &self.error_message) {
            (Some(error_type), Some(message)) => Ok(Some(Failure::new(error_type, message))),
            (None, None) => Ok(None),
            _ => Err("it has only one of error_type and error_message".to_owned()),
        }
    }

    fn cancel(&self) -> Checked<Option<CancelRequest>> {
        match (self.cancel_requested_at, &self.cancel_cause, &self.cancellation_reason) {
            (Some(at), Some(cause), Some(reason)) => Ok(Some(CancelRequest {
                at: Timestamp::from_micros(at),
                reason: reason.as_str().into(),
                cause: word(cause)?,
                by: self.cancelled_by.as_deref().map(Into::into),
            })),
            (None, None, None) => Ok(None),
            _ => Err("it has only a part of a cancel request".to_owned()),
        }
    }
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Checked<T> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn json(member: &str, text: &str) -> Checked<JsonText> {
    JsonText::from_text(text).map_err(|error| format!("its {member} is {error}"))
}

fn timeout(seconds: Option<f64>) -> Checked<Option<Timeout>> {
    seconds.map(Timeout::from_seconds).transpose().map_err(|error| error.to_string())
}

/// A row of `task_events`.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = task_events)]
pub(super) struct EventRow {
    pub(super) seq: i64,
    at: i64,
    kind: String,
    data: String,
}

impl EventRow {
    /// Checks the row: its type and data go to streams as they are.
    ///
    /// # Errors
    /// [`StoreError::BadRow`].
    pub(super) fn into_event(self, task: TaskId) -> Result<Event, StoreError> {
        let bad = |reason: String| StoreError::BadRow { id: task.get(), reason };
        let seq = self.seq;
        if !is_event_name(&self.kind) {
            return Err(bad(format!("event {seq} has the type `{}`", self.kind.escape_debug())));
        }
        let data = json(&format!("event {seq}"), &self.data).map_err(bad)?;
        if !data.as_str().starts_with('{') {
            return Err(bad(format!("event {seq} has no object as its data")));
        }
        Ok(Event { task, seq, kind: EventType::stored(self.kind), data, at: Timestamp::from_micros(self.at) })
    }
}
