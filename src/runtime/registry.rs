//! The task types of an application, and what the host lets their bodies reach.
//!
//! This is where types are erased: past it a model is its names, its settings and a way to read an input. User
//! code that runs here (reading an input, writing a result) runs inside a panic boundary.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::body::{self, Cleaned};
use crate::lifecycle::Limits;
use crate::task::{JsonText, Name, TaskError, Timeout};

use super::input::read;
use super::metrics::ModelNumbers;
use super::time_limits::Bounds;
use super::{BlockingTask, ModelSettings, Task, TaskContext};

/// The most bytes that a result may have as JSON.
const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// A task type cannot be registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The name is malformed.
    #[error("`{app}/{model}` is no name of a task type: both match [A-Za-z_][A-Za-z0-9_]{{0,63}}")]
    Name {
        /// The app.
        app: &'static str,
        /// The model.
        model: &'static str,
    },
    /// Its body is to run in a process of its own, which only Linux has here.
    #[error("`{app}/{model}` is isolated, and processes of their own need Linux")]
    NoProcesses {
        /// The app.
        app: &'static str,
        /// The model.
        model: &'static str,
    },
    /// It has limits of a process, and no process of its own.
    #[error(
        "`{app}/{model}` limits memory, processor time or open files, which only an isolated task type can"
    )]
    LimitsWithoutProcess {
        /// The app.
        app: &'static str,
        /// The model.
        model: &'static str,
    },
    /// The name is taken.
    #[error("`{app}/{model}` is registered twice")]
    Twice {
        /// The app.
        app: &'static str,
        /// The model.
        model: &'static str,
    },
    /// Its settings contradict each other.
    #[error(
        "`{app}/{model}` has a timeout of {given} s by default and {most} s at most: the default must not be above the maximum"
    )]
    DefaultAboveMaximum {
        /// The app.
        app: &'static str,
        /// The model.
        model: &'static str,
        /// The default: of the timeout or of the idle timeout.
        given: Timeout,
        /// The maximum.
        most: Timeout,
    },
}

/// The task types of an application, and the host's state that their bodies may reach.
///
/// ```
/// # use quell::{Registry, Task, TaskContext, TaskError};
/// # #[derive(serde::Deserialize)] struct Report {}
/// # impl Task for Report {
/// #     const APP: &'static str = "shop";
/// #     const MODEL: &'static str = "Report";
/// #     type Output = ();
/// #     async fn process(&self, _ctx: TaskContext) -> Result<(), TaskError> { Ok(()) }
/// # }
/// let registry = Registry::new().task::<Report>()?;
/// # Ok::<(), quell::RegistryError>(())
/// ```
#[derive(Default)]
pub struct Registry {
    /// By app, then by model.
    models: HashMap<&'static str, HashMap<&'static str, Arc<Model>>>,
    state: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Registry {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task type.
    ///
    /// # Errors
    /// [`RegistryError::Name`] for a malformed name, [`RegistryError::Twice`] for a taken one,
    /// [`RegistryError::DefaultAboveMaximum`] for a timeout by default that no start could ask for.
    pub fn task<T: Task>(self) -> Result<Self, RegistryError> {
        self.add(T::APP, T::MODEL, T::settings(), Kind::Async, |text| {
            Ok(Arc::new(AsyncTask::<T>(read(text)?)))
        })
    }

    /// Adds a blocking task type.
    ///
    /// # Errors
    /// As [`Registry::task`].
    pub fn blocking<T: BlockingTask>(self) -> Result<Self, RegistryError> {
        self.add(T::APP, T::MODEL, T::settings(), Kind::Blocking, |text| {
            Ok(Arc::new(Blocking::<T>(read(text)?)))
        })
    }

    /// Adds a task type whose body runs in a process of its own: this same executable, started again. Such a body
    /// always stops: at the end of its grace its process, and all that it started and that stayed in its process
    /// group, is killed. See [`run_child_if_asked`](crate::run_child_if_asked), which the host's `main` must call.
    ///
    /// Its cleanup ([`Task::on_cancel`]) runs in this process, as that of any task type.
    ///
    /// # Errors
    /// As [`Registry::task`]; [`RegistryError::NoProcesses`] on a system other than Linux.
    pub fn isolated<T: Task>(self) -> Result<Self, RegistryError> {
        self.add(T::APP, T::MODEL, T::settings(), Kind::Process(Inside::Async), |text| {
            Ok(Isolated::of(Arc::new(AsyncTask::<T>(read(text)?)), text))
        })
    }

    /// Adds a blocking task type whose body runs in a process of its own.
    ///
    /// # Errors
    /// As [`Registry::isolated`].
    pub fn isolated_blocking<T: BlockingTask>(self) -> Result<Self, RegistryError> {
        self.add(T::APP, T::MODEL, T::settings(), Kind::Process(Inside::Blocking), |text| {
            Ok(Isolated::of(Arc::new(Blocking::<T>(read(text)?)), text))
        })
    }

    /// Lets bodies reach state of the host with [`TaskContext::state`]: one value for each type.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, state: Arc<T>) -> Self {
        self.state.insert(TypeId::of::<T>(), state);
        self
    }

