//! What a figure is to reach beside its limit, and whether it did.
//!
//! A bar is told, not enforced: machines and minutes differ, and no test hangs on one.

use serde::Serialize;

/// What a figure is to reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Bar {
    /// In words, as the table shows it: `≥ 45 %`, `≤ limit + 120 µs`.
    pub asks: String,
    /// Whether this run reached it. Of a quick run it means nothing.
    pub held: bool,
}

impl Bar {
    /// A share of the limit that must not be less than so many hundredths.
    pub(super) fn at_least_percent(share: f64, least: u32) -> Self {
        Self::new(format!("≥ {least} %"), share * 100.0 >= f64::from(least))
    }

    /// Anything else: what it asks, and whether that is so.
    pub(super) fn new(asks: impl Into<String>, held: bool) -> Self {
        Self { asks: asks.into(), held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_held_from_its_bar_on() {
        assert_eq!(Bar::at_least_percent(0.45, 45), Bar { asks: "≥ 45 %".to_owned(), held: true });
        assert!(!Bar::at_least_percent(0.449, 45).held);
    }
}
