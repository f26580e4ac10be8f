//! The numbers of one runtime, as handles that were made once: to count is an atomic add.
//!
//! Invariants: each runtime has numbers of its own, whichever others stand in the same process. A start, an end and a
//! request to stop are counted when they are durable, each once; so the gauges are the rows. Labels come from what
//! is registered and from closed lists: never an id, never a user.
//!
//! Where the host gives a recorder of its own, the numbers are there and nowhere else.

mod connections;
mod exposition;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};

use crate::task::{Cause, Status, StoppedBy};

use super::Coordinator;
use super::registry::{Inside, Kind, Registry};
pub(crate) use connections::{ConnectionNumbers, Cut, OpenConnection, Refused};
use exposition::Exposition;

/// A recorder of the host, to which the numbers of a runtime go.
pub type HostRecorder = Arc<dyn Recorder + Send + Sync>;

const METADATA: Metadata<'static> = Metadata::new("quell", Level::INFO, Some(module_path!()));

const STARTED: &str = "quell_tasks_started_total";
const FINISHED: &str = "quell_tasks_finished_total";
const RUNNING: &str = "quell_tasks_running";
const PENDING: &str = "quell_tasks_pending";
const CANCEL_REQUESTS: &str = "quell_cancel_requests_total";
const CANCEL_LATENCY: &str = "quell_cancel_latency_seconds";
const ABANDONED: &str = "quell_abandoned_bodies_total";
const ABANDONED_THREADS: &str = "quell_abandoned_threads";
const LATE_EVENTS: &str = "quell_late_events_total";
const LATE_RESULTS: &str = "quell_late_results_total";
const STREAMS: &str = "quell_streams";
const EVENTS: &str = "quell_events_total";
const COMMIT: &str = "quell_db_commit_seconds";
const GROUP: &str = "quell_db_group_size";

const COUNTERS: [(&str, &str); 9] = [
    (
        STARTED,
        "Tasks that were started: their rows are durable. A task that runs again after a restart is not counted again.",
    ),
    (FINISHED, "Tasks that have ended, by outcome: completed, failed or cancelled."),
    (
        CANCEL_REQUESTS,
        "Accepted requests to stop a task, by cause. A second request of the same task is not counted.",
    ),
    (ABANDONED, "Bodies that did not stop within their limit and were written off, by kind."),
    (LATE_EVENTS, "Events of abandoned bodies that were refused."),
    (LATE_RESULTS, "Ends of abandoned bodies that came after all and were refused."),
    (EVENTS, "Events that were written."),
    (connections::REFUSED, "Connections that were closed at once, by reason: limit or address."),
    (
        connections::CUT,
        "Connections that were cut off because they took too long, by reason: head, body or reader.",
    ),
];

const GAUGES: [(&str, &str); 5] = [
    (RUNNING, "Tasks whose row says running."),
    (PENDING, "Tasks whose row says pending: they wait for room, or to be started."),
    (ABANDONED_THREADS, "Threads that abandoned bodies keep. It falls when a body returns after all."),
    (STREAMS, "Event streams that are open."),
    (connections::OPEN, "Connections that are open."),
];

const HISTOGRAMS: [(&str, Unit, &str, &[f64]); 3] = [
    (
        CANCEL_LATENCY,
        Unit::Seconds,
        "From the accepted request to stop until the body had stopped or was written off, by how it stopped.",
        &[
            0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
            10.0, 30.0, 60.0, 300.0, 600.0,
        ],
    ),
    (
        COMMIT,
        Unit::Seconds,
        "How long a group of writes took until it was durable.",
        &[
            0.000_05, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
            2.5, 5.0, 10.0,
        ],
    ),
    (
        GROUP,
        Unit::Count,
        "Writes that were committed together.",
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
    ),
];

/// What a task that is not counted by model counts as: its model is not registered.
const UNKNOWN_MODEL: &str = "unknown";

/// The numbers of one runtime.
pub(crate) struct Metrics {
    /// None where the host has them.
    exposition: Option<Arc<Exposition>>,
    running: Gauge,
    pending: Gauge,
    cancel_requests: Vec<(Cause, Counter)>,
    cancel_latency: Vec<(StoppedBy, Histogram)>,
    abandoned: Vec<(Kind, Counter)>,
    abandoned_threads: Gauge,
    late_events: Counter,
    late_results: Counter,
    streams: Gauge,
    events: Counter,
    commit_seconds: Histogram,
    group_size: Histogram,
    connections: ConnectionNumbers,
    unknown_model: ModelNumbers,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("of_the_host", &self.exposition.is_none()).finish_non_exhaustive()
    }
}

