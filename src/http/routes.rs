//! Which path and method leads to which handler.
//!
//! Invariants: what is routed is what the table of actions lists, and nothing else; nothing is put into the host's
//! `app_data`, so that the routes of several runtimes stand side by side under scopes of their own.

use std::sync::Arc;

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Route, guard};

use crate::Coordinator;

use super::action::Action;
use super::auth::Principal;
use super::call::{Site, answer, refuse};
use super::options::HttpOptions;
use super::problem::Problem;
use super::request::lead;
use super::{cancel, cancel_many, health, index, list, numbers, openapi, stream, tasks};

/// What a busy server is asked most.
const MOST_ASKED: [Action; 3] = [Action::Cancel, Action::Start, Action::Show];

/// The routes of a runtime, for `configure` of an application or of one of its scopes.
///
/// | route | does |
/// |---|---|
/// | `POST /tasks/{app}/{model}` | starts a task |
/// | `GET /tasks` | lists those that the caller may see |
/// | `GET /tasks/{app}/{model}/{id}` | shows it |
/// | `PATCH /tasks/{app}/{model}/{id}` | moves its deadline |
/// | `POST /tasks/{app}/{model}/{id}/signals/{name}` | hands it a signal |
/// | `POST /cancel/{app}/{model}/{id}` | cancels it |
/// | `POST /cancel` | cancels many |
/// | `GET /stream/{app}/{model}/{id}` | its events, as server-sent events |
/// | `GET /metrics` | the runtime's numbers, for those who may see everybody's tasks |
/// | `GET /openapi.json`, `GET /` | without credentials: what all of this takes and answers; the routes as text |
/// | `GET /health`, `GET /livez`, `GET /readyz` | without credentials: whether the process answers, and takes work |
///
/// Each GET route answers HEAD as well. A path that leads nowhere is answered with a problem: under a scope, only
/// below it; at the root, everywhere, unless the host sets a `default_service` of its own afterwards.
///
/// ```no_run
/// # use quell::http::{HttpOptions, TokenPrincipal, routes};
/// # fn mount(coordinator: quell::Coordinator) {
/// use actix_web::{App, web};
///
/// let jobs = routes::<TokenPrincipal>(coordinator, HttpOptions::default());
/// let app = App::new().service(web::scope("/api/jobs").configure(jobs));
/// # }
/// ```
pub fn routes<U: Principal>(
    coordinator: Coordinator,
    options: HttpOptions,
) -> impl FnOnce(&mut ServiceConfig) + Clone {
    let site = Site { coordinator, options: Arc::new(options) };
    move |config| {
        let mut paths: Vec<&str> = Vec::new();
        // The router tries one pattern after the other: those that are asked most stand first.
        for path in MOST_ASKED.into_iter().chain(Action::ALL).map(Action::path) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        for path in paths {
            config.service(resource::<U>(&site, path));
        }
        let nowhere = web::route().to(refuse(&site, "none", Problem::route_not_found));
        config.default_service(nowhere.wrap(from_fn(|request, next| lead("none".into(), request, next))));
    }
}

/// One path with all its methods; any other method is refused, with the list of those.
fn resource<U: Principal>(site: &Site, path: &'static str) -> impl HttpServiceFactory + 'static {
    let actions: Vec<Action> = Action::ALL.into_iter().filter(|action| action.path() == path).collect();
    let route: Arc<str> = actions.first().map(|action| action.route()).unwrap_or_default().into();
    let methods = actions.iter().map(|action| allowed(*action)).collect::<Vec<_>>().join(", ");
    let resource = actions.into_iter().fold(web::resource(path), |resource, action| {
        let route = match action.method() {
            "PATCH" => web::patch(),
            "POST" => web::post(),
            // actix-web leaves out the body of an answer to HEAD by itself.
            _ => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        };
        resource.route(to_handler::<U>(route, site, action))
    });
    let unknown = refuse(site, &route, move || Problem::method_not_allowed(methods.clone()));
    let resource = resource.default_service(web::to(unknown));
    resource.wrap(from_fn(move |request, next| lead(Arc::clone(&route), request, next)))
}

/// The methods by which an action is reached: whatever can be read can be asked for without its body.
fn allowed(action: Action) -> &'static str {
    match action.method() {
        "GET" => "GET, HEAD",
        other => other,
    }
}

fn to_handler<U: Principal>(route: Route, site: &Site, action: Action) -> Route {
    match action {
        Action::Start => route.to(answer(site, action, tasks::start_task::<U>)),
        Action::List => route.to(answer(site, action, list::list_tasks::<U>)),
        Action::Show => route.to(answer(site, action, tasks::show_task::<U>)),
        Action::Patch => route.to(answer(site, action, tasks::patch_task::<U>)),
        Action::Signal => route.to(answer(site, action, tasks::signal_task::<U>)),
        Action::Cancel => route.to(answer(site, action, cancel::cancel_task::<U>)),
        Action::CancelMany => route.to(answer(site, action, cancel_many::cancel_tasks::<U>)),
        Action::Stream => route.to(answer(site, action, stream::stream_task::<U>)),
        Action::Metrics => route.to(answer(site, action, numbers::show_metrics::<U>)),
        Action::OpenApi => route.to(answer(site, action, openapi::show_openapi)),
        Action::Index => route.to(answer(site, action, index::show_index)),
        Action::Health | Action::Live => route.to(answer(site, action, health::show_health)),
        Action::Ready => route.to(answer(site, action, health::show_readiness)),
    }
}
