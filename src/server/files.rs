//! Owns the limit of open files: each connection takes one, so there must be room for as many as may come.
//!
//! Invariant: a server that runs has room for all its connections and for what it needs besides; where it has not,
//! and the number was asked for, it does not start.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections where nobody asks for another number.
const DEFAULT: usize = 25_000;

/// What else may be open: the database, its readers, sockets of bodies, pipes of their processes.
const BESIDES: u64 = 2_048;

/// There is no room for so many connections.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot hold {asked} connections: at most {files} files may be open here (`ulimit -Hn`), which is room for {room}; \
     raise that limit, or set max_connections to {room} or less"
)]
pub struct FilesError {
    asked: usize,
    files: u64,
    room: usize,
}

/// What [`make_room`] found.
pub(super) struct Room {
    /// How many connections there may be.
    pub(super) connections: usize,
    /// The soft limit before it was raised: what the programs that this server starts are used to. None is no limit.
    pub(super) before: Option<u64>,
}

/// Raises the limit of this process as far as it may go, and says how many connections there may be.
///
/// # Errors
/// Where more were asked for than there is room.
pub(super) fn make_room(asked: Option<usize>) -> Result<Room, FilesError> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || (limit.maximum.is_none() && limit.current.is_some()) {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
    let connections = fit(asked, getrlimit(Resource::Nofile).current)?;
    Ok(Room { connections, before: limit.current })
}

/// Warns where there is less room than by default and nobody asked for less. For a server that has come up: one that
/// cannot start has one line to say, and it is not this.
pub(super) fn warn_if_few(asked: Option<usize>, most: usize) {
    if asked.is_none() && most < DEFAULT {
        tracing::warn!(
            max_connections = most,
            "there is room for fewer connections than the default of {DEFAULT}: raise the limit of open files, or set \
             max_connections"
        );
    }
}

fn fit(asked: Option<usize>, files: Option<u64>) -> Result<usize, FilesError> {
    let Some(files) = files else { return Ok(asked.unwrap_or(DEFAULT)) };
    let room = files.saturating_sub(BESIDES).max(files / 2);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    match asked {
        Some(asked) if asked > room => Err(FilesError { asked, files, room }),
        Some(asked) => Ok(asked),
        None => Ok(DEFAULT.min(room)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_there_is_room_for() {
        assert_eq!(fit(None, None), Ok(25_000));
        assert_eq!(fit(None, Some(1_048_576)), Ok(25_000));
        assert_eq!(fit(None, Some(20_000)), Ok(17_952));
        assert_eq!(fit(None, Some(1_024)), Ok(512));
    }

    #[test]
    fn a_number_that_was_asked_for_holds_or_is_refused() {
        assert_eq!(fit(Some(100_000), None), Ok(100_000));
        assert_eq!(fit(Some(500), Some(1_024)), Ok(500));
        let refused = fit(Some(20_000), Some(20_000)).unwrap_err().to_string();
        assert!(
            refused.contains("20000") && refused.contains("17952") && !refused.contains('\n'),
            "{refused}"
        );
    }
}
