//! Layer 0: what a task *is*, as plain data.
//!
//! Keys, statuses, causes, events, records and their text forms. Nothing here knows of actors, databases,
//! sockets or the time of day: an instant comes in as a [`Timestamp`].

mod cancel;
mod event;
mod failure;
mod filter;
mod id_map;
mod json;
mod key;
mod record;
mod status;
mod timeout;
mod timestamp;

pub use cancel::{CancelRequest, Cause, Cleanup, StoppedBy, UnknownWord, default_reason};
pub use event::{Event, EventError, EventType, MAX_EVENT_BYTES, NewEvent, is_event_name};
pub use failure::{Failure, TaskCancelled, TaskError};
pub use filter::{TaskBrief, TaskFilter};
pub(crate) use id_map::{IdMap, IdSet};
pub use json::{JsonText, NotJson};
pub use key::{KeyError, Name, TaskId, TaskKey};
pub use record::Record;
pub use status::Status;
pub use timeout::{BadTimeout, Timeout};
pub use timestamp::Timestamp;