/// The numbers of one model.
pub(crate) struct ModelNumbers {
    started: Counter,
    finished: [(Status, Counter); 3],
}

/// How a row ended, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Its last status.
    pub(crate) status: Status,
    /// The cause of a request that became durable together with the end.
    pub(crate) asked: Option<Cause>,
    /// How it stopped after a request, and how long after.
    pub(crate) stopped: Option<(StoppedBy, Duration)>,
}

/// What a row was before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Was {
    /// `pending`.
    Pending,
    /// `running`.
    Running,
    /// `running` under an earlier process, and so never counted here.
    Elsewhere,
}

impl Metrics {
    /// Registers everything, with the models' numbers in the registry.
    pub(crate) fn new(registry: &Registry, host: Option<&HostRecorder>) -> Self {
        if let Some(recorder) = host {
            return Self::register(&**recorder, None, registry);
        }
        let exposition = Arc::new(Exposition::new(bounds_of));
        Self::register(&*exposition, Some(Arc::clone(&exposition)), registry)
    }

    fn register(recorder: &dyn Recorder, exposition: Option<Arc<Exposition>>, registry: &Registry) -> Self {
        describe(recorder);
        for model in registry.models() {
            model.keep_numbers(ModelNumbers::register(recorder, model.full_name()));
        }
        let words = |name, label, word: &'static str| counter(recorder, name, vec![Label::new(label, word)]);
        let latency =
            |by: StoppedBy| histogram(recorder, CANCEL_LATENCY, vec![Label::new("stopped_by", by.as_str())]);
        let kinds = [Kind::Async, Kind::Blocking, Kind::Process(Inside::Command)];
        Self {
            running: gauge(recorder, RUNNING),
            pending: gauge(recorder, PENDING),
            cancel_requests: Cause::ALL
                .iter()
                .map(|cause| (*cause, words(CANCEL_REQUESTS, "cause", cause.as_str())))
                .collect(),
            cancel_latency: StoppedBy::ALL.iter().map(|by| (*by, latency(*by))).collect(),
            abandoned: kinds.map(|kind| (kind, words(ABANDONED, "kind", kind.as_str()))).into(),
            abandoned_threads: gauge(recorder, ABANDONED_THREADS),
            late_events: counter(recorder, LATE_EVENTS, Vec::new()),
            late_results: counter(recorder, LATE_RESULTS, Vec::new()),
            streams: gauge(recorder, STREAMS),
            events: counter(recorder, EVENTS, Vec::new()),
            commit_seconds: histogram(recorder, COMMIT, Vec::new()),
            group_size: histogram(recorder, GROUP, Vec::new()),
            connections: ConnectionNumbers::register(recorder),
            unknown_model: ModelNumbers::register(recorder, UNKNOWN_MODEL.to_owned()),
            exposition,
        }
    }

    /// The text for Prometheus; none where the host has the numbers.
    pub(crate) fn render(&self) -> Option<String> {
        self.exposition.as_ref().map(|exposition| exposition.render())
    }

