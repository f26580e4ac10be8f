//! Which path and method leads to which handler.
//!
//! Invariants: each path names its methods once, for the routes and for `Allow`; nothing is put into the host's
//! `app_data`, so that the routes of several runtimes stand side by side under scopes of their own.

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, HttpResponse, Resource};

use crate::Coordinator;

use super::audit::Action;
use super::auth::Principal;
use super::call::{Site, answer};
use super::options::HttpOptions;
use super::problem::Problem;
use super::{cancel, health, path, stream, tasks};

/// The routes of a runtime, for `configure` of an application or of one of its scopes.
///
/// | route | does |
/// |---|---|
/// | `POST /tasks/{app}/{model}` | starts a task |
/// | `GET /tasks/{app}/{model}/{id}` | shows it |
/// | `PATCH /tasks/{app}/{model}/{id}` | moves its deadline |
/// | `POST /tasks/{app}/{model}/{id}/signals/{name}` | hands it a signal |
/// | `POST /cancel/{app}/{model}/{id}` | cancels it |
/// | `GET /stream/{app}/{model}/{id}` | its events, as server-sent events |
/// | `GET /health`, `GET /livez`, `GET /readyz` | without credentials: whether the process answers, and takes work |
///
/// A path that leads nowhere is answered with a problem: under a scope, only below it; at the root, everywhere,
/// unless the host sets a `default_service` of its own afterwards.
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
        let start = answer(&site, Action::Start, tasks::start_task::<U>);
        let show = answer(&site, Action::Show, tasks::show_task::<U>);
        let patch = answer(&site, Action::Patch, tasks::patch_task::<U>);
        let signal = answer(&site, Action::Signal, tasks::signal_task::<U>);
        let cancel = answer(&site, Action::Cancel, cancel::cancel_task::<U>);
        let watch = answer(&site, Action::Stream, stream::stream_task::<U>);
        config
            .service(knows("POST", web::resource(path::MODEL).route(web::post().to(start))))
            .service(knows(
                "GET, PATCH",
                web::resource(path::TASK).route(web::get().to(show)).route(web::patch().to(patch)),
            ))
            .service(knows("POST", web::resource(path::SIGNAL).route(web::post().to(signal))))
            .service(knows("POST", web::resource(path::CANCEL).route(web::post().to(cancel))))
            .service(knows("GET", web::resource(path::STREAM).route(web::get().to(watch))));
        health_routes(config, &site);
        config.default_service(web::to(|| async { refuse(Problem::route_not_found()) }));
    }
}

fn health_routes(config: &mut ServiceConfig, site: &Site) {
    let coordinator = site.coordinator.clone();
    let ready = move || {
        let readiness = coordinator.readiness();
        async move { health::show_readiness(readiness) }
    };
    config
        .service(knows("GET", web::resource("/health").route(web::get().to(health::show_health))))
        .service(knows("GET", web::resource("/livez").route(web::get().to(health::show_health))))
        .service(knows("GET", web::resource("/readyz").route(web::get().to(ready))));
}

/// Any other method is refused, with the list of those that are known.
fn knows(methods: &'static str, resource: Resource) -> Resource {
    resource.default_service(web::to(move || async move { refuse(Problem::method_not_allowed(methods)) }))
}

fn refuse(problem: Problem) -> Result<HttpResponse, Error> {
    Err(problem.into())
}
