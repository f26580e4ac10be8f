//! A report as a table.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{
    Bar, Beside, Cancelled, Checked, Disk, Finished, Grown, Killed, Memory, Pending, Quantiles, Ran, Report,
    Sent, Started, Storm, TimedOut, table_over_http,
};

/// A row: what, the figure, its limit, how the two compare, and what is asked.
pub(super) struct Line(pub(super) [String; 4], pub(super) Option<Bar>);

impl Line {
    fn cells(self) -> Vec<String> {
        let Self(cells, bar) = self;
        let (asks, held) = bar.map_or_else(Default::default, |bar| (bar.asks, yes_no(bar.held)));
        cells.into_iter().chain([asks, held.to_owned()]).collect()
    }
}

fn yes_no(held: bool) -> &'static str {
    if held { "yes" } else { "no" }
}

/// The table, below a line or two about where it comes from.
pub(super) fn of(report: &Report) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["measured", "quell", "limit in the same run", "of the limit", "bar", "held"]);
    let lines = report
        .pending
        .iter()
        .flat_map(pending)
        .chain(report.finished.iter().map(finished))
        .chain(report.memory.iter().flat_map(memory))
        .chain(report.bodies.iter().flat_map(bodies))
        .chain(report.checks.iter().map(checks))
        .chain(report.spinners.iter().flat_map(spinners))
        .chain(report.processes.iter().flat_map(processes))
        .chain(report.disk.iter().map(disk))
        .chain(report.start.iter().map(start))
        .chain(report.cancel.iter().flat_map(cancel))
        .chain(report.storm.iter().map(storm))
        .chain(report.timeouts.iter().flat_map(timeouts))
        .chain(report.events.iter().map(events))
        .chain(report.growth.iter().map(growth))
        .chain(table_over_http::lines(report));
    for line in lines {
        table.add_row(line.cells());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n\n{table}", head(report))
}

fn head(report: &Report) -> String {
    let (machine, run) = (&report.machine, &report.run);
    let commit = run.commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
    let mut head = format!(
        "{}, {} cores, {} MiB, {}, {}\nquell {}{commit}, {} build, synchronous {}, {}",
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        machine.file_system,
        run.version,
        run.build,
        run.synchronous,
        run.at
    );
    if run.quick || run.build != "release" {
        head.push_str("\nOnly a look whether it works: these figures mean little.");
    }
    head
}

fn start(figure: &Started) -> Line {
    let own = format!("{} tasks/s", whole(figure.per_second));
    let limit = format!("{} tasks/s", whole(figure.limit_per_second));
    let what = format!("start + complete, {} in flight", figure.in_flight);
    Line([what, own, limit, percent(figure.share_of_limit)], figure.bar.clone())
}

fn cancel(figure: &Cancelled) -> [Line; 4] {
    let (own, limit) = (figure.micros, figure.limit_micros);
    let line = |what: &str, own: f64, limit: f64, more: String, bar: Option<&Bar>| {
        Line([format!("cancel to durable end, {what}"), micros(own), micros(limit), more], bar.cloned())
    };
    let over = format!("{:+} µs", figure.over_limit_micros.round());
    let commits = format!("{:.2}", figure.commits_each);
    let commits = ["commits of a cancel".to_owned(), commits, "1.00".to_owned(), String::new()];
    [
        line("p50", own.p50, limit.p50, over, figure.bar.as_ref()),
        line("p99", own.p99, limit.p99, String::new(), figure.p99_bar.as_ref()),
        line("max", own.max, limit.max, String::new(), None),
        Line(commits, figure.commits_bar.clone()),
    ]
}

fn storm(figure: &Storm) -> Line {
    let what = format!("cancel of {} at once, all durable", whole(f64::from(figure.tasks)));
    let seconds = |time: f64| format!("{time:.3} s");
    let cells =
        [what, seconds(figure.seconds), seconds(figure.limit_seconds), percent(figure.share_of_limit)];
    Line(cells, figure.bar.clone())
}

fn timeouts(figure: &TimedOut) -> Vec<Line> {
    let what = |what: &str| format!("timeouts: {} within 1 s, {what}", whole(f64::from(figure.tasks)));
    let (late, limit) = (figure.late_micros, figure.limit_late_micros);
    let seconds = |own: f64, limit: f64| [format!("{own:.3} s"), format!("{limit:.3} s"), String::new()];
    let lates = |own: f64, limit: f64| [micros(own), micros(limit), String::new()];
    let line = |name: &str, [own, limit, more]: [String; 3], bar: &Option<Bar>| {
        Line([what(name), own, limit, more], bar.clone())
    };
    vec![
        line("body dropped late, p50", lates(late.p50, limit.p50), &figure.bar),
        line("body dropped late, p99", lates(late.p99, limit.p99), &figure.p99_bar),
        line(
            "all dropped",
            seconds(figure.dropped_seconds, figure.limit_dropped_seconds),
            &figure.dropped_bar,
        ),
        line(
            "all durable",
            seconds(figure.durable_seconds, figure.limit_durable_seconds),
            &figure.durable_bar,
        ),
    ]
}

fn events(figure: &Sent) -> Line {
    let who = if figure.tasks == 1 { "one task".to_owned() } else { format!("{} tasks", figure.tasks) };
    let rate = |rate: f64| format!("{}/s", whole(rate));
    let cells = [
        format!("events written by {who}"),
        rate(figure.per_second),
        rate(figure.limit_per_second),
        percent(figure.share_of_limit),
    ];
    Line(cells, figure.bar.clone())
}

