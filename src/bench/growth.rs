//! Whether it stays as fast when the table grows: start and complete, with few and with many finished rows.
//!
//! Each size has a runtime of its own over a database that was filled through the store; all stand at once and take
//! turns in short rounds, so that noise meets all. The limit of each is the smallest table, in the same rounds.

use serde::Serialize;

use crate::runtime::Task;
use crate::store::Synchronous;

use super::folder::Folder;
use super::library::{Library, Noop, inside};
use super::plain::Plain;
use super::sample::{median, median_share};
use super::start::through_runtime;
use super::{Bar, BenchError, Options, Scenario};

/// Start and complete, with so many rows in the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Grown {
    /// Finished rows that were there before.
    pub rows: u32,
    /// Clients at once.
    pub in_flight: u32,
    /// Lives for each second: the median of the rounds.
    pub per_second: f64,
    /// The fewest rows.
    pub fewest: u32,
    /// The same with those.
    pub limit_per_second: f64,
    /// The first by the second: the median of the rounds' own.
    pub share_of_limit: f64,
    /// What is asked: neither much slower nor much faster.
    pub bar: Option<Bar>,
    /// Every round.
    pub rates: Vec<f64>,
}

pub(super) fn measure(
    options: &Options,
    rows: &[u32],
    lives: &[(u32, u32)],
    rounds: u32,
) -> Result<Vec<Grown>, BenchError> {
    let folder = Folder::new(&options.dir)?;
    let (sizes, lives, synchronous) = (rows.to_vec(), lives.to_vec(), options.synchronous);
    inside(Scenario::Growth, async move || {
        let mut libraries = Vec::new();
        for rows in &sizes {
            let path = folder.file(&format!("{rows}.db"));
            // Nobody measures this, and a crash meanwhile leaves a folder that is thrown away.
            Plain::open(&path, Synchronous::Normal, Noop::MODEL)?.fill(*rows)?;
            libraries.push(Library::start(&path, synchronous).await?);
        }
        let mut grown = Vec::new();
        for (in_flight, lives) in lives {
            let mut rates = vec![Vec::new(); sizes.len()];
            // The first round fills caches and is not counted.
            for round in 0..=rounds {
                for (rates, library) in rates.iter_mut().zip(&libraries) {
                    let rate = through_runtime(&library.coordinator, in_flight, lives).await?;
                    if round > 0 {
                        rates.push(rate);
                    }
                }
            }
            let fewest = rates.first().cloned().unwrap_or_default();
            let few = sizes.first().copied().unwrap_or(0);
            grown.extend(sizes.iter().zip(rates).skip(1).map(|(rows, rates)| {
                let share_of_limit = median_share(&rates, &fewest);
                Grown {
                    rows: *rows,
                    in_flight,
                    per_second: median(&rates),
                    fewest: few,
                    limit_per_second: median(&fewest),
                    share_of_limit,
                    bar: Some(Bar::new("within 20 %", (0.8..=1.25).contains(&share_of_limit))),
                    rates,
                }
            }));
        }
        for library in libraries {
            library.stop().await;
        }
        Ok(grown)
    })
}
