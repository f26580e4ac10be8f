//! What was measured, with its bars, as a table.

use std::fmt;
use std::time::Duration;

/// A row: what, the figure, the bar, whether it is met.
struct Row {
    what: String,
    figure: String,
    bar: String,
    is_met: bool,
}

/// All rows.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

impl Report {
    pub(crate) fn row(&mut self, what: impl Into<String>, figure: String, bar: String, is_met: bool) {
        self.0.push(Row { what: what.into(), figure, bar, is_met });
    }

    pub(crate) fn all_are_met(&self) -> bool {
        self.0.iter().all(|row| row.is_met)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |cell: fn(&Row) -> &str| self.0.iter().map(|row| cell(row).chars().count()).max();
        let what = wide(|row| &row.what).unwrap_or(0);
        let figure = wide(|row| &row.figure).unwrap_or(0);
        let bar = wide(|row| &row.bar).unwrap_or(0);
        writeln!(f, "| {:what$} | {:figure$} | {:bar$} |    |", "measured", "figure", "bar")?;
        writeln!(f, "|{:-<what$}--|{:-<figure$}--|{:-<bar$}--|----|", "", "", "")?;
        for row in &self.0 {
            let mark = if row.is_met { "ok" } else { "NO" };
            writeln!(f, "| {:what$} | {:figure$} | {:bar$} | {mark} |", row.what, row.figure, row.bar)?;
        }
        Ok(())
    }
}

/// The value below which that share of the samples is; sorts them.
pub(crate) fn quantile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list of samples"
    )]
    let at = (samples.len() as f64 * share) as usize;
    samples.get(at.min(samples.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Milliseconds with two digits.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// KiB as MiB.
pub(crate) fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}
