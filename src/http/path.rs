//! Reading the path and the query of a request.
//!
//! Invariants: what comes out is well formed; what is wrong is named. The segments' names carry a prefix, so that a
//! host's scope may have an `{app}` or an `{id}` of its own.

use actix_web::HttpRequest;
use actix_web::web::Query;

use crate::task::{Name, TaskId, TaskKey, is_event_name};

use super::problem::Problem;
use super::refusals::signal_name;

/// All tasks.
pub(super) const TASKS: &str = "/tasks";
/// Where many are cancelled.
pub(super) const CANCEL_MANY: &str = "/cancel";
/// Where tasks of one model are started.
pub(super) const MODEL: &str = "/tasks/{quell_app}/{quell_model}";
/// One task.
pub(super) const TASK: &str = "/tasks/{quell_app}/{quell_model}/{quell_id}";
/// Its signals.
pub(super) const SIGNAL: &str = "/tasks/{quell_app}/{quell_model}/{quell_id}/signals/{quell_name}";
/// Where it is cancelled.
pub(super) const CANCEL: &str = "/cancel/{quell_app}/{quell_model}/{quell_id}";
/// Its events.
pub(super) const STREAM: &str = "/stream/{quell_app}/{quell_model}/{quell_id}";

/// The app and the model.
pub(super) fn model(request: &HttpRequest) -> Result<(Name, Name), Problem> {
    Ok((name(request, "quell_app", "app")?, name(request, "quell_model", "model")?))
}

/// The key of a task.
pub(super) fn key(request: &HttpRequest) -> Result<TaskKey, Problem> {
    let (app, model) = model(request)?;
    let id: TaskId = segment(request, "quell_id").parse().map_err(|_| {
        Problem::invalid_task_id(
            "must be a whole number from 1 to 9007199254740991, without sign or leading zero",
        )
    })?;
    Ok(TaskKey { app, model, id })
}

/// The name of a signal.
pub(super) fn signal(request: &HttpRequest) -> Result<String, Problem> {
    let name = segment(request, "quell_name");
    if is_event_name(name) { Ok(name.to_owned()) } else { Err(signal_name()) }
}

/// No query parameter is known here.
pub(super) fn no_query(request: &HttpRequest) -> Result<(), Problem> {
    match parameters(request)?.first() {
        None => Ok(()),
        Some((name, _)) => Err(unknown(name)),
    }
}

/// The parameter `after`, the only one of a stream.
pub(super) fn after(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let mut found = None;
    for (name, value) in parameters(request)? {
        if name != "after" {
            return Err(unknown(&name));
        }
        let wrong = || Problem::invalid_path("after", "must be given once, as a whole number from 0");
        let number = event_number(&value).ok_or_else(wrong)?;
        if found.replace(number).is_some() {
            return Err(wrong());
        }
    }
    Ok(found)
}

/// The header `Last-Event-ID`; a malformed one counts as none.
pub(super) fn last_event_id(request: &HttpRequest) -> Option<i64> {
    event_number(request.headers().get("last-event-id")?.to_str().ok()?)
}

/// The path of a task beside the path that its model was started at: the prefix of the host's scope stays.
pub(super) fn location(start_path: &str, key: &TaskKey) -> String {
    let prefix = start_path.rsplitn(3, '/').nth(2).unwrap_or_default();
    format!("{prefix}/{key}")
}

/// A number of digits only. One beyond all events that can be stands for the largest that leaves room to count on.
fn event_number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(TaskId::MAX).min(TaskId::MAX))
}

fn name(request: &HttpRequest, segment_name: &str, field: &str) -> Result<Name, Problem> {
    Name::new(segment(request, segment_name))
        .map_err(|_| Problem::invalid_path(field, "must match [A-Za-z_][A-Za-z0-9_]{0,63}"))
}

fn segment<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or_default()
}

pub(super) fn parameters(request: &HttpRequest) -> Result<Vec<(String, String)>, Problem> {
    if request.query_string().is_empty() {
        return Ok(Vec::new());
    }
    Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map(Query::into_inner)
        .map_err(|_| Problem::invalid_path("query", "is malformed"))
}

pub(super) fn unknown(parameter: &str) -> Problem {
    Problem::invalid_path(parameter, "is no query parameter of this route: leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn request(id: &str, query: &str) -> HttpRequest {
        TestRequest::with_uri(&format!("/x?{query}"))
            .param("quell_app", "tests".to_owned())
            .param("quell_model", "LongTask".to_owned())
            .param("quell_id", id.to_owned())
            .to_http_request()
    }

    #[test]
    fn a_malformed_id_has_a_problem_of_its_own() {
        assert_eq!(key(&request("123", "")).unwrap().to_string(), "tests/LongTask/123");
        for id in
            ["abc", "-1", "0", "1.5", "+1", "01", "", "9007199254740992", "99999999999999999999", "1\0", "١"]
        {
            assert_eq!(key(&request(id, "")).unwrap_err().name(), "invalid-task-id", "{id}");
        }
    }

    #[test]
    fn a_malformed_name_is_named() {
        for (app, model, field) in
            [("../../etc", "M", "app"), ("a", "b c", "model"), ("", "M", "app"), ("a", "\0", "model")]
        {
            let request = TestRequest::default()
                .param("quell_app", app.to_owned())
                .param("quell_model", model.to_owned())
                .to_http_request();
            let problem = super::model(&request).unwrap_err();
            assert_eq!((problem.name(), problem.errors()[0].field.as_str()), ("invalid-path", field));
        }
    }

    #[test]
    fn unknown_parameters_are_refused_by_name() {
        assert!(no_query(&request("1", "")).is_ok());
        assert_eq!(no_query(&request("1", "force=1")).unwrap_err().errors()[0].field, "force");
        assert_eq!(after(&request("1", "after=1&x=2")).unwrap_err().errors()[0].field, "x");
    }

    #[test]
    fn after_is_a_whole_number_given_once() {
        assert_eq!(after(&request("1", "")).unwrap(), None);
        assert_eq!(after(&request("1", "after=0")).unwrap(), Some(0));
        assert_eq!(after(&request("1", "after=17")).unwrap(), Some(17));
        assert_eq!(after(&request("1", "after=99999999999999999999")).unwrap(), Some(TaskId::MAX));
        for query in ["after=", "after=-1", "after=x", "after=1.0", "after=%2B1", "after=1&after=2", "after"]
        {
            let problem = after(&request("1", query)).unwrap_err();
            assert_eq!(
                (problem.name(), problem.errors()[0].field.as_str()),
                ("invalid-path", "after"),
                "{query}"
            );
        }
    }

    #[test]
    fn a_malformed_last_event_id_counts_as_none() {
        let told = |value: &str| {
            last_event_id(&TestRequest::default().insert_header(("last-event-id", value)).to_http_request())
        };
        assert_eq!(told("7"), Some(7));
        assert_eq!(told("0"), Some(0));
        for malformed in ["", "x", "-1", "1.5", "0x1", "7 8"] {
            assert_eq!(told(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn a_location_keeps_the_prefix_of_the_scope() {
        let key = "tests/LongTask/5".parse().unwrap();
        assert_eq!(location("/tasks/tests/LongTask", &key), "/tasks/tests/LongTask/5");
        assert_eq!(location("/api/jobs/tasks/tests/%4CongTask", &key), "/api/jobs/tasks/tests/LongTask/5");
    }
}
