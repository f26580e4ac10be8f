//! The parent's ends of a child's pipes.
//!
//! A process that left the child's group may hold a pipe open for ever, and write to it, so the end of what a child
//! says is not the pipe's end alone: once the child is dead, what is in the pipe at that moment is read, and that is
//! all.
//!
//! A child that never stops writing does not keep the thread of the children: each read may yield to its other work,
//! and a pipe may be read at a bounded speed.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// What comes from a child.
pub(crate) struct Outlet {
    pipe: pipe::Receiver,
    dead: CancellationToken,
    /// What was in the pipe when the child was found dead, and is not read yet.
    left: Option<u64>,
    speed: Option<Speed>,
}

impl Outlet {
    pub(super) fn new(fd: OwnedFd, dead: CancellationToken) -> io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(fd)?, dead, left: None, speed: None })
    }

    /// The same, read at no more than about that many bytes a second while the child lives.
    pub(crate) fn slowed_to(mut self, bytes_per_second: usize) -> Self {
        self.speed = Some(Speed { most: bytes_per_second, since: Instant::now(), count: 0 });
        self
    }

    /// Reads what is there, or waits for it; 0 at the end.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is read unless this returns it.
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> usize {
        loop {
            // A pipe that is never empty would else be read for ever.
            tokio::task::consume_budget().await;
            if self.dead.is_cancelled() {
                return self.read_left(into);
            }
            if let Some(full) = self.speed.as_mut().and_then(Speed::full_until) {
                tokio::select! {
                    () = sleep_until(full) => {}
                    () = self.dead.cancelled() => {}
                }
                continue;
            }
            match self.pipe.try_read(into) {
                Ok(count) => {
                    if let Some(speed) = &mut self.speed {
                        speed.count += count;
                    }
                    return count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return 0,
            }
            tokio::select! {
                _ = self.pipe.readable() => {}
                () = self.dead.cancelled() => {}
            }
        }
    }

    /// Past tokio's own idea of what is there, which may be older than the death.
    fn read_left(&mut self, into: &mut [u8]) -> usize {
        let left = *self.left.get_or_insert_with(|| rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0));
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let count = match into.get_mut(..most) {
            Some(into) if most > 0 => rustix::io::read(&self.pipe, into).unwrap_or(0),
            _ => 0,
        };
        self.left = Some(left.saturating_sub(u64::try_from(count).unwrap_or(left)));
        count
    }
}

/// How much was read in this second.
struct Speed {
    most: usize,
    since: Instant,
    count: usize,
}

impl Speed {
    /// When more may be read, where that is not now.
    fn full_until(&mut self) -> Option<Instant> {
        const SECOND: Duration = Duration::from_secs(1);
        if self.since.elapsed() >= SECOND {
            (self.since, self.count) = (Instant::now(), 0);
        }
        (self.count >= self.most).then(|| self.since + SECOND)
    }
}

/// What goes to a child.
pub(crate) struct Inlet(pipe::Sender);

impl Inlet {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self(pipe::Sender::from_owned_fd(fd)?))
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Where the child has closed its end.
    ///
    /// # Cancel safety
    /// Not cancel safe: part of it may have been written.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.0.writable().await?;
            match self.0.try_write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
