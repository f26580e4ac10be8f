//! What the socket of a connection must be told so that a reader which takes nothing is cut off.
//!
//! An event stream is asked for more only when the socket has room; a reader that takes nothing is therefore not
//! noticed above the socket at all. The kernel notices: with `TCP_USER_TIMEOUT` it ends a connection whose data
//! stays unacknowledged, or whose window stays shut, for that long; with a bounded send buffer it holds little
//! meanwhile. actix-web has no setting for either.
//!
//! It deliberately does not look into TLS connections (their type depends on the host's choice) and does nothing
//! where the kernel is not Linux: there, `feed.rs` still lets go of what a stuck stream holds.

use std::any::Any;
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;

/// The same patience as a stream's own.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the kernel may hold of a connection, before it doubles it for its own bookkeeping.
#[cfg(target_os = "linux")]
const SEND_BUFFER_BYTES: usize = 32 * 1024;

#[cfg(target_os = "linux")]
const LONGEST_PATIENCE_MS: u128 = 0x7fff_ffff;

/// Prepares a connection: for `HttpServer::on_connect`, before `bind`.
///
/// A reader that takes nothing for 30 s is cut off by the kernel, and a dead one is noticed as early.
///
/// ```no_run
/// # use actix_web::{App, HttpServer};
/// let server = HttpServer::new(App::new).on_connect(quell::http::on_connect);
/// ```
pub fn on_connect(connection: &dyn Any, _: &mut Extensions) {
    if let Some(socket) = connection.downcast_ref::<TcpStream>() {
        prepare(socket, PATIENCE);
    }
}

/// Tells the socket how long its reader may take nothing, and how much it may hold meanwhile.
#[cfg(target_os = "linux")]
pub(super) fn prepare(socket: &TcpStream, patience: Duration) {
    let told = bound(socket, patience, SEND_BUFFER_BYTES);
    if let Err(error) = told {
        // A socket that closed meanwhile, or a kernel with other limits: the connection works all the same.
        tracing::debug!(%error, "a connection could not be prepared");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn prepare(_: &TcpStream, _: Duration) {}

#[cfg(target_os = "linux")]
fn bound(socket: &TcpStream, patience: Duration, send_buffer_bytes: usize) -> rustix::io::Result<()> {
    // The kernel takes a signed number, and 0 for no limit.
    let patience_ms = patience.as_millis().clamp(1, LONGEST_PATIENCE_MS);
    let patience_ms = u32::try_from(patience_ms).unwrap_or(u32::MAX);
    let timed = rustix::net::sockopt::set_tcp_user_timeout(socket, patience_ms);
    // Each by itself: a socket that is refused one still has the other.
    rustix::net::sockopt::set_socket_send_buffer_size(socket, send_buffer_bytes).and(timed)
}

/// Sends an answer to a connection that nobody will serve. Best effort: it may have left, or its socket be full.
pub(super) fn refuse(socket: &TcpStream, answer: &[u8]) {
    use rustix::net::{RecvFlags, SendFlags};
    let _ = rustix::net::send(socket, answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    // What it has sent already is taken from the socket: closing over unread bytes would take the answer back.
    let mut unread = [0_u8; 4096];
    let _ = rustix::net::recv(socket, &mut unread, RecvFlags::DONTWAIT);
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Instant;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    #[actix_web::test]
    async fn a_connection_gets_its_limits() {
        let (server, _client) = pair().await;
        on_connect(&server, &mut Extensions::new());
        assert_eq!(rustix::net::sockopt::tcp_user_timeout(&server).unwrap(), 30_000);
        assert_eq!(rustix::net::sockopt::socket_send_buffer_size(&server).unwrap(), 2 * SEND_BUFFER_BYTES);
        on_connect(&"something else", &mut Extensions::new());
        for (patience, told) in [(Duration::MAX, 0x7fff_ffff), (Duration::ZERO, 1)] {
            bound(&server, patience, SEND_BUFFER_BYTES).unwrap();
            assert_eq!(rustix::net::sockopt::tcp_user_timeout(&server).unwrap(), told);
        }
    }

    /// What the design leans on: the kernel ends a connection whose reader is alive and takes nothing.
    #[actix_web::test]
    async fn the_kernel_cuts_off_a_reader_that_takes_nothing() {
        let (mut server, _client) = pair().await;
        bound(&server, Duration::from_millis(500), SEND_BUFFER_BYTES).unwrap();
        let began = Instant::now();
        let chunk = vec![b'x'; 65_536];
        let writing = async {
            loop {
                if let Err(error) = server.write_all(&chunk).await {
                    return error;
                }
            }
        };
        let error = tokio::time::timeout(Duration::from_secs(20), writing).await.expect("never cut off");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "after {:?}", began.elapsed());
    }
}
