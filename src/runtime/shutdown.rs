//! Going down in order: take no more work, ask every task to stop, press those that do not, write every row, tell
//! the watchers, end the threads. Bounded by a budget whatever the bodies do.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

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

/// Skips the grace of a shutdown under way; does nothing before one.
pub(crate) fn hurry(services: &Services) {
    if services.health.is_draining() {
        services.hurried.cancel();
    }
}

async fn go_down(services: &Services, budget: Duration) {
    services.health.set_draining();
    tracing::info!(?budget, "shutting down: every running task is asked to stop");
    let (reply, drained) = oneshot::channel();
    services.tell_coordinator(Drain { reply });
    if !all_end(services, budget, drained).await {
        tracing::error!(
            "the shutdown's time is over: some rows could not be written, the next start settles them"
        );
    }
    // The database may be away: then there is nothing to wait for.
    let _ = timeout(LAST, services.flush(true)).await;
    services.closing.cancel();
    services.deadlines.close();
    services.pool.close();
    services.end_actors();
}

/// Waits until the last task has ended, and presses those that do not; no where the budget is over first.
async fn all_end(services: &Services, budget: Duration, mut drained: oneshot::Receiver<()>) -> bool {
    let began = Instant::now();
    let mut give_up = began + budget.saturating_sub(LAST).max(budget / 2);
    let hurry = began + (give_up - began).saturating_sub(STOPPING).max(budget / 4);
    tokio::select! {
        _ = &mut drained => return true,
        () = services.hurried.cancelled() => {}
        () = sleep_until(hurry) => {}
    }
    tracing::warn!("some tasks have not stopped yet: the rest of their grace is skipped");
    services.tell_coordinator(Press::Hurry);
    loop {
        // Whoever asks twice does not wait for a long cleanup either.
        let asked_twice = services.hurried.is_cancelled();
        if asked_twice {
            give_up = give_up.min(Instant::now() + STOPPING);
        }
        tokio::select! {
            _ = &mut drained => return true,
            () = services.hurried.cancelled(), if !asked_twice => {}
            () = sleep_until(give_up) => break,
        }
    }
    services.tell_coordinator(Press::GiveUp);
    timeout_at(began + budget, drained).await.is_ok()
}
