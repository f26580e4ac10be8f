//! Task types whose bodies are closures that a test writes where it needs them.
//!
//! A shape fixes what a task type fixes (grace, limits, restart); the body is looked up by the name in the input.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use quell::{BlockingTask, Cleaned, ModelSettings, Registry, Task, TaskContext, TaskError};
use serde::Deserialize;
use serde_json::Value;

/// What a body ends with.
pub(crate) type End = Result<Value, TaskError>;

type Body = Arc<dyn Fn(TaskContext) -> BoxFuture<'static, End> + Send + Sync>;
type Blocking = Arc<dyn Fn(&TaskContext) -> End + Send + Sync>;
type Cleanup = Arc<dyn Fn(TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> + Send + Sync>;

/// The closures by name.
#[derive(Default)]
pub(crate) struct Bodies {
    futures: Mutex<HashMap<String, Body>>,
    blocking: Mutex<HashMap<String, Blocking>>,
    cleanups: Mutex<HashMap<String, Cleanup>>,
}

impl Bodies {
    pub(crate) fn add<F>(&self, name: &str, body: impl Fn(TaskContext) -> F + Send + Sync + 'static)
    where
        F: Future<Output = End> + Send + 'static,
    {
        self.futures.lock().unwrap().insert(name.to_owned(), Arc::new(move |ctx| body(ctx).boxed()));
    }

    pub(crate) fn add_blocking(
        &self,
        name: &str,
        body: impl Fn(&TaskContext) -> End + Send + Sync + 'static,
    ) {
        self.blocking.lock().unwrap().insert(name.to_owned(), Arc::new(body));
    }

    pub(crate) fn add_cleanup<F>(
        &self,
        name: &str,
        cleanup: impl Fn(TaskContext) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<Cleaned, TaskError>> + Send + 'static,
    {
        self.cleanups.lock().unwrap().insert(name.to_owned(), Arc::new(move |ctx| cleanup(ctx).boxed()));
    }

    fn clean_up(&self, name: &str, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
        let cleanup = self.cleanups.lock().unwrap().get(name).cloned();
        cleanup.map_or_else(|| async { Ok(Cleaned::Nothing) }.boxed(), |cleanup| cleanup(ctx))
    }
}

/// How a task type stops.
pub(crate) trait Shape: Send + Sync + 'static {
    /// The name of the type with async bodies.
    const MODEL: &'static str;
    /// The name of the type with blocking bodies.
    const BLOCKING: &'static str;
    /// Its settings.
    const SETTINGS: ModelSettings;
}

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident = $settings:expr;)+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;
            impl Shape for $name {
                const MODEL: &'static str = stringify!($name);
                const BLOCKING: &'static str = concat!("Blocking", stringify!($name));
                const SETTINGS: ModelSettings = $settings;
            }
        )+
        /// All of them.
        pub(crate) fn registry() -> Registry {
            let registry = Registry::new();
            $(let registry = registry.task::<Scripted<$name>>().unwrap();
            let registry = registry.blocking::<ScriptedBlocking<$name>>().unwrap();)+
            registry
        }
    };
}

const SHORT: Duration = Duration::from_millis(150);

shapes! {
    /// The defaults: dropped at its next await.
    Plain = ModelSettings::new();
    /// So long a grace that a body that stops did it by itself.
    Patient = ModelSettings::new().grace(Duration::from_secs(600)).stop_limit(Duration::from_secs(20));
    /// No grace, short limits.
    Brief = ModelSettings::new().stop_limit(SHORT).cleanup_limit(SHORT);
    /// A cleanup that may take longer than any test.
    Thorough = ModelSettings::new().cleanup_limit(Duration::from_secs(600));
    /// A short grace and short limits.
    Graced = ModelSettings::new().grace(SHORT).stop_limit(SHORT).cleanup_limit(SHORT);
    /// Goes back to `pending` at a shutdown.
    Again = ModelSettings::new().restart(3);
    /// The same with a grace that no test waits for.
    AgainPatient = ModelSettings::new().grace(Duration::from_secs(600)).restart(3);
    /// One at a time, with short limits.
    Single = ModelSettings::new().stop_limit(SHORT).cleanup_limit(SHORT).max_running(1);
    /// Three at a time.
    Triple = ModelSettings::new().max_running(3);
    /// One at a time, and goes back to `pending` at a shutdown.
    SingleAgain = ModelSettings::new().restart(3).max_running(1);
}

/// A task whose body is a closure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub(crate) struct Scripted<S> {
    body: String,
    #[serde(skip)]
    shape: PhantomData<fn() -> S>,
}

impl<S: Shape> Task for Scripted<S> {
    const APP: &'static str = "tests";
    const MODEL: &'static str = S::MODEL;
    type Output = Value;

    fn settings() -> ModelSettings {
        S::SETTINGS
    }

    async fn process(&self, ctx: TaskContext) -> End {
        let bodies = ctx.state::<Bodies>().expect("the world's state");
        let body = bodies.futures.lock().unwrap().get(&self.body).cloned().expect("a body of that name");
        body(ctx).await
    }

    async fn on_cancel(&self, ctx: TaskContext) -> Result<Cleaned, TaskError> {
        let bodies = ctx.state::<Bodies>().expect("the world's state");
        bodies.clean_up(&self.body, ctx).await
    }
}

/// A task whose blocking body is a closure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub(crate) struct ScriptedBlocking<S> {
    body: String,
    #[serde(skip)]
    shape: PhantomData<fn() -> S>,
}

impl<S: Shape> BlockingTask for ScriptedBlocking<S> {
    const APP: &'static str = "tests";
    const MODEL: &'static str = S::BLOCKING;
    type Output = Value;

    fn settings() -> ModelSettings {
        S::SETTINGS
    }

    fn process(&self, ctx: &TaskContext) -> End {
        let bodies = ctx.state::<Bodies>().expect("the world's state");
        let body = bodies.blocking.lock().unwrap().get(&self.body).cloned().expect("a body of that name");
        body(ctx)
    }

    async fn on_cancel(&self, ctx: TaskContext) -> Result<Cleaned, TaskError> {
        let bodies = ctx.state::<Bodies>().expect("the world's state");
        bodies.clean_up(&self.body, ctx).await
    }
}
