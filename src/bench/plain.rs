//! The limit beside the runtime: the same rows through the same store, with nothing around it.
//!
//! It does everything that being durable needs (a group, a commit, an answer to each) and nothing else: no actor,
//! no body, no admission, nobody who may look or cancel.

use std::path::Path;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use crate::store::{
    Answer, Committed, SqliteDatabase, SqliteOptions, SqliteWriter, Store, Synchronous, Write,
};
use crate::task::TaskId;

use super::BenchError;
use super::rows::Rows;

/// The most writes of one group: as many as the runtime takes.
pub(super) const GROUP: usize = 256;

/// Rows that are made in one group where nobody measures.
const FILLED_AT_ONCE: u32 = 2_000;

/// A database with its writer.
#[derive(Debug)]
pub(super) struct Plain {
    database: SqliteDatabase,
    writer: SqliteWriter,
    pub(super) rows: Rows,
}

impl Plain {
    /// Opens a new database; its rows are of `model`.
    pub(super) fn open(path: &Path, synchronous: Synchronous, model: &str) -> Result<Self, BenchError> {
        let database = SqliteDatabase::open(path, SqliteOptions { synchronous, ..SqliteOptions::default() })?;
        let (writer, rows) = (database.writer()?, Rows::new(model, database.node_name())?);
        Ok(Self { database, writer, rows })
    }

    /// Commits one group.
    pub(super) fn commit(&mut self, group: &[Write]) -> Result<(), BenchError> {
        applied(&self.writer.commit(group)?)
    }

    /// Makes rows that run.
    pub(super) fn begin_many(&mut self, count: u32) -> Result<Vec<TaskId>, BenchError> {
        let begun: Result<Vec<_>, _> = (0..count).map(|_| self.rows.begin()).collect();
        let (ids, writes): (Vec<_>, Vec<_>) = begun?.into_iter().unzip();
        writes.chunks(GROUP).try_for_each(|group| self.commit(group))?;
        Ok(ids)
    }

    /// Makes rows that have completed, many at a time; their ids are taken, as a runtime would have taken them.
    pub(super) fn fill(&mut self, count: u32) -> Result<(), BenchError> {
        self.writer.commit(&[Write::ReserveIds { count }])?;
        let mut left = count;
        while left > 0 {
            let many = left.min(FILLED_AT_ONCE);
            let begun: Result<Vec<_>, _> = (0..many).map(|_| self.rows.begin()).collect();
            let (ids, mut writes): (Vec<_>, Vec<_>) = begun?.into_iter().unzip();
            for id in ids {
                writes.push(Rows::complete(id)?);
            }
            self.commit(&writes)?;
            left -= many;
        }
        Ok(())
    }

    /// Gives the writer to a thread that commits what waits, in groups, and answers each.
    pub(super) fn serve(self, room: usize) -> Result<(Served, Serving), BenchError> {
        let Self { database, writer, rows } = self;
        let (orders, waiting) = mpsc::channel(room.max(1));
        let thread =
            thread::Builder::new().name("quell-plain".to_owned()).spawn(move || serve(writer, waiting))?;
        Ok((Served { rows, orders: Orders(orders) }, Serving { database, thread }))
    }

    #[cfg(test)]
    pub(super) fn reader(&self) -> Result<crate::store::SqliteReader, BenchError> {
        Ok(self.database.reader()?)
    }
}

fn applied(committed: &Committed) -> Result<(), BenchError> {
    match committed.answers.iter().find(|answer| **answer != Answer::Applied) {
        None => Ok(()),
        Some(answer) => Err(BenchError::Unexpected(format!("a plain write answered {answer:?}"))),
    }
}

struct Order {
    write: Write,
    answer: oneshot::Sender<Answer>,
}

/// What producers see of a writer that serves them.
pub(super) struct Served {
    pub(super) rows: Rows,
    pub(super) orders: Orders,
}

/// The way to the writer.
pub(super) struct Orders(mpsc::Sender<Order>);

impl Orders {
    /// Resolves when the write is durable.
    pub(super) async fn commit(&self, write: Write) -> Result<(), BenchError> {
        let gone = || BenchError::Unexpected("the plain writer is gone".to_owned());
        let (answer, answered) = oneshot::channel();
        self.0.send(Order { write, answer }).await.map_err(|_| gone())?;
        match answered.await.map_err(|_| gone())? {
            Answer::Applied => Ok(()),
            answer => Err(BenchError::Unexpected(format!("a plain write answered {answer:?}"))),
        }
    }
}

/// A writer that serves.
pub(super) struct Serving {
    database: SqliteDatabase,
    thread: JoinHandle<Result<SqliteWriter, BenchError>>,
}

impl Serving {
    /// Takes the writer back.
    pub(super) fn stop(self, served: Served) -> Result<Plain, BenchError> {
        let Served { rows, orders } = served;
        drop(orders);
        let ended = self.thread.join();
        let writer = ended.map_err(|_| BenchError::Unexpected("the plain writer panicked".to_owned()))??;
        Ok(Plain { database: self.database, writer, rows })
    }
}

/// The life of the writer's thread.
fn serve(mut writer: SqliteWriter, mut waiting: mpsc::Receiver<Order>) -> Result<SqliteWriter, BenchError> {
    let mut orders = Vec::with_capacity(GROUP);
    while waiting.blocking_recv_many(&mut orders, GROUP) > 0 {
        let (group, producers): (Vec<_>, Vec<_>) =
            orders.drain(..).map(|order| (order.write, order.answer)).unzip();
        let committed = writer.commit(&group)?;
        for (producer, answer) in producers.into_iter().zip(committed.answers) {
            // Err: a producer failed, and says so itself.
            let _ = producer.send(answer);
        }
    }
    Ok(writer)
}
