//! The task types of an application, and what the host lets their bodies reach.
//!
//! Past it a model is its names, its settings and a way to read an input. User code that runs here (reading an input)
//! runs inside a panic boundary.

use std::any::{Any, TypeId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use crate::body;
use crate::lifecycle::Limits;
use crate::task::{JsonText, Name, Timeout};

use super::command::{COMMAND_APP, CommandTask, CommandTaskError, Prepared};
use super::input::read;
use super::lines::Line;
use super::metrics::ModelNumbers;
use super::runnable::{AsyncTask, Blocking, Isolated, Runnable};
use super::time_limits::Bounds;
use super::{BlockingTask, ModelSettings, Task};

/// A task type cannot be registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The name is malformed.
    #[error("`{app}/{model}` is no name of a task type: both match [A-Za-z_][A-Za-z0-9_]{{0,63}}")]
    Name {
        /// The app.
        app: String,
        /// The model.
        model: String,
    },
    /// Its body is to run in a process of its own, which only Linux has here.
    #[error("`{app}/{model}` is isolated, and processes of their own need Linux")]
    NoProcesses {
        /// The app.
        app: String,
        /// The model.
        model: String,
    },
    /// It has limits of a process, and no process of its own.
    #[error(
        "`{app}/{model}` limits memory, processor time or open files, which only an isolated task type can"
    )]
    LimitsWithoutProcess {
        /// The app.
        app: String,
        /// The model.
        model: String,
    },
    /// A command is not well defined, or its program cannot be run here.
    #[error("the command `{command}` cannot be registered: {reason}")]
    Command {
        /// The command.
        command: String,
        /// What is wrong with it.
        reason: CommandTaskError,
    },
    /// The name is taken.
    #[error("`{app}/{model}` is registered twice")]
    Twice {
        /// The app.
        app: String,
        /// The model.
        model: String,
    },
    /// Its settings contradict each other.
    #[error(
        "`{app}/{model}` has a timeout of {given} s by default and {most} s at most: the default must not be above the maximum"
    )]
    DefaultAboveMaximum {
        /// The app.
        app: String,
        /// The model.
        model: String,
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
    models: HashMap<Name, HashMap<Name, Arc<Model>>>,
    /// Of each model that has places of its own, in the order of their lines.
    places: Vec<usize>,
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
            Ok(Arc::new(AsyncTask::<T>::new(read(text)?)))
        })
    }

    /// Adds a blocking task type.
    ///
    /// # Errors
    /// As [`Registry::task`].
    pub fn blocking<T: BlockingTask>(self) -> Result<Self, RegistryError> {
        self.add(T::APP, T::MODEL, T::settings(), Kind::Blocking, |text| {
            Ok(Arc::new(Blocking::<T>::new(read(text)?)))
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
            Ok(Isolated::of(Arc::new(AsyncTask::<T>::new(read(text)?)), text))
        })
    }

    /// Adds a blocking task type whose body runs in a process of its own.
    ///
    /// # Errors
    /// As [`Registry::isolated`].
    pub fn isolated_blocking<T: BlockingTask>(self) -> Result<Self, RegistryError> {
        self.add(T::APP, T::MODEL, T::settings(), Kind::Process(Inside::Blocking), |text| {
            Ok(Isolated::of(Arc::new(Blocking::<T>::new(read(text)?)), text))
        })
    }

    /// Adds a command: a program that users may start as a task, app `command`, under its name. Its program is looked
    /// for now. Its process is started through this same executable, as that of [`Registry::isolated`] is:
    /// [`run_child_if_asked`](crate::run_child_if_asked) must be called.
    ///
    /// # Errors
    /// [`RegistryError::Command`] where it is not well defined or its program is not there; else as
    /// [`Registry::isolated`].
    pub fn command(self, command: CommandTask) -> Result<Self, RegistryError> {
        let name = command.name().to_owned();
        let Prepared { settings, starters, parse } =
            command.prepare().map_err(|reason| RegistryError::Command { command: name.clone(), reason })?;
        let kind = Kind::Process(Inside::Command);
        self.add_for(starters, COMMAND_APP, &name, settings, kind, parse)
    }

    /// Lets bodies reach state of the host with [`TaskContext::state`](crate::TaskContext::state): one value for each
    /// type.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, state: Arc<T>) -> Self {
        self.state.insert(TypeId::of::<T>(), state);
        self
    }

    fn add(
        self,
        app: &str,
        model: &str,
        settings: ModelSettings,
        kind: Kind,
        parse: impl Fn(&str) -> Result<Arc<dyn Runnable>, String> + Send + Sync + 'static,
    ) -> Result<Self, RegistryError> {
        self.add_for(None, app, model, settings, kind, Box::new(parse))
    }

    fn add_for(
        mut self,
        starters: Option<BTreeSet<String>>,
        app: &str,
        model: &str,
        settings: ModelSettings,
        kind: Kind,
        parse: Parse,
    ) -> Result<Self, RegistryError> {
        let (app_name, model_name) = (app.to_owned(), model.to_owned());
        if kind.is_process() && !cfg!(target_os = "linux") {
            return Err(RegistryError::NoProcesses { app: app_name, model: model_name });
        }
        if !kind.is_process() && !settings.child.is_empty() {
            return Err(RegistryError::LimitsWithoutProcess { app: app_name, model: model_name });
        }
        let Ok((app, model)) = Name::new(app).and_then(|app| Ok((app, Name::new(model)?))) else {
            return Err(RegistryError::Name { app: app_name, model: model_name });
        };
        let idle = Bounds { default: settings.idle_timeout, ..settings.times };
        if let Some((given, most)) = settings.times.contradiction().or(idle.contradiction()) {
            return Err(RegistryError::DefaultAboveMaximum { app: app_name, model: model_name, given, most });
        }
        let line = settings.max_running.map_or(Line::COMMON, |places| {
            self.places.push(places);
            Line::of_model(self.places.len() - 1)
        });
        let entry = Arc::new(Model {
            app: app.clone(),
            name: model.clone(),
            limits: Arc::new(settings.limits()),
            settings,
            line,
            kind,
            starters,
            parse,
            numbers: OnceLock::new(),
        });
        match self.models.entry(app).or_default().insert(model, entry) {
            None => Ok(self),
            Some(_) => Err(RegistryError::Twice { app: app_name, model: model_name }),
        }
    }

    pub(crate) fn model(&self, app: &str, model: &str) -> Option<&Arc<Model>> {
        self.models.get(app)?.get(model)
    }

    /// The places of each model that has some, in the order of their lines.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
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
pub(super) type Parse = Box<dyn Fn(&str) -> Result<Arc<dyn Runnable>, String> + Send + Sync>;

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
    /// Where its tasks wait for a place.
    pub(crate) line: Line,
    /// How long the rungs of its ladders last.
    pub(crate) limits: Arc<Limits>,
    pub(crate) kind: Kind,
    /// Who may start it over HTTP; none is everybody.
    starters: Option<BTreeSet<String>>,
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

    /// Whether a principal of that name may start it over HTTP, as far as the model says.
    pub(crate) fn lets_start(&self, name: &str) -> bool {
        self.starters.as_ref().is_none_or(|starters| starters.contains(name))
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
