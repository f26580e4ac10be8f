//! The arguments of a command, as its author wrote them, and what an input makes of them.
//!
//! Invariants:
//! 1. Each text of the author becomes one argument or, where it holds a field without a value, none: nothing is ever
//!    split or joined, and no shell sees it.
//! 2. An argument begins with `-` only where the author wrote that `-`, allowed it for the field, or put a `--` of its
//!    own before it; a field does not put a second `-` behind one of the author's either, nor a part of the name of a
//!    long option. A `--` with an option of the author behind it was a wrapper's (`nice -- tar -cf …`), and counts no more.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::CommandTaskError;
use super::field::{Field, Values};

/// The most bytes that one argument may have: the system takes 128 KiB with its end.
const MAX_ARGUMENT: usize = 128 * 1024 - 1;

/// An argument after which all others are no options, by the custom of programs.
const SEPARATOR: &str = "--";

/// Programs that run a text.
const SHELLS: [&str; 11] =
    ["sh", "bash", "dash", "zsh", "ksh", "ash", "busybox", "fish", "mksh", "csh", "tcsh"];

/// The arguments of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arguments(Vec<Argument>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    parts: Vec<Part>,
    /// It stands after a `--`.
    is_operand: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
    TaskId,
}

/// A value makes no good argument: the field, and what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) field: String,
    pub(super) reason: String,
}

impl Arguments {
    /// Reads what the author wrote.
    pub(super) fn read(
        program: &str,
        texts: &[String],
        fields: &BTreeMap<String, Field>,
    ) -> Result<Self, CommandTaskError> {
        let mut arguments: Vec<Argument> = Vec::new();
        let mut is_operand = false;
        for text in texts {
            let argument = Argument { parts: parts(text, fields)?, is_operand };
            argument.check(text, fields)?;
            if argument.has_placeholder() && is_shell_text(program, texts, arguments.len()) {
                return Err(CommandTaskError::ShellText { argument: text.clone() });
            }
            if text.starts_with('-') {
                is_operand = text == SEPARATOR;
            }
            arguments.push(argument);
        }
        Ok(Self(arguments))
    }

    /// What the program gets.
    ///
    /// # Errors
    /// [`Misfit`], the first one.
    pub(super) fn fill(
        &self,
        values: &Values,
        fields: &BTreeMap<String, Field>,
        task: i64,
    ) -> Result<Vec<OsString>, Misfit> {
        let filled = self.0.iter().map(|argument| argument.fill(values, fields, task));
        filled.filter_map(Result::transpose).collect()
    }
}

impl Argument {
    fn has_placeholder(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part, Part::Text(_)))
    }

    /// Whether a free text would stand where the name of an option does.
    fn check(&self, text: &str, fields: &BTreeMap<String, Field>) -> Result<(), CommandTaskError> {
        let [Part::Text(first), ..] = self.parts.as_slice() else { return Ok(()) };
        if self.is_operand || !first.starts_with('-') {
            return Ok(());
        }
        let is_long = first.starts_with(SEPARATOR);
        for (at, part) in self.parts.iter().enumerate() {
            match part {
                // What stands behind it is a value.
                Part::Text(literal) if literal.bytes().any(|byte| byte != b'-') && !is_long => return Ok(()),
                Part::Text(literal) if literal.contains('=') => return Ok(()),
                Part::Field(name)
                    if (at == 1 || is_long)
                        && fields
                            .get(name)
                            .is_some_and(|field| field.kind().is_free() && !field.allows_dash) =>
                {
                    let (argument, field) = (text.to_owned(), name.clone());
                    return Err(CommandTaskError::OptionFromText { argument, field });
                }
                Part::Text(_) | Part::Field(_) | Part::TaskId => {}
            }
        }
        Ok(())
    }

    fn fill(
        &self,
        values: &Values,
        fields: &BTreeMap<String, Field>,
        task: i64,
    ) -> Result<Option<OsString>, Misfit> {
        let mut text = String::new();
        let is_missing = |part: &Part| matches!(part, Part::Field(name) if !values.contains_key(name));
        if self.parts.iter().any(is_missing) {
            return Ok(None);
        }
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::TaskId => text.push_str(&task.to_string()),
                Part::Field(name) => {
                    let value = values.get(name).map_or("", String::as_str);
                    let may_dash = self.is_operand || fields.get(name).is_some_and(|field| field.allows_dash);
                    if value.starts_with('-') && !may_dash && text.bytes().all(|byte| byte == b'-') {
                        let reason = "must not begin with `-` here: the program would take it for an option";
                        return Err(Misfit { field: name.clone(), reason: reason.to_owned() });
                    }
                    text.push_str(value);
                    if text.len() > MAX_ARGUMENT {
                        let reason = format!("makes an argument of more than {MAX_ARGUMENT} bytes");
                        return Err(Misfit { field: name.clone(), reason });
                    }
                }
            }
        }
        Ok(Some(text.into()))
    }
}

/// Whether the argument of that number is what a shell runs, as the program or as one that the program starts
/// (`timeout 60 bash -c …`): the first word after its `-c` that is neither an option nor an option's value.
fn is_shell_text(program: &str, texts: &[String], number: usize) -> bool {
    let words: Vec<&str> = std::iter::once(program).chain(texts.iter().map(String::as_str)).collect();
    // One further: the program is the first of them.
    let (Some(before), Some(argument)) = (words.get(..=number), words.get(number + 1)) else { return false };
    let after = |at: usize| before.get(at + 1..).unwrap_or_default();
    before.iter().enumerate().any(|(at, word)| is_shell(word) && takes_text(after(at), argument))
}

fn is_shell(word: &str) -> bool {
    SHELLS.contains(&word.rsplit('/').next().unwrap_or(word))
}

/// Whether a shell that was given these words takes the next one, or what is in it, for a text to run.
fn takes_text(words: &[&str], next: &str) -> bool {
    let (mut takes, mut may_be_value) = (next.starts_with("--command"), false);
    for word in words {
        if word.starts_with("--") {
            takes |= word.starts_with("--command");
            may_be_value = true;
        } else if word.starts_with(['-', '+']) {
            takes |= word.contains('c');
            may_be_value = word.ends_with(['o', 'O']);
        } else if !std::mem::take(&mut may_be_value) {
            // The text, or the name of a script: what follows are its arguments.
            return false;
        }
    }
    takes
}

/// Cuts a text at its placeholders.
fn parts(text: &str, fields: &BTreeMap<String, Field>) -> Result<Vec<Part>, CommandTaskError> {
    if text.contains('\0') {
        return Err(CommandTaskError::Nul(text.replace('\0', "\u{fffd}")));
    }
    let lone = || CommandTaskError::Brace(text.to_owned());
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        literal.push_str(before);
        if let Some(after) = after.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = after.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else {
            let (placeholder, after) =
                after.strip_prefix('{').and_then(|after| after.split_once('}')).ok_or_else(lone)?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(part(placeholder, fields).ok_or_else(|| CommandTaskError::Placeholder {
                argument: text.to_owned(),
                placeholder: placeholder.to_owned(),
            })?);
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

fn part(placeholder: &str, fields: &BTreeMap<String, Field>) -> Option<Part> {
    if placeholder == "task.id" {
        return Some(Part::TaskId);
    }
    let name = placeholder.strip_prefix("input.")?;
    fields.contains_key(name).then(|| Part::Field(name.to_owned()))
}
