//! What a program gets, what becomes of what it prints, and how its end is told.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{events, home_with, lines, printed, script, server_with};
use crate::server::Server;

#[actix_web::test]
async fn arguments_reach_the_program_as_they_were_given_and_no_shell_reads_them() {
    let server = server_with(
        r#"
        [command.say]
        program = "printf"
        args = ["%s\n", "all of: {input.text}", "{input.text}", "{input.maybe}", "--maybe={input.maybe}", "{{task.id}}", "{task.id}", ""]
        fields.text = { type = "text" }
        fields.maybe = { type = "integer", required = false }
        "#,
    )
    .await;
    let client = server.client("alice");
    let text = "a  b; $(touch x) `id` 'q' \"d\" * ~ > y {task.id} \\n é";
    let task = client.command("say", json!({ "text": text })).await;
    let row = client.ended(&task).await;
    assert_eq!((&row["status"], &row["final_value"]), (&json!("completed"), &json!({ "exit_code": 0 })));
    let id = task.id.to_string();
    let told = lines(&events(&client, &task).await, "stdout");
    assert_eq!(told, [&format!("all of: {text}"), text, "{task.id}", &id, ""]);
    let task = client.command("say", json!({ "text": "x", "maybe": 5 })).await;
    client.ended(&task).await;
    let told = lines(&events(&client, &task).await, "stdout");
    assert_eq!(told, ["all of: x", "x", "5", "--maybe=5", "{task.id}", &task.id.to_string(), ""]);
    assert!(!server.home().path().join("x").exists());
    server.stop().await;
}

