//! The pages, signing in and out, and why nobody else's page can act for whoever is signed in.
//!
//! A browser sends the cookie along with requests that other pages make. Three things stand against that:
//! - `SameSite=Strict`: the browser keeps the cookie back where another site asks. A page of a sibling domain
//!   (`evil.example.com` beside `app.example.com`) is the same site, though. So:
//! - every write must say in `Origin` that it comes from this very host, which a page can neither leave out nor forge;
//! - quell takes bodies as `application/json` only, which a form cannot send, and scripts of others not without asking.

use actix_session::Session;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorForbidden, ErrorInternalServerError};
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, Responder, web};
use serde_json::json;

use crate::users::{Accounts, NAME, User};

/// Only what comes from here: no script in the page, no frame around it.
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'; form-action 'self'";

/// Adds the pages to an application.
pub(crate) fn pages(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(show_page))
        .route("/page.js", web::get().to(show_script))
        .route("/me", web::get().to(show_me))
        .route("/login", web::get().to(|| async { html(include_str!("login.html")) }))
        .route("/login", web::post().to(sign_in))
        .route("/logout", web::post().to(sign_out));
}

/// Lets a request through that only looks, or that a page of this host has sent.
pub(crate) async fn refuse_writes_from_elsewhere(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !request.method().is_safe() {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let origin = header(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        if origin.is_none() || origin != header(HOST) {
            return Err(ErrorForbidden("this request does not come from a page of this site"));
        }
    }
    next.call(request).await
}

fn html(page: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("Content-Security-Policy", POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .body(page)
}

fn redirect(to: &'static str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("Location", to)).finish()
}

async fn show_page(user: Option<User>) -> impl Responder {
    if user.is_some() { html(include_str!("page.html")) } else { redirect("/login") }
}

async fn show_script() -> impl Responder {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(include_str!("page.js"))
}

async fn show_me(user: User) -> impl Responder {
    web::Json(json!({ "name": *user.name, "role": format!("{:?}", user.role) }))
}

#[derive(serde::Deserialize)]
struct Form {
    name: String,
    password: String,
}

async fn sign_in(
    session: Session,
    accounts: web::Data<Accounts>,
    form: web::Form<Form>,
) -> Result<HttpResponse, Error> {
    if !accounts.check(&form.name, &form.password) {
        return Ok(redirect("/login?wrong"));
    }
    session.renew();
    session.insert(NAME, &form.name).map_err(ErrorInternalServerError)?;
    Ok(redirect("/"))
}

async fn sign_out(session: Session) -> HttpResponse {
    session.purge();
    redirect("/login")
}
