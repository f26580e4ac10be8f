//! Lists of tasks.
//!
//! Invariants: a list holds only what its reader may see; a page is bounded in the rows that are looked at, so it may
//! hold fewer tasks than were asked for, and only `next: null` tells the end. The cursor stands for an id, downwards:
//! no task comes twice, and none that was there all the time is left out.

use actix_web::http::StatusCode;
use actix_web::{Error, HttpResponse};

use crate::store::Search;
use crate::task::{TaskFilter, TaskId};

use super::auth::{Principal, Scope, TaskRef};
use super::call::Call;
use super::dto::{TaskPageDto, json};
use super::problem::Problem;
use super::{cursor, query};

/// How many searches one request makes where each task has to be asked about.
const SEARCHES: usize = 20;

/// How many tasks each of these finds.
const FOUND_AT_ONCE: u32 = 500;

/// `GET /tasks`
pub(super) async fn list_tasks<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    let wanted = query::list(call.request())?;
    let user: U = call.user().await?;
    let (limit, below) = (wanted.limit, wanted.below);
    let page = match of_scope(user.view_scope(), &user, wanted.filter) {
        None => crate::TaskPage::default(),
        Some((filter, false)) => {
            call.coordinator().list(&filter, below, limit).await.map_err(Problem::from)?
        }
        Some((filter, true)) => {
            let (ids, next) = seen_by(call, &user, &filter, below, limit).await?;
            call.coordinator().page(&filter, ids, next).await.map_err(Problem::from)?
        }
    };
    let next = page.next.map(cursor::write);
    Ok(json(StatusCode::OK, &TaskPageDto::new(&page.tasks, next))?)
}

/// The filter as far as a scope opens it, and whether each task has to be asked about; none where nothing is open.
pub(super) fn of_scope<U: Principal>(
    scope: Scope,
    user: &U,
    mut filter: TaskFilter,
) -> Option<(TaskFilter, bool)> {
    match scope {
        Scope::Any => Some((filter, false)),
        Scope::Each => Some((filter, true)),
        Scope::Own => {
            let own = user.name();
            if filter.owner.as_ref().is_some_and(|owner| *owner != own) {
                return None;
            }
            filter.owner = Some(own);
            Some((filter, false))
        }
    }
}

async fn seen_by<U: Principal>(
    call: &Call,
    user: &U,
    filter: &TaskFilter,
    mut below: Option<TaskId>,
    limit: u32,
) -> Result<(Vec<TaskId>, Option<TaskId>), Problem> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut ids = Vec::new();
    for _ in 0..SEARCHES {
        let search = Search { filter: filter.clone(), unfinished: false, below, limit: FOUND_AT_ONCE };
        let found = call.coordinator().search(search).await?;
        let last = found.tasks.last().map(|task| task.key.id);
        for task in found.tasks {
            if !user.may_view(&TaskRef { key: &task.key, owner: &task.owner }) {
                continue;
            }
            ids.push(task.key.id);
            if ids.len() == limit {
                let is_end = found.next.is_none() && last == Some(task.key.id);
                return Ok((ids, Some(task.key.id).filter(|_| !is_end)));
            }
        }
        below = found.next;
        if below.is_none() {
            break;
        }
    }
    Ok((ids, below))
}
