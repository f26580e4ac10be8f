//! What can be wrong with the definition of a command: each is seen before anything runs.

use std::path::PathBuf;

/// A command is not well defined, or its program cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandTaskError {
    /// Its program is in none of the folders of its `PATH`.
    #[error("the program `{program}` is in no folder of its PATH, {path}")]
    ProgramNotFound {
        /// The program.
        program: String,
        /// Where it was looked for.
        path: String,
    },
    /// Its program is no file that may be run.
    #[error("the program `{program}` cannot be run: {reason}", program = .program.display())]
    NotExecutable {
        /// The program.
        program: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Its folder is none.
    #[error("its folder {folder} cannot be used: {reason}", folder = .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A text of the definition holds U+0000, which no system call takes.
    #[error("`{0}` holds the character U+0000")]
    Nul(String),
    /// A name of a field is malformed.
    #[error("`{0}` is no name of a field: it must match [A-Za-z_][A-Za-z0-9_]{{0,63}}")]
    FieldName(String),
    /// A name of a variable is malformed.
    #[error("`{0}` is no name of an environment variable")]
    VariableName(String),
    /// A variable of the server itself, which may hold its secrets.
    #[error("`{0}` is a setting of the server, which may be secret: no command gets it")]
    ServerVariable(String),
    /// An argument names a field that the command does not have, or something else that there is not.
    #[error(
        "the argument `{argument}` has the placeholder `{{{placeholder}}}`, which there is not: it can be \
         {{input.FIELD}} of a field, or {{task.id}}"
    )]
    Placeholder {
        /// The argument.
        argument: String,
        /// What stands between the braces.
        placeholder: String,
    },
    /// A brace of an argument has no partner.
    #[error("the argument `{0}` has a brace without a partner: write {{{{ and }}}} for braces as they are")]
    Brace(String),
    /// A free text would be the name of an option.
    #[error(
        "in the argument `{argument}` the field `{field}` would choose the option: give it the type `choice`, or \
         put the option's own name and a `=` before it"
    )]
    OptionFromText {
        /// The argument.
        argument: String,
        /// The field.
        field: String,
    },
    /// A placeholder stands in what a shell runs.
    #[error(
        "the argument `{argument}` is a text that a shell runs, and holds a placeholder: whoever gives the input \
         could run anything; write \"$1\" there, and give the placeholder as an argument of its own after it"
    )]
    ShellText {
        /// The argument.
        argument: String,
    },
    /// The limits of a field contradict each other.
    #[error("the field `{0}` has a minimum above its maximum")]
    Bounds(String),
    /// A field allows longer texts than an argument takes.
    #[error("the field `{field}` allows texts of more than {most} characters")]
    TooLong {
        /// The field.
        field: String,
        /// The most.
        most: usize,
    },
    /// A choice without anything to choose.
    #[error("the field `{0}` has no choices")]
    NoChoices(String),
    /// A choice or a default does not fit the field's own rules.
    #[error("the field `{field}` cannot have the value {value}: it {reason}")]
    Value {
        /// The field.
        field: String,
        /// The value, as JSON.
        value: String,
        /// Which rule it breaks.
        reason: String,
    },
}
