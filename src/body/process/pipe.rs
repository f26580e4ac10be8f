//! The parent's ends of a child's pipes.
//!
//! A process that left the child's group may hold a pipe open for ever, so the end of what a child says is not the
//! pipe's end alone: once the child is dead, what is in the pipe is read, and that is all.

use std::io;
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

/// What comes from a child.
pub(crate) struct Outlet {
    pipe: pipe::Receiver,
    dead: CancellationToken,
}

impl Outlet {
    pub(super) fn new(fd: OwnedFd, dead: CancellationToken) -> io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(fd)?, dead })
    }

    /// Reads what is there, or waits for it; 0 at the end.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is read unless this returns it.
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> usize {
        loop {
            if self.dead.is_cancelled() {
                // Past tokio's own idea of what is there, which may be older than the death.
                return rustix::io::read(&self.pipe, into).unwrap_or(0);
            }
            match self.pipe.try_read(into) {
                Ok(count) => return count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return 0,
            }
            tokio::select! {
                _ = self.pipe.readable() => {}
                () = self.dead.cancelled() => {}
            }
        }
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
