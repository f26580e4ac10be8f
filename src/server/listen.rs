//! Owns the listening socket: bound before anything else is touched, so that a taken port leaves the database as it
//! was.

use std::io;
use std::net::TcpListener;

use tokio::net::{TcpSocket, lookup_host};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The port is taken.
    #[error("cannot listen on {0}: another program has this port; stop it, or choose another with --bind")]
    Taken(String),
    /// The name has no address.
    #[error("cannot listen on {address}: {reason}")]
    Failed {
        /// What was asked for.
        address: String,
        /// What the system said.
        reason: String,
    },
}

/// Listens on the first address of `HOST:PORT` that can be bound.
pub(super) async fn listen(bind: &str) -> Result<TcpListener, ListenError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(bind.to_owned()),
        _ => ListenError::Failed { address: bind.to_owned(), reason: error.to_string() },
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host(bind).await.map_err(failed)? {
        match one(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn one(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for connections of the process before it to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_told() {
        let first = listen("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap().to_string();
        let error = listen(&address).await.unwrap_err();
        assert!(matches!(&error, ListenError::Taken(taken) if *taken == address), "{error}");
    }
}
