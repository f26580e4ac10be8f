//! One request on its way through a handler: who asks, for what, and the line it leaves in the audit log.
//!
//! Invariant: a handler gets the path, the user, the body and the permission from here and in this order, so that
//! nothing is looked up for strangers, and the log knows what the answer was.

use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::{Error, HttpRequest, HttpResponse, dev, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tracing::Span;

use crate::Coordinator;
use crate::runtime::Cut;
use crate::task::{Name, TaskBrief, TaskKey};

use super::action::{Action, Needs};
use super::audit::Entry;
use super::auth::{Principal, Scope, TaskRef, identify};
use super::carried::{Carried, Note};
use super::options::HttpOptions;
use super::problem::Problem;
use super::request::RequestId;
use super::{body, path};

/// One mount of the routes: the runtime it serves, and how.
///
/// Handlers carry it in themselves: the `app_data` of the host stays its own.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) coordinator: Coordinator,
    pub(super) options: Arc<HttpOptions>,
}

/// One request.
pub(super) struct Call {
    site: Site,
    action: Action,
    request: HttpRequest,
    payload: dev::Payload,
    /// None while a command is under way, which has it, and once it is written.
    entry: Option<Entry>,
}

/// Makes a handler of actix-web out of one of ours.
pub(super) fn answer<H>(
    site: &Site,
    action: Action,
    handler: H,
) -> impl Fn(HttpRequest, web::Payload) -> LocalBoxFuture<'static, Result<HttpResponse, Error>> + Clone + use<H>
where
    H: AsyncFn(&mut Call) -> Result<HttpResponse, Error> + Clone + 'static,
{
    // Made once: it stands in the audit log where the path names no task.
    let (site, route): (Site, Arc<str>) = (site.clone(), action.route().into());
    move |request, payload| {
        let (site, handler, route) = (site.clone(), handler.clone(), Arc::clone(&route));
        async move {
            let mut entry = Entry::new(action, route, site.options.proxies.sender(&request));
            entry.request_id(RequestId::given(&request));
            let mut call = Call { site, action, request, payload: payload.into_inner(), entry: Some(entry) };
            let answer = match call.options().gate.check(&call.request) {
                Ok(()) => caught(action, handler(&mut call)).await,
                Err(refused) => Err(refused.into()),
            };
            call.note(|entry| match &answer {
                Ok(response) => entry.answered(response.status()),
                Err(error) => entry.failed(error),
            });
            answer
        }
        .boxed_local()
    }
}

/// A host's own user type may panic: its client is told, and the connection goes on.
async fn caught(
    action: Action,
    answer: impl Future<Output = Result<HttpResponse, Error>>,
) -> Result<HttpResponse, Error> {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(action = action.as_str(), "a handler panicked");
        Err(Problem::internal().into())
    })
}

/// Makes a handler of actix-web for what no route knows.
pub(super) fn refuse<P>(
    site: &Site,
    route: &str,
    problem: P,
) -> impl Fn(HttpRequest) -> Ready<Result<HttpResponse, Error>> + Clone + use<P>
where
    P: Fn() -> Problem + Clone + 'static,
{
    let (site, route): (Site, Arc<str>) = (site.clone(), route.into());
    move |request| {
        let sender = site.options.proxies.sender(&request);
        let mut entry = Entry::unrouted(request.method(), Arc::clone(&route), sender);
        entry.request_id(RequestId::given(&request));
        let error = site.options.gate.check(&request).err().unwrap_or_else(&problem).into();
        entry.failed(&error);
        ready(Err(error))
    }
}

impl Call {
    pub(super) fn coordinator(&self) -> &Coordinator {
        &self.site.coordinator
    }

    pub(super) fn options(&self) -> &HttpOptions {
        &self.site.options
    }

