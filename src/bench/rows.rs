//! The rows that a task's life writes, for a writer without a runtime.
//!
//! Invariant: they are what the runtime writes, made by the same functions; a test holds the two together.

use std::sync::Arc;

use crate::lifecycle::{Ask, BodyEnd, Change, Input, Life, events_of, transition};
use crate::store::{NewTask, Write};
use crate::task::{Cause, JsonText, Name, NewEvent, Status, TaskId, TaskKey, Timeout};

use super::BenchError;
use super::library::{APP, OWNER};
use super::machine::wall;

/// The epoch of a row that was made running.
const EPOCH: i64 = 1;

/// Makes writes, with ids that go up from 1.
#[derive(Debug)]
pub(super) struct Rows {
    app: Name,
    model: Name,
    node: Arc<str>,
    owner: Arc<str>,
    next: i64,
}

impl Rows {
    pub(super) fn new(model: &str, node: Arc<str>) -> Result<Self, BenchError> {
        let name = |text| Name::new(text).map_err(|error| BenchError::Unexpected(error.to_string()));
        Ok(Self { app: name(APP)?, model: name(model)?, node, owner: OWNER.into(), next: 1 })
    }

    /// What is made from here on is of this model.
    pub(super) fn are_of(&mut self, model: &str) -> Result<(), BenchError> {
        self.model = Name::new(model).map_err(|error| BenchError::Unexpected(error.to_string()))?;
        Ok(())
    }

    /// The ids of so many rows that were made after `before` others.
    pub(super) fn ids(before: u32, count: u32) -> Vec<TaskId> {
        (1..=count).filter_map(|number| TaskId::new(i64::from(before) + i64::from(number))).collect()
    }

    /// A new row that runs.
    pub(super) fn begin(&mut self) -> Result<(TaskId, Write), BenchError> {
        let id = TaskId::new(self.next).ok_or_else(|| unexpected("ids have run out"))?;
        self.next += 1;
        let (at, key) = (wall(), TaskKey { app: self.app.clone(), model: self.model.clone(), id });
        let task = NewTask {
            key,
            input: JsonText::default(),
            owner: Arc::clone(&self.owner),
            timeout: None,
            idle_timeout: None,
            at,
            request: None,
        };
        let events = events_of(&Change::Begun, 1, at);
        Ok((id, Write::CreateRunning { task: Box::new(task), node: Arc::clone(&self.node), events }))
    }

    /// The end of a row whose body returned nothing.
    pub(super) fn complete(id: TaskId) -> Result<Write, BenchError> {
        end(id, BodyEnd::Returned(None), None)
    }

    /// An event of a row that runs.
    pub(super) fn event(id: TaskId, kind: &str, data: &impl serde::Serialize) -> Result<Write, BenchError> {
        let event = NewEvent::new(kind, data, wall());
        let event = event.map_err(|error| BenchError::Unexpected(error.to_string()))?;
        Ok(Write::Event { id, epoch: EPOCH, event })
    }

    /// The end of a row whose time was over and whose body was dropped.
    pub(super) fn time_out(id: TaskId, timeout: Timeout) -> Result<Write, BenchError> {
        end(id, BodyEnd::Dropped, Some(Ask::timeout(wall(), timeout)))
    }

    /// The end of a row that was asked to stop and whose body was dropped, with the request.
    pub(super) fn cancel(id: TaskId) -> Result<Write, BenchError> {
        end(id, BodyEnd::Dropped, Some(Ask::new(wall(), Cause::User, None, None)))
    }
}

fn end(id: TaskId, end: BodyEnd, ask: Option<Ask>) -> Result<Write, BenchError> {
    let life = Life { status: Status::Running, request: None, queued: false };
    let change = transition(life, Input::End { end, cleanup: None, ask });
    let change = change.map_err(|error| BenchError::Unexpected(error.to_string()))?;
    let at = wall();
    let events = events_of(&change, 1, at);
    match change {
        Change::Ended(ending) => Ok(Write::End { id, epoch: EPOCH, ending, at, events }),
        _ => Err(unexpected("an end does not end its row")),
    }
}

fn unexpected(what: &str) -> BenchError {
    BenchError::Unexpected(what.to_owned())
}
