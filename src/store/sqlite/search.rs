//! Searching tasks, newest first, along the index that has the fewest rows.
//!
//! Invariants: no search goes past [`WINDOW`] rows of its index, however few of them fit; values go in by parameters
//! only. The index is named, because SQLite would rather go through all rows in the order of the key.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use crate::store::{Briefs, Search};
use crate::task::{Name, Status, TaskBrief, TaskFilter, TaskId, TaskKey};

/// How many rows of an index one search goes along.
const WINDOW: i64 = 20_000;

/// The way along which rows are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    All,
    OfOwner,
    Running,
    Queued,
    Created,
}

impl Way {
    fn table(self) -> &'static str {
        match self {
            Self::All => "tasks NOT INDEXED WHERE",
            Self::OfOwner => "tasks INDEXED BY tasks_of_owner WHERE owner = ? AND",
            Self::Running => "tasks INDEXED BY tasks_running WHERE status = 'running' AND",
            Self::Queued => "tasks INDEXED BY tasks_queued WHERE status = 'pending' AND queued = 1 AND",
            Self::Created => "tasks INDEXED BY tasks_created WHERE status = 'pending' AND queued = 0 AND",
        }
    }

    /// The ways for a search: live rows have indexes of their own, and they are few.
    fn of(search: &Search) -> &'static [Self] {
        match search.filter.status {
            Some(Status::Running) => &[Self::Running],
            Some(Status::Pending) => &[Self::Queued, Self::Created],
            Some(_) if search.unfinished => &[],
            None if search.unfinished => &[Self::Running, Self::Queued, Self::Created],
            _ if search.filter.owner.is_some() => &[Self::OfOwner],
            _ => &[Self::All],
        }
    }
}

/// A statement with its values.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) sql: String,
    values: Vec<Value>,
}

#[derive(Debug)]
enum Value {
    Text(Arc<str>),
    Number(i64),
}

impl Query {
    fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    fn push(&mut self, sql: &str) {
        self.sql.push(' ');
        self.sql.push_str(sql);
    }

    fn text(&mut self, sql: &str, value: impl Into<Arc<str>>) {
        self.push(sql);
        self.values.push(Value::Text(value.into()));
    }

    fn number(&mut self, sql: &str, value: i64) {
        self.push(sql);
        self.values.push(Value::Number(value));
    }

    fn load<T>(self, db: &mut SqliteConnection) -> QueryResult<Vec<T>>
    where
        T: QueryableByName<Sqlite> + 'static,
    {
        let mut query = diesel::sql_query(self.sql).into_boxed::<Sqlite>();
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind::<Text, _>(text.to_string()),
                Value::Number(number) => query.bind::<BigInt, _>(number),
            };
        }
        query.load(db)
    }
}

/// Begins a statement along a way, below an id.
fn along(columns: &str, way: Way, filter: &TaskFilter, below: i64) -> Query {
    let mut query = Query::new(&format!("SELECT {columns} FROM {}", way.table()));
    if let Some(owner) = filter.owner.as_ref().filter(|_| way == Way::OfOwner) {
        query.values.push(Value::Text(Arc::clone(owner)));
    }
    query.number("id < ?", below);
    query
}

/// What the way itself does not see to.
fn rest(query: &mut Query, way: Way, filter: &TaskFilter) {
    if let Some(app) = &filter.app {
        query.text("AND app = ?", app.as_str());
    }
    if let Some(model) = &filter.model {
        query.text("AND model = ?", model.as_str());
    }
    if let Some(status) = filter.status.filter(|_| matches!(way, Way::All | Way::OfOwner)) {
        query.text("AND status = ?", status.as_str());
    }
    if let Some(owner) = filter.owner.as_ref().filter(|_| way != Way::OfOwner) {
        query.text("AND owner = ?", Arc::clone(owner));
    }
}

/// The statement that finds.
pub(super) fn find(way: Way, filter: &TaskFilter, below: i64, floor: i64, limit: i64) -> Query {
    let mut query = along("id, app, model, status, owner", way, filter, below);
    query.number("AND id >= ?", floor);
    rest(&mut query, way, filter);
    query.number("ORDER BY id DESC LIMIT ?", limit);
    query
}

#[derive(Debug, QueryableByName)]
struct IdRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

#[derive(Debug, QueryableByName)]
struct BriefRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    app: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Text)]
    owner: String,
}

impl BriefRow {
    fn checked(self) -> Option<TaskBrief> {
        let key = TaskKey {
            app: Name::new(&self.app).ok()?,
            model: Name::new(&self.model).ok()?,
            id: TaskId::new(self.id)?,
        };
        Some(TaskBrief { key, status: self.status.parse().ok()?, owner: self.owner.into() })
    }
}

/// The oldest row that the window reaches; none where it reaches them all.
fn floor(db: &mut SqliteConnection, way: Way, filter: &TaskFilter, below: i64) -> QueryResult<Option<i64>> {
    let mut others = Query::default();
    rest(&mut others, way, filter);
    if others.values.is_empty() {
        // Every row fits: the limit is bound enough.
        return Ok(None);
    }
    let mut query = along("id", way, filter, below);
    query.number("ORDER BY id DESC LIMIT 1 OFFSET ?", WINDOW);
    Ok(query.load::<IdRow>(db)?.first().map(|row| row.id))
}

/// Carries a search out.
pub(super) fn search(db: &mut SqliteConnection, search: &Search) -> QueryResult<Briefs> {
    let filter = &search.filter;
    let below = search.below.map_or(TaskId::MAX.saturating_add(1), TaskId::get);
    let ways = Way::of(search);
    let mut lowest = 0;
    for way in ways {
        lowest = lowest.max(floor(db, *way, filter, below)?.unwrap_or(0));
    }
    let limit = usize::try_from(search.limit).unwrap_or(usize::MAX).max(1);
    let mut rows: Vec<BriefRow> = Vec::new();
    for way in ways {
        // One more than asked for tells whether there is more.
        let wanted = i64::from(search.limit.max(1)).saturating_add(1);
        rows.extend(find(*way, filter, below, lowest, wanted).load::<BriefRow>(db)?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    let next = if rows.len() > limit {
        rows.truncate(limit);
        rows.last().map(|row| row.id)
    } else {
        Some(lowest)
    };
    let tasks = rows
        .into_iter()
        .filter_map(|row| {
            let id = row.id;
            let checked = row.checked();
            if checked.is_none() {
                tracing::error!(id, "a row cannot be read and is left out of a list");
            }
            checked
        })
        .collect();
    Ok(Briefs { tasks, next: next.and_then(TaskId::new) })
}
