//! Owns the import as a task: chunk by chunk, with a look at its token between them, and a cleanup that removes what a
//! stopped import has left.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quell::{BlockingTask, Cleaned, ModelSettings, TaskContext, TaskError};
use serde::{Deserialize, Serialize};

use crate::table::{self, Order, Shop};

/// Rows in one transaction: small enough that a stop waits for milliseconds.
const CHUNK_ROWS: usize = 1000;

/// A CSV file with a header line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvImport {
    path: PathBuf,
}

/// How far the import is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) rows: u64,
}

impl BlockingTask for CsvImport {
    const APP: &'static str = "shop";
    const MODEL: &'static str = "CsvImport";
    type Output = Progress;

    fn settings() -> ModelSettings {
        ModelSettings::new().grace(Duration::from_secs(1))
    }

    fn process(&self, ctx: &TaskContext) -> Result<Progress, TaskError> {
        let mut connection = shop(ctx)?.connect()?;
        let import_id = ctx.key().id.get();
        let mut reader = csv::Reader::from_path(&self.path)?;
        let mut orders = reader.deserialize::<Order>();
        let mut progress = Progress { rows: 0 };
        loop {
            ctx.check_cancellation()?;
            let chunk = orders.by_ref().take(CHUNK_ROWS).collect::<Result<Vec<_>, _>>()?;
            if chunk.is_empty() {
                return Ok(progress);
            }
            table::insert(&mut connection, import_id, &chunk)?;
            progress.rows += u64::try_from(chunk.len())?;
            ctx.send_event_blocking("progress", &progress)?;
        }
    }

    async fn on_cancel(&self, ctx: TaskContext) -> Result<Cleaned, TaskError> {
        let shop = shop(&ctx)?;
        let import_id = ctx.key().id.get();
        // The database blocks: not on a thread that polls other tasks.
        let removed = tokio::task::spawn_blocking(move || {
            let mut connection = shop.connect().map_err(|error| error.to_string())?;
            table::delete(&mut connection, import_id).map_err(|error| error.to_string())
        });
        let rows = removed.await?.map_err(|reason| TaskError::new("CleanupFailed", reason))?;
        ctx.send_event("rolled_back", &serde_json::json!({ "rows": rows })).await?;
        Ok(Cleaned::Done)
    }
}

fn shop(ctx: &TaskContext) -> Result<Arc<Shop>, TaskError> {
    ctx.state::<Shop>().ok_or_else(|| TaskError::new("NoShop", "no shop database was registered"))
}
