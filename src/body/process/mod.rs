//! Bodies in processes of their own: how a child is started, spoken to, stopped and reaped.
//!
//! Invariants:
//! 1. A child is started by the one thread `quell-children`, which lives as long as the pool: the death signal that
//!    a child asks for follows the *thread* that started it.
//! 2. Nothing forks this process: a child is `posix_spawn`ed as this same executable, which arms itself (limits,
//!    death signal) as the [`shim`] before it runs anything.
//! 3. A child leads a process group of its own. When it is gone, for whatever reason, all that stayed in its group
//!    gets SIGKILL, and only then is it reaped: until then nobody else can have its number.
//! 4. What a child says is read only as fast as it is taken, into buffers of a fixed size.
//!
//! It does not know tasks or events: what is said over the pipes is the runtime's.

mod children;
mod frame;
mod keeper;
mod lines;
mod pipe;
mod shim;
mod spawn;
mod supervise;

pub(crate) use children::{Children, Seat, run_process};
pub(crate) use frame::{Frames, encode, read_blocking};
pub(crate) use keeper::keep_if_asked;
pub(crate) use lines::{Line, Lines};
pub(crate) use pipe::{Inlet, Outlet};
pub(crate) use shim::{Order, arm, become_program, is_child, take_pipes, tell_parent};
pub(crate) use spawn::{Launch, Process};
pub(crate) use supervise::{Death, Talked, see_out, supervise};
