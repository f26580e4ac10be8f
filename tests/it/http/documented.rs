//! Holds the document of the API against what the server really answers, at the root and under a scope.

use quell::http::{HttpOptions, TokenPrincipal, TokenTable, routes};
use quell::{Registry, RuntimeSettings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Hosted, Server, Task};

/// What a document says of the answers of an operation.
struct Document(Value);

impl Document {
    async fn of(client: &Client) -> Self {
        Self(client.get("/openapi.json").await.with(200))
    }

    /// That an answer of this status and content type is documented, and has the members that it must have.
    fn has(&self, method: &str, path: &str, answer: &Answer) {
        let what = format!("{method} {path}: {answer:?}");
        let response = &self.0["paths"][path][method]["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{what}");
        let kind = answer.header("content-type").split(';').next().unwrap_or_default();
        if answer.text.is_empty() {
            assert!(response["content"].is_null(), "{what}");
            return;
        }
        let schema = &response["content"][kind]["schema"];
        assert!(schema.is_object(), "{what}");
        if kind.ends_with("json") {
            self.fits(schema, &answer.json(), &what);
        }
    }

    /// As much of JSON Schema as the document uses.
    fn fits(&self, schema: &Value, value: &Value, what: &str) {
        if let Some(place) = schema["$ref"].as_str() {
            self.fits(self.0.pointer(&place[1..]).expect("it leads somewhere"), value, what);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.fits(part, value, what);
        }
        if let Some(words) = schema["enum"].as_array() {
            assert!(words.contains(value), "{value} is none of {words:?}: {what}");
        }
        let is = |name: &Value| match name.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64(),
            Some("number") => value.is_number(),
            Some("null") => value.is_null(),
            _ => true,
        };
        let fits =
            schema["type"].as_array().map_or_else(|| is(&schema["type"]), |names| names.iter().any(is));
        assert!(fits, "{value} is no {}: {what}", schema["type"]);
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(
                !value[name.as_str().expect("a name")].is_null()
                    || value.get(name.as_str().expect("a name")).is_some(),
                "{name}: {what}"
            );
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(member) = value.get(name) {
                self.fits(schema, member, what);
            }
        }
    }
}

#[tokio::test]
async fn every_answer_of_a_long_day_is_documented() {
    let server = Server::start().await;
    let (alice, bob, nobody) = (server.client("alice"), server.client("bob"), server.stranger());
    let document = Document::of(&nobody).await;
    for path in ["/health", "/livez", "/readyz", "/openapi.json", "/"] {
        document.has("get", path, &nobody.get(path).await);
    }
    document.has("get", "/metrics", &server.client("root").get("/metrics").await);
    document.has("get", "/metrics", &alice.get("/metrics").await);
    let (one, start) = ("/tasks/{app}/{model}/{id}", "/tasks/{app}/{model}");
    let (signal, cancel, stream) = (
        "/tasks/{app}/{model}/{id}/signals/{name}",
        "/cancel/{app}/{model}/{id}",
        "/stream/{app}/{model}/{id}",
    );
    let (stuck, ended) =
        (alice.start("StuckTask", json!({})).await, alice.start("ExampleTask", json!({})).await);
    alice.ended(&ended).await;
    let missing = Task::new("StuckTask", 4_000_000);
    let waiting = alice.call(Method::POST, "/tasks/tests/ExampleTask").header("prefer", "wait=20");
    document.has("post", start, &Answer::of(waiting).await);
    for body in [&b"{}"[..], b"{", b"{\"x\":1}", b"{\"input\":{\"x\":1}}", b"{\"input\":5}"] {
        document.has("post", start, &alice.post_bytes("/tasks/tests/StuckTask", body).await);
    }
    document.has("post", start, &alice.post("/tasks/tests/NoModel").await);
    document.has("post", start, &alice.post("/tasks/tests/1").await);
    document.has("post", start, &alice.post_bytes("/tasks/tests/StuckTask", vec![b' '; 300_000]).await);
    for who in [&alice, &bob, &nobody] {
        for task in [&stuck, &ended, &missing, &Task::new("StuckTask", 0)] {
            document.has("get", one, &who.get(&task.path()).await);
            document.has("patch", one, &who.patch(&task.path(), &json!({"timeout_seconds": 900})).await);
            document.has("patch", one, &who.patch(&task.path(), &json!({"timeout_seconds": 0})).await);
            document.has("post", signal, &who.post_json(&task.signal("go"), &json!("x\u{0}")).await);
            document.has("post", signal, &who.post(&task.signal("go")).await);
            let plain = who.call(Method::POST, &task.signal("go")).body("x");
            document.has("post", signal, &Answer::of(plain).await);
            if task != &stuck || !std::ptr::eq(who, &raw const alice) {
                document.has("get", stream, &who.get(&task.stream()).await);
            }
        }
    }
    let past = alice.call(Method::GET, &ended.stream()).header("last-event-id", "99");
    document.has("get", stream, &Answer::of(past).await);
    let events = alice.call(Method::GET, &ended.stream()).header("accept", "text/event-stream");
    document.has("get", stream, &Answer::of(events).await);
    let clean = alice.start("CleanupTask", json!({"cleanup_ms": 3000})).await;
    let soon = alice.call(Method::POST, &clean.cancel()).header("prefer", "wait=0");
    document.has("post", cancel, &Answer::of(soon).await);
    for who in [&nobody, &bob, &alice] {
        for task in [&stuck, &stuck, &ended, &missing] {
            document.has("post", cancel, &who.cancel(task, &json!({"reason": "x"})).await);
        }
    }
}

#[tokio::test]
async fn its_server_is_found_from_where_it_is_mounted() {
    let runtimes = vec![(Registry::new(), RuntimeSettings::default())];
    let hosted = Hosted::mount(runtimes, |coordinators, config| {
        config.app_data(TokenTable::parse("alice=alice-token-of-16-or-more").expect("tokens"));
        let jobs = routes::<TokenPrincipal>(coordinators[0].clone(), HttpOptions::default());
        config.service(actix_web::web::scope("/api/jobs").configure(jobs));
    })
    .await;
    let alice = hosted.client("alice");
    let document = alice.get("/api/jobs/openapi.json").await.with(200);
    let place = reqwest::Url::parse(&format!("{}/api/jobs/openapi.json", hosted.base())).expect("a URL");
    let server = place.join(document["servers"][0]["url"].as_str().expect("text")).expect("a URL");
    assert_eq!(server.path(), "/api/jobs/");
    let paths = document["paths"].as_object().expect("paths");
    for (path, _) in paths.iter().filter(|(path, item)| item["get"].is_object() && !path.contains('{')) {
        let answer = alice.get(&format!("{}{path}", server.path().trim_end_matches('/'))).await;
        assert!(matches!(answer.status, 200 | 400 | 403 | 503), "{path}: {answer:?}");
    }
    let index = alice.get("/api/jobs/").await;
    assert!(index.status == 200 && index.text.contains("POST  /cancel/{app}/{model}/{id}"), "{index:?}");
    hosted.stop().await;
}
