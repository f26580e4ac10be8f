//! The runtime's own recorder: the numbers in memory, and the text that Prometheus reads.
//!
//! Invariants: what it holds grows with what is registered, never with what is recorded: a histogram is its buckets
//! and their sum. (The recorder of `metrics-exporter-prometheus` keeps every sample of a histogram until somebody
//! reads it.) Recording takes no lock. The order of the text is always the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::atomics::AtomicU64;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Bounds for a histogram that was registered under a name for which nobody gave any.
const ANY_BOUNDS: &[f64] = &[0.001, 0.01, 0.1, 1.0, 10.0, 100.0];

/// The recorder.
pub(super) struct Exposition {
    bounds: fn(&str) -> Option<&'static [f64]>,
    families: Mutex<BTreeMap<String, Family>>,
}

/// All series of one name.
#[derive(Default)]
struct Family {
    help: String,
    /// By their labels, as they stand between the braces.
    series: BTreeMap<String, Series>,
}

enum Series {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

/// A histogram.
struct Buckets {
    bounds: &'static [f64],
    /// One for each bound, and the last for what is above them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self { bounds, counts, sum: AtomicU64::default() }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(place) {
            CounterFn::increment(count, 1);
            GaugeFn::increment(&self.sum, value);
        }
    }
}

impl Exposition {
    /// An empty one; `bounds` names the upper bounds of a histogram's buckets, lowest first.
    pub(super) fn new(bounds: fn(&str) -> Option<&'static [f64]>) -> Self {
        Self { bounds, families: Mutex::default() }
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        // Each step leaves the map whole.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: &KeyName, help: &SharedString) {
        self.families().entry(name.as_str().to_owned()).or_default().help = help.to_string();
    }

    fn series<T>(
        &self,
        key: &Key,
        make: impl FnOnce() -> Series,
        take: fn(&Series) -> Option<T>,
    ) -> Option<T> {
        let mut families = self.families();
        let family = families.entry(key.name().to_owned()).or_default();
        take(family.series.entry(labels_of(key)).or_insert_with(make))
    }

    /// All of it, in the text format of Prometheus, version 0.0.4.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families().iter() {
            let Some(first) = family.series.values().next() else { continue };
            let _ =
                writeln!(text, "# HELP {name} {}", family.help.replace('\\', "\\\\").replace('\n', "\\n"));
            let _ = writeln!(text, "# TYPE {name} {}", first.kind());
            for (labels, series) in &family.series {
                series.render(&mut text, name, labels);
            }
        }
        text
    }
}

impl Series {
    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    fn render(&self, text: &mut String, name: &str, labels: &str) {
        // Err: none when a string is written to.
        let _ = match self {
            Self::Counter(count) => {
                writeln!(text, "{name}{} {}", braced(labels), count.load(Ordering::Acquire))
            }
            Self::Gauge(bits) => {
                writeln!(text, "{name}{} {}", braced(labels), f64::from_bits(bits.load(Ordering::Acquire)))
            }
            Self::Histogram(buckets) => buckets.render(text, name, labels),
        };
    }
}

impl Buckets {
    fn render(&self, text: &mut String, name: &str, labels: &str) -> std::fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below: u64 = 0;
        for (place, count) in self.counts.iter().enumerate() {
            below = below.saturating_add(count.load(Ordering::Acquire));
            match self.bounds.get(place) {
                Some(bound) => writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}")?,
                None => writeln!(text, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {below}")?,
            }
        }
        let sum = f64::from_bits(self.sum.load(Ordering::Acquire));
        writeln!(text, "{name}_sum{} {sum}", braced(labels))?;
        writeln!(text, "{name}_count{} {below}", braced(labels))
    }
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn labels_of(key: &Key) -> String {
    let pair = |label: &metrics::Label| {
        let value = label.value().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{}=\"{value}\"", label.key())
    };
    key.labels().map(pair).collect::<Vec<_>>().join(",")
}

