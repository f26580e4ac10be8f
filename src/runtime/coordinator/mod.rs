//! The `CoordinatorActor`: who runs here, and the way to them.
//!
//! It admits what the [`Roster`] admits, gives out ids, makes a [`TaskActor`] for each task that runs, and routes
//! `Cancel`, timers, commits and reports to them by id. Its handlers are short: it never awaits, does no I/O and
//! runs no user code.

mod handlers;
mod vigil;

use std::collections::VecDeque;
use std::sync::Arc;

use actix::{Addr, Handler, Message};
use tokio::sync::oneshot;

use crate::store::{Answer, NewTask, Write};
use crate::task::{IdMap, TaskId, TaskKey};

use super::live::{Identity, Live};
use super::messages::{
    Came, Coming, IdsReserved, Left, Reply, Resume, Resumed, Start, StartFields, new_record,
};
use super::registry::Model;
use super::roster::{Admission, Denial, Roster};
use super::runnable::Runnable;
use super::services::Services;
use super::task_actor::{Origin, TaskActor};
use super::trace::StartedBy;
use super::{CommandError, Refusal, StartError, queue};

use vigil::Vigil;

/// How many ids one reservation takes.
pub(crate) const ID_BLOCK: u32 = 1_000;

/// The next reservation is made when fewer ids than this are left.
const ID_LOW: usize = 500;

/// Starts that may wait for ids.
const MAX_PARKED: usize = 10_000;

/// Rows of waiting tasks that are read at once.
const MAX_LOADING: usize = 64;

/// The actor.
pub(crate) struct CoordinatorActor {
    services: Arc<Services>,
    roster: Roster,
    tasks: IdMap<Addr<TaskActor>>,
    ids: VecDeque<(i64, i64)>,
    ids_asked: bool,
    parked: VecDeque<Start>,
    loading: usize,
    /// Whether waiting tasks are looked at again by themselves.
    look_is_due: bool,
    vigil: Vigil,
    drain: Option<oneshot::Sender<()>>,
}

impl CoordinatorActor {
    /// With its first block of ids.
    pub(crate) fn new(services: Arc<Services>, roster: Roster, first_id: i64) -> Self {
        Self {
            services,
            roster,
            tasks: IdMap::default(),
            ids: VecDeque::from([(first_id, first_id + i64::from(ID_BLOCK))]),
            ids_asked: false,
            parked: VecDeque::new(),
            loading: 0,
            look_is_due: false,
            vigil: Vigil::default(),
            drain: None,
        }
    }

    /// Sends a message to the actor of a task; gives it back where there is none.
    fn route<M>(&self, id: TaskId, message: M) -> Result<(), M>
    where
        M: Message<Result = ()> + Send + 'static,
        TaskActor: Handler<M>,
    {
        let Some(task) = self.tasks.get(&id) else { return Err(message) };
        match task.try_send(message) {
            Ok(()) => Ok(()),
            Err(actix::prelude::SendError::Full(message)) => Err(message),
            Err(actix::prelude::SendError::Closed(message)) => {
                // A task's actor stops only after it said so: this one panicked, and its task is stuck.
                self.services.fail_for_good(&format!("the actor of task {id} is gone"));
                Err(message)
            }
        }
    }

    /// Takes an id and sees that there will be more.
    fn next_id(&mut self) -> Option<TaskId> {
        let left: i64 = self.ids.iter().map(|(next, end)| end - next).sum();
        if usize::try_from(left).unwrap_or(0) < ID_LOW && !self.ids_asked {
            self.ids_asked = true;
            let services = Arc::clone(&self.services);
            let reply = Reply::Call(Box::new(move |answer| {
                services.tell_coordinator(IdsReserved(answer.map(|answer| match answer {
                    Answer::Ids(first) => first,
                    _ => 0,
                })));
            }));
            self.services.commit(Write::ReserveIds { count: ID_BLOCK }, reply);
        }
        let (next, end) = self.ids.front_mut()?;
        let id = *next;
        *next += 1;
        if *next >= *end {
            self.ids.pop_front();
        }
        TaskId::new(id)
    }

