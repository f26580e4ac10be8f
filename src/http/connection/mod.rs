//! The connections of a server: who gets one, how long each may take for what, and who is cut off.
//!
//! actix-web bounds the first head of a connection and its silence, and nothing else: a later head that comes a byte
//! at a time, a body that nobody waits for, an answer that nobody takes would each hold a connection for ever. Its
//! server gives no hand on a connection; so [`Connections::serve`] puts a stream of its own between the socket and the
//! dispatcher, which knows whether a request is in hand and ends with an error when its time is over.
//!
//! Invariants: no connection stands without a request in hand, an answer on its way to a reader who takes it, or a
//! deadline; what is counted here is given back when the stream is dropped, however it ended.
//!
//! It deliberately does not look into what is sent: bodies have their own deadline (`body.rs`), streams their own
//! patience (`stream/feed.rs`). The kernel sees readers who take nothing (`socket.rs`).

mod count;
mod guarded;
mod progress;
mod serve;
mod socket;

pub use serve::Connections;
pub use socket::on_connect;
