//! Holds who gets the numbers, in which form, and that each runtime and each host has its own.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use quell::http::{HttpOptions, TokenPrincipal, TokenTable, routes};
use quell::server::demo::register_demo;
use quell::{Registry, RuntimeSettings};
use serde_json::json;

use crate::server::{Hosted, Server, eventually, tokens};

/// The names that the documentation promises.
const NAMES: [&str; 14] = [
    "quell_tasks_started_total",
    "quell_tasks_finished_total",
    "quell_tasks_running",
    "quell_tasks_pending",
    "quell_cancel_requests_total",
    "quell_cancel_latency_seconds",
    "quell_abandoned_bodies_total",
    "quell_abandoned_threads",
    "quell_late_events_total",
    "quell_late_results_total",
    "quell_streams",
    "quell_events_total",
    "quell_db_commit_seconds",
    "quell_db_group_size",
];

#[tokio::test]
async fn the_numbers_are_for_those_who_may_see_everybodys_tasks() {
    let server = Server::start().await;
    let viewer = server.client("viewer");
    let answer = viewer.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for name in NAMES {
        assert!(answer.text.contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert!(answer.text.contains("quell_tasks_started_total{model=\"tests/StuckTask\"} 0\n"));
    server.stranger().get("/metrics").await.problem(401, "unauthorized");
    server.client("alice").get("/metrics").await.problem(403, "forbidden");
    viewer.get("/metrics?name=quell_streams").await.names(400, "invalid-path", "name");
    viewer.post("/metrics").await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_stream_is_counted_while_it_is_open_and_labels_name_no_id_and_no_user() {
    let server = Server::start().await;
    let (alice, viewer) = (server.client("alice"), server.client("viewer"));
    let task = alice.start("StuckTask", json!({})).await;
    let streams = async |count: u32| {
        eventually("the streams are counted", async || {
            let text = viewer.get("/metrics").await.text;
            text.contains(&format!("\nquell_streams {count}\n")).then_some(text)
        })
        .await
    };
    let mut watching = Vec::new();
    for _ in 0..3 {
        let mut stream = alice.watch(&task).await;
        stream.frame().await;
        watching.push(stream);
    }
    let text = streams(3).await;
    assert!(!text.contains("alice") && !text.contains(&format!("/{}\"", task.id)), "{text}");
    drop(watching);
    streams(0).await;
    let mut last = alice.watch(&task).await;
    streams(1).await;
    alice.cancel(&task, &json!({})).await.with(200);
    last.rest().await;
    let text = streams(0).await;
    assert!(text.contains("quell_cancel_requests_total{cause=\"user\"} 1\n"));
    assert!(text.contains("quell_cancel_latency_seconds_count{stopped_by=\"dropped\"} 1\n"));
}

#[tokio::test]
async fn each_runtime_has_its_own_numbers_and_a_recorder_of_the_host_has_them_alone() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let theirs = recorder.handle();
    let demo = || register_demo(Registry::new()).expect("models");
    let hosted = RuntimeSettings { recorder: Some(Arc::new(recorder)), ..RuntimeSettings::default() };
    let runtimes =
        vec![(demo(), RuntimeSettings::default()), (demo(), RuntimeSettings::default()), (demo(), hosted)];
    let host = Hosted::mount(runtimes, |coordinators, config| {
        config.app_data(TokenTable::parse(&tokens()).expect("tokens"));
        for (number, coordinator) in coordinators.iter().enumerate() {
            let routes = routes::<TokenPrincipal>(coordinator.clone(), HttpOptions::default());
            config.service(actix_web::web::scope(&format!("/{number}")).configure(routes));
        }
    })
    .await;
    let (alice, viewer) = (host.client("alice"), host.client("viewer"));
    for (number, starts) in [3, 1, 2].into_iter().enumerate() {
        for _ in 0..starts {
            let answer = alice.post(&format!("/{number}/tasks/tests/StuckTask")).await;
            assert_eq!(answer.status, 202, "{answer:?}");
        }
    }
    for (number, starts) in [3, 1].into_iter().enumerate() {
        let text = viewer.get(&format!("/{number}/metrics")).await.text;
        assert!(text.contains(&format!("{{model=\"tests/StuckTask\"}} {starts}\n")), "{text}");
        assert!(text.contains(&format!("\nquell_tasks_running {starts}\n")), "{text}");
    }
    let text = theirs.render();
    assert!(text.contains("quell_tasks_started_total{model=\"tests/StuckTask\"} 2\n"), "{text}");
    assert!(text.contains("# HELP quell_tasks_running Tasks whose row says running."), "{text}");
    assert!(text.contains("quell_db_commit_seconds_count "), "{text}");
    viewer.get("/2/metrics").await.problem(404, "metrics-elsewhere");
    assert_eq!(host.coordinators[2].metrics(), None);
    host.stop().await;
}
