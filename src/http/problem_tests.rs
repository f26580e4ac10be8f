//! Holds the error document against RFC 9457 and the table of the contract.

use super::*;
use actix_web::body::MessageBody;

fn document(problem: &Problem) -> serde_json::Value {
    let body = problem.error_response().into_body().try_into_bytes().unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_problem_is_a_document_of_rfc_9457() {
    let problem = Problem::invalid_field("timeout_seconds", "must be a number");
    let response = problem.error_response();
    assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
    assert_eq!(
        document(&problem),
        serde_json::json!({
            "type": "urn:quell:problem:invalid-body",
            "title": "The body is malformed",
            "status": 400,
            "detail": "`timeout_seconds` must be a number",
            "errors": [{"field": "timeout_seconds", "detail": "must be a number"}],
        })
    );
}

#[test]
fn errors_are_absent_where_no_field_is_named() {
    assert!(document(&Problem::route_not_found()).get("errors").is_none());
}

#[test]
fn headers_stand_where_the_table_says() {
    let header = |problem: Problem, name: &str| {
        problem.error_response().headers().get(name).map(|v| v.to_str().unwrap().to_owned())
    };
    assert_eq!(header(Problem::unauthorized("x"), "www-authenticate").as_deref(), Some("Bearer"));
    assert_eq!(
        header(Problem::method_not_allowed("GET, PATCH".into()), "allow").as_deref(),
        Some("GET, PATCH")
    );
    for waiting in [
        Problem::shutting_down(),
        Problem::too_many_pending("x"),
        Problem::database_unavailable(),
        Problem::outcome_unknown(),
    ] {
        assert_eq!(waiting.status_code(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(header(waiting, "retry-after").is_some());
    }
    assert!(header(Problem::too_many_tasks(3), "retry-after").is_some());
    assert_eq!(header(Problem::forbidden("x"), "retry-after"), None);
}

#[test]
fn text_of_a_client_is_shown_short() {
    let problem = Problem::invalid_field(&"ü\"\u{1b}".repeat(10_000), "is unknown".repeat(1000));
    assert!(problem.error_response().into_body().try_into_bytes().unwrap().len() < 4_000);
    assert_eq!(document(&problem)["errors"][0]["field"].as_str().unwrap().chars().count(), 81);
}

#[test]
fn text_of_a_client_does_not_act_on_who_reads_it() {
    let problem = Problem::invalid_field("a\u{7f}\u{9b}2J\u{2028}\u{202e}b", "is \u{85}unknown");
    let body = problem.error_response().into_body().try_into_bytes().unwrap();
    assert!(!std::str::from_utf8(&body).unwrap().contains(acts));
    assert_eq!(document(&problem)["errors"][0]["field"], "a\\u{7f}\\u{9b}2J\\u{2028}\\u{202e}b");
}

#[test]
fn a_late_body_closes_the_connection() {
    assert!(
        Problem::request_timeout().error_response().head().connection_type()
            == actix_web::http::ConnectionType::Close
    );
}
