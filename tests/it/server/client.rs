//! Owns a client of the API, written from the contract: paths, credentials, and answers that can be looked at.

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::sse::Watching;
use super::wait::{eventually, in_time};

/// A task, as paths name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) app: String,
    pub(crate) model: String,
    pub(crate) id: i64,
}

impl Task {
    pub(crate) fn new(model: &str, id: i64) -> Self {
        Self::of("tests", model, id)
    }

    pub(crate) fn of(app: &str, model: &str, id: i64) -> Self {
        Self { app: app.to_owned(), model: model.to_owned(), id }
    }

    pub(crate) fn path(&self) -> String {
        format!("/tasks/{}/{}/{}", self.app, self.model, self.id)
    }

    pub(crate) fn cancel(&self) -> String {
        format!("/cancel/{}/{}/{}", self.app, self.model, self.id)
    }

    pub(crate) fn stream(&self) -> String {
        format!("/stream/{}/{}/{}", self.app, self.model, self.id)
    }

    pub(crate) fn signal(&self, name: &str) -> String {
        format!("{}/signals/{name}", self.path())
    }
}

/// What a server answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("the server answers")
    }

    /// The answer, unless the connection breaks.
    pub(crate) async fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
        in_time("an answer", async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Self { status, headers, text: response.text().await? })
        })
        .await
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of an answer of this status.
    pub(crate) fn with(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        self.json()
    }

    /// The problem document of this status and name.
    pub(crate) fn problem(&self, status: u16, name: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert!(problem["type"].as_str().expect("text").ends_with(&format!(":{name}")), "{self:?}");
        assert_eq!(problem["status"], status);
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        problem
    }

    /// The same, which must name this field and no other.
    pub(crate) fn names(&self, status: u16, name: &str, field: &str) {
        let problem = self.problem(status, name);
        let fields: Vec<_> =
            problem["errors"].as_array().into_iter().flatten().map(|e| &e["field"]).collect();
        assert_eq!(fields, [field], "{self:?}");
        assert!(problem["detail"].as_str().expect("text").contains(field), "{self:?}");
    }
}

/// Somebody who speaks to a server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::stranger(base) }
    }

    pub(crate) fn stranger(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, base: base.to_owned(), token: None }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.call(Method::GET, path)).await
    }

    /// A POST without a body.
    pub(crate) async fn post(&self, path: &str) -> Answer {
        Answer::of(self.call(Method::POST, path)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.call(Method::POST, path).json(body)).await
    }

    /// A POST with these very bytes, as JSON.
    pub(crate) async fn post_bytes(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.call(Method::POST, path).header("content-type", "application/json");
        Answer::of(request.body(body.into())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.call(Method::PATCH, path).json(body)).await
    }

    /// Starts a demo task, which must be accepted.
    pub(crate) async fn start(&self, model: &str, input: Value) -> Task {
        self.start_with(model, &json!({ "input": input })).await
    }

    /// Starts a task of a command, which must be accepted.
    pub(crate) async fn command(&self, name: &str, input: Value) -> Task {
        let row =
            self.post_json(&format!("/tasks/command/{name}"), &json!({ "input": input })).await.with(202);
        Task::of("command", name, row["id"].as_i64().expect("a number"))
    }

    pub(crate) async fn start_with(&self, model: &str, body: &Value) -> Task {
        let row = self.post_json(&format!("/tasks/tests/{model}"), body).await.with(202);
        Task::new(model, row["id"].as_i64().expect("a number"))
    }

    pub(crate) async fn show(&self, task: &Task) -> Value {
        self.get(&task.path()).await.with(200)
    }

    pub(crate) async fn cancel(&self, task: &Task, body: &Value) -> Answer {
        self.post_json(&task.cancel(), body).await
    }

    /// The task once it is as it should be.
    pub(crate) async fn until(&self, task: &Task, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.show(task).await).filter(&is)).await
    }

    /// The task once it has ended.
    pub(crate) async fn ended(&self, task: &Task) -> Value {
        self.until(task, "the task ends", |row| !row["completed_at"].is_null()).await
    }

    /// Opens the stream of events.
    pub(crate) async fn watch(&self, task: &Task) -> Watching {
        self.watch_after(task, None).await
    }

    /// The same, past an event that was seen.
    pub(crate) async fn watch_after(&self, task: &Task, last: Option<i64>) -> Watching {
        let mut request = self.call(Method::GET, &task.stream()).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        Watching::open(request).await
    }
}
