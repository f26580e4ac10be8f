//! `GET /`: the routes in a few lines of text, for whoever points a browser at the server.

use std::fmt::Write as _;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{Error, HttpResponse};

use super::action::{Action, Needs};
use super::call::Call;

/// `GET /`
pub(super) async fn show_index(_: &mut Call) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text()))
}

fn text() -> String {
    let mut text = String::from("quell: long tasks that you can watch, resume and really stop\n\n");
    for action in Action::ALL {
        let (method, path) = (action.method(), action.route());
        let open = if action.needs() == Needs::Nothing { "" } else { "  (with credentials)" };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{method:<5} {path}{open}");
    }
    text.push_str("\nPaths count from here. GET openapi.json says what each takes and answers.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_stands_in_it() {
        let text = text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.contains(&"POST  /tasks/{app}/{model}  (with credentials)"), "{text}");
        assert!(lines.contains(&"GET   /health"), "{text}");
        let routes =
            lines.iter().filter(|line| line.split_whitespace().nth(1).is_some_and(|p| p.starts_with('/')));
        assert_eq!(routes.count(), Action::ALL.len());
    }
}