    pub(super) fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// The id by which the log names this request.
    pub(super) fn request_id(&self) -> Option<Arc<str>> {
        RequestId::given(&self.request).map(|id| id.as_str().into())
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The model that the path names.
    pub(super) fn model(&mut self) -> Result<(Name, Name), Problem> {
        let (app, model) = path::model(&self.request)?;
        self.note(|entry| entry.task(format!("{app}/{model}")));
        path::no_query(&self.request)?;
        Ok((app, model))
    }

    /// The task that the path names.
    pub(super) fn task(&mut self) -> Result<TaskKey, Problem> {
        let key = self.task_of_stream()?;
        path::no_query(&self.request)?;
        Ok(key)
    }

    /// The same where the query has a meaning.
    pub(super) fn task_of_stream(&mut self) -> Result<TaskKey, Problem> {
        let key = path::key(&self.request)?;
        self.is_about(&key);
        Ok(key)
    }

    /// That the path names nothing, and nothing is asked besides.
    pub(super) fn no_query(&self) -> Result<(), Problem> {
        path::no_query(&self.request)
    }

    /// Names the task in the audit log, and in what is logged from here on.
    pub(super) fn is_about(&mut self, key: &TaskKey) {
        let key: Arc<str> = key.to_string().into();
        Span::current().record("task", &*key);
        self.note(|entry| entry.task(key));
    }

    /// The user.
    pub(super) async fn user<U: Principal>(&mut self) -> Result<U, Error> {
        let user: U = identify(&self.request, &mut self.payload).await?;
        let name = user.name();
        self.note(|entry| entry.who(name.clone()));
        if let Some(limit) = &self.site.options.rate_limit {
            limit.check(&name)?;
        }
        Ok(user)
    }

    /// The body, as bytes that are declared to be JSON.
    pub(super) async fn body(&mut self) -> Result<Option<web::Bytes>, Problem> {
        let deadline = self.site.options.body_deadline;
        let body = body::read(self.request.headers(), &mut self.payload, deadline).await;
        if body.as_ref().is_err_and(|problem| problem.name() == "request-timeout") {
            // Its connection ends with the answer.
            self.coordinator().connection_numbers().cut(Cut::Body);
        }
        body
    }

    /// Whether the model exists and the user may start it: the model's own list and the host's user type must both let
    /// them. Who is not on the list of a hiding server learns of no model.
    pub(super) fn check_start<U: Principal>(
        &mut self,
        user: &U,
        app: &Name,
        model: &Name,
    ) -> Result<(), Problem> {
        let (app, model) = (app.as_str(), model.as_str());
        if !self.coordinator().has_model(app, model) {
            return Err(Problem::unknown_model(app, model));
        }
        let is_listed = self.coordinator().may_start(app, model, &user.name());
        if is_listed && user.may_start(app, model) {
            return Ok(());
        }
        self.note(Entry::forbidden);
        if !is_listed && self.options().hide_foreign_tasks {
            return Err(Problem::unknown_model(app, model));
        }
        Err(Problem::forbidden("you may not start tasks of this model: ask whoever runs this server"))
    }

    /// Whether the user may do what the request wants with a task of that owner.
    pub(super) fn check_task<U: Principal>(
        &mut self,
        user: &U,
        key: &TaskKey,
        owner: &str,
    ) -> Result<(), Problem> {
        let task = TaskRef { key, owner };
        let may = match self.action.needs() {
            Needs::Nothing => true,
            Needs::ToStart => user.may_start(key.app.as_str(), key.model.as_str()),
            Needs::ToView | Needs::ToViewEach => user.may_view(&task),
            Needs::ToViewAny => user.view_scope() == Scope::Any,
            Needs::ToCancel | Needs::ToCancelEach => user.may_cancel(&task),
        };
        if may { Ok(()) } else { Err(self.forbidden(key)) }
    }

    /// Whether the user may see everybody's tasks.
    pub(super) fn check_any<U: Principal>(&mut self, user: &U) -> Result<(), Problem> {
        if user.view_scope() == Scope::Any {
            return Ok(());
        }
        self.note(Entry::forbidden);
        Err(Problem::forbidden(
            "you need the permission to see everybody's tasks: ask whoever runs this server",
        ))
    }

    /// The same where only the key is known: the task must exist.
    pub(super) async fn check_existing<U: Principal>(
        &mut self,
        user: &U,
        key: &TaskKey,
    ) -> Result<(), Problem> {
        let owner = self.coordinator().owner(key).await?;
        self.check_task(user, key, &owner)
    }

    fn forbidden(&mut self, key: &TaskKey) -> Problem {
        self.note(Entry::forbidden);
        if self.options().hide_foreign_tasks {
            return Problem::task_not_found(key);
        }
        Problem::forbidden("this is somebody else's task: ask its owner, or whoever runs this server")
    }

    fn note(&mut self, note: impl FnOnce(&mut Entry)) {
        if let Some(entry) = &mut self.entry {
            note(entry);
        }
    }

    /// Carries a command out, also where the client leaves meanwhile; `note` says in the audit log what was done, and
    /// the problem is named there.
    pub(super) async fn carry_out<T: Send + 'static>(
        &mut self,
        command: impl Future<Output = Result<T, Problem>> + Send + 'static,
        note: Note<T>,
    ) -> Result<T, Problem> {
        let Some(entry) = self.entry.take() else { return command.await };
        let left = Arc::clone(&self.site.options.left);
        let (done, entry) = Carried::new(self.coordinator().clone(), left, entry, command, note).await;
        self.entry = Some(entry);
        done
    }

    /// Writes the line of the audit log now: what it says is durable, and the answer may take long.
    pub(super) fn write_entry(&mut self) {
        self.entry = None;
    }

    /// Many tasks are to be cancelled: the log names them all, as each is a write, also where the client leaves.
    pub(super) fn cancels_many(&mut self, tasks: &[TaskBrief]) {
        if !tasks.is_empty() {
            let keys: Vec<String> = tasks.iter().map(|task| task.key.to_string()).collect();
            self.note(|entry| entry.task(keys.join(" ")));
        }
    }

    /// The request was carried out before: its first answer is given again.
    pub(super) fn replayed(&mut self, task: Option<&TaskKey>) {
        self.note(|entry| {
            if let Some(task) = task {
                entry.task(task.to_string());
            }
            entry.done("replayed");
        });
    }
}
