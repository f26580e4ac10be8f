//! Owns the end of a server, in its order: the runtime goes down while HTTP goes on answering (not ready, no starts),
//! then the HTTP server stops.
//!
//! It is bounded in time by what it calls, and in the last resort by the hard exit in `signals`.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::time::timeout;

use crate::runtime::Coordinator;

use super::signals::Signals;

/// How long the last answers may take to leave: the tasks have ended by then and the streams were told.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// How long the server may take to stop once it is forced.
const FORCED: Duration = Duration::from_millis(200);

/// Ends everything; a further signal skips the grace.
pub(super) async fn shut_down(
    coordinator: &Coordinator,
    server: &ServerHandle,
    signals: &mut Signals,
    grace: Duration,
) {
    tracing::info!(?grace, "shutting down; a second signal skips the grace");
    let going_down = coordinator.shutdown(grace);
    tokio::pin!(going_down);
    loop {
        tokio::select! {
            () = &mut going_down => break,
            () = signals.next() => coordinator.hurry(),
        }
    }
    if timeout(LAST_ANSWERS, server.stop(true)).await.is_err() {
        tracing::info!("some connections are still open: closing them");
        let _ = timeout(FORCED, server.stop(false)).await;
    }
    tracing::info!("shut down");
}
