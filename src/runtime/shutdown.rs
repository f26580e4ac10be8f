//! Going down in order: take no more work, ask every task to stop, press those that do not, write every row, tell
//! the watchers, end the threads. Bounded by a budget whatever the bodies do.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::messages::{Drain, Press};
use super::services::Services;

/// What the last steps may take: writing off what still runs, and writing the rows.
const LAST: Duration = Duration::from_millis(1_500);

/// What a body needs to stop once the grace is skipped.
const STOPPING: Duration = Duration::from_secs(3);

/// Runs the shutdown once; whoever comes later waits for the same end.
pub(crate) async fn run(services: &Services, budget: Duration) {
    services.shutdown.get_or_init(|| go_down(services, budget)).await;
}

async fn go_down(services: &Services, budget: Duration) {
    let began = tokio::time::Instant::now();
    services.health.set_draining();
    tracing::info!(?budget, "shutting down: every running task is asked to stop");
    let (reply, drained) = oneshot::channel();
    services.tell_coordinator(Drain { reply });
    tokio::pin!(drained);
    let give_up = budget.saturating_sub(LAST).max(budget / 2);
    let hurry = give_up.saturating_sub(STOPPING).max(budget / 4);
    let steps = [(hurry, Some(Press::Hurry)), (give_up, Some(Press::GiveUp)), (budget, None)];
    let mut all_ended = false;
    for (until, press) in steps {
        if tokio::time::timeout_at(began + until, &mut drained).await.is_ok() {
            all_ended = true;
            break;
        }
        if let Some(press) = press {
            tracing::warn!(?press, "some tasks have not stopped yet");
            services.tell_coordinator(press);
        }
    }
    if !all_ended {
        tracing::error!(
            "the shutdown's time is over: some rows could not be written, the next start settles them"
        );
    }
    // The database may be away: then there is nothing to wait for.
    let _ = timeout(LAST, services.flush()).await;
    services.closing.cancel();
    services.deadlines.close();
    services.pool.close();
}
