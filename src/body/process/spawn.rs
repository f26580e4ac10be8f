//! Starting a child, and the one who holds it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;

use super::children::Seat;
use super::keeper::Watched;
use super::pipe::{Inlet, Outlet};
use super::shim::Order;

/// This executable, also after its file was replaced or removed.
pub(super) const ITSELF: &str = "/proc/self/exe";

/// How a child is started.
pub(crate) struct Launch {
    pub(crate) order: Order,
    /// Its whole environment; none is this process's own.
    pub(crate) environment: Option<Vec<(OsString, OsString)>>,
    /// Its working directory; none is this process's own.
    pub(crate) folder: Option<PathBuf>,
    /// Whether it is spoken to; else its standard input is empty.
    pub(crate) has_input: bool,
}

/// A child that was started. When it is dropped the child and its group are killed and it is reaped.
pub(crate) struct Process {
    child: Child,
    group: Pid,
    exit: AsyncFd<OwnedFd>,
    is_reaped: bool,
    /// Its group is killed also where this process dies.
    _watched: Watched,
    /// Fires when the child is dead.
    pub(super) dead: CancellationToken,
    /// Its standard input, until somebody takes it.
    pub(crate) input: Option<Inlet>,
    /// Its standard output, until somebody takes it.
    pub(crate) output: Option<Outlet>,
    /// Its standard error, until somebody takes it.
    pub(crate) errors: Option<Outlet>,
}

impl Process {
    /// Starts a child, in a group of its own. To be called on the thread of the children only.
    pub(crate) fn spawn(launch: &Launch, seat: &Seat) -> io::Result<Self> {
        let order = Order { open_files: seat.open_files, ..launch.order.clone() };
        let mut command = Command::new(ITSELF);
        command
            .arg0("quell-child")
            .args(order.to_args())
            .process_group(0)
            .stdin(if launch.has_input { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(environment) = &launch.environment {
            command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        }
        if let Some(folder) = &launch.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn()?;
        match Self::hold(&mut child) {
            Ok((group, exit, dead, input, output, errors)) => {
                let watched = seat.keeper.watch(group);
                Ok(Self {
                    child,
                    group,
                    exit,
                    is_reaped: false,
                    _watched: watched,
                    dead,
                    input,
                    output,
                    errors,
                })
            }
            Err(error) => {
                // Errors: it has ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "the parts of one struct, on their way into it")]
    fn hold(
        child: &mut Child,
    ) -> io::Result<(Pid, AsyncFd<OwnedFd>, CancellationToken, Option<Inlet>, Option<Outlet>, Option<Outlet>)>
    {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let group = group.ok_or_else(|| io::Error::other("a process without a number"))?;
        let exit = watch(pidfd_open(group, PidfdFlags::NONBLOCK)?)?;
        let dead = CancellationToken::new();
        let outlet = |fd: OwnedFd| Outlet::new(fd, dead.clone());
        let input = child.stdin.take().map(|pipe| Inlet::new(pipe.into())).transpose()?;
        let output = child.stdout.take().map(|pipe| outlet(pipe.into())).transpose()?;
        let errors = child.stderr.take().map(|pipe| outlet(pipe.into())).transpose()?;
        Ok((group, exit, dead, input, output, errors))
    }

    /// Resolves when the child is dead, before it is reaped.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn died(&self) {
        // Err: the runtime of the children is going down, and drops this next.
        let _ = self.exit.readable().await;
    }

    /// Fires when the child is dead and its group is gone.
    pub(crate) fn death(&self) -> CancellationToken {
        self.dead.clone()
    }

    /// Sends a signal to the child and all that stayed in its group. Does nothing once it is reaped.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.is_reaped {
            // Err: all of them are dead.
            let _ = kill_process_group(self.group, signal);
        }
    }

    /// Kills what is left of the group, then reaps the child, which has died.
    pub(super) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        let status = self.child.wait();
        self.is_reaped = true;
        self.dead.cancel();
        status
    }
}

#[expect(deprecated, reason = "what it warns of is a type that lies about its file; this one owns it")]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            // The status of a child that nobody waits for tells nothing.
            let _ = self.reap();
        }
    }
}
