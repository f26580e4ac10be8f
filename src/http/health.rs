//! What a load balancer asks. No credentials, no look-ups, one line of text.

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{Error, HttpResponse, HttpResponseBuilder};

use crate::Readiness;

use super::call::Call;

/// `GET /health` and `GET /livez`: the process answers.
pub(super) async fn show_health(_: &mut Call) -> Result<HttpResponse, Error> {
    Ok(text(HttpResponse::Ok(), "OK"))
}

/// `GET /readyz`: whether it takes work, and else why not.
pub(super) async fn show_readiness(call: &mut Call) -> Result<HttpResponse, Error> {
    Ok(told(call.coordinator().readiness()))
}

fn told(readiness: Readiness) -> HttpResponse {
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::Recovering | Readiness::Draining | Readiness::NoDatabase | Readiness::PoolFull => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    text(HttpResponse::build(status), readiness.as_str())
}

fn text(mut response: HttpResponseBuilder, line: &'static str) -> HttpResponse {
    response.content_type("text/plain; charset=utf-8").insert_header((CACHE_CONTROL, "no-store")).body(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_server_says_200() {
        assert_eq!(told(Readiness::Ready).status(), 200);
        for readiness in
            [Readiness::Recovering, Readiness::Draining, Readiness::NoDatabase, Readiness::PoolFull]
        {
            assert_eq!(told(readiness).status(), 503);
        }
    }
}
