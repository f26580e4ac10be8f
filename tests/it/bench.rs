//! `quell bench` measures, and says so in a table and in JSON. No figure is judged here: machines differ.

use std::error::Error;

use quell::bench::{Options, Report, Scenario, run};
use serde_json::Value;

type Tested = Result<(), Box<dyn Error>>;

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
        // Other tests share this process, and may give back memory meanwhile; a difference may have any sign.
        // The processor's time is told by the kernel, which may know none of a short while.
        let may_be_any = ["/memory/", "/idle/", "/http_load/cpu/", "/streams/cpu/"]
            .iter()
            .any(|begin| path.starts_with(begin))
            || path.ends_with("over_limit_micros");
        assert!(number.is_finite() && (*number > 0.0 || may_be_any), "{path} is {number}");
    }
    for path in [
        "/disk/micros/p50",
        "/start/limit_per_second",
        "/cancel/limit_micros/p99",
        "/storm/limits",
        "/http_cancel/limit_micros/p50",
        "/http_load/limit_per_second",
        "/streams/limit_per_second",
        "/streams/stalled_per_second",
        "/idle/limit_percent_of_core",
        "/recovery/limit_seconds",
    ] {
        assert!(found.iter().any(|(name, _)| name == path), "{path} is missing");
    }
    let in_flight: Vec<_> = report.start.iter().map(|figure| figure.in_flight).collect();
    assert_eq!(in_flight, [1, 64, 512]);
    for (path, bar) in [
        ("/start/1/bar", "≥ 45 %"),
        ("/start/2/bar", "≥ 60 %"),
        ("/cancel/bar", "≤ limit + 120 µs"),
        ("/cancel/p99_bar", "≤ 2 × p50"),
        ("/bodies/0/bar", "≥ 100 %"),
        ("/memory/bar", "≤ 1,536 B + body's 200 B"),
        ("/http_cancel/bar", "≤ limit + 150 µs"),
        ("/http_load/bar", "≥ 30 %"),
        ("/streams/bar", "≥ 50 %"),
        ("/streams/stalled_bar", "≥ 90 %"),
        ("/idle/bar", "≤ 0.2 %"),
        ("/recovery/bar", "≤ 1 s"),
    ] {
        assert_eq!(json.pointer(path).and_then(|bar| bar.get("asks")), Some(&Value::from(bar)), "{path}");
        assert!(json.pointer(path).and_then(|bar| bar.get("held")).is_some_and(Value::is_boolean), "{path}");
    }
    assert_eq!(json.pointer("/run/synchronous"), Some(&Value::from("full")));

    let table = report.table();
    for row in [
        "start + complete, 512 in flight",
        "cancel to durable end, p99",
        "at once",
        "memory per idle",
        "cancel over HTTP, beside the library, p50",
        "64 connections",
        "beside a bare broadcast",
        "a reader that never reads",
        "idle, 200 tasks and 20 streams",
        "start over 1,000 finished and 100 running rows",
    ] {
        assert!(table.contains(row), "{row} is missing in\n{table}");
    }
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