#[actix_web::test]
async fn each_end_of_a_program_is_told() {
    let commands = [
        script("three", "echo before; echo this went wrong >&2; exit 3", ""),
        script("killed", "kill -SEGV $$", ""),
        script("hungry", "while :; do :; done", "cpu_limit = 1"),
        script("closed", "exec >&- 2>&-; sleep 1; exit 4", ""),
    ];
    let server = server_with(&commands.concat()).await;
    let client = server.client("alice");
    for (name, error_type, words) in [
        ("three", "exit_code", "exit code 3; it said: this went wrong"),
        ("killed", "signal", "signal 11 (SIGSEGV)"),
        ("hungry", "cpu_limit", "processor time"),
        // It outlives its pipes, and that is no end.
        ("closed", "exit_code", "exit code 4"),
    ] {
        let task = client.command(name, json!({})).await;
        let row = client.ended(&task).await;
        assert_eq!((&row["status"], &row["error_type"]), (&json!("failed"), &json!(error_type)), "{row}");
        assert!(row["error_message"].as_str().unwrap().contains(words), "{row}");
        assert!(row["final_value"].is_null() && row["cleanup"].is_null(), "{row}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn lines_are_told_as_they_come_and_what_is_not_plain_is_marked() {
    let odd = "printf 'plain\\n\\na\\377b\\n10%%\\r20%%\\r\\n'; printf 'nul\\000l\\n'; \
               head -c 9000 /dev/zero | tr '\\0' x; printf '\\nno end'";
    let server = server_with(&script("odd", odd, "")).await;
    let client = server.client("alice");
    let task = client.command("odd", json!({})).await;
    assert_eq!(client.ended(&task).await["status"], "completed");
    let told = printed(&events(&client, &task).await, "stdout");
    let expected = [
        json!({ "line": "plain" }),
        json!({ "line": "" }),
        json!({ "line": "a\u{fffd}b", "utf8": false }),
        json!({ "line": "10%" }),
        json!({ "line": "20%" }),
        json!({ "line": "nul\u{fffd}l", "utf8": false }),
        json!({ "line": "x".repeat(8 * 1024), "cut": true }),
        json!({ "line": "no end" }),
    ];
    assert_eq!(told, expected);
    server.stop().await;
}

#[actix_web::test]
async fn i20_a_flood_is_slowed_down_keeps_its_order_and_hurts_nobody() {
    let commands = [
        script("count", "seq 1 2000; seq 1 2000 >&2", ""),
        script("zeros", "echo begun; exec cat /dev/zero", ""),
        script("yes", "echo begun; exec yes", ""),
        script("left", "setsid yes left & echo done", ""),
    ];
    let server = server_with(&commands.concat()).await;
    let client = server.client("alice");
    let floods = [client.command("zeros", json!({})).await, client.command("yes", json!({})).await];
    for flood in &floods {
        super::first_line(&client, flood).await;
    }
    let task = client.command("count", json!({})).await;
    assert_eq!(client.ended(&task).await["status"], "completed");
    let told = events(&client, &task).await;
    let expected: Vec<String> = (1..=2_000).map(|number| number.to_string()).collect();
    for on in ["stdout", "stderr"] {
        assert!(lines(&told, on) == expected, "{on}");
    }
    // One that left the group writes on, and the program has ended all the same.
    let left = client.command("left", json!({})).await;
    assert_eq!(client.ended(&left).await["status"], "completed");
    for flood in &floods {
        let receipt = client.cancel(flood, &json!({})).await.with(200);
        assert_eq!(receipt["stopped_by"], "killed");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_program_may_open_as_many_files_as_who_started_the_server() {
    let table = [script("plain", "ulimit -Sn", ""), script("own", "ulimit -Sn", "open_files_limit = 64")];
    let home = home_with(&table.concat());
    let plain = home.command(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -Sn 300; exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(plain.get_args());
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::of(&home, command).await;
    let limits = fs::read_to_string(server.proc("limits")).unwrap();
    let raised = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(!raised.contains(" 300 "), "the server has raised its own: {raised}");
    let client = server.client("alice");
    for (name, files) in [("plain", "300"), ("own", "64")] {
        let task = client.command(name, json!({})).await;
        client.ended(&task).await;
        assert_eq!(lines(&events(&client, &task).await, "stdout"), [files]);
    }
    server.stop().await;
}

#[actix_web::test]
async fn i29_a_program_gets_no_variable_no_file_and_no_input_of_the_server() {
    let look = "env; echo files; ls -l /proc/self/fd; echo input; cat; pwd";
    let table = "environment = [\"GIVEN\", \"ABSENT\"]\nvariables = { FIXED = \"a b\" }\ncwd = \"inside\"";
    let home = home_with(&script("look", look, table));
    fs::create_dir(home.path().join("inside")).unwrap();
    let mut command = home.command(&[]);
    command.env("GIVEN", "yes").env("PASSWORD", "hush-hush").env("PATH", "/usr/bin:/bin");
    let server = Server::of(&home, command).await;
    let client = server.client("alice");
    let task = client.command("look", json!({})).await;
    client.ended(&task).await;
    let told = lines(&events(&client, &task).await, "stdout");
    let end = told.iter().position(|line| line == "files").unwrap();
    // `sh` and `env` add these themselves.
    let own = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let mut variables: Vec<&str> = told[..end].iter().map(String::as_str).collect();
    variables.retain(|line| !own.iter().any(|own| line.starts_with(own)));
    variables.sort_unstable();
    assert_eq!(variables, ["FIXED=a b", "GIVEN=yes", "PATH=/usr/bin:/bin"]);
    let input = told.iter().position(|line| line == "input").unwrap();
    // What this test was started with, whoever started it, may go on to it; what the server opened may not.
    let of_server = ["quell.db", "socket:", "anon_inode:"];
    let opened = &told[end + 1..input];
    assert!(opened.len() > 3 && opened[1].ends_with("-> /dev/null"), "{opened:?}");
    let own: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .collect();
    let is_own = |line: &String| own.iter().any(|file| line.ends_with(&format!("-> {}", file.display())));
    let leaked = opened.iter().find(|line| of_server.iter().any(|name| line.contains(name)) && !is_own(line));
    assert_eq!(leaked, None);
    assert_eq!(told[input + 1], fs::canonicalize(home.path().join("inside")).unwrap().to_str().unwrap());
    server.stop().await;
}

#[actix_web::test]
async fn what_comes_beyond_the_places_of_a_command_waits_as_pending() {
    let commands =
        [script("one", "echo begun; exec sleep 600", "max_running = 1"), script("free", "true", "")];
    let server = server_with(&commands.concat()).await;
    let client = server.client("alice");
    let first = client.command("one", json!({})).await;
    super::first_line(&client, &first).await;
    let second = client.command("one", json!({})).await;
    assert_eq!(client.show(&second).await["status"], "pending");
    let other = client.command("free", json!({})).await;
    assert_eq!(client.ended(&other).await["status"], "completed");
    assert_eq!(client.show(&second).await["status"], "pending");
    client.cancel(&first, &json!({})).await.with(200);
    super::first_line(&client, &second).await;
    client.cancel(&second, &json!({})).await.with(200);
    server.stop().await;
}

#[actix_web::test]
async fn what_a_command_lets_run_and_how_long_is_bounded() {
    let server =
        server_with(&script("wait", "echo begun; exec sleep 600", "timeout = \"1s\"\nmax_timeout = 60"))
            .await;
    let client = server.client("alice");
    let task = client.command("wait", json!({})).await;
    let row = client.ended(&task).await;
    assert_eq!((&row["cancel_cause"], &row["stopped_by"]), (&json!("timeout"), &json!("killed")));
    let long = client.post_json("/tasks/command/wait", &json!({ "timeout_seconds": 61 })).await;
    long.names(400, "invalid-body", "timeout_seconds");
    server.stop().await;
}
