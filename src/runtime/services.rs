//! What every part of the runtime reaches: the actors' addresses, the pool, the hub, the readers, the state of
//! health. One block, shared by all; it decides nothing.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use actix::{Addr, ArbiterHandle, Message};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::body::Pool;
use crate::store::{Answer, Readers, StoreError, Write};
use crate::task::Record;

use super::coordinator::CoordinatorActor;
use super::db_actor::{DbActor, must_survive};
use super::deadlines::Deadlines;
use super::hub::Hub;
use super::intake::GROUP;
use super::link::Link;
use super::live_index::LiveIndex;
use super::lost::Lost;
use super::messages::{Commit, CommittedBatch, Reply, Started, Tag};
use super::metrics::{Counted, Metrics, Was};
use super::registry::Registry;
use super::repeat::UnderWay;
use super::time_limits::Bounds;
use super::{Clock, Readiness, Refusal, RuntimeSettings};

/// The mailboxes of the two central actors hold this many messages. What fills them is bounded where it is made:
/// commands by [`MAX_COMMANDS`], everything else by the number of tasks and the windows of their events; so the
/// bound is never met, and meeting it ends the process rather than losing a message.
pub(crate) const MAILBOX: usize = 4_000_000;

/// Commands from outside that may wait at once.
const MAX_COMMANDS: usize = 50_000;

/// Kilobytes of events that may wait for the disk at once, over all tasks.
const EVENT_KIB: usize = 64 * 1024;

/// What the database makes of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// It takes them.
    Work,
    /// It takes none; of those that it was given, none is there.
    Fail,
    /// It takes none, and a group is neither known to be there nor known not to be.
    InDoubt,
}

/// Whether the runtime takes work, readable from everywhere.
#[derive(Debug)]
pub(crate) struct Health {
    writes_fail: AtomicBool,
    /// The same for those who wait for a change.
    writes: watch::Sender<Writes>,
    phase: AtomicU8,
}

impl Health {
    const RECOVERING: u8 = 0;
    const READY: u8 = 1;
    const DRAINING: u8 = 2;

    fn new() -> Self {
        let writes = watch::Sender::new(Writes::Work);
        Self { writes_fail: AtomicBool::new(false), writes, phase: AtomicU8::new(Self::RECOVERING) }
    }

    pub(crate) fn writes_work(&self) -> bool {
        !self.writes_fail.load(Ordering::SeqCst)
    }

    pub(crate) fn set_writes(&self, writes: Writes) {
        self.writes_fail.store(writes != Writes::Work, Ordering::SeqCst);
        self.writes.send_replace(writes);
    }

    /// Resolves when writes fail, for whichever reason.
    pub(crate) async fn writes_failed(&self) {
        // Err: the sender is here.
        let _ = self.writes.subscribe().wait_for(|writes| *writes != Writes::Work).await;
    }

    /// Resolves when a group is in doubt.
    async fn in_doubt(&self) {
        let _ = self.writes.subscribe().wait_for(|writes| *writes == Writes::InDoubt).await;
    }