    fn start(&mut self, start: Start) {
        if self.services.health.is_draining() {
            return refuse(start, Refusal::ShuttingDown.into());
        }
        if let Err(refusal) = self.services.require_writes() {
            return refuse(start, refusal.into());
        }
        // Earlier ones first: ids are given in the order of the starts.
        if !self.parked.is_empty() || self.ids.is_empty() {
            let _ = self.next_id_if_none();
            if self.parked.len() >= MAX_PARKED {
                return refuse(start, Refusal::Busy.into());
            }
            return self.parked.push_back(start);
        }
        self.admit(start);
    }

    /// Asks for ids where there are none.
    fn next_id_if_none(&mut self) -> Option<TaskId> {
        if self.ids.is_empty() { self.next_id() } else { None }
    }

    fn admit(&mut self, start: Start) {
        let owner = &start.task.owner;
        let admission = if start.create_only {
            self.roster.may_create(owner).map(|()| None)
        } else {
            self.roster.may_start(owner, start.model.line).map(Some)
        };
        let admission = match admission {
            Ok(admission) => admission,
            Err(denial) => return refuse(start, denial.into()),
        };
        let Some(id) = self.next_id() else {
            // `start` has seen to it that there is one.
            return refuse(start, Refusal::Busy.into());
        };
        let Start { model, runnable, task, reply, by, .. } = start;
        let key = TaskKey { app: model.app.clone(), model: model.name.clone(), id };
        let StartFields { input, owner, timeout, idle_timeout, request } = task;
        let at = self.services.clock.wall();
        let task = Box::new(NewTask { key, input, owner, timeout, idle_timeout, at, request });
        self.roster.count(id, &task.owner);
        if admission == Some(Admission::Run) {
            self.roster.seat(id, model.line);
            let who = Identity { id, epoch: 1, attempt: 1, owner: Arc::clone(&task.owner) };
            self.run(who, model, runnable, Origin::New { task, reply }, &by);
        } else {
            let queued = admission == Some(Admission::Wait);
            if queued {
                self.roster.come(model.line);
            }
            self.create(task, model, queued, reply);
        }
    }

    /// Makes a row that waits: to be started, or (`queued`) for a place.
    fn create(
        &self,
        task: Box<NewTask>,
        model: Arc<Model>,
        queued: bool,
        reply: oneshot::Sender<Result<crate::task::Record, StartError>>,
    ) {
        let record = new_record(&task, None, queued);
        let services = Arc::clone(&self.services);
        let write = Write::Create { task, queued };
        let done = move |answer: Result<Answer, _>| {
            let (id, is_made) = (record.key.id, matches!(answer, Ok(Answer::Applied)));
            if is_made {
                services.metrics.created();
            }
            if is_made && queued {
                services.metrics.started(model.numbers());
            }
            match (is_made, queued) {
                (true, true) => services.tell_coordinator(Came(id, model.line, Coming::Waits)),
                (false, true) => services.tell_coordinator(Came(id, model.line, Coming::NotMade)),
                (false, false) => services.tell_coordinator(Left(id)),
                (true, false) => {}
            }
            let _ = reply.send(match answer {
                Ok(Answer::KeyTaken) => Err(StartError::KeyTaken),
                Ok(_) => Ok(record),
                Err(error) => Err(Refusal::Unavailable(error).into()),
            });
        };
        self.services.commit(write, Reply::Call(Box::new(done)));
    }

    fn run(
        &mut self,
        who: Identity,
        model: Arc<Model>,
        runnable: Arc<dyn Runnable>,
        origin: Origin,
        by: &StartedBy,
    ) {
        let id = who.id;
        let live = Live::new(who, model, runnable, Arc::clone(&self.services), by);
        self.tasks.insert(id, TaskActor::start(live, origin));
    }

