//! The stream between a socket and the dispatcher: passes bytes on, and ends when its time is over.
//!
//! Invariants: an idle event stream costs no timer; a connection that is cut counts once, under what it was waiting
//! for. One that waits for a head is told so with an empty 408 where its socket takes it.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use actix_web::rt::time::{Instant, Sleep, sleep_until};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::runtime::{ConnectionNumbers, Cut, OpenConnection};

use super::count::Place;
use super::progress::{Progress, Waits};

const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A connection in its place.
pub(super) struct Guarded {
    io: TcpStream,
    progress: Rc<Progress>,
    timer: Option<Pin<Box<Sleep>>>,
    numbers: ConnectionNumbers,
    _open: OpenConnection,
    _place: Place,
}

impl Guarded {
    pub(super) fn new(
        io: TcpStream,
        progress: Rc<Progress>,
        numbers: &ConnectionNumbers,
        place: Place,
    ) -> Self {
        let open = numbers.opened();
        Self { io, progress, timer: None, numbers: numbers.clone(), _open: open, _place: place }
    }

    pub(super) fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    /// Ends the connection where its time is over; else it is woken when that may be so.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some((deadline, waits)) = self.progress.deadline() else {
            // It is taken away when it goes off or for a stream, which it would wake for nothing, and not at each request.
            if self.timer.as_ref().is_some_and(|timer| self.progress.is_endless() || timer.is_elapsed()) {
                self.timer = None;
            }
            return Ok(());
        };
        if Instant::now() >= deadline {
            return Err(self.cut(waits, context));
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // A deadline that has moved on is looked at when the old one comes: most requests are sooner.
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            timer.as_mut().reset(deadline);
            if Instant::now() >= deadline {
                return Err(self.cut(waits, context));
            }
        }
        Ok(())
    }

    fn cut(&mut self, waits: Waits, context: &mut Context<'_>) -> io::Error {
        match waits {
            Waits::Head => {
                self.numbers.cut(Cut::Head);
                // Whether it hears that or not, it is over.
                let _ = Pin::new(&mut self.io).poll_write(context, TOO_SLOW);
            }
            Waits::Reader => self.numbers.cut(Cut::Reader),
            Waits::End => {}
        }
        io::Error::other("the time of this connection is over")
    }

    /// The kernel gives up on readers who take nothing.
    fn heard<T>(&self, told: &Poll<io::Result<T>>) {
        if matches!(told, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut) {
            self.numbers.cut(Cut::Reader);
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        this.heard(&read);
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.io).poll_write(context, bytes);
        match &wrote {
            Poll::Ready(Ok(count)) => this.progress.wrote(*count == bytes.len()),
            Poll::Ready(Err(_)) => this.heard(&wrote),
            Poll::Pending => {
                this.progress.is_full();
                this.check(context)?;
            }
        }
        wrote
    }

    /// Called after each round of the dispatcher: whatever it has changed, the timer knows.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
