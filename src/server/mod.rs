//! Layer 5: the server binary's own part: settings, the start and the end of a server, and its demo models.
//!
//! It puts the layers below together and decides nothing about tasks. It prints nothing itself: what a person must
//! see goes to the caller as [`Said`].

mod auth;
pub mod demo;
mod files;
mod listen;
mod local;
mod memory;
mod said;
mod serve;
pub mod settings;
mod shutdown;
mod signals;
mod tokens;
mod web;

pub use auth::AuthError;
pub use files::FilesError;
pub use said::{Credentials, Said, Say};
pub use serve::{More, ServeError, serve, serve_with};
pub use tokens::TokenError;
