//! The lines of the table about a server in a process of its own.

use super::table::{Line, micros, percent, whole};
use super::{CancelledOverHttp, Idled, Loaded, Recovered, Report, Streamed};

pub(super) fn lines(report: &Report) -> impl Iterator<Item = Line> {
    let cancel = report.http_cancel.iter().flat_map(cancel);
    let load = report.http_load.iter().flat_map(load);
    let streams = report.streams.iter().flat_map(streams);
    let idle = report.idle.iter().map(idle);
    cancel.chain(load).chain(streams).chain(idle).chain(report.recovery.iter().map(recovery))
}

fn cancel(figure: &CancelledOverHttp) -> [Line; 2] {
    let (own, limit) = (figure.micros, figure.limit_micros);
    let what = |which: &str| format!("cancel over HTTP, beside the library, {which}");
    let over = format!("{:+} µs", figure.over_limit_micros.round());
    [
        Line([what("p50"), micros(own.p50), micros(limit.p50), over], figure.bar.clone()),
        Line([what("p99"), micros(own.p99), micros(limit.p99), String::new()], None),
    ]
}

fn load(figure: &Loaded) -> [Line; 2] {
    let connections = figure.connections;
    let rate = |rate: f64| format!("{}/s", whole(rate));
    let what = format!("cancels over HTTP, {connections} connections, beside a bare echo");
    let share = percent(figure.share_of_limit);
    let cpu = figure.cpu;
    let of_client = format!("client: {:.0} µs", cpu.client_micros);
    let each = "processor for each of them".to_owned();
    [
        Line([what, rate(figure.per_second), rate(figure.limit_per_second), share], figure.bar.clone()),
        Line([each, micros(cpu.server_micros), micros(cpu.limit_micros), of_client], None),
    ]
}

fn streams(figure: &Streamed) -> [Line; 3] {
    let streams = whole(f64::from(figure.streams));
    let rate = |rate: f64| format!("{} events/s", whole(rate));
    let cpu = figure.cpu;
    let micros = |micros: f64| format!("{micros:.2} µs");
    [
        Line(
            [
                format!("one task's events to {streams} streams, beside a bare broadcast"),
                rate(figure.per_second),
                rate(figure.limit_per_second),
                percent(figure.share_of_limit),
            ],
            figure.bar.clone(),
        ),
        Line(
            [
                "the same with a reader that never reads, beside without".to_owned(),
                rate(figure.stalled_per_second),
                rate(figure.per_second),
                percent(figure.share_with_stalled),
            ],
            figure.stalled_bar.clone(),
        ),
        Line(
            [
                "processor for each event to one stream".to_owned(),
                micros(cpu.server_micros),
                micros(cpu.limit_micros),
                format!("client: {}", micros(cpu.client_micros)),
            ],
            None,
        ),
    ]
}

fn idle(figure: &Idled) -> Line {
    let (tasks, streams) = (whole(f64::from(figure.tasks)), whole(f64::from(figure.streams)));
    let of_core = |percent: f64| format!("{percent:.3} % of a core");
    Line(
        [
            format!("idle, {tasks} tasks and {streams} streams, beside bare streams"),
            of_core(figure.percent_of_core),
            of_core(figure.limit_percent_of_core),
            String::new(),
        ],
        figure.bar.clone(),
    )
}

fn recovery(figure: &Recovered) -> Line {
    let (finished, running) = (whole(f64::from(figure.finished)), whole(f64::from(figure.running)));
    let seconds = |time: f64| format!("{time:.3} s");
    Line(
        [
            format!("start over {finished} finished and {running} running rows"),
            seconds(figure.seconds),
            seconds(figure.limit_seconds),
            String::new(),
        ],
        figure.bar.clone(),
    )
}
