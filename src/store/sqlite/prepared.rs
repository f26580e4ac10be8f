//! The writer's own way to SQLite for statements that run thousands of times a second.
//!
//! diesel keeps a statement prepared only where it knows it by its type; it does so for no UPDATE and for no
//! INSERT of several rows, and preparing one costs far more than running it. Here a statement *is* a type, so each
//! is prepared once per connection. Many rows go in few statements of a fixed number of rows: a statement opens each
//! index of its table, which costs as much as a row.
//!
//! Invariant: a statement's text is a constant; values go in by parameters only.

use std::marker::PhantomData;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Double, Nullable, Text};
use diesel::sqlite::Sqlite;

/// A statement over rows of `N` values: `HEAD (?, ?), (?, ?) TAIL`.
pub(super) trait Statement<const N: usize>: 'static {
    const HEAD: &'static str;
    const TAIL: &'static str;
}

/// A value for a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Number(Option<i64>),
    Real(Option<f64>),
    Text(Option<&'a str>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Number(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Number(value)
    }
}

impl From<Option<f64>> for Value<'_> {
    fn from(value: Option<f64>) -> Self {
        Self::Real(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value)
    }
}

/// The rows of one statement, each of `N` values, one after the other.
pub(super) type Row<'a, const N: usize> = [Value<'a>; N];

/// Runs a statement over all rows; returns how many rows of the table it changed.
pub(super) fn run<S: Statement<N>, const N: usize>(
    db: &mut SqliteConnection,
    rows: &[Row<'_, N>],
) -> QueryResult<usize> {
    let (most, rows) = rows.as_chunks::<64>();
    let (many, rows) = rows.as_chunks::<16>();
    let (some, few) = rows.as_chunks::<4>();
    let mut changed = 0;
    for rows in most {
        changed += Prepared { rows, statement: PhantomData::<S> }.execute(db)?;
    }
    for rows in many {
        changed += Prepared { rows, statement: PhantomData::<S> }.execute(db)?;
    }
    for rows in some {
        changed += Prepared { rows, statement: PhantomData::<S> }.execute(db)?;
    }
    for row in few {
        changed += Prepared { rows: std::array::from_ref(row), statement: PhantomData::<S> }.execute(db)?;
    }
    Ok(changed)
}

struct Prepared<'a, S, const N: usize, const ROWS: usize> {
    rows: &'a [Row<'a, N>; ROWS],
    statement: PhantomData<S>,
}

impl<S: Statement<N>, const N: usize, const ROWS: usize> QueryId for Prepared<'_, S, N, ROWS> {
    type QueryId = Prepared<'static, S, N, ROWS>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<S: Statement<N>, const N: usize, const ROWS: usize> QueryFragment<Sqlite> for Prepared<'_, S, N, ROWS> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(S::HEAD);
        let mut before_row = "(";
        for row in self.rows {
            out.push_sql(before_row);
            let mut before = "";
            for value in row {
                out.push_sql(before);
                match value {
                    Value::Number(value) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                    Value::Real(value) => out.push_bind_param::<Nullable<Double>, _>(value)?,
                    Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                }
                before = ", ";
            }
            before_row = "), (";
        }
        out.push_sql(")");
        out.push_sql(S::TAIL);
        Ok(())
    }
}

impl<S, const N: usize, const ROWS: usize> RunQueryDsl<SqliteConnection> for Prepared<'_, S, N, ROWS> {}
