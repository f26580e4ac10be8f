//! Layer 2: rows. The only place that names diesel.
//!
//! [`Store`] is the one writer: it commits groups of [`Write`]s, each guarded by what it expects, and answers
//! each. [`Reader`] looks, over connections of its own. Both are synchronous: they live on threads, never inside
//! a future that could be dropped half-way. [`Readers`] are such threads, with a bounded queue in front.

#[cfg(test)]
mod conformance;
mod error;
mod faults;
mod reader;
mod readers;
mod repeat;
mod schema;
mod sqlite;
mod write;

pub use error::{OpenError, StoreError};
pub use faults::{Fault, Faults};
pub use reader::{Briefs, EventPage, Reader, Records, Search};
pub use readers::Readers;
pub(crate) use repeat::keys_over;
pub use repeat::{KEEP_ANSWERS, KeptAnswer, KeptRequest, RepeatableRequest};
pub use sqlite::{SqliteDatabase, SqliteOptions, SqliteReader, SqliteWriter, Synchronous, parse_url};
pub use write::{Answer, Committed, MAX_SIGNALS, NewTask, QueuedSignal, Store, Write};
