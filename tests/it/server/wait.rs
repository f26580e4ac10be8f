//! Owns waiting: for a condition, with a deadline that says what did not happen. Nothing here waits for time to pass.

use std::future::Future;
use std::time::Duration;

/// The longest wait of a test: a busy machine is slow, a hanging one is a failure.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long after a look that saw nothing the next one comes.
const LOOK_AFTER: Duration = Duration::from_millis(5);

/// Looks until there is something, or fails with the words.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_AFTER).await;
        }
    };
    in_time(what, looking).await
}

/// The result of something that ends by itself, or a failure with the words.
pub(crate) async fn in_time<T>(what: &str, something: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, something)
        .await
        .unwrap_or_else(|_| panic!("it did not come to pass in {DEADLINE:?}: {what}"))
}
