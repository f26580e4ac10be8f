//! `GET /openapi.json`: the API as an OpenAPI 3.1 document, made from the code.
//!
//! Methods, paths and who may come from the table of actions, problems from their table, schemas from the types that
//! are written; `describe.rs` adds what only a person can say, and does not compile while an action is missing.
//!
//! Invariants: the document is built once in a process; its one server is relative to the document itself, so that
//! it is right under any scope and behind any proxy.

mod describe;
mod schemas;
pub(super) mod words;

use std::sync::LazyLock;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Bytes;
use actix_web::{Error, HttpResponse};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, PathsBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::AllOfBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    Content, HttpMethod, InfoBuilder, License, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, RefOr,
    Required, Response, ResponsesBuilder, Schema, Server, Type,
};

use self::describe::{Answer, Body, Header, describe, may_answer};
use super::action::{Action, Needs};
use super::call::Call;
use super::problem::{Document, Kind};

const DESCRIPTION: &str = "Long tasks that can be watched, resumed and really stopped.\n\n\
    Each GET route answers HEAD as well, without a body. A path that leads nowhere is answered with the problem \
    `route-not-found`, another method with `method-not-allowed` and `Allow`. A host application decides who may \
    do what, and may answer a request of its own user type with any other status.";

static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    // Maps and texts: writing them cannot fail, and a test reads the document.
    serde_json::to_vec(&document()).unwrap_or_default().into()
});

/// `GET /openapi.json`
pub(super) async fn show_openapi(_: &mut Call) -> Result<HttpResponse, Error> {
    let mut response = HttpResponse::Ok();
    Ok(response.content_type(describe::JSON).insert_header((CACHE_CONTROL, "no-cache")).body(TEXT.clone()))
}

fn document() -> OpenApi {
    let mut info = InfoBuilder::new()
        .title("quell")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    info.license = Some(license);
    let mut paths = PathsBuilder::new();
    for action in Action::ALL {
        paths = paths.path(action.route(), PathItem::new(method(action), operation(action)));
    }
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(".")]))
        .paths(paths)
        .components(Some(schemas::components()))
        .build()
}

fn method(action: Action) -> HttpMethod {
    match action.method() {
        "PATCH" => HttpMethod::Patch,
        "POST" => HttpMethod::Post,
        _ => HttpMethod::Get,
    }
}

fn operation(action: Action) -> Operation {
    let described = describe(action);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(action.as_str()))
        .summary(Some(described.summary))
        .description(Some(described.details))
        .request_body(described.body.map(request_body));
    for name in segments(&action.route()) {
        operation = operation.parameter(schemas::segment(name));
    }
    for parameter in described.parameters {
        operation = operation.parameter(parameter);
    }
    if action.needs() != Needs::Nothing {
        operation = operation.security(SecurityRequirement::new(schemas::BEARER, Vec::<String>::new()));
    }
    operation.responses(responses(action, described.answers)).build()
}

/// The names in the braces of a path.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn request_body(body: Body) -> RequestBody {
    let required = if body.is_required { Required::True } else { Required::False };
    RequestBodyBuilder::new()
        .content(describe::JSON, Content::new(Some(body.schema)))
        .required(Some(required))
        .build()
}

/// All answers, one for each status: where a status has an answer and problems, it has a content type for each.
fn responses(action: Action, answers: Vec<Answer>) -> ResponsesBuilder {
    let mut told: Vec<(u16, Response)> = answers.into_iter().map(response).collect();
    let mut statuses: Vec<u16> = Vec::new();
    for kind in kinds(action) {
        if !statuses.contains(&kind.status().as_u16()) {
            statuses.push(kind.status().as_u16());
        }
    }
    for status in statuses {
        let carried: Vec<Kind> = kinds(action).filter(|kind| kind.status().as_u16() == status).collect();
        if let Some((_, response)) = told.iter_mut().find(|(s, _)| *s == status) {
            add_problems(response, &carried);
        } else {
            let titles: Vec<&str> = carried.iter().map(|kind| kind.title()).collect();
            let mut response = Response::new(format!("{}.", titles.join("; or: ")));
            add_problems(&mut response, &carried);
            told.push((status, response));
        }
    }
    told.sort_by_key(|(status, _)| *status);
    for (_, response) in &mut told {
        add_header(
            response,
            "X-Request-Id",
            "By which the log names this request: the client's own, or a made one.",
        );
    }
    told.into_iter()
        .fold(ResponsesBuilder::new(), |all, (status, response)| all.response(status.to_string(), response))
}

fn kinds(action: Action) -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(move |kind| may_answer(action, *kind))
}

fn response(answer: Answer) -> (u16, Response) {
    let mut response = Response::new(answer.means);
    for (kind, schema) in answer.content {
        response.content.insert(kind.to_owned(), Content::new(Some(schema)).into());
    }
    for header in answer.headers {
        let (name, description) = match header {
            Header::Location => ("Location", "The path of the task."),
            Header::PreferenceApplied => {
                ("Preference-Applied", "The wait that counted, where one was asked for.")
            }
        };
        add_header(&mut response, name, description);
    }
    (answer.status, response)
}