    /// Rows that wait were found at the start.
    pub(crate) fn found_pending(&self, count: u64) {
        self.pending.increment(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// A row was made that waits.
    pub(crate) fn created(&self) {
        self.pending.increment(1);
    }

    /// A task was started: now, or with its row.
    pub(crate) fn started(&self, model: Option<&ModelNumbers>) {
        self.of(model).started.increment(1);
    }

    /// A row says `running` now.
    pub(crate) fn begun(&self, was_pending: bool) {
        if was_pending {
            self.pending.decrement(1);
        }
        self.running.increment(1);
    }

    /// A row that ran waits again.
    pub(crate) fn requeued(&self) {
        self.running.decrement(1);
        self.pending.increment(1);
    }

    /// A request to stop is in the row of a task that has not ended.
    pub(crate) fn cancel_requested(&self, cause: Cause) {
        if let Some((_, count)) = self.cancel_requests.iter().find(|(of, _)| *of == cause) {
            count.increment(1);
        }
    }

    /// A row has ended.
    pub(crate) fn ended(&self, model: Option<&ModelNumbers>, was: Was, how: Counted) {
        match was {
            Was::Pending => self.pending.decrement(1),
            Was::Running => self.running.decrement(1),
            Was::Elsewhere => {}
        }
        if let Some((_, count)) = self.of(model).finished.iter().find(|(status, _)| *status == how.status) {
            count.increment(1);
        }
        if let Some(cause) = how.asked {
            self.cancel_requested(cause);
        }
        let of = |stopped: (StoppedBy, Duration)| self.cancel_latency.iter().find(|(by, _)| *by == stopped.0);
        if let Some(((_, latency), (_, after))) =
            how.stopped.and_then(|stopped| of(stopped).zip(Some(stopped)))
        {
            latency.record(after);
        }
    }

    fn of<'a>(&'a self, model: Option<&'a ModelNumbers>) -> &'a ModelNumbers {
        model.unwrap_or(&self.unknown_model)
    }

    /// A body was written off.
    pub(crate) fn abandoned(&self, kind: Kind) {
        if let Some((_, count)) = self.abandoned.iter().find(|(of, _)| of.as_str() == kind.as_str()) {
            count.increment(1);
        }
    }

    /// User code that was written off keeps a thread.
    pub(crate) fn thread_lost(&self) {
        self.abandoned_threads.increment(1);
    }

    /// It has given the thread back.
    pub(crate) fn thread_back(&self) {
        self.abandoned_threads.decrement(1);
    }

    /// An abandoned body sent an event, which was refused.
    pub(crate) fn late_event(&self) {
        self.late_events.increment(1);
    }

    /// An abandoned body came to its end, which was refused.
    pub(crate) fn late_result(&self) {
        self.late_results.increment(1);
    }

    /// An event stream is open as long as what this gives is kept.
    pub(crate) fn stream_opened(&self) -> OpenStream {
        self.streams.increment(1);
        OpenStream(self.streams.clone())
    }

    /// A group of writes is durable.
    pub(crate) fn committed(&self, writes: usize, events: usize, took: Duration) {
        self.commit_seconds.record(took);
        self.group_size.record(u32::try_from(writes).unwrap_or(u32::MAX));
        self.events_written(events);
    }

    /// Events are durable.
    pub(crate) fn events_written(&self, events: usize) {
        self.events.increment(u64::try_from(events).unwrap_or(u64::MAX));
    }
}

impl ModelNumbers {
    fn register(recorder: &dyn Recorder, model: String) -> Self {
        let finished = |status: Status| {
            let labels = vec![Label::new("model", model.clone()), Label::new("outcome", status.as_str())];
            (status, counter(recorder, FINISHED, labels))
        };
        let finished = [finished(Status::Completed), finished(Status::Failed), finished(Status::Cancelled)];
        Self { started: counter(recorder, STARTED, vec![Label::new("model", model)]), finished }
    }
}

impl Coordinator {
    /// The numbers of this runtime, in the text format of Prometheus 0.0.4; none where they go to a recorder of the
    /// host ([`RuntimeSettings::recorder`](crate::RuntimeSettings::recorder)).
    #[must_use]
    pub fn metrics(&self) -> Option<String> {
        self.services().metrics.render()
    }

    /// An event stream is open as long as what this gives is kept.
    pub(crate) fn count_stream(&self) -> OpenStream {
        self.services().metrics.stream_opened()
    }
}

/// Counts an open event stream until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

fn describe(recorder: &dyn Recorder) {
    for (name, help) in COUNTERS {
        recorder.describe_counter(name.into(), Some(Unit::Count), help.into());
    }
    for (name, help) in GAUGES {
        recorder.describe_gauge(name.into(), Some(Unit::Count), help.into());
    }
    for (name, unit, help, _) in HISTOGRAMS {
        recorder.describe_histogram(name.into(), Some(unit), help.into());
    }
}

fn bounds_of(name: &str) -> Option<&'static [f64]> {
    HISTOGRAMS.iter().find(|(of, ..)| *of == name).map(|(_, _, _, bounds)| *bounds)
}

fn counter(recorder: &dyn Recorder, name: &'static str, labels: Vec<Label>) -> Counter {
    recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
}

fn gauge(recorder: &dyn Recorder, name: &'static str) -> Gauge {
    recorder.register_gauge(&Key::from_static_name(name), &METADATA)
}

fn histogram(recorder: &dyn Recorder, name: &'static str, labels: Vec<Label>) -> Histogram {
    recorder.register_histogram(&Key::from_parts(name, labels), &METADATA)
}
