//! How a program is stopped, what is left of it, and who cleans up.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{first_line, home_with, lives, script, server_with};
use crate::server::{Client, Task, eventually};

/// What a cancel's receipt and the row afterwards say: who stopped it, and what became of the cleanup.
async fn cancelled(client: &Client, task: &Task) -> (Value, Value) {
    let receipt = client.cancel(task, &json!({ "reason": "enough" })).await.with(200);
    let row = client.show(task).await;
    assert_eq!((&row["status"], &row["stopped_by"]), (&json!("cancelled"), &receipt["stopped_by"]), "{row}");
    (receipt["stopped_by"].clone(), row["cleanup"].clone())
}

#[actix_web::test]
async fn i07_a_program_hears_sigterm_and_is_killed_after_its_grace_with_its_whole_group() {
    let commands = [
        script("sleeps", "echo $$; exec sleep 600", "grace = 30"),
        script("deaf", "trap '' TERM; sleep 600 & echo $! $$; while :; do wait; done", "grace = 1"),
        script("polite", "trap 'echo bye; exit 7' TERM; echo $$; while :; do sleep 0.05; done", "grace = 30"),
        script("done", "trap 'exit 0' TERM; echo $$; while :; do sleep 0.05; done", "grace = 30"),
    ];
    let server = server_with(&commands.concat()).await;
    let client = server.client("alice");

    let task = client.command("sleeps", json!({})).await;
    let pid = first_line(&client, &task).await;
    let asked = Instant::now();
    assert_eq!(cancelled(&client, &task).await, (json!("killed"), Value::Null));
    // By SIGTERM: nobody waited for the grace.
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert!(!lives(&pid));

    let task = client.command("deaf", json!({})).await;
    let pids = first_line(&client, &task).await;
    let asked = Instant::now();
    assert_eq!(cancelled(&client, &task).await, (json!("killed"), Value::Null));
    assert!(asked.elapsed() >= Duration::from_secs(1), "its grace was cut");
    for pid in pids.split(' ') {
        eventually("the whole group is gone", async || (!lives(pid)).then_some(())).await;
    }

    for (name, member, value) in
        [("polite", "error_type", json!("exit_code")), ("done", "final_value", json!({"exit_code": 0}))]
    {
        let task = client.command(name, json!({})).await;
        first_line(&client, &task).await;
        assert_eq!(cancelled(&client, &task).await.0, json!("itself"), "{name}");
        assert_eq!(client.show(&task).await[member], value, "{name}");
    }
    server.stop().await;
}

/// A program that writes half a file and waits, and its cleanup.
fn half(name: &str, cleanup: &str) -> String {
    let rest = format!("fields.file = {{ type = \"file_name\" }}\ncleanup = {cleanup}");
    let script = script(name, "printf half > \"$1\"; echo begun; exec sleep 600", &rest);
    script.replace(&format!("\"{name}\"]"), &format!("\"{name}\", \"{{input.file}}\"]"))
}

#[actix_web::test]
async fn i18_the_cleanup_of_a_command_is_a_command_with_the_same_input_and_bounded() {
    let rm = r#"{ program = "rm", args = ["--", "{input.file}"] }"#;
    let fails = r#"{ program = "sh", args = ["-c", "echo not mine >&2; exit 5"] }"#;
    let hangs =
        r#"{ program = "sh", args = ["-c", "echo $$ > hanging; exec sleep 600"], timeout = "500ms" }"#;
    let server = server_with(&[half("good", rm), half("bad", fails), half("slow", hangs)].concat()).await;
    let (client, home) = (server.client("alice"), server.home());
    for (name, cleanup, is_there) in
        [("good", "ok", false), ("bad", "failed", true), ("slow", "timed_out", true)]
    {
        let file = home.path().join(name);
        let task = client.command(name, json!({ "file": name })).await;
        first_line(&client, &task).await;
        assert_eq!(fs::read_to_string(&file).unwrap(), "half");
        assert_eq!(cancelled(&client, &task).await, (json!("killed"), json!(cleanup)), "{name}");
        assert_eq!(file.exists(), is_there, "{name}");
    }
    let hanging = fs::read_to_string(home.path().join("hanging")).unwrap();
    eventually("the cleanup is gone", async || (!lives(hanging.trim())).then_some(())).await;
    assert!(server.err().contains("exit code 5; it said: not mine"), "{}", server.err());
    server.stop().await;
}

