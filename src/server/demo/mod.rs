//! Owns the demo models: task types of the app `tests` that show each way a task runs and stops.
//!
//! - Inputs refuse what they do not know; each field has a default where one makes sense.
//! - None of them can do more than its input says: `FetchTask` reads at most 10 MiB over http or https, `HashFileTask`
//!   reads only inside the data folder.
//!
//! They use what every user of the library has, and nothing else.

mod basic;
mod endless;
mod fetch;
mod generators;
mod hash_file;
mod process;
mod stepwise;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::runtime::{Registry, RegistryError};

pub use basic::{ExampleTask, FailTask, PanicTask, RestartTask, SlowTask, StuckTask};
pub use endless::{BlockTask, SpinTask};
pub use fetch::{FetchClient, FetchTask, Fetched};
pub use generators::{AsyncGeneratorTask, SyncGeneratorTask};
pub use hash_file::{DataDir, HashFileTask, Hashed};
pub use process::ProcessTask;
pub use stepwise::{LongTask, SmartTask};
pub use waiting::{CleanupTask, ContinueTask};

/// The app of all demo models.
pub const APP: &str = "tests";

/// Why the demo models are not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// One cannot be registered.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// `FetchTask` has no client.
    #[error("cannot make the HTTP client of FetchTask: {0}")]
    Client(String),
}

/// Adds the demo models. `HashFileTask` also needs a [`DataDir`] as state; without one it fails and says so.
///
/// # Errors
/// [`DemoError`], where a name is taken or the system gives no HTTP client.
pub fn register_demo(registry: Registry) -> Result<Registry, DemoError> {
    let client = FetchClient::new().map_err(|error| DemoError::Client(error.to_string()))?;
    let registry = registry
        .state(Arc::new(client))
        .task::<ExampleTask>()?
        .task::<StuckTask>()?
        .task::<SlowTask>()?
        .task::<ContinueTask>()?
        .task::<LongTask>()?
        .task::<SmartTask>()?
        .task::<AsyncGeneratorTask>()?
        .task::<SyncGeneratorTask>()?
        .task::<FetchTask>()?
        .blocking::<HashFileTask>()?
        .task::<FailTask>()?
        .task::<PanicTask>()?
        .task::<CleanupTask>()?
        .task::<RestartTask>()?
        .task::<SpinTask>()?
        .blocking::<BlockTask>()?;
    // Its body runs in a process of its own, which only Linux has here.
    if cfg!(target_os = "linux") { register_isolated_demo(registry) } else { Ok(registry) }
}

/// Adds those whose bodies run in processes of their own: all that such a process needs.
///
/// # Errors
/// [`DemoError::Registry`], where a name is taken.
pub fn register_isolated_demo(registry: Registry) -> Result<Registry, DemoError> {
    Ok(registry.isolated::<ProcessTask>()?)
}

/// A number of seconds from 0 to a year, as an input has it.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    const YEAR: Duration = Duration::from_secs(31_536_000);
    let number = f64::deserialize(deserializer)?;
    match Duration::try_from_secs_f64(number) {
        Ok(time) if time <= YEAR => Ok(time),
        _ => Err(serde::de::Error::custom(format!("give seconds from 0 to 31536000, not {number}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn read<T: DeserializeOwned>(input: Value) -> Result<T, String> {
        serde_json::from_value(input).map_err(|error| error.to_string())
    }

    #[test]
    fn all_models_can_be_registered() {
        assert!(register_demo(Registry::new()).is_ok());
    }

    #[test]
    fn every_default_is_the_one_of_the_contract() {
        assert_eq!(read::<ExampleTask>(json!({})).unwrap().message, "Hello from ExampleTask");
        assert_eq!(read::<SlowTask>(json!({})).unwrap().seconds, 3600);
        let waits = read::<ContinueTask>(json!({})).unwrap();
        assert_eq!(waits.message, "Waiting for continue signal");
        assert_eq!(waits.wait_seconds, Duration::from_secs(5));
        let long = read::<LongTask>(json!({})).unwrap();
        assert_eq!((long.steps, long.step_ms), (1000, 1000));
        assert_eq!(read::<SmartTask>(json!({})).unwrap().stop_at, 3);
        assert_eq!(read::<AsyncGeneratorTask>(json!({})).unwrap().count, 5);
        assert!(read::<SyncGeneratorTask>(json!({})).unwrap().items.is_empty());
        assert_eq!(read::<FailTask>(json!({})).unwrap().message, "failed as asked");
        assert_eq!(read::<CleanupTask>(json!({})).unwrap().cleanup_ms, 100);
        assert!(read::<FetchTask>(json!({})).is_err() && read::<HashFileTask>(json!({})).is_err());
    }

    #[test]
    fn an_input_that_does_not_fit_is_refused() {
        fn refuses<T: DeserializeOwned>(input: &Value) {
            assert!(read::<T>(input.clone()).is_err(), "{} took {input}", std::any::type_name::<T>());
        }
        let unknown = json!({"nonsense": 1});
        refuses::<ExampleTask>(&unknown);
        refuses::<StuckTask>(&unknown);
        refuses::<SlowTask>(&unknown);
        refuses::<ContinueTask>(&unknown);
        refuses::<LongTask>(&unknown);
        refuses::<SmartTask>(&unknown);
        refuses::<AsyncGeneratorTask>(&unknown);
        refuses::<SyncGeneratorTask>(&unknown);
        refuses::<FailTask>(&unknown);
        refuses::<PanicTask>(&unknown);
        refuses::<CleanupTask>(&unknown);
        refuses::<RestartTask>(&unknown);
        refuses::<SpinTask>(&unknown);
        refuses::<BlockTask>(&unknown);
        refuses::<ProcessTask>(&unknown);
        refuses::<FetchTask>(&json!({"url": "http://a/", "nonsense": 1}));
        refuses::<HashFileTask>(&json!({"path": "a", "nonsense": 1}));
        refuses::<ContinueTask>(&json!({"wait_seconds": -1}));
        refuses::<ContinueTask>(&json!({"wait_seconds": 1e300}));
        refuses::<LongTask>(&json!({"steps": -1}));
        refuses::<SyncGeneratorTask>(&json!({"items": {}}));
        assert!(read::<ContinueTask>(json!({"wait_seconds": 0.05})).is_ok());
    }
}
