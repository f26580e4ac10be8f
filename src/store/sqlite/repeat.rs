//! Rows of requests that may be repeated.
//!
//! Invariant: a key that is not over yet is never given to another request.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use crate::store::schema::idempotency_keys as keys;
use crate::store::{KeptAnswer, KeptRequest, RepeatableRequest, keys_over};
use crate::task::{TaskId, Timestamp};

/// Notes a request that is about to be carried out; false where its key is taken.
const CLAIM: &str = "INSERT INTO idempotency_keys (owner, key, digest, created_at, task_id, status, body)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (owner, key) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at,
        task_id = excluded.task_id, status = excluded.status, body = excluded.body
    WHERE created_at <= ?";

/// The same for one that was carried out: its own row gets the answer, where it has none.
const KEEP: &str = "INSERT INTO idempotency_keys (owner, key, digest, created_at, task_id, status, body)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (owner, key) DO UPDATE SET digest = excluded.digest, status = excluded.status,
        body = excluded.body, task_id = excluded.task_id,
        created_at = iif(created_at <= ?, excluded.created_at, created_at)
    WHERE created_at <= ? OR (digest = excluded.digest AND status IS NULL)";

/// Whether the key was free.
pub(super) fn claim(
    db: &mut SqliteConnection,
    request: &RepeatableRequest,
    task: TaskId,
    at: Timestamp,
) -> QueryResult<bool> {
    let answer = request.answer.as_ref();
    let changed = diesel::sql_query(CLAIM)
        .bind::<Text, _>(&*request.owner)
        .bind::<Text, _>(&*request.key)
        .bind::<Binary, _>(request.digest.as_slice())
        .bind::<BigInt, _>(at.as_micros())
        .bind::<Nullable<BigInt>, _>(Some(task.get()))
        .bind::<Nullable<BigInt>, _>(answer.map(|answer| i64::from(answer.status)))
        .bind::<Nullable<Text>, _>(answer.map(|answer| answer.body.as_str()))
        .bind::<BigInt, _>(keys_over(at).as_micros())
        .execute(db)?;
    Ok(changed == 1)
}

/// Whether the answer is kept now.
pub(super) fn keep(
    db: &mut SqliteConnection,
    request: &RepeatableRequest,
    task: Option<TaskId>,
    answer: &KeptAnswer,
    at: Timestamp,
) -> QueryResult<bool> {
    let over = keys_over(at).as_micros();
    let changed = diesel::sql_query(KEEP)
        .bind::<Text, _>(&*request.owner)
        .bind::<Text, _>(&*request.key)
        .bind::<Binary, _>(request.digest.as_slice())
        .bind::<BigInt, _>(at.as_micros())
        .bind::<Nullable<BigInt>, _>(task.map(TaskId::get))
        .bind::<BigInt, _>(i64::from(answer.status))
        .bind::<Text, _>(answer.body.as_str())
        .bind::<BigInt, _>(over)
        .bind::<BigInt, _>(over)
        .execute(db)?;
    Ok(changed == 1)
}

/// What is kept of a request.
pub(super) fn find(db: &mut SqliteConnection, owner: &str, key: &str) -> QueryResult<Option<KeptRequest>> {
    let row = keys::table
        .find((owner, key))
        .select((keys::digest, keys::created_at, keys::task_id, keys::status, keys::body))
        .first::<(Vec<u8>, i64, Option<i64>, Option<i64>, Option<String>)>(db)
        .optional()?;
    Ok(row.map(|(digest, at, task, status, body)| KeptRequest {
        digest,
        at: Timestamp::from_micros(at),
        task: task.and_then(TaskId::new),
        answer: status
            .and_then(|status| u16::try_from(status).ok())
            .zip(body)
            .map(|(status, body)| KeptAnswer { status, body }),
    }))
}

/// Removes the oldest keys; gives how many.
pub(super) fn prune(db: &mut SqliteConnection, before: Timestamp, rows: u32) -> QueryResult<usize> {
    let old = keys::table
        .filter(keys::created_at.le(before.as_micros()))
        .order(keys::created_at)
        .limit(i64::from(rows))
        .select((keys::owner, keys::key))
        .load::<(String, String)>(db)?;
    for (owner, key) in &old {
        diesel::delete(keys::table.find((owner, key))).execute(db)?;
    }
    Ok(old.len())
}
