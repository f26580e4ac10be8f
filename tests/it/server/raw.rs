//! Owns a plain socket to a server: for requests that no HTTP client would send, and for leaving as none would.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::wait::in_time;

/// A connection.
pub(crate) struct Socket(TcpStream);

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The whole of it, for messages.
    pub(crate) text: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer of HTTP: {text:?}"));
        Self { status, text }
    }

    pub(crate) fn head(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or(&*self.text, |(head, _)| head)
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

impl Socket {
    pub(crate) async fn open(address: &str) -> Self {
        Self(TcpStream::connect(address).await.expect("it listens"))
    }

    /// From one of the addresses of this machine.
    pub(crate) async fn open_from(address: &str, from: Ipv4Addr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("all of 127.0.0.0/8 is this machine");
        Self(socket.connect(address.parse().expect("an address")).await.expect("it listens"))
    }

    /// A connection whose receive buffer is as small as the system allows.
    pub(crate) async fn narrow(address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(1024).expect("a size");
        Self(socket.connect(address.parse().expect("an address")).await.expect("it listens"))
    }

    /// Sends these bytes; a connection that the server closed meanwhile is no failure.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = in_time("the server takes bytes", self.0.write_all(bytes.as_ref())).await;
    }

    /// Reads to the end of the connection.
    pub(crate) async fn reply(mut self) -> Reply {
        let mut bytes = Vec::new();
        // An error: the server closed with bytes of ours unread. What came before counts.
        let _ = in_time("the server closes", self.0.read_to_end(&mut bytes)).await;
        Reply::parse(&bytes)
    }

    /// Reads what comes next; nothing at the end of the connection, an error where it was reset.
    pub(crate) async fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        let read = in_time("bytes of the server", self.0.read(&mut bytes)).await?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Leaves politely: FIN.
    pub(crate) fn close(self) {
        drop(self);
    }

    /// Leaves as a client does whose machine loses its mind: RST.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.0, Some(Duration::ZERO)).expect("an open socket");
    }
}
