//! Who may start a command, whichever way the server knows them, and what its input must be.

use reqwest::Method;
use serde_json::{Value, json};

use super::{home_with, server_with};
use crate::server::{Answer, Client, Server};

const COMMANDS: &str = r#"
    [command.open]
    program = "true"

    [command.listed]
    program = "true"
    may_start = ["alice", "local"]

    [command.nobody]
    program = "true"
    may_start = []
"#;

async fn start(client: &Client, name: &str) -> Answer {
    client.post_json(&format!("/tasks/command/{name}"), &json!({})).await
}

#[actix_web::test]
async fn only_who_is_listed_may_start_a_command_and_permissions_do_not_help() {
    let home = home_with(COMMANDS);
    let server = home.server(&["--log-format", "json"]).await;
    for (who, may) in
        [("alice", true), ("bob", false), ("viewer", false), ("canceller", false), ("root", false)]
    {
        let client = server.client(who);
        start(&client, "open").await.with(202);
        start(&client, "nobody").await.problem(403, "forbidden");
        if may {
            start(&client, "listed").await.with(202);
        } else {
            start(&client, "listed").await.problem(403, "forbidden");
        }
        // Existence comes before permission, and bodies before both.
        start(&client, "none").await.problem(404, "unknown-model");
        client.post_bytes("/tasks/command/nobody", "{").await.problem(400, "invalid-body");
    }
    start(&server.stranger(), "open").await.problem(401, "unauthorized");
    server.terminate();
    let log = server.ended().await.err;
    let records = log.lines().filter(|line| line.contains("\"quell::audit\""));
    let records = records.map(|line| serde_json::from_str::<Value>(line).expect("a record is JSON"));
    let refused = records.filter(|line| line["fields"]["result"] == "forbidden");
    assert_eq!(refused.count(), 9);
}

#[actix_web::test]
async fn i28_on_a_hiding_server_a_command_for_others_looks_like_none() {
    let home = home_with(COMMANDS);
    let server = home.server(&["--hide-foreign-tasks"]).await;
    let bob = server.client("bob");
    let told = start(&bob, "listed").await.problem(404, "unknown-model");
    let none = start(&bob, "none").await.problem(404, "unknown-model");
    assert_eq!(told.to_string().replace("listed", "none"), none.to_string());
    start(&server.client("alice"), "listed").await.with(202);
    server.stop().await;
}

#[actix_web::test]
async fn the_list_holds_without_authentication_too() {
    let home = home_with(COMMANDS);
    let mut command = home.command(&["--auth", "none"]);
    command.env_remove("QUELL_API_TOKENS");
    let server = Server::of(&home, command).await;
    start(&server.stranger(), "listed").await.with(202);
    start(&server.stranger(), "nobody").await.problem(403, "forbidden");
    server.stop().await;
}

#[actix_web::test]
async fn an_input_that_does_not_fit_is_refused_with_its_field_and_makes_no_row() {
    let server = server_with(
        r#"
        [command.list]
        program = "ls"
        args = ["{input.free}", "--width={input.width}", "--", "{input.after}"]
        fields.free = { type = "text" }
        fields.width = { type = "integer", min = 1, max = 500, default = 80 }
        fields.after = { type = "text", default = "x" }
        "#,
    )
    .await;
    let client = server.client("alice");
    for (input, field) in [
        (json!({ "free": "--all" }), "input.free"),
        (json!({ "free": "-" }), "input.free"),
        (json!({ "free": 5 }), "input.free"),
        (json!({ "free": "a\nb" }), "input.free"),
        (json!({ "free": "x", "width": 0 }), "input.width"),
        (json!({ "free": "x", "width": "80" }), "input.width"),
        (json!({ "free": "x", "other": 1 }), "input.other"),
        (json!({}), "input.free"),
    ] {
        let answer = client.post_json("/tasks/command/list", &json!({ "input": input })).await;
        answer.names(422, "invalid-input", field);
    }
    let twice = client.post_bytes("/tasks/command/list", r#"{"input":{"free":"x","free":"y"}}"#).await;
    assert!([400, 422].contains(&twice.status), "{twice:?}");
    client.post_json("/tasks/command/list", &json!({ "input": [] })).await.names(
        422,
        "invalid-input",
        "input",
    );
    let list = Answer::of(client.call(Method::GET, "/tasks")).await.with(200);
    assert_eq!(list["items"], json!([]));
    // After `--` it is a name like any other.
    let task = client.command("list", json!({ "free": "x", "after": "-x" })).await;
    let message = client.ended(&task).await["error_message"].as_str().unwrap().to_owned();
    assert!(message.contains("-x"), "{message}");
    server.stop().await;
}