    fn resume(&mut self, resume: Resume) {
        let Resume { record, model, runnable, timeout, reply } = resume;
        let id = record.key.id;
        let Some(reply) = reply else {
            self.loading = self.loading.saturating_sub(1);
            if self.services.health.is_draining() {
                return self.roster.stand_aside(id);
            }
            self.run_pending(record, model, runnable, timeout, None);
            return self.fill();
        };
        if self.roster.knows(id) || self.tasks.contains_key(&id) {
            let _ = reply.send(Ok(Resumed::Stale));
            return;
        }
        match self.roster.may_resume(model.line) {
            Ok(Admission::Run) => {
                self.roster.seat(id, model.line);
                self.run_pending(record, model, runnable, timeout, Some(reply));
            }
            Ok(Admission::Wait) => {
                self.roster.come(model.line);
                self.queue(id, model, timeout, reply);
            }
            Err(denial) => {
                let _ = reply.send(Err(denial.into()));
            }
        }
    }

    fn run_pending(
        &mut self,
        record: Box<crate::task::Record>,
        model: Arc<Model>,
        runnable: Arc<dyn Runnable>,
        timeout: Option<crate::task::Timeout>,
        reply: Option<oneshot::Sender<Result<Resumed, CommandError>>>,
    ) {
        let who = Identity {
            id: record.key.id,
            epoch: record.epoch + 1,
            attempt: record.attempt,
            owner: Arc::clone(&record.owner),
        };
        self.run(who, model, runnable, Origin::Pending { record, timeout, reply }, &StartedBy::nobody());
    }

    fn queue(
        &self,
        id: TaskId,
        model: Arc<Model>,
        timeout: Option<crate::task::Timeout>,
        reply: oneshot::Sender<Result<Resumed, CommandError>>,
    ) {
        let services = Arc::clone(&self.services);
        let done = move |answer: Result<Answer, _>| {
            let is_queued = matches!(answer, Ok(Answer::Applied));
            if is_queued {
                services.metrics.started(model.numbers());
            }
            let coming = if is_queued { Coming::Waits } else { Coming::StandsAside };
            services.tell_coordinator(Came(id, model.line, coming));
            let _ = reply.send(match answer {
                Ok(Answer::Stale) => Ok(Resumed::Stale),
                Ok(_) => Ok(Resumed::Started),
                Err(error) => Err(Refusal::Unavailable(error).into()),
            });
        };
        self.services.commit(
            Write::Queue { id, timeout, at: self.services.clock.wall() },
            Reply::Call(Box::new(done)),
        );
    }

    /// Begins waiting tasks while there are places. Not before both central actors can be reached: an errand that
    /// could not tell of its end would be taken for a failure for good.
    fn fill(&mut self) {
        if !self.services.actors_live() {
            return;
        }
        while self.loading < MAX_LOADING && self.services.health.writes_work() {
            let Some(id) = self.roster.next() else { return };
            self.loading += 1;
            queue::load(&self.services, id);
        }
    }

    fn end_drain_if_empty(&mut self) {
        if self.tasks.is_empty()
            && let Some(reply) = self.drain.take()
        {
            let _ = reply.send(());
        }
    }
}

impl Drop for CoordinatorActor {
    fn drop(&mut self) {
        self.services.actor_gone.cancel();
    }
}

impl From<Denial> for StartError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::TooManyPending(count) => Self::TooManyPending(count),
            Denial::TooManyOfOwner(count) => Self::TooManyOfOwner(count),
            Denial::Draining => Refusal::ShuttingDown.into(),
        }
    }
}

impl From<Denial> for CommandError {
    fn from(denial: Denial) -> Self {
        match denial {
            // A row that exists is counted already: no owner's limit is asked.
            Denial::TooManyPending(count) | Denial::TooManyOfOwner(count) => Self::TooManyPending(count),
            Denial::Draining => Refusal::ShuttingDown.into(),
        }
    }
}

fn refuse(start: Start, error: StartError) {
    // Err: whoever asked has gone.
    let _ = start.reply.send(Err(error));
}
