//! Gives memory that is free back to the system, also when nobody asks for any.
//!
//! The program's allocator keeps what was freed for a second, in case it is wanted again, and keeps an empty page of
//! each size on each thread for some thousand calls longer. It gives both back from within later calls only. A server
//! that is idle after a flood makes none, and would hold what the flood took until the next one. So each thread that
//! serves makes some calls after a crowd of connections has left: ten seconds later all but a few MiB are given back.
//! Not all the time: on a core that was idle such calls take half a millisecond, which is more than all the rest of an
//! idle server.
//!
//! Invariant: it asks nothing of the allocator but what any program may, and touches none of what it gets; with another
//! allocator it costs as little and does nothing.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use crate::runtime::ConnectionNumbers;

/// So often it makes its calls after one, and how long it waits before each: an empty page is kept through four looks at
/// it.
const TIMES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// As many calls as there are between two looks of the allocator for pages that are empty, and their size: the smallest
/// ones do not count.
const CALLS: u32 = 1_000;
const LITTLE: usize = 2 * 1024;

/// More than is kept among the pages of a thread: to free that much is when the allocator looks at what it has had for a
/// second.
const MUCH: usize = 4 * 1024 * 1024;

/// Gives back what this thread has too much of, whenever a crowd of connections has left.
pub(super) async fn give_back(connections: ConnectionNumbers) -> Infallible {
    loop {
        connections.crowd_leaves().await;
        let mut times = TIMES;
        while times > 0 {
            let closed = connections.closed();
            actix_rt::time::sleep(PAUSE).await;
            call_the_allocator();
            // Others that leave meanwhile have as long.
            times = if connections.closed() > closed { TIMES } else { times - 1 };
        }
    }
}

fn call_the_allocator() {
    for _ in 0..CALLS {
        drop(black_box(Vec::<u8>::with_capacity(LITTLE)));
    }
    drop(black_box(Vec::<u8>::with_capacity(MUCH)));
}