impl Recorder for Exposition {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let take = |series: &Series| match series {
            Series::Counter(count) => Some(Counter::from_arc(Arc::clone(count))),
            Series::Gauge(_) | Series::Histogram(_) => None,
        };
        self.series(key, || Series::Counter(Arc::default()), take).unwrap_or_else(Counter::noop)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let take = |series: &Series| match series {
            Series::Gauge(bits) => Some(Gauge::from_arc(Arc::clone(bits))),
            Series::Counter(_) | Series::Histogram(_) => None,
        };
        self.series(key, || Series::Gauge(Arc::default()), take).unwrap_or_else(Gauge::noop)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let bounds = (self.bounds)(key.name()).unwrap_or(ANY_BOUNDS);
        let take = |series: &Series| match series {
            Series::Histogram(buckets) => Some(Histogram::from_arc(Arc::clone(buckets))),
            Series::Counter(_) | Series::Gauge(_) => None,
        };
        let make = || Series::Histogram(Arc::new(Buckets::new(bounds)));
        self.series(key, make, take).unwrap_or_else(Histogram::noop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{Label, Level};

    const ANYWHERE: Metadata<'static> = Metadata::new("quell", Level::INFO, None);

    fn exposition() -> Exposition {
        Exposition::new(|name| (name == "wait_seconds").then_some(&[0.5, 1.0]))
    }

    fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
        Key::from_parts(name, labels.iter().map(|(k, v)| Label::new(*k, *v)).collect::<Vec<_>>())
    }

    #[test]
    fn the_text_has_each_name_once_with_its_help_type_and_series() {
        let numbers = exposition();
        numbers.describe_counter("b_total".into(), None, "Two\nlines \\.".into());
        numbers.register_counter(&key("b_total", &[("x", "2")]), &ANYWHERE).increment(5);
        numbers.register_counter(&key("b_total", &[("x", "1\"\\\n")]), &ANYWHERE).increment(1);
        let gauge = numbers.register_gauge(&key("a", &[]), &ANYWHERE);
        gauge.increment(3.0);
        gauge.decrement(1.0);
        numbers.describe_gauge("never_registered".into(), None, "x".into());
        assert_eq!(
            numbers.render(),
            "# HELP a \n# TYPE a gauge\na 2\n\
             # HELP b_total Two\\nlines \\\\.\n# TYPE b_total counter\n\
             b_total{x=\"1\\\"\\\\\\n\"} 1\nb_total{x=\"2\"} 5\n"
        );
    }

    #[test]
    fn a_histogram_counts_what_is_at_most_each_bound() {
        let numbers = exposition();
        let wait = numbers.register_histogram(&key("wait_seconds", &[("by", "x")]), &ANYWHERE);
        for value in [0.25, 0.5, 0.75, 8.0] {
            wait.record(value);
        }
        let text = numbers.render();
        let series: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            series,
            [
                "wait_seconds_bucket{by=\"x\",le=\"0.5\"} 2",
                "wait_seconds_bucket{by=\"x\",le=\"1\"} 3",
                "wait_seconds_bucket{by=\"x\",le=\"+Inf\"} 4",
                "wait_seconds_sum{by=\"x\"} 9.5",
                "wait_seconds_count{by=\"x\"} 4",
            ]
        );
    }

    #[test]
    fn i20_a_million_samples_leave_the_text_as_long_as_one_does() {
        let numbers = exposition();
        let wait = numbers.register_histogram(&key("wait_seconds", &[]), &ANYWHERE);
        wait.record(1.0);
        let before = numbers.render().lines().count();
        for _ in 0..1_000_000 {
            wait.record(1.0);
        }
        assert_eq!(numbers.render().lines().count(), before);
        assert!(numbers.render().ends_with("wait_seconds_sum 1000001\nwait_seconds_count 1000001\n"));
    }

    #[test]
    fn the_same_key_is_the_same_number() {
        let numbers = exposition();
        numbers.register_counter(&key("a_total", &[]), &ANYWHERE).increment(1);
        numbers.register_counter(&key("a_total", &[]), &ANYWHERE).increment(1);
        numbers.register_gauge(&key("a_total", &[]), &ANYWHERE).set(9.0);
        assert!(numbers.render().ends_with("a_total 2\n"));
    }
}
