//! Commands: programs that an application lets its users start as tasks, by name and with checked input only.
//!
//! | part | owns |
//! |---|---|
//! | [`CommandTask`] | what an application says of a command |
//! | `field` | the types of its input |
//! | `template` | its arguments, and what an input makes of them |
//! | `program` | where its program is |
//! | `body` | one task of it |
//! | `run` | its process, from start to end |
//!
//! Invariants: nothing runs that was not named; no shell stands between; an input changes the words of an argument
//! and never how many there are, nor which of them are options; a program inherits no variable and no file that was
//! not given to it.

mod body;
mod error;
mod field;
mod program;
#[cfg(target_os = "linux")]
mod run;
mod template;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::task::Name;

use super::ModelSettings;
use super::registry::Parse;
pub use error::CommandTaskError;
pub use field::{CharacterClass, Characters, Field, FieldKind};

use body::CommandBody;
use template::{Arguments, Misfit};

/// The app of all commands.
pub(crate) const COMMAND_APP: &str = "command";

/// Where a program is looked for unless the command says otherwise.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How long a program may go on after SIGTERM, unless its settings say otherwise.
const USUAL_GRACE: Duration = Duration::from_secs(5);

/// A program that may be started as a task, app `command`, under a name; see
/// [`Registry::command`](crate::Registry::command).
///
/// Each argument is one text, in which `{input.FIELD}` and `{task.id}` are replaced; `{{` and `}}` are braces. It stays
/// one argument whatever the input is. One that holds an optional field without a value is left out. A value that
/// would make an option is refused: it may not begin with `-` where it begins an argument, unless the
/// [field allows that](Field::allow_leading_dash) or an argument `--` stands before.
///
/// The program runs in a process group of its own, with empty standard input. What it prints becomes `stdout` and
/// `stderr` events, line by line. Its exit code 0 completes the task with `{"exit_code":0}`, others fail it.
/// A request to stop comes as SIGTERM, and after the grace (5 s unless the settings say otherwise) as SIGKILL.
///
/// ```
/// use quell::{CommandTask, Field, FieldKind, Registry};
///
/// let report = CommandTask::new("report", "cat")
///     .arguments(["--number", "--", "{input.file}"])
///     .field("file", Field::new(FieldKind::FileName))
///     .folder("/");
/// # #[cfg(target_os = "linux")]
/// let registry = Registry::new().command(report)?;
/// # Ok::<(), quell::RegistryError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct CommandTask {
    name: String,
    program: String,
    arguments: Vec<String>,
    fields: BTreeMap<String, Field>,
    variables: BTreeMap<String, String>,
    folder: Option<PathBuf>,
    settings: ModelSettings,
    cleanup: Option<(String, Vec<String>)>,
    starters: Option<BTreeSet<String>>,
}

impl fmt::Debug for CommandTask {
    /// Variables may hold secrets: only their names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandTask")
            .field("name", &self.name)
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("fields", &self.fields)
            .field("variables", &self.variables.keys())
            .field("folder", &self.folder)
            .field("settings", &self.settings)
            .field("cleanup", &self.cleanup)
            .field("starters", &self.starters)
            .finish()
    }
}

impl CommandTask {
    /// A command of that name. The program is a path, or a name that is looked for in the folders of `PATH`.
    pub fn new(name: impl Into<String>, program: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            fields: BTreeMap::new(),
            variables: BTreeMap::new(),
            folder: None,
            settings: ModelSettings::new().grace(USUAL_GRACE),
            cleanup: None,
            starters: None,
        }
    }

    /// Its arguments.
    #[must_use]
    pub fn arguments<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// A field of its input. An input with a field that is not named here is refused.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field: Field) -> Self {
        self.fields.insert(name.into(), field);
        self
    }

    /// A variable of its environment, in which nothing else is but `PATH`: `/usr/local/bin:/usr/bin:/bin` unless it is
    /// set here. The names of the runtime's own settings (`QUELL_…`) are refused.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The folder it runs in; that of this process unless it is set.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// How it stops and how long it may run. It never runs again: [`ModelSettings::restart`] is for task types.
    #[must_use]
    pub fn settings(mut self, settings: ModelSettings) -> Self {
        self.settings = settings;
        self
    }

    /// A program that cleans up after a cancel, a timeout or a shutdown, once its process is gone: never after one
    /// that ended or failed by itself, nor where none was started. It has the same input, folder, environment and
    /// limits; [`ModelSettings::cleanup_limit`] bounds it, and an exit code other than 0 is a failed cleanup.
    #[must_use]
    pub fn cleanup<T: Into<String>>(
        mut self,
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        self.cleanup = Some((program.into(), arguments.into_iter().map(Into::into).collect()));
        self
    }

    /// Who may start it over HTTP, by name; everybody whom [`Principal::may_start`](crate::http::Principal::may_start)
    /// lets unless it is set. Called again it adds more. The host itself may start it for anybody.
    #[must_use]
    pub fn may_start<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.starters.get_or_insert_default().extend(names.into_iter().map(Into::into));
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks all of it, and finds its programs.
    pub(crate) fn prepare(self) -> Result<Prepared, CommandTaskError> {
        for (name, field) in &self.fields {
            Name::new(name).map_err(|_| CommandTaskError::FieldName(name.clone()))?;
            field.check(name)?;
        }
        let environment = environment(self.variables)?;
        let path = environment.get("PATH").map_or("", String::as_str);
        let ready = |program: &str, arguments: &[String]| {
            let arguments = Arguments::read(program, arguments, &self.fields)?;
            Ok(Program { path: program::find(program, path)?, arguments })
        };
        let main = ready(&self.program, &self.arguments)?;
        let cleanup =
            self.cleanup.as_ref().map(|(program, arguments)| ready(program, arguments)).transpose()?;
        let folder = self.folder.as_deref().map(program::folder).transpose()?;
        let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let command = Command { main, cleanup, fields: self.fields, environment, folder };
        let settings = ModelSettings { attempts: 0, ..self.settings };
        let command = Arc::new(command);
        let parse: Parse =
            Box::new(move |input| Ok(Arc::new(CommandBody::read(Arc::clone(&command), input)?)));
        Ok(Prepared { settings, starters: self.starters, parse })
    }
}

/// The whole environment of a program.
fn environment(given: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, CommandTaskError> {
    let mut environment = BTreeMap::from([("PATH".to_owned(), USUAL_PATH.to_owned())]);
    for (name, value) in given {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(CommandTaskError::VariableName(name.replace('\0', "\u{fffd}")));
        }
        if name.starts_with("QUELL_") {
            return Err(CommandTaskError::ServerVariable(name));
        }
        if value.contains('\0') {
            // Its value may be secret.
            return Err(CommandTaskError::Nul(name));
        }
        environment.insert(name, value);
    }
    Ok(environment)
}

/// A command that is ready to be registered.
pub(crate) struct Prepared {
    pub(crate) settings: ModelSettings,
    pub(crate) starters: Option<BTreeSet<String>>,
    pub(crate) parse: Parse,
}

/// A command whose programs are found.
#[derive(Debug)]
struct Command {
    main: Program,
    cleanup: Option<Program>,
    fields: BTreeMap<String, Field>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

#[derive(Debug)]
struct Program {
    path: PathBuf,
    arguments: Arguments,
}

impl Program {
    /// What the system is given: the program's path, and its arguments.
    fn words(&self, command: &Command, values: &field::Values, task: i64) -> Result<Vec<OsString>, Misfit> {
        let arguments = self.arguments.fill(values, &command.fields, task)?;
        Ok(std::iter::once(self.path.clone().into_os_string()).chain(arguments).collect())
    }
}
