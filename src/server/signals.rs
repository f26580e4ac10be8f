//! Owns SIGTERM and SIGINT, and the last hard exit.
//!
//! - A thread with a small runtime of its own waits for them: no blocked actor thread delays the word, nor the exit.
//! - SIGXFSZ does not end the process: a file past a limit is a write that fails.
//! - From the first signal on the process ends within the grace and a second, whatever hangs: with 70 where the
//!   shutdown had not come to its end by itself.
//!
//! What a signal means is the caller's to carry out.

use std::io;
use std::process;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

use crate::runtime::survive_file_limits;

use super::serve::PART_FAILED;

/// How long after the grace the process is ended by force. Less than a second: the exit itself takes time too.
const LAST_EXIT: Duration = Duration::from_millis(900);

/// The signals of this process, from now on.
pub(super) struct Signals(Receiver<()>);

impl Signals {
    /// Takes SIGTERM and SIGINT over from the system's default, which would end the process on the spot.
    pub(super) fn own(grace: Duration) -> io::Result<Self> {
        let (tell, told) = channel(2);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (terminate, interrupt) = {
            let _inside = runtime.enter();
            survive_file_limits()?;
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(watch(terminate, interrupt, tell, grace)))?;
        Ok(Self(told))
    }

    /// The next signal. Cancel safe.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // The thread lives as long as the process: without it no signal comes any more.
            std::future::pending::<()>().await;
        }
    }
}

async fn watch(mut terminate: Signal, mut interrupt: Signal, tell: Sender<()>, grace: Duration) {
    next(&mut terminate, &mut interrupt).await;
    let last_exit = sleep_until(Instant::now() + grace + LAST_EXIT);
    tokio::pin!(last_exit);
    loop {
        // Full: two signals wait to be carried out already, and a third says nothing new.
        let _ = tell.try_send(());
        tokio::select! {
            () = next(&mut terminate, &mut interrupt) => {}
            () = &mut last_exit => {
                tracing::error!("the shutdown hangs past its grace: ending the process by force");
                process::exit(i32::from(PART_FAILED));
            }
        }
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("got SIGTERM"),
        _ = interrupt.recv() => tracing::info!("got SIGINT"),
    }
}