    fn add(
        mut self,
        app: &'static str,
        model: &'static str,
        settings: ModelSettings,
        kind: Kind,
        parse: impl Fn(&str) -> Result<Arc<dyn Runnable>, String> + Send + Sync + 'static,
    ) -> Result<Self, RegistryError> {
        if kind.is_process() && !cfg!(target_os = "linux") {
            return Err(RegistryError::NoProcesses { app, model });
        }
        if !kind.is_process() && !settings.child.is_empty() {
            return Err(RegistryError::LimitsWithoutProcess { app, model });
        }
        let names = Name::new(app).and_then(|a| Ok((a, Name::new(model)?)));
        let (app_name, model_name) = names.map_err(|_| RegistryError::Name { app, model })?;
        let idle = Bounds { default: settings.idle_timeout, ..settings.times };
        if let Some((given, most)) = settings.times.contradiction().or(idle.contradiction()) {
            return Err(RegistryError::DefaultAboveMaximum { app, model, given, most });
        }
        let entry = Arc::new(Model {
            app: app_name,
            name: model_name,
            limits: Arc::new(settings.limits()),
            settings,
            kind,
            parse: Box::new(parse),
            numbers: OnceLock::new(),
        });
        match self.models.entry(app).or_default().insert(model, entry) {
            None => Ok(self),
            Some(_) => Err(RegistryError::Twice { app, model }),
        }
    }

    pub(crate) fn model(&self, app: &str, model: &str) -> Option<&Arc<Model>> {
        self.models.get(app)?.get(model)
    }

    /// All of them, in no order.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values().flat_map(HashMap::values)
    }

    pub(crate) fn find_state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.state.get(&TypeId::of::<T>()).cloned()?.downcast().ok()
    }
}

/// How a model reads an input.
type Parse = Box<dyn Fn(&str) -> Result<Arc<dyn Runnable>, String> + Send + Sync>;

/// What kind of body a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A future.
    Async,
    /// A function that blocks.
    Blocking,
    /// A process of its own.
    Process(Inside),
}

/// What runs in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// A future of this executable.
    Async,
    /// A blocking function of this executable.
    Blocking,
    /// Another program.
    Command,
}

impl Kind {
    /// Its word in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Blocking => "blocking",
            Self::Process(_) => "process",
        }
    }

    /// Whether the body runs in a process of its own.
    pub(crate) fn is_process(self) -> bool {
        matches!(self, Self::Process(_))
    }
}

/// One task type, its own type erased.
pub(crate) struct Model {
    pub(crate) app: Name,
    pub(crate) name: Name,
    pub(crate) settings: ModelSettings,
    /// How long the rungs of its ladders last.
    pub(crate) limits: Arc<Limits>,
    pub(crate) kind: Kind,
    parse: Parse,
    /// Set once, when its runtime starts.
    numbers: OnceLock<ModelNumbers>,
}

impl Model {
    /// Reads an input.
    ///
    /// The error is words for whoever gave the input.
    pub(crate) fn parse(&self, input: &JsonText) -> Result<Arc<dyn Runnable>, String> {
        body::catch(|| (self.parse)(input.as_str()))
            .unwrap_or_else(|_| Err("the task type panicked while it read the input".to_owned()))
    }

