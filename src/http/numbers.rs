//! The runtime's numbers as text for Prometheus.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{Error, HttpResponse};

use super::auth::Principal;
use super::call::Call;
use super::problem::Problem;

/// The text format of Prometheus that the runtime writes.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`
pub(super) async fn show_metrics<U: Principal>(call: &mut Call) -> Result<HttpResponse, Error> {
    call.no_query()?;
    let user: U = call.user().await?;
    call.check_any(&user)?;
    let text = call.coordinator().metrics().ok_or_else(Problem::metrics_elsewhere)?;
    Ok(HttpResponse::Ok().content_type(TEXT_FORMAT).insert_header((CACHE_CONTROL, "no-store")).body(text))
}
