//! Cancelling many tasks in one call.
//!
//! Invariants: only unfinished tasks that the caller may cancel are meant; what the answer counts as cancelled or
//! cancelling is durable; where none of them could be asked the answer is the refusal, and where only some could,
//! the others stand nowhere in the answer but in `matched`, and `more` says that the call is to be made again.

use actix_web::http::StatusCode;
use actix_web::{Error, HttpResponse};

use crate::store::Search;
use crate::task::{TaskBrief, TaskFilter};
use crate::{CancelManyOptions, CancelOptions, CancelledMany, MAX_CANCELLED_AT_ONCE, Refusal};

use super::audit::Entry;
use super::auth::{Principal, TaskRef};
use super::bodies;
use super::call::Call;
use super::dto::CancelledManyDto;
use super::list::of_scope;
use super::prefer::Wait;
use super::problem::Problem;
use super::repeat::{Before, Once};
use super::tasks::add_header;

/// How many searches one call makes.
const SEARCHES: usize = 50;

/// `POST /cancel`
pub(super) async fn cancel_tasks<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    call.no_query()?;
    let user: U = call.user().await?;
    let sent = call.body().await?;
    let body = bodies::cancel_many(sent.as_deref())?;
    // Who may cancel other tasks than before asks for something else: no answer about those is given again.
    let scope = user.cancel_scope();
    let mut once = Once::within(call, user.name(), scope, sent.as_deref())?;
    if let Before::Answer(answer, _) = once.before(call).await? {
        call.replayed(None);
        return Ok(answer);
    }
    let mut cancel = CancelOptions { reason: body.reason, by: Some(user.name()), ..CancelOptions::default() };
    let wait = Wait::of(call.headers());
    if let Some(wait) = wait {
        cancel.wait = wait.duration();
    }
    let (found, more) = match of_scope(scope, &user, body.filter) {
        None => (Vec::new(), false),
        Some((filter, asks_each)) => meant(call, &user, &filter, asks_each).await.map_err(Problem::from)?,
    };
    let options = CancelManyOptions { cancel, dry_run: body.dry_run };
    if !body.dry_run {
        call.cancels_many(&found);
    }
    let (coordinator, dry_run) = (call.coordinator().clone(), body.dry_run);
    let cancel = async move {
        let told = coordinator.cancel_found(found, more, options).await.map_err(Problem::from)?;
        let word = match (dry_run, told.cancelling, told.cancelled) {
            (true, ..) => "dry_run",
            (false, 0, 0) => "not_running",
            (false, 0, _) => "cancelled",
            (false, ..) => "cancelling",
        };
        Ok((told, word))
    };
    let (told, _) = call.carry_out(cancel, note_cancels).await?;
    let mut answer = once.answer(call, None, StatusCode::OK, &CancelledManyDto::from(&told)).await?;
    if let Some((name, value)) = wait.map(Wait::applied) {
        add_header(&mut answer, name, value);
    }
    Ok(answer)
}

fn note_cancels(entry: &mut Entry, (_, word): &(CancelledMany, &'static str)) {
    entry.done(word);
}

/// The unfinished tasks that the user may cancel, as many as one call takes; and whether there may be more.
async fn meant<U: Principal>(
    call: &Call,
    user: &U,
    filter: &TaskFilter,
    asks_each: bool,
) -> Result<(Vec<TaskBrief>, bool), Refusal> {
    let most = usize::try_from(MAX_CANCELLED_AT_ONCE).unwrap_or(usize::MAX);
    let (mut meant, mut below) = (Vec::new(), None);
    for _ in 0..SEARCHES {
        let limit = MAX_CANCELLED_AT_ONCE;
        let search = Search { filter: filter.clone(), unfinished: true, below, limit };
        let found = call.coordinator().search(search).await?;
        for task in found.tasks {
            if asks_each && !user.may_cancel(&TaskRef { key: &task.key, owner: &task.owner }) {
                continue;
            }
            if meant.len() == most {
                return Ok((meant, true));
            }
            meant.push(task);
        }
        below = found.next;
        if below.is_none() {
            return Ok((meant, false));
        }
    }
    Ok((meant, true))
}
