//! Owns the tables `[command.NAME]` of `quell.toml`: programs that users may start as tasks. Flags and variables do not
//! apply to them.
//!
//! What a table says is read here; whether it makes sense as a command, and whether its program is there, is seen when
//! the command is registered.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Value;

use crate::runtime::{CharacterClass, Characters, CommandTask, Field, FieldKind, ModelSettings};

use super::keys::Keys;
use super::layers::Given;
use super::{SettingsError, TomlFile, parse};

/// The longest grace and cleanup.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a program may go on after SIGTERM, unless its table says otherwise.
const USUAL_GRACE: Duration = Duration::from_secs(5);

/// Reads all of them, in the order of their names.
pub(super) fn commands(
    tables: Option<&Value>,
    file: Option<&TomlFile>,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<CommandTask>, SettingsError> {
    let (Some(tables), Some(file)) = (tables, file) else { return Ok(Vec::new()) };
    let mut tables = Keys::of("command", tables, &file.path)?;
    if file.others_may_write {
        return Err(SettingsError::OthersMayWrite { file: file.path.clone() });
    }
    let mut commands = Vec::new();
    for name in tables.names() {
        if let Some(keys) = tables.table(&name)? {
            commands.push(command(&name, keys, variables)?);
        }
    }
    Ok(commands)
}

fn command(
    name: &str,
    mut keys: Keys,
    variables: &BTreeMap<String, String>,
) -> Result<CommandTask, SettingsError> {
    let mut command = CommandTask::new(name, keys.required("program")?).arguments(keys.texts("args")?);
    if let Some(mut fields) = keys.table("fields")? {
        for field in fields.names() {
            if let Some(keys) = fields.table(&field)? {
                command = command.field(&field, read_field(keys)?);
            }
        }
    }
    if let Some(folder) = keys.text("cwd")? {
        command = command.folder(folder);
    }
    command = environment(command, &mut keys, variables)?;
    if let Some(names) = keys.given_texts("may_start")? {
        command = command.may_start(names);
    }
    let mut settings = settings(&mut keys)?;
    if let Some(mut cleanup) = keys.table("cleanup")? {
        command = command.cleanup(cleanup.required("program")?, cleanup.texts("args")?);
        if let Some(given) = cleanup.given("timeout")? {
            settings = settings.cleanup_limit(parse::grace(&given)?);
        }
        cleanup.finish()?;
    }
    keys.finish()?;
    Ok(command.settings(settings))
}

/// What of the server's own environment it gets, and what is set for it.
fn environment(
    mut command: CommandTask,
    keys: &mut Keys,
    variables: &BTreeMap<String, String>,
) -> Result<CommandTask, SettingsError> {
    let passed = keys.texts("environment")?;
    for name in passed.iter().map(String::as_str).chain(["PATH"]) {
        match variables.get(name) {
            Some(value) => command = command.variable(name, value),
            // What is no name, or one that no command gets, is refused though it is not set.
            None if name.is_empty() || name.contains('=') || name.starts_with("QUELL_") => {
                command = command.variable(name, "");
            }
            None => {}
        }
    }
    if let Some(mut set) = keys.table("variables")? {
        for name in set.names() {
            if let Some(value) = set.text(&name)? {
                command = command.variable(&name, value);
            }
        }
    }
    Ok(command)
}

fn settings(keys: &mut Keys) -> Result<ModelSettings, SettingsError> {
    let mut settings = ModelSettings::new().grace(USUAL_GRACE);
    if let Some(given) = keys.given("grace")? {
        settings = settings.grace(time(&given)?);
    }
    if let Some(given) = keys.given("timeout")? {
        settings = settings.timeout(parse::timeout(&given)?);
    }
    if let Some(given) = keys.given("max_timeout")? {
        settings = settings.max_timeout(parse::timeout(&given)?);
    }
    if let Some(given) = keys.given("idle_timeout")? {
        settings = settings.idle_timeout(parse::timeout(&given)?);
    }
    if let Some(given) = keys.given("memory_limit")? {
        settings = settings.memory_limit(parse::bytes(&given)?);
    }
    if let Some(given) = keys.given("cpu_limit")? {
        settings = settings.cpu_limit(parse::grace(&given)?);
    }
    if let Some(given) = keys.given("open_files_limit")? {
        settings = settings.open_files_limit(u64::try_from(parse::count(&given, 1)?).unwrap_or(u64::MAX));
    }
    if let Some(given) = keys.given("max_running")? {
        settings = settings.max_running(parse::count(&given, 1)?);
    }
    Ok(settings)
}

/// A grace, which may be none.
fn time(given: &Given) -> Result<Duration, SettingsError> {
    let time = parse::duration(&given.text).filter(|time| *time <= A_DAY);
    time.ok_or_else(|| given.refuse("give a time of at most 24h, such as 5s, 500ms, 2m, 0, or 5 for seconds"))
}

fn read_field(mut keys: Keys) -> Result<Field, SettingsError> {
    let Some(kind) = keys.given("type")? else { return Err(keys.missing("type")) };
    let kind = match kind.text.as_str() {
        "text" => text(&mut keys)?,
        "file_name" => FieldKind::FileName,
        "integer" => FieldKind::Integer {
            min: keys.integer("min")?.unwrap_or(i64::MIN),
            max: keys.integer("max")?.unwrap_or(i64::MAX),
        },
        "number" => FieldKind::Number {
            min: keys.number("min")?.unwrap_or(f64::MIN),
            max: keys.number("max")?.unwrap_or(f64::MAX),
        },
        "boolean" => FieldKind::Boolean,
        "choice" => FieldKind::Choice(keys.texts("choices")?),
        _ => return Err(kind.refuse("use text, file_name, integer, number, boolean or choice")),
    };
    let mut field = Field::new(kind);
    let default = keys.scalar("default")?;
    let required = keys.given("required")?;
    match (&required, default) {
        (Some(required), default) if parse::switch(required)? => {
            if default.is_some() {
                return Err(required.refuse("a field with a default is never missing: remove one of both"));
            }
        }
        (_, Some(value)) => field = field.default_value(value),
        (Some(_), None) => field = field.optional(),
        (None, None) => {}
    }
    if let Some(given) = keys.given("allow_leading_dash")?
        && parse::switch(&given)?
    {
        field = field.allow_leading_dash();
    }
    keys.finish()?;
    Ok(field)
}

fn text(keys: &mut Keys) -> Result<FieldKind, SettingsError> {
    let length = |given: Option<Given>, usual| given.map_or(Ok(usual), |given| parse::count(&given, 0));
    let min_length = length(keys.given("min_length")?, 1)?;
    let max_length = length(keys.given("max_length")?, 1_024)?;
    let extra = keys.text("extra_characters")?;
    let class = match keys.given("characters")? {
        Some(given) => Some(match given.text.as_str() {
            "any" => CharacterClass::Any,
            "one_line" => CharacterClass::OneLine,
            "alphanumeric" => CharacterClass::Alphanumeric,
            "letters" => CharacterClass::Letters,
            "digits" => CharacterClass::Digits,
            _ => {
                let allowed =
                    "use any, one_line, alphanumeric, letters or digits, and extra_characters for more";
                return Err(given.refuse(allowed));
            }
        }),
        None if extra.is_some() => None,
        None => Some(CharacterClass::OneLine),
    };
    let characters = Characters { class, extra: extra.unwrap_or_default() };
    Ok(FieldKind::Text { min_length, max_length, characters })
}
