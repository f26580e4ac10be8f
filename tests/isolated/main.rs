//! Bodies in processes of their own, from an application: this executable is the application.
//!
//! The tests run one after another, each with a database of its own; arguments select them by a part of their names.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says by a panic that it failed, and this is its harness"
)]

mod bodies;
mod rate;
mod world;

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use quell::task::{Cleanup, JsonText, Status, StoppedBy, TaskKey, Timeout};
use quell::{CancelOptions, Coordinator, RuntimeSettings, StartRequest};
use serde_json::{Value, json};

use world::{
    LONG, application, cancel, children, ended, event, failure_of, lives, outcome, start, until, value_of,
    with, with_settings,
};

type Test = (&'static str, fn());

macro_rules! tests {
    ($($name:ident),+ $(,)?) => { [$((stringify!($name), $name as fn())),+] };
}

fn main() -> ExitCode {
    quell::run_child_if_asked(bodies::registry);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder] = arguments.as_slice()
        && word == "serve"
    {
        serve(Path::new(folder));
    }
    if arguments.as_slice() == ["rate"] {
        rate::rate();
        return ExitCode::SUCCESS;
    }
    let tests: Vec<Test> = tests![
        a_body_runs_in_a_group_of_its_own_and_holds_no_file_of_the_server,
        its_errors_and_panics_are_those_of_the_task,
        i07_what_never_looks_is_killed_with_its_whole_group,
        a_body_hears_why_it_is_to_stop_and_may_end_by_itself,
        a_body_without_grace_is_killed_at_once,
        signals_and_self_cancel_go_through,
        a_timeout_climbs_the_same_ladder,
        i18_the_cleanup_runs_in_the_server,
        i17_whatever_a_process_says_harms_nobody,
        i17_a_death_is_told_in_the_error_type,
        limits_end_what_goes_past_them,
        i20_a_flood_is_slowed_down_and_loses_nothing,
        what_comes_beyond_the_limit_of_processes_waits,
        no_zombie_no_file_and_no_thread_is_left,
        a_command_is_a_task_of_the_application_too,
        a_command_that_still_waits_is_not_cleaned_up_after_and_a_cleanup_waits_for_no_body,
        when_the_server_dies_its_processes_die,
    ]
    .into();
    run(&tests, &arguments)
}

