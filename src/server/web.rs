//! Owns the HTTP server of the binary: the routes of the library, for callers who are known in the chosen way, on a
//! socket that is given, for connections in the number and the time that they may take.
//!
//! It decides no route and no answer, but those to browsers that ask whether pages of another origin may call.

use std::io;
use std::net::TcpListener;

use actix_cors::Cors;
use actix_web::App;
use actix_web::dev::{Server, Service, ServiceRequest};
use actix_web::http::Method;
use actix_web::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use actix_web::middleware::Condition;

use crate::http::{Connections, HttpOptions, JwtPrincipal, Principal, TokenPrincipal, routes};
use crate::runtime::Coordinator;

use super::auth::Known;
use super::local::{Local, hosts};
use super::memory;
use super::settings::HttpSettings;

/// The methods of the API that a page may ask for.
const METHODS: [&str; 3] = ["GET", "POST", "PATCH"];

/// How long a browser may remember that it may call.
const PREFLIGHT_SECONDS: usize = 600;

/// Starts to serve; the caller polls the server and owns the signals.
pub(super) fn start(
    listener: TcpListener,
    coordinator: &Coordinator,
    auth: &Known,
    settings: &HttpSettings,
    max_connections: usize,
) -> io::Result<Server> {
    let door = Door {
        listener,
        connections: Connections::default()
            .max(max_connections)
            .max_per_address(settings.max_connections_per_address)
            .trusted_proxies(settings.trusted_proxies.clone()),
    };
    // Made once, so that all workers count together.
    let options = HttpOptions::default()
        .hide_foreign_tasks(settings.hide_foreign_tasks)
        .trusted_proxies(settings.trusted_proxies.clone())
        .rate_limit(settings.rate_limit)
        .max_streams_per_principal(settings.max_streams_per_principal);
    let origins = &settings.cors_origins;
    match auth {
        Known::Tokens(table, _) => {
            serve::<TokenPrincipal, _>(door, coordinator, options, origins, table.clone())
        }
        Known::Jwt(keys) => serve::<JwtPrincipal, _>(door, coordinator, options, origins, keys.clone()),
        Known::Local(address) => {
            let options = options.only_hosts(hosts(*address), origins);
            serve::<Local, _>(door, coordinator, options, origins, ())
        }
    }
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    connections: Connections,
}

fn serve<U: Principal, D: Clone + Send + 'static>(
    door: Door,
    coordinator: &Coordinator,
    options: HttpOptions,
    origins: &[String],
    data: D,
) -> io::Result<Server> {
    let origins = origins.to_vec();
    let mounted = coordinator.clone();
    let numbers = coordinator.connection_numbers();
    door.connections.serve(door.listener, coordinator, move || {
        // Once on each of its threads.
        actix_rt::spawn(memory::give_back(numbers.clone()));
        let known = origins.clone();
        App::new()
            .app_data(data.clone())
            .configure(routes::<U>(mounted.clone(), options.clone()))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap_fn(move |mut request, next| {
                refuse_as_any_other(&mut request, &known);
                next.call(request)
            })
    })
}

/// A preflight that is not granted is an `OPTIONS` like any other: it gets the problem that those get, its request id
/// and its line, and no header that a browser looks for.
fn refuse_as_any_other(request: &mut ServiceRequest, origins: &[String]) {
    if request.method() != Method::OPTIONS {
        return;
    }
    let is = |name, known: &dyn Fn(&str) -> bool| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).is_some_and(known)
    };
    let is_granted = is(ACCESS_CONTROL_REQUEST_METHOD, &|method| METHODS.contains(&method))
        && is(ORIGIN, &|origin| origins.iter().any(|known| known == origin));
    if !is_granted {
        request.headers_mut().remove(ACCESS_CONTROL_REQUEST_METHOD);
    }
}

/// Lets pages of these origins call, with every header and method that the API has; cookies are not sent. Requests of
/// other origins are answered too, without the headers that would show the answer to a page.
fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(METHODS)
        .allow_any_header()
        .expose_headers([
            "Location",
            "Retry-After",
            "Preference-Applied",
            "WWW-Authenticate",
            "Allow",
            "X-Request-Id",
        ])
        .block_on_origin_mismatch(false)
        .max_age(PREFLIGHT_SECONDS);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