fn add_problems(response: &mut Response, kinds: &[Kind]) {
    let types =
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds.iter().map(|kind| kind.uri())));
    let narrowed = ObjectBuilder::new().schema_type(Type::Object).property("type", types);
    let schema: Schema =
        AllOfBuilder::new().item(schemas::reference::<Document<'_>>()).item(narrowed).build().into();
    response.content.insert("application/problem+json".to_owned(), Content::new(Some(schema)).into());
    if kinds.contains(&Kind::Unauthorized) {
        add_header(response, "WWW-Authenticate", "How to get in.");
    }
    if kinds.iter().any(|kind| kind.retry_after().is_some()) {
        add_header(response, "Retry-After", "After how many seconds it is worth another try.");
    }
}

fn add_header(response: &mut Response, name: &str, description: &str) {
    let text: RefOr<Schema> = schemas::text().into();
    let header = HeaderBuilder::new().schema(Some(text)).description(Some(description)).build();
    response.headers.insert(name.to_owned(), header.into());
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    fn written() -> Value {
        serde_json::from_slice(&TEXT).unwrap()
    }

    /// Calls back with each value in a document, and the name that it has in its parent.
    fn each<'a>(value: &'a Value, name: &'a str, tell: &mut impl FnMut(&'a str, &'a Value)) {
        tell(name, value);
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| each(value, name, tell)),
            Value::Array(items) => items.iter().for_each(|value| each(value, name, tell)),
            _ => {}
        }
    }

    #[test]
    fn its_operations_are_the_table_of_actions() {
        let document = written();
        let mut operations = BTreeMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let is_open = operation["security"].is_null();
                operations.insert(
                    operation["operationId"].as_str().unwrap(),
                    (path, method.to_uppercase(), is_open),
                );
            }
        }
        assert_eq!(operations.len(), Action::ALL.len());
        for action in Action::ALL {
            let (path, method, is_open) = &operations[action.as_str()];
            assert_eq!((**path).clone(), action.path().replace("quell_", ""), "{action:?}");
            assert_eq!(
                (method.as_str(), *is_open),
                (action.method(), action.needs() == Needs::Nothing),
                "{action:?}"
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_name_is_used() {
        let document = written();
        let mut used = BTreeSet::new();
        each(&document, "", &mut |name, value| {
            if name == "$ref" {
                let place = value.as_str().unwrap();
                assert!(document.pointer(place.strip_prefix('#').unwrap()).is_some(), "{place}");
                used.insert(place.strip_prefix("#/components/schemas/").unwrap());
            }
        });
        let named: BTreeSet<&str> =
            document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(used, named);
    }

    #[test]
    fn each_operation_has_what_openapi_asks_of_it() {
        let document = written();
        assert_eq!(document["openapi"], "3.1.0");
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with('/'));
            for (method, operation) in item.as_object().unwrap() {
                let place = format!("{method} {path}");
                let mut named: Vec<(&str, &str)> = Vec::new();
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let (name, kind) =
                        (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
                    assert!(
                        ["path", "query", "header"].contains(&kind) && parameter["schema"].is_object(),
                        "{place}"
                    );
                    assert_eq!(parameter["required"] == true, kind == "path", "{place}");
                    assert!(!named.contains(&(name, kind)), "{place}: {name}");
                    named.push((name, kind));
                }
                let in_path: Vec<&str> =
                    named.iter().filter(|(_, kind)| *kind == "path").map(|(n, _)| *n).collect();
                assert_eq!(in_path, segments(path).collect::<Vec<_>>(), "{place}");
                let responses = operation["responses"].as_object().unwrap();
                assert!(!responses.is_empty() && operation["summary"].is_string(), "{place}");
                for (status, response) in responses {
                    assert!(matches!(status.parse(), Ok(200..=599)), "{place}: {status}");
                    assert!(!response["description"].as_str().unwrap().is_empty(), "{place}");
                }
            }
        }
    }

    #[test]
    fn every_problem_of_a_write_stands_where_its_status_does() {
        let document = written();
        let refused = &document["paths"]["/tasks/{app}/{model}"]["post"]["responses"];
        let types = |status: &str| {
            refused[status]["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["type"]
                ["enum"]
                .clone()
        };
        let told = ["urn:quell:problem:invalid-path", "urn:quell:problem:invalid-body"];
        assert_eq!(types("400"), serde_json::json!(told));
        assert!(types("503").as_array().unwrap().len() >= 3);
        assert!(refused["503"]["headers"]["Retry-After"].is_object());
        assert!(refused["401"]["headers"]["WWW-Authenticate"].is_object());
    }

    #[test]
    fn a_written_task_has_the_members_that_its_schema_names() {
        let task =
            serde_json::to_value(super::super::dto::TaskDto::from(&super::super::dto::tests::record()))
                .unwrap();
        let schema = written()["components"]["schemas"]["Task"].clone();
        let members: BTreeSet<&str> = task.as_object().unwrap().keys().map(String::as_str).collect();
        let named: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let required: BTreeSet<&str> =
            schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!((&named, &required), (&members, &members));
    }

    #[test]
    fn it_is_built_once() {
        assert_eq!(TEXT.as_ptr(), TEXT.clone().as_ptr());
    }
}