fn run(tests: &[Test], arguments: &[String]) -> ExitCode {
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in tests {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        failed += usize::from(!passed);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

fn a_body_runs_in_a_group_of_its_own_and_holds_no_file_of_the_server() {
    with(async |on| {
        let secret = json!({ "deep": ["secret-input", 1.5, null] });
        let record = outcome(&on, "Plain", "tell", secret.clone()).await;
        let told = value_of(&record);
        assert_ne!(told["pid"], std::process::id());
        assert_eq!(told["group"], told["pid"]);
        assert_eq!(told["key"], record.key.to_string());
        assert_eq!((&told["owner"], &told["attempt"]), (&json!("ann"), &json!(1)));
        assert_eq!(told["value"], secret);
        assert_eq!(event(&on, &record.key, "told").await["deep"][0], "secret-input");
        assert!(!told["arguments"].to_string().contains("secret-input"), "{told}");
        for file in told["files"].as_array().unwrap() {
            let file = file.as_str().unwrap();
            assert!(!file.contains("quell.db"), "{told}");
            // Its own ear for SIGTERM is a pair of sockets.
        }
        let sockets = told["files"].as_array().unwrap().iter();
        let sockets = sockets.filter(|file| file.as_str().unwrap().starts_with("socket:")).count();
        assert!(sockets <= 3, "{told}");
        assert!(!lives(&told["pid"]));
    });
}

fn its_errors_and_panics_are_those_of_the_task() {
    with(async |on| {
        let failed = outcome(&on, "Plain", "fail", Value::Null).await;
        assert_eq!(failure_of(&failed), ("Mine", "as asked"));
        let panicked = outcome(&on, "Plain", "panic", Value::Null).await;
        assert_eq!(failure_of(&panicked), ("panic", "as asked"));
        // What a body prints goes to the log, not into the conversation.
        let printed = outcome(&on, "Plain", "print", Value::Null).await;
        assert_eq!((printed.status, printed.final_value), (Status::Completed, None));
    });
}

fn i07_what_never_looks_is_killed_with_its_whole_group() {
    with(async |on| {
        let key = start(&on, "Patient", "deaf", Value::Null).await;
        let told = event(&on, &key, "deaf").await;
        assert!(lives(&told["pid"]) && lives(&told["grandchild"]));
        let asked = Instant::now();
        assert_eq!(cancel(&on, &key).await, StoppedBy::Killed);
        assert!(asked.elapsed() >= Duration::from_millis(500), "its grace was cut");
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
        assert!(!lives(&told["pid"]));
        until("the grandchild is gone", async || (!lives(&told["grandchild"])).then_some(())).await;
    });
}

fn a_body_hears_why_it_is_to_stop_and_may_end_by_itself() {
    with(async |on| {
        for (act, value) in [("hear", true), ("check", false)] {
            let key = start(&on, "Patient", act, Value::Null).await;
            // So that the process has begun: a signal before that ends it.
            event(&on, &key, "hears").await;
            assert_eq!(cancel(&on, &key).await, StoppedBy::Itself, "{act}");
            let record = ended(&on, &key).await;
            assert_eq!((record.status, record.failure), (Status::Cancelled, None));
            assert_eq!(record.final_value.is_some_and(|told| told.as_str().contains("enough of it")), value);
        }
    });
}

fn a_body_without_grace_is_killed_at_once() {
    with(async |on| {
        let key = start(&on, "Plain", "deaf", Value::Null).await;
        let told = event(&on, &key, "deaf").await;
        let asked = Instant::now();
        assert_eq!(cancel(&on, &key).await, StoppedBy::Killed);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert!(!lives(&told["pid"]));
    });
}

fn signals_and_self_cancel_go_through() {
    with(async |on| {
        let key = start(&on, "Plain", "take", Value::Null).await;
        for data in ["1", "{\"two\":2}"] {
            on.signal(&key, "other", JsonText::from_text("0").unwrap()).await.unwrap();
            on.signal(&key, "go", JsonText::from_text(data).unwrap()).await.unwrap();
        }
        assert_eq!(value_of(&ended(&on, &key).await), json!(["1", "{\"two\":2}"]));
        let asked = outcome(&on, "Patient", "ask", Value::Null).await;
        let request = asked.cancel.unwrap();
        assert_eq!((asked.status, &*request.reason), (Status::Cancelled, "by itself"));
        assert_eq!(request.cause.as_str(), "self");
        assert_eq!(asked.stopped_by, Some(StoppedBy::Itself));
    });
}

fn a_timeout_climbs_the_same_ladder() {
    with(async |on| {
        let input = JsonText::from_text(r#"{"act":"burn"}"#).unwrap();
        let request = StartRequest::new("isolated", "Plain", "ann").input(input);
        let key = on.start(request.timeout(Timeout::from_seconds(0.5).unwrap())).await.unwrap().key;
        let record = ended(&on, &key).await;
        assert_eq!((record.status, record.stopped_by), (Status::Cancelled, Some(StoppedBy::Killed)));
        assert_eq!(&*record.cancel.unwrap().reason, "Timeout after 0.5s");
    });
}

fn i18_the_cleanup_runs_in_the_server() {
    with(async |on| {
        let key = start(&on, "Plain", "deaf", Value::Null).await;
        // So that it has a process: before that it is withdrawn.
        event(&on, &key, "deaf").await;
        assert_eq!(cancel(&on, &key).await, StoppedBy::Killed);
        assert_eq!(ended(&on, &key).await.cleanup, Some(Cleanup::Done));
        assert_eq!(event(&on, &key, "cleaned_up").await["pid"], std::process::id());
    });
}

fn i17_whatever_a_process_says_harms_nobody() {
    with(async |on| {
        let beside = start(&on, "Patient", "check", Value::Null).await;
        event(&on, &beside, "hears").await;
        for (act, words) in [
            ("garbage", "bytes was announced"),
            ("unknown", "there is no message `?`"),
            ("reserved", "sent by the runtime itself"),
            ("two lines", "more than one line"),
            ("half", "inside a message"),
            ("endless", "bytes was announced"),
        ] {
            let record = outcome(&on, "Plain", act, Value::Null).await;
            let (error_type, message) = failure_of(&record);
            assert_eq!(error_type, "protocol", "{act}: {message}");
            assert!(message.contains(words), "{act}: {message}");
        }
        assert_eq!(on.task(&beside).await.unwrap().status, Status::Running);
        assert_eq!(cancel(&on, &beside).await, StoppedBy::Itself);
    });
}

fn i17_a_death_is_told_in_the_error_type() {
    with(async |on| {
        for (act, value, error_type, words) in [
            ("exit", json!(3), "exit_code", "exit code 3"),
            ("exit", json!(0), "exit_code", "exit code 0"),
            ("abort", Value::Null, "signal", "signal 6 (SIGABRT)"),
        ] {
            let record = outcome(&on, "Plain", act, value).await;
            let (found, message) = failure_of(&record);
            assert!(found == error_type && message.contains(words), "{act}: {found}: {message}");
        }
        let key = start(&on, "Patient", "exit", json!(4)).await;
        assert_eq!(failure_of(&ended(&on, &key).await).0, "exit_code");
    });
}

/// Starts the command: `sleep` seconds, and the file that its cleanup makes.
async fn command(on: &Coordinator, sleep: u32, cleaned: &Path) -> TaskKey {
    let input = json!({ "word": "two words", "sleep": sleep, "cleaned": cleaned }).to_string();
    let request = StartRequest::new("command", "say", "ann").input(JsonText::from_text(&input).unwrap());
    on.start(request).await.unwrap().key
}

fn a_command_is_a_task_of_the_application_too() {
    with(async |on| {
        // The host may start it for anybody; who may over HTTP is another question.
        assert!(!on.may_start("command", "say", "ann") && on.may_start("command", "say", "nobody"));
        let key = command(&on, 0, Path::new("unused")).await;
        assert_eq!(value_of(&ended(&on, &key).await), json!({ "exit_code": 0 }));
        assert_eq!(event(&on, &key, "stdout").await["line"], "two words");
        assert!(!Path::new("unused").exists());
    });
}

fn a_command_that_still_waits_is_not_cleaned_up_after_and_a_cleanup_waits_for_no_body() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    with_settings(RuntimeSettings { max_processes: 1, ..RuntimeSettings::default() }, async |on| {
        let first = command(&on, 600, &file("first")).await;
        event(&on, &first, "stdout").await;
        let (second, third) =
            (command(&on, 600, &file("second")).await, command(&on, 600, &file("third")).await);
        assert_eq!(cancel(&on, &second).await, StoppedBy::NeverStarted);
        assert_eq!((ended(&on, &second).await.cleanup, file("second").exists()), (None, false));
        // The third takes the place of the first, and its cleanup has another.
        assert_eq!(cancel(&on, &first).await, StoppedBy::Killed);
        assert_eq!((ended(&on, &first).await.cleanup, file("first").exists()), (Some(Cleanup::Done), true));
        event(&on, &third, "stdout").await;
        assert_eq!(cancel(&on, &third).await, StoppedBy::Killed);
    });
}

fn limits_end_what_goes_past_them() {
    with(async |on| {
        let memory = outcome(&on, "Small", "eat", Value::Null).await;
        assert_eq!(failure_of(&memory).0, "memory_limit", "{memory:?}");
        let begun = Instant::now();
        let cpu = outcome(&on, "Brief", "burn", Value::Null).await;
        assert_eq!(failure_of(&cpu).0, "cpu_limit", "{cpu:?}");
        assert!(begun.elapsed() >= Duration::from_millis(900));
        let files = outcome(&on, "Few", "open", Value::Null).await;
        assert!(failure_of(&files).1.contains("Too many open files"), "{files:?}");
    });
}

fn i20_a_flood_is_slowed_down_and_loses_nothing() {
    with(async |on| {
        let key = start(&on, "Plain", "flood", json!(5_000)).await;
        assert_eq!(value_of(&ended(&on, &key).await), 5_000);
        let events = on.events(&key).await.unwrap();
        let floods = events.iter().filter(|event| event.kind.as_str() == "flood");
        let numbers: Vec<Value> =
            floods.map(|event| event.data.to_value::<Value>().unwrap()["number"].take()).collect();
        assert_eq!(numbers, (0..5_000).map(Value::from).collect::<Vec<_>>());
    });
}

fn what_comes_beyond_the_limit_of_processes_waits() {
    with_settings(RuntimeSettings { max_processes: 1, ..RuntimeSettings::default() }, async |on| {
        let first = start(&on, "Plain", "deaf", Value::Null).await;
        let told = event(&on, &first, "deaf").await;
        let (second, third) =
            (start(&on, "Plain", "tell", json!(2)).await, start(&on, "Plain", "tell", json!(3)).await);
        assert_eq!(cancel(&on, &third).await, StoppedBy::NeverStarted, "it had no process yet");
        assert!(lives(&told["pid"]) && on.task(&second).await.unwrap().status == Status::Running);
        assert_eq!(cancel(&on, &first).await, StoppedBy::Killed);
        assert_eq!(value_of(&ended(&on, &second).await)["value"], 2);
    });
}

fn no_zombie_no_file_and_no_thread_is_left() {
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    with(async |on| {
        let round = async || {
            for act in ["tell", "exit", "garbage", "burn"] {
                let keys: Vec<TaskKey> =
                    futures_util::future::join_all((0..5).map(|_| start(&on, "Plain", act, Value::Null)))
                        .await;
                for key in keys {
                    if act == "burn" {
                        let options = CancelOptions { wait: LONG, ..CancelOptions::default() };
                        assert!(on.cancel(&key, options).await.unwrap().is_cancelled());
                    } else {
                        ended(&on, &key).await;
                    }
                }
            }
        };
        round().await;
        let before = (count("fd"), count("task"));
        round().await;
        round().await;
        assert_eq!(children(), Vec::<String>::new());
        until("files and threads are those from before", async || {
            (count("fd") <= before.0 && count("task") <= before.1).then_some(())
        })
        .await;
    });
}

/// The application of [`when_the_server_dies_its_processes_die`], until it is killed.
fn serve(folder: &Path) -> ! {
    actix_rt::System::new().block_on(async {
        let on = application(folder, RuntimeSettings::default()).await;
        let keys = [
            start(&on, "Plain", "deaf", Value::Null).await,
            start(&on, "Patient", "hear", Value::Null).await,
        ];
        println!("{}", event(&on, &keys[0], "deaf").await);
        tokio::time::sleep(LONG * 2).await;
    });
    std::process::exit(1)
}

fn when_the_server_dies_its_processes_die() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert!(lives(&told["pid"]) && lives(&told["grandchild"]));
    server.kill().unwrap();
    server.wait().unwrap();
    actix_rt::System::new().block_on(async {
        for who in ["pid", "grandchild"] {
            until(who, async || (!lives(&told[who])).then_some(())).await;
        }
    });
}
