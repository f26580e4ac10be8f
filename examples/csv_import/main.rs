//! A large CSV into a table, as a task that can be stopped half-way and leaves nothing behind.
//!
//! It makes a file of many rows, starts the import, cancels it in the middle, shows that the table is empty, and runs
//! it again to the end: `cargo run --release --example csv_import -- 200000`.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

mod import;
mod table;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use quell::runtime::Notice;
use quell::task::{JsonText, Record, TaskKey};
use quell::{Coordinator, Receipt, Registry, Runtime, RuntimeSettings, StartRequest};

use import::CsvImport;
use table::Shop;

type Failed = Box<dyn std::error::Error>;

#[actix_web::main]
async fn main() -> Result<(), Failed> {
    let rows: u64 = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("orders.csv");
    generate(&file, rows)?;
    println!("made {} with {rows} rows", file.display());

    let shop = Arc::new(Shop::open(&folder.path().join("shop.db"))?);
    let registry = Registry::new().state(shop.clone()).blocking::<CsvImport>()?;
    let url = format!("sqlite://{}", folder.path().join("tasks.db").display());
    let coordinator = Runtime::start(&url, registry, RuntimeSettings::default()).await?;

    let first = start(&coordinator, &file).await?;
    wait_for_rows(&coordinator, &first.key, rows / 2).await?;
    match coordinator.cancel_task(&first.key, Some("wrong file")).await? {
        Receipt::Cancelled { stopped_by, reason, .. } => {
            println!("{}: stopped by {stopped_by}: {reason}", first.key);
        }
        other => println!("{}: {other:?}", first.key),
    }
    println!("rows in the table after the cancel: {}", shop.count()?);

    let second = start(&coordinator, &file).await?;
    let done = coordinator.result(&second.key).await?;
    println!("{}: {} with {:?}", second.key, done.status, done.final_value);
    println!("rows in the table at the end: {}", shop.count()?);
    coordinator.shutdown(std::time::Duration::from_secs(5)).await;
    Ok(())
}

async fn start(coordinator: &Coordinator, file: &Path) -> Result<Record, Failed> {
    let input = JsonText::from_value(&serde_json::json!({ "path": file }))?;
    Ok(coordinator.start(StartRequest::new("shop", "CsvImport", "ann").input(input)).await?)
}

/// Follows the task's events until that many rows are in, or the task has ended.
async fn wait_for_rows(coordinator: &Coordinator, key: &TaskKey, rows: u64) -> Result<(), Failed> {
    let mut watch = coordinator.watch(key, 0).await?;
    while let Some(notice) = watch.next().await {
        let Notice::Event(event) = notice? else { continue };
        if event.kind.as_str() != "progress" {
            continue;
        }
        let progress: import::Progress = event.data.to_value()?;
        if progress.rows >= rows {
            println!("{key}: {} rows are in: cancelling", progress.rows);
            break;
        }
    }
    Ok(())
}

/// Orders with a made-up customer and amount.
fn generate(file: &Path, rows: u64) -> Result<(), Failed> {
    let mut out = BufWriter::new(File::create(file)?);
    writeln!(out, "number,customer,amount_cents")?;
    for number in 1..=rows {
        writeln!(out, "{number},\"Customer, no. {}\",{}", number % 977, number * 7919 % 100_000)?;
    }
    Ok(out.flush()?)
}
