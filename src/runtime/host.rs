//! What the host does to the runtime behind its back: its actix `System` stops without a shutdown, or an actor of the
//! runtime is gone.
//!
//! A System that stops takes the central actors along: bodies go on for as long as the process does, but nothing is
//! written any more. That is the host's decision, and no defect: it is told in one line, and the next start settles
//! the rows. An actor that panicked is a defect: it ends the process.

use std::sync::Arc;
use std::time::Duration;

use actix::{ArbiterHandle, System};

use super::services::Services;

/// How long a System that stops may take to end its arbiters, one after the other.
const ENDING: Duration = Duration::from_millis(250);

/// Looks after the runtime until it is shut down.
pub(crate) fn look_after(services: &Arc<Services>) {
    let Some(system) = System::try_current().map(|system| system.arbiter().clone()) else { return };
    let guard = Guard(Arc::clone(services));
    // Dropped with the System, where that is gone before the shutdown.
    system.spawn(async move { guard.0.closing.cancelled().await });
    let watched = Arc::downgrade(services);
    let (actor_gone, closing) = (services.actor_gone.clone(), services.closing.clone());
    services.pool.timers().spawn(async move {
        tokio::select! {
            () = actor_gone.cancelled() => {}
            () = closing.cancelled() => return,
        }
        tokio::time::sleep(ENDING).await;
        let Some(services) = watched.upgrade().filter(|services| !services.closing.is_cancelled()) else {
            return;
        };
        if lives(&system) {
            services.fail_for_good("an actor of the runtime panicked");
        } else {
            stopped(&services);
        }
    });
}

fn lives(system: &ArbiterHandle) -> bool {
    system.spawn_fn(|| {})
}

struct Guard(Arc<Services>);

impl Drop for Guard {
    fn drop(&mut self) {
        stopped(&self.0);
    }
}

/// Tells of a System that stopped, once, unless the runtime had been shut down before.
fn stopped(services: &Services) {
    if services.closing.is_cancelled() {
        return;
    }
    services.closing.cancel();
    tracing::error!(
        running = services.live.count(),
        "the actix System stopped before `Coordinator::shutdown`: running tasks are cut off without a word, and the next \
         start settles them. Does the host keep actix-web's own signals? Use `disable_signals()`, and on a signal call \
         `Coordinator::shutdown` before the HTTP server is stopped"
    );
}