#[actix_web::test]
async fn programs_end_and_are_stopped_and_cleaned_up_after_while_endless_bodies_keep_all_threads() {
    let rm = r#"{ program = "rm", args = ["--", "{input.file}"] }"#;
    let commands = [script("quick", "exit 0", ""), half("half", rm)].concat();
    let server = home_with(&commands).server(&["--max-body-threads", "2"]).await;
    let client = server.client("alice");
    let endless = [client.start("SpinTask", json!({})).await, client.start("SpinTask", json!({})).await];
    eventually("no thread is left", async || (client.get("/readyz").await.status == 503).then_some(())).await;
    let quick = client.command("quick", json!({})).await;
    assert_eq!(client.ended(&quick).await["status"], "completed");
    let task = client.command("half", json!({ "file": "part" })).await;
    first_line(&client, &task).await;
    assert_eq!(cancelled(&client, &task).await, (json!("killed"), json!("ok")));
    assert!(!server.home().path().join("part").exists());
    let loops = client.start("ProcessTask", json!({})).await;
    client.watch(&loops).await.until("start").await;
    assert_eq!(cancelled(&client, &loops).await.0, json!("killed"));
    for task in &endless {
        assert_eq!(cancelled(&client, task).await.0, json!("abandoned"));
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_program_that_failed_or_was_never_started_is_not_cleaned_up_after() {
    let rm = "fields.file = { type = \"file_name\" }\ncleanup = { program = \"rm\", args = [\"--\", \"{input.file}\"] }";
    let fails = script("fails", "printf half > kept; exit 1", rm);
    let gone = script("gone", "echo begun", &format!("cwd = \"inside\"\n{rm}"));
    let home = home_with(&[fails, gone].concat());
    fs::create_dir(home.path().join("inside")).unwrap();
    let server = home.server(&[]).await;
    let client = server.client("alice");
    let task = client.command("fails", json!({ "file": "kept" })).await;
    let row = client.ended(&task).await;
    assert_eq!((&row["status"], &row["cleanup"]), (&json!("failed"), &Value::Null));
    assert!(home.path().join("kept").exists());
    fs::remove_dir(home.path().join("inside")).unwrap();
    let task = client.command("gone", json!({ "file": "x" })).await;
    let row = client.ended(&task).await;
    assert_eq!((&row["error_type"], &row["cleanup"]), (&json!("spawn"), &Value::Null), "{row}");
    server.stop().await;
}

#[actix_web::test]
async fn a_shutdown_stops_the_programs_and_cleans_up_after_them() {
    let rm = r#"{ program = "rm", args = ["--", "{input.file}"] }"#;
    let server = server_with(&half("half", rm)).await;
    let client = server.client("alice");
    let task = client.command("half", json!({ "file": "part" })).await;
    first_line(&client, &task).await;
    let home = server.stop().await;
    assert!(!home.path().join("part").exists());
    let server = home.server(&[]).await;
    let row = server.client("alice").show(&task).await;
    assert_eq!((&row["cancel_cause"], &row["stopped_by"]), (&json!("shutdown"), &json!("killed")));
    assert_eq!(row["cleanup"], "ok");
}

#[actix_web::test]
async fn when_the_server_is_killed_its_programs_are_too_and_the_row_says_lost() {
    let commands = script("pair", "sleep 600 & echo $! $$; wait", "");
    let server = server_with(&commands).await;
    let client = server.client("alice");
    let task = client.command("pair", json!({})).await;
    let pids = first_line(&client, &task).await;
    assert!(pids.split(' ').all(lives));
    let home = server.kill().await;
    for pid in pids.split(' ') {
        eventually("the program is gone", async || (!lives(pid)).then_some(())).await;
    }
    // Its command is gone from the file: the row is settled all the same.
    fs::write(home.path().join("quell.toml"), "").unwrap();
    let server = home.server(&[]).await;
    let row = server.client("alice").show(&task).await;
    assert_eq!((&row["status"], &row["error_type"]), (&json!("failed"), &json!("lost")));
    server.stop().await;
}