    pub(crate) fn set_ready(&self) {
        // Not over a drain that has begun meanwhile.
        let _ =
            self.phase.compare_exchange(Self::RECOVERING, Self::READY, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(crate) fn set_draining(&self) {
        self.phase.store(Self::DRAINING, Ordering::SeqCst);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.phase.load(Ordering::SeqCst) == Self::DRAINING
    }

    pub(crate) fn readiness(&self) -> Readiness {
        match self.phase.load(Ordering::SeqCst) {
            Self::RECOVERING => Readiness::Recovering,
            Self::DRAINING => Readiness::Draining,
            _ if self.writes_work() => Readiness::Ready,
            _ => Readiness::NoDatabase,
        }
    }
}

/// What is called when a part of the runtime failed for good: it ends the process.
pub(crate) type OnFailure = Arc<dyn Fn(&str) + Send + Sync>;

/// How many watches read their logs at once, one page each, and how many streams are opened at once: two for each reader, so that none is without work.
const LOG_TURNS: usize = 4;

/// The block.
pub(crate) struct Services {
    pub(crate) node: Arc<str>,
    pub(crate) registry: Registry,
    pub(crate) clock: Arc<dyn Clock>,
    /// The default and the longest timeout of all models.
    pub(crate) times: Bounds,
    pub(crate) pool: Pool,
    pub(crate) deadlines: Deadlines,
    pub(crate) hub: Arc<Hub>,
    pub(crate) readers: Readers,
    /// Turns of watches at the readers: their queue is for everybody.
    pub(crate) log_turns: Semaphore,
    /// Turns of those who open a stream, which looks at its task first.
    pub(super) open_turns: Arc<Semaphore>,
    pub(crate) health: Health,
    pub(crate) live: LiveIndex,
    pub(crate) metrics: Arc<Metrics>,
    /// Requests with a key that are under way.
    pub(crate) under_way: Arc<UnderWay>,
    pub(crate) lost: Lost,
    /// Room for events that wait for the disk, in KiB.
    pub(crate) event_room: Arc<Semaphore>,
    /// Fires when every row is written and watchers are to be told that nothing follows.
    pub(crate) closing: CancellationToken,
    /// One of the two central actors is gone.
    pub(crate) actor_gone: CancellationToken,
    /// Fires when the grace of a shutdown is to be skipped.
    pub(crate) hurried: CancellationToken,
    /// The shutdown, carried out once.
    pub(crate) shutdown: tokio::sync::OnceCell<()>,
    /// The thread of processes, where there are models that need it.
    #[cfg(target_os = "linux")]
    pub(crate) children: OnceLock<crate::body::process::Children>,
    /// What stands for the actors in the process of an isolated body.
    pub(super) link: OnceLock<Arc<dyn Link>>,
    coordinator: OnceLock<Addr<CoordinatorActor>>,
    db: OnceLock<Addr<DbActor>>,
    /// The threads of these two.
    arbiters: OnceLock<[ArbiterHandle; 2]>,
    commands: AtomicUsize,
    /// Writes that the writer has not taken out of its mailbox.
    writes: AtomicUsize,
    on_failure: OnFailure,
}

impl Services {
    pub(crate) fn new(
        node: Arc<str>,
        registry: Registry,
        pool: Pool,
        readers: Readers,
        metrics: Arc<Metrics>,
        settings: &RuntimeSettings,
    ) -> Self {
        Self {
            node,
            registry,
            clock: Arc::clone(&settings.clock),
            times: settings.times(),
            pool,
            deadlines: Deadlines::default(),
            hub: Arc::default(),
            readers,
            log_turns: Semaphore::new(LOG_TURNS),
            open_turns: Arc::new(Semaphore::new(LOG_TURNS)),
            health: Health::new(),
            live: LiveIndex::new(),
            lost: Lost::new(Arc::clone(&metrics)),
            metrics,
            under_way: Arc::default(),
            event_room: Arc::new(Semaphore::new(EVENT_KIB)),
            closing: CancellationToken::new(),
            actor_gone: CancellationToken::new(),
            hurried: CancellationToken::new(),
            shutdown: tokio::sync::OnceCell::new(),
            #[cfg(target_os = "linux")]
            children: OnceLock::new(),
            link: OnceLock::new(),
            coordinator: OnceLock::new(),
            db: OnceLock::new(),
            arbiters: OnceLock::new(),
            commands: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            on_failure: Arc::clone(&settings.on_failure),
        }
    }

    /// Joins the actors, once, at the start.
    pub(crate) fn connect(
        &self,
        coordinator: Addr<CoordinatorActor>,
        db: Addr<DbActor>,
        arbiters: [ArbiterHandle; 2],
    ) {
        // Err: connected twice, which nobody does.
        let _ = self.coordinator.set(coordinator);
        let _ = self.db.set(db);
        let _ = self.arbiters.set(arbiters);
    }

    /// Ends the actors and their threads: nothing is written any more, and the file is free when the last handle and
    /// the last body are gone. What is sent to them from now on is answered as stopped.
    pub(crate) fn end_actors(&self) {
        for arbiter in self.arbiters.get().into_iter().flatten() {
            arbiter.stop();
        }
    }

    /// Whether the runtime takes work, and else why not.
    pub(crate) fn readiness(&self) -> Readiness {
        match self.health.readiness() {
            Readiness::Ready if self.pool.is_full() => Readiness::PoolFull,
            readiness => readiness,
        }
    }

    /// Whether both central actors live.
    pub(crate) fn actors_live(&self) -> bool {
        self.coordinator.get().is_some_and(Addr::connected) && self.db.get().is_some_and(Addr::connected)
    }

    /// A message from within: it must arrive.
    pub(crate) fn tell_coordinator<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        CoordinatorActor: actix::Handler<M>,
    {
        let sent = self.coordinator.get().is_some_and(|addr| addr.try_send(message).is_ok());
        if !sent && !self.closing.is_cancelled() {
            self.fail_for_good("the coordinator is gone");
        }
    }

    /// A command from outside: refused where too many wait. True where no other one waits.
    pub(crate) fn command<M>(&self, message: M) -> Result<bool, Refusal>
    where
        M: Message<Result = ()> + Send + 'static,
        CoordinatorActor: actix::Handler<M>,
    {
        let before = self.commands.fetch_add(1, Ordering::SeqCst);
        if before >= MAX_COMMANDS {
            self.commands.fetch_sub(1, Ordering::SeqCst);
            return Err(Refusal::Busy);
        }
        if self.coordinator.get().is_some_and(|addr| addr.try_send(message).is_ok()) {
            Ok(before == 0)
        } else {
            self.command_taken();
            Err(Refusal::Stopped)
        }
    }

    /// The coordinator has taken a command out of its mailbox.
    pub(crate) fn command_taken(&self) {
        self.commands.fetch_sub(1, Ordering::SeqCst);
    }

    /// A write: it must arrive, or its reply tells that it did not.
    ///
    /// While writes fail, what need not survive is refused here: the writer may be busy with its next try.
    pub(crate) fn commit(&self, write: Write, reply: Reply) {
        if let Some(link) = self.link() {
            return link.write(write, reply);
        }
        if !self.health.writes_work() && !must_survive(&write, &reply) {
            return self.deliver([(reply, Err(failing()))]);
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let sent = self.db.get().is_some_and(|addr| addr.try_send(Commit { write, reply }).is_ok());
        if !sent {
            self.write_taken();
            if !self.closing.is_cancelled() {
                self.fail_for_good("the database writer is gone");
            }
        }
    }

    /// The writer has taken a write out of its mailbox.
    pub(crate) fn write_taken(&self) {
        self.writes.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether what is written now would wait for more than the group that is on its way.
    pub(crate) fn writer_is_behind(&self) -> bool {
        self.writes.load(Ordering::Relaxed) >= GROUP
    }

    /// Tells each its answer; those of tasks' actors travel together, and before anybody else hears of an end.
    pub(crate) fn deliver(&self, answers: impl IntoIterator<Item = (Reply, Result<Answer, StoreError>)>) {
        let (mut batch, mut ends) = (Vec::new(), Vec::new());
        for (reply, answer) in answers {
            match reply {
                Reply::Task(id, tag) => batch.push((id, tag, answer)),
                Reply::End(id, notice) => {
                    let was_applied = matches!(answer, Ok(Answer::Applied));
                    if was_applied {
                        notice.count(&self.metrics);
                    }
                    batch.push((id, if notice.has_request() { Tag::AskAndEnd } else { Tag::End }, answer));
                    ends.push((notice, was_applied));
                }
                Reply::Call(call) => call(answer),
                Reply::Release(held) => drop(held),
            }
        }
        if !batch.is_empty() {
            self.tell_coordinator(CommittedBatch(batch));
        }
        for (notice, was_applied) in ends {
            notice.answer(was_applied);
        }
    }

    /// Waits for the answer to a write, or until nobody can tell what becomes of it: whoever asked is told so then,
    /// and the runtime goes on finding out.
    pub(crate) async fn answered<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| Refusal::Stopped),
            () = self.health.in_doubt() => {
                Err(Refusal::Unavailable(StoreError::OutcomeUnknown("a commit had no answer".to_owned())))
            }
        }
    }

    /// A write with its answer; [`Refusal::Stopped`] where the runtime is gone.
    pub(crate) async fn commit_and_wait(&self, write: Write) -> Result<Answer, Refusal> {
        let (tx, rx) = oneshot::channel();
        self.commit(
            write,
            Reply::Call(Box::new(move |answer| {
                // Err: whoever asked has gone; the write is done all the same.
                let _ = tx.send(answer);
            })),
        );
        self.answered(rx).await?.map_err(Refusal::Unavailable)
    }

    /// Counts a row that ended while it waited; its model may be registered no longer.
    pub(crate) fn count_waiting_ended(&self, record: &Record, how: Counted) {
        let model = self.registry.model(record.key.app.as_str(), record.key.model.as_str());
        self.metrics.ended(model.and_then(|model| model.numbers()), Was::Pending, how);
    }

    /// Waits until both central actors run: before that their mailboxes are small.
    pub(crate) async fn actors_started(&self) {
        let (tx, rx) = oneshot::channel();
        if self.coordinator.get().is_some_and(|addr| addr.try_send(Started(tx)).is_ok()) {
            // Err: it is gone already, which is noticed elsewhere.
            let _ = rx.await;
        }
        self.flush(false).await;
    }

    /// Waits until everything that was sent before is durable; where it is the `last`, in the file itself.
    pub(crate) async fn flush(&self, last: bool) {
        let (done, rx) = oneshot::channel();
        if self.db.get().is_some_and(|addr| addr.try_send(super::messages::Flush { done, last }).is_ok()) {
            // Err: the writer is gone, and nothing waits for it.
            let _ = rx.await;
        }
    }

    /// Ends the process: live bodies cannot be rebuilt from a database, recovery does the rest.
    pub(crate) fn fail_for_good(&self, reason: &str) {
        (self.on_failure)(reason);
    }

    /// Refuses what would have to be written while writes fail.
    pub(crate) fn require_writes(&self) -> Result<(), Refusal> {
        if self.health.writes_work() { Ok(()) } else { Err(Refusal::Unavailable(failing())) }
    }
}

fn failing() -> StoreError {
    StoreError::Unavailable("earlier writes still fail".to_owned())
}