    /// Keeps the numbers that were registered for it.
    pub(crate) fn keep_numbers(&self, numbers: ModelNumbers) {
        // Err: registered twice, which no runtime does.
        let _ = self.numbers.set(numbers);
    }

    /// What its tasks are counted in.
    pub(crate) fn numbers(&self) -> Option<&ModelNumbers> {
        self.numbers.get()
    }

    /// `app/model`, for messages.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.app, self.name)
    }
}

/// A task's input, ready to run.
pub(crate) trait Runnable: Send + Sync {
    /// The body as a future.
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd>;

    /// The body as a blocking function.
    fn run_blocking(&self, ctx: &TaskContext) -> body::BodyEnd;

    /// The body of a process, seen from the server: starts it, speaks with it, and comes back when it is gone.
    #[cfg(target_os = "linux")]
    fn run_process(
        self: Arc<Self>,
        ctx: TaskContext,
        seat: body::process::Seat,
    ) -> BoxFuture<'static, body::BodyEnd> {
        let _ = (ctx, seat);
        Box::pin(async { failed("Internal", "a body without a process was given to one".to_owned()) })
    }

    /// The cleanup on cancel.
    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>>;
}

struct AsyncTask<T>(T);

impl<T: Task> Runnable for AsyncTask<T> {
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd> {
        Box::pin(async move { end_of(self.0.process(ctx).await) })
    }

    fn run_blocking(&self, _ctx: &TaskContext) -> body::BodyEnd {
        failed("Internal", "an async body was given to a blocking thread".to_owned())
    }

    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
        Box::pin(async move { self.0.on_cancel(ctx).await })
    }
}

struct Blocking<T>(T);

impl<T: BlockingTask> Runnable for Blocking<T> {
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd> {
        Box::pin(async move { self.run_blocking(&ctx) })
    }

    fn run_blocking(&self, ctx: &TaskContext) -> body::BodyEnd {
        end_of(self.0.process(ctx))
    }

    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
        Box::pin(async move { self.0.on_cancel(ctx).await })
    }
}

/// A body that runs in a process of its own: the process reads the same text.
struct Isolated {
    inner: Arc<dyn Runnable>,
    input: Arc<str>,
}

impl Isolated {
    fn of(inner: Arc<dyn Runnable>, input: &str) -> Arc<dyn Runnable> {
        Arc::new(Self { inner, input: input.into() })
    }
}

impl Runnable for Isolated {
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd> {
        Arc::clone(&self.inner).run(ctx)
    }

    fn run_blocking(&self, ctx: &TaskContext) -> body::BodyEnd {
        self.inner.run_blocking(ctx)
    }

    #[cfg(target_os = "linux")]
    fn run_process(
        self: Arc<Self>,
        ctx: TaskContext,
        seat: body::process::Seat,
    ) -> BoxFuture<'static, body::BodyEnd> {
        super::isolated::run(ctx, seat, Arc::clone(&self.input))
    }

    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
        Arc::clone(&self.inner).clean_up(ctx)
    }
}

fn end_of<T: Serialize>(result: Result<T, TaskError>) -> body::BodyEnd {
    match result {
        Ok(value) => match serde_json::to_string(&value) {
            Ok(json) if json == "null" => body::BodyEnd::Returned(None),
            Ok(json) if json.len() > MAX_RESULT_BYTES => failed(
                "ResultTooLarge",
                format!("the result has {} bytes as JSON, more than {MAX_RESULT_BYTES}", json.len()),
            ),
            Ok(json) => body::BodyEnd::Returned(Some(json)),
            Err(error) => failed("ResultNotJson", format!("the result cannot be written as JSON: {error}")),
        },
        Err(error) => match error.into_failure() {
            None => body::BodyEnd::Cancelled,
            Some(failure) => failed(&failure.error_type, failure.message),
        },
    }
}

pub(crate) fn failed(error_type: &str, message: String) -> body::BodyEnd {
    body::BodyEnd::Failed { error_type: error_type.to_owned(), message }
}