fn growth(figure: &Grown) -> Line {
    let (rows, fewest) = (whole(f64::from(figure.rows)), whole(f64::from(figure.fewest)));
    let rate = |rate: f64| format!("{} tasks/s", whole(rate));
    let cells = [
        format!("start + complete, {} in flight, {rows} rows beside {fewest}", figure.in_flight),
        rate(figure.per_second),
        rate(figure.limit_per_second),
        percent(figure.share_of_limit),
    ];
    Line(cells, figure.bar.clone())
}

fn pending(figure: &Pending) -> [Line; 2] {
    let what = |what: &str| format!("{} deadlines that wait, {what}", whole(f64::from(figure.deadlines)));
    let bytes = |bytes: f64| format!("{} B", whole(bytes));
    let core = |share: f64| format!("{:.2} %", share * 100.0);
    [
        Line(
            [what("each"), bytes(figure.bytes), bytes(figure.limit_bytes), String::new()],
            figure.bar.clone(),
        ),
        Line(
            [what("of one core"), core(figure.of_one_core), core(figure.limit_of_one_core), String::new()],
            figure.core_bar.clone(),
        ),
    ]
}

fn finished(figure: &Finished) -> Line {
    let (first, all) = (whole(f64::from(figure.first)), whole(f64::from(figure.all)));
    let kib = |bytes: f64| format!("{} KiB", whole(bytes / 1024.0));
    let what = format!("memory grown from {first} to {all} finished tasks");
    Line([what, kib(figure.growth_bytes), kib(figure.limit_growth_bytes), String::new()], figure.bar.clone())
}

fn memory(figure: &Memory) -> [Line; 2] {
    let tasks = whole(f64::from(figure.tasks));
    let bytes = |bytes: f64| format!("{} B", whole(bytes));
    let times = format!("{:.1} times", figure.times_limit);
    [
        Line(
            [
                format!("memory per idle task, {tasks} tasks"),
                bytes(figure.bytes),
                bytes(figure.limit_bytes),
                times,
            ],
            figure.bar.clone(),
        ),
        Line(
            [
                "memory per task that waits for its token".to_owned(),
                bytes(figure.bytes_with_token),
                bytes(figure.limit_bytes),
                String::new(),
            ],
            None,
        ),
    ]
}

fn bodies(figure: &Ran) -> [Line; 2] {
    let rate = |rate: f64| format!("{}/s", whole(rate));
    let line = |than: &str, limit: f64, share: f64, bar: Option<&Bar>| {
        let what = format!("bodies: {}, {than}", figure.what);
        Line([what, rate(figure.per_second), rate(limit), percent(share)], bar.cloned())
    };
    [
        line("beside tokio's scheduler", figure.tokio_per_second, figure.share_of_tokio, figure.bar.as_ref()),
        line(
            "beside no watchdog",
            figure.unwatched_per_second,
            figure.share_of_unwatched,
            figure.unwatched_bar.as_ref(),
        ),
    ]
}

fn checks(figure: &Checked) -> Line {
    let nanos = |nanos: f64| format!("{nanos:.2} ns");
    let what = "should_stop() in a blocking body, beside a load".to_owned();
    Line([what, nanos(figure.nanos), nanos(figure.limit_nanos), String::new()], figure.bar.clone())
}

fn spinners(figure: &Beside) -> [Line; 3] {
    let times = |times: &Quantiles, bar: Option<&Bar>, what: String| {
        let p50_p99 = format!("{} / {}", millis(times.p50), millis(times.p99));
        Line([what, p50_p99, String::new(), String::new()], bar.cloned())
    };
    let beside = format!("beside {} endless loops", figure.spinners);
    let slowest = millis(figure.example_micros.max);
    [
        times(&figure.late_micros, figure.bar.as_ref(), format!("timeouts fire late, {beside}, p50 / p99")),
        times(&figure.ended_micros, None, format!("their ends are durable, {beside}, p50 / p99")),
        Line(
            [format!("a new task of 30 ms, {beside}, slowest"), slowest, String::new(), String::new()],
            figure.example_bar.clone(),
        ),
    ]
}

fn processes(figure: &Killed) -> [Line; 2] {
    let rate = |rate: f64| format!("{} a minute", whole(rate));
    let from =
        if figure.parent_mib == 0 { String::new() } else { format!(", from {} MiB", figure.parent_mib) };
    let (own, limit) = (rate(figure.per_minute), rate(figure.limit_per_minute));
    let late = format!("{} / {}", millis(figure.late_micros.p50), millis(figure.late_micros.p99));
    let what = format!("processes started and killed{from}");
    [
        Line([what, own, limit, percent(figure.share_of_limit)], figure.bar.clone()),
        Line(
            [format!("end of a process past its grace{from}, p50 / p99"), late, String::new(), String::new()],
            figure.late_bar.clone(),
        ),
    ]
}

fn disk(figure: &Disk) -> Line {
    let p50_p99 = format!("{} / {}", micros(figure.micros.p50), micros(figure.micros.p99));
    let what = "4 KiB written and synced, p50 / p99".to_owned();
    Line([what, String::new(), p50_p99, String::new()], None)
}

pub(super) fn micros(time: f64) -> String {
    format!("{} µs", whole(time))
}

/// From microseconds.
fn millis(time: f64) -> String {
    format!("{:.1} ms", time / 1_000.0)
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Without a fraction, with commas: `12,345`.
pub(super) fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_commas() {
        let texts = [0.0, 999.4, 1_000.0, 1_234_567.0, -1_234.0].map(whole);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567", "-1,234"]);
    }
}
