//! `quell bench` measures, and says so in a table and in JSON. No figure is judged here: machines differ.

use std::error::Error;

use quell::bench::{Options, Report, Scenario, run};
use serde_json::Value;

type Tested = Result<(), Box<dyn Error>>;

/// What is asked of each row, by its place in the report.
const BARS: [(&str, &str); 25] = [
    ("/pending/bar", "≤ 128 B"),
    ("/pending/core_bar", "none (< 0.1 %)"),
    ("/finished/bar", "≤ 4 MiB"),
    ("/memory/bar", "≤ 1,536 B + body's 200 B"),
    ("/bodies/0/bar", "≥ 100 %"),
    ("/bodies/1/bar", "≥ 50 %"),
    ("/bodies/1/unwatched_bar", "≥ 95 %"),
    ("/start/1/bar", "≥ 45 %"),
    ("/start/2/bar", "≥ 60 %"),
    ("/cancel/bar", "≤ limit + 120 µs"),
    ("/cancel/p99_bar", "≤ 2 × p50"),
    ("/cancel/commits_bar", "one, not two"),
    ("/storm/0/bar", "≤ 0.1 s"),
    ("/timeouts/0/bar", "≤ 3 ms"),
    ("/timeouts/0/p99_bar", "≤ 15 ms"),
    ("/events/0/bar", "≥ 50 %"),
    ("/events/1/bar", "≥ 50 %"),
    ("/growth/0/bar", "within 20 %"),
    ("/growth/1/bar", "within 20 %"),
    ("/http_cancel/bar", "≤ limit + 150 µs"),
    ("/http_load/bar", "≥ 30 %"),
    ("/streams/bar", "≥ 50 %"),
    ("/streams/stalled_bar", "≥ 90 %"),
    ("/idle/bar", "≤ 0.2 %"),
    ("/recovery/bar", "≤ 1 s"),
];

/// Figures that are there, and the limits beside them.
const LIMITS: [&str; 16] = [
    "/pending/limit_bytes",
    "/finished/limit_growth_bytes",
    "/disk/micros/p50",
    "/start/limit_per_second",
    "/cancel/limit_micros/p99",
    "/storm/limits",
    "/timeouts/limit_late_micros/p99",
    "/timeouts/limit_durable_seconds",
    "/events/limit_per_second",
    "/growth/limit_per_second",
    "/http_cancel/limit_micros/p50",
    "/http_load/limit_per_second",
    "/streams/limit_per_second",
    "/streams/stalled_per_second",
    "/idle/limit_percent_of_core",
    "/recovery/limit_seconds",
];

/// Words of the table.
const ROWS: [&str; 17] = [
    "start + complete, 512 in flight",
    "cancel to durable end, p99",
    "commits of a cancel",
    "at once",
    "memory per idle",
    "memory grown from",
    "deadlines that wait, each",
    "body dropped late, p99",
    "events written by one task",
    "events written by 64 tasks",
    "512 in flight, 1,000 rows beside 100",
    "cancel over HTTP, beside the library, p50",
    "64 connections",
    "beside a bare broadcast",
    "a reader that never reads",
    "idle, 200 tasks and 20 streams",
    "start over 1,000 finished and 100 running rows",
];

/// A quick run in a folder of its own; nothing of it is left behind.
fn quick(only: &[Scenario]) -> Result<Report, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let options = Options {
        dir: dir.path().to_owned(),
        quick: true,
        only: only.to_vec(),
        program: Some(env!("CARGO_BIN_EXE_quell").into()),
        ..Options::default()
    };
    let mut told = Vec::new();
    let report = run(&options, |what| told.push(what.to_owned()))?;
    assert!(!told.is_empty());
    assert_eq!(std::fs::read_dir(dir.path())?.count(), 0, "files were left behind");
    Ok(report)
}

/// All numbers below a value, with their paths.
fn numbers(path: &str, value: &Value, found: &mut Vec<(String, f64)>) {
    match value {
        Value::Number(number) => found.push((path.to_owned(), number.as_f64().unwrap_or(f64::NAN))),
        Value::Array(values) => values.iter().for_each(|value| numbers(path, value, found)),
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| numbers(&format!("{path}/{name}"), value, found));
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[test]
fn a_quick_run_measures_everything_beside_its_limit() -> Tested {
    let report = quick(&[])?;
    let json: Value = serde_json::from_str(&report.json())?;
    let mut found = Vec::new();
    numbers("", &json, &mut found);
    for (path, number) in &found {
        // Other tests share this process, and may give back memory meanwhile; a difference may have any sign, and a
        // timer may be on time. The processor's time is told by the kernel, which may know none of a short while.
        let may_be_any = [
            "/memory/",
            "/finished/",
            "/pending/",
            "/spinners/late_micros",
            "/idle/",
            "/http_load/cpu/",
            "/streams/cpu/",
        ]
        .iter()
        .any(|from| path.starts_with(from))
            || path.ends_with("over_limit_micros");
        assert!(number.is_finite() && (*number > 0.0 || may_be_any), "{path} is {number}");
    }
    for path in LIMITS {
        assert!(found.iter().any(|(name, _)| name == path), "{path} is missing");
    }
    let in_flight: Vec<_> = report.start.iter().map(|figure| figure.in_flight).collect();
    assert_eq!(in_flight, [1, 64, 512]);
    for (path, bar) in BARS {
        assert_eq!(json.pointer(path).and_then(|bar| bar.get("asks")), Some(&Value::from(bar)), "{path}");
        assert!(json.pointer(path).and_then(|bar| bar.get("held")).is_some_and(Value::is_boolean), "{path}");
    }
    assert_eq!(json.pointer("/run/synchronous"), Some(&Value::from("full")));

    let table = report.table();
    assert!(report.spinners.is_some() && report.checks.is_some() && report.processes.is_empty());
    for row in ROWS {
        assert!(table.contains(row), "{row} is missing in\n{table}");
    }
    Ok(())
}

#[test]
fn the_program_measures_processes_too() -> Tested {
    let dir = tempfile::tempdir()?;
    let mut bench = std::process::Command::new(env!("CARGO_BIN_EXE_quell"));
    bench.args(["bench", "--quick", "--json", "--only", "processes", "--dir"]).arg(dir.path()).env_clear();
    let ended = bench.env("PATH", "/usr/bin:/bin").output()?;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let json: Value = serde_json::from_slice(&ended.stdout)?;
    let figure = json.pointer("/processes/0").ok_or("nothing was measured")?;
    for path in ["/per_minute", "/limit_per_minute", "/late_micros/p99"] {
        assert!(figure.pointer(path).and_then(Value::as_f64).is_some_and(|number| number > 0.0), "{path}");
    }
    assert_eq!(figure.pointer("/bar/asks"), Some(&Value::from("≥ 1,000 a minute")));
    assert_eq!(std::fs::read_dir(dir.path())?.count(), 0, "files were left behind");
    Ok(())
}

#[test]
fn only_what_was_asked_for_is_measured() -> Tested {
    let report = quick(&[Scenario::Disk])?;
    assert!(report.disk.is_some() && report.start.is_empty() && report.memory.is_none());
    assert!(report.cancel.is_none() && report.storm.is_empty());
    Ok(())
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let options = Options { dir: "/nonexistent/quell".into(), quick: true, ..Options::default() };
    let error = run(&options, |_| {}).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/quell"), "{error}");
}
