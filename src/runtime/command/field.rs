//! What a command takes as its input: the type of each field, and the text that a value becomes.
//!
//! Invariants: a text that comes out of here is bounded and holds no U+0000. Where in an argument it may begin with
//! `-` is not decided here, but where the argument is made.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::input::Members;
use super::error::CommandTaskError;

/// The most characters that a field may allow: so one value always fits into one argument.
pub(super) const MAX_TEXT: usize = 16 * 1024;

/// The most bytes of a file's name.
const MAX_FILE_NAME: usize = 255;

/// One field of a command's input.
///
/// ```
/// use quell::{Field, FieldKind};
///
/// let level = Field::new(FieldKind::Integer { min: 1, max: 9 }).default_value(6);
/// let note = Field::new(FieldKind::text()).optional();
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    kind: FieldKind,
    presence: Presence,
    pub(super) allows_dash: bool,
}

/// The type of a field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A text of one line; see [`FieldKind::text`].
    Text {
        /// The fewest characters.
        min_length: usize,
        /// The most characters, at most 16,384.
        max_length: usize,
        /// Which characters.
        characters: Characters,
    },
    /// The name of a file in a folder that the command's author knows: no `/`, not `.` or `..`, 255 bytes at most.
    FileName,
    /// A whole number; as text it has no sign but a minus.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A number; as text it is as JSON writes it.
    Number {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// The text `true` or `false`.
    Boolean,
    /// One of these texts.
    Choice(Vec<String>),
}

/// The characters that a text may have: those of the class, and those that are named besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Characters {
    /// The class; none is only what is named.
    pub class: Option<CharacterClass>,
    /// More characters.
    pub extra: String,
}

/// A class of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CharacterClass {
    /// Everything but U+0000.
    Any,
    /// Everything but control characters, so that the text is one line.
    OneLine,
    /// `A-Z`, `a-z`, `0-9`.
    Alphanumeric,
    /// `A-Z`, `a-z`.
    Letters,
    /// `0-9`.
    Digits,
}

#[derive(Debug, Clone, PartialEq)]
enum Presence {
    Required,
    Optional,
    Default(Value),
}

impl FieldKind {
    /// A text of one line, of 1 to 1,024 characters.
    #[must_use]
    pub const fn text() -> Self {
        let characters = Characters { class: Some(CharacterClass::OneLine), extra: String::new() };
        Self::Text { min_length: 1, max_length: 1_024, characters }
    }

    /// Any whole number of 64 bits.
    #[must_use]
    pub const fn integer() -> Self {
        Self::Integer { min: i64::MIN, max: i64::MAX }
    }

    /// Any number.
    #[must_use]
    pub const fn number() -> Self {
        Self::Number { min: f64::MIN, max: f64::MAX }
    }

    /// Whether its texts are whatever the one who starts the task likes.
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Text { .. } | Self::FileName)
    }

    /// The text of a value, or which rule it breaks.
    fn read(&self, value: &Value) -> Result<String, String> {
        match (self, value) {
            (Self::Text { min_length, max_length, characters }, Value::String(text)) => {
                let length = text.chars().count();
                if length < *min_length || length > *max_length {
                    return Err(format!("must have {min_length} to {max_length} characters"));
                }
                match text.chars().find(|character| !characters.allow(*character)) {
                    Some(character) => Err(format!("must not have the character {character:?}")),
                    None => Ok(text.clone()),
                }
            }
            (Self::FileName, Value::String(text)) if is_file_name(text) => Ok(text.clone()),
            (Self::Integer { min, max }, Value::Number(number)) => match number.as_i64() {
                Some(whole) if (*min..=*max).contains(&whole) => Ok(whole.to_string()),
                _ => Err(self.rule()),
            },
            (Self::Number { min, max }, Value::Number(number)) => match number.as_f64() {
                Some(value) if (*min..=*max).contains(&value) => Ok(number.to_string()),
                _ => Err(self.rule()),
            },
            (Self::Boolean, Value::Bool(switch)) => Ok(switch.to_string()),
            (Self::Choice(choices), Value::String(text)) if choices.contains(text) => Ok(text.clone()),
            _ => Err(self.rule()),
        }
    }

    /// What a value of another type, or beyond its limits, is told.
    fn rule(&self) -> String {
        match self {
            Self::Text { .. } => "must be a text".to_owned(),
            Self::FileName => {
                format!("must be a name of at most {MAX_FILE_NAME} bytes without `/`, not `.` or `..`")
            }
            Self::Integer { min: i64::MIN, max: i64::MAX } => "must be a whole number of 64 bits".to_owned(),
            Self::Integer { min, max: i64::MAX } => format!("must be a whole number of at least {min}"),
            Self::Integer { min: i64::MIN, max } => format!("must be a whole number of at most {max}"),
            Self::Integer { min, max } => format!("must be a whole number from {min} to {max}"),
            Self::Number { min, max } => match (*min > f64::MIN, *max < f64::MAX) {
                (false, false) => "must be a number".to_owned(),
                (true, false) => format!("must be a number of at least {min}"),
                (false, true) => format!("must be a number of at most {max}"),
                (true, true) => format!("must be a number from {min} to {max}"),
            },
            Self::Boolean => "must be true or false".to_owned(),
            Self::Choice(choices) => {
                let choices: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
                format!("must be one of {}", choices.join(", "))
            }
        }
    }

    fn check(&self, field: &str) -> Result<(), CommandTaskError> {
        let is_empty = match self {
            Self::Text { max_length, .. } if *max_length > MAX_TEXT => {
                return Err(CommandTaskError::TooLong { field: field.to_owned(), most: MAX_TEXT });
            }
            Self::Text { min_length, max_length, .. } => min_length > max_length,
            Self::Integer { min, max } => min > max,
            // Not a number is no limit either.
            Self::Number { min, max } => !(min <= max && min.is_finite() && max.is_finite()),
            Self::Choice(choices) if choices.is_empty() => {
                return Err(CommandTaskError::NoChoices(field.to_owned()));
            }
            Self::FileName | Self::Boolean | Self::Choice(_) => false,
        };
        if is_empty { Err(CommandTaskError::Bounds(field.to_owned())) } else { Ok(()) }
    }
}

impl Characters {
    fn allow(&self, character: char) -> bool {
        let of_class = self.class.is_some_and(|class| match class {
            CharacterClass::Any => true,
            CharacterClass::OneLine => !character.is_control(),
            CharacterClass::Alphanumeric => character.is_ascii_alphanumeric(),
            CharacterClass::Letters => character.is_ascii_alphabetic(),
            CharacterClass::Digits => character.is_ascii_digit(),
        });
        character != '\0' && (of_class || self.extra.contains(character))
    }
}

fn is_file_name(text: &str) -> bool {
    let is_path = text.contains('/') || text == "." || text == "..";
    !text.is_empty() && text.len() <= MAX_FILE_NAME && !is_path && !text.contains(char::is_control)
}

impl Field {
    /// A field that a start must give.
    #[must_use]
    pub const fn new(kind: FieldKind) -> Self {
        Self { kind, presence: Presence::Required, allows_dash: false }
    }

    /// A start may leave it out; then each argument that holds it is left out, too.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.presence = Presence::Optional;
        self
    }

    /// A start may leave it out; then it has this value.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<Value>) -> Self {
        self.presence = Presence::Default(value.into());
        self
    }

    /// Its value may begin with `-` where it begins an argument, which most programs take for an option.
    #[must_use]
    pub const fn allow_leading_dash(mut self) -> Self {
        self.allows_dash = true;
        self
    }

    pub(super) fn kind(&self) -> &FieldKind {
        &self.kind
    }

    /// Whether the definition is sound: its limits, its default, its choices.
    pub(super) fn check(&self, name: &str) -> Result<(), CommandTaskError> {
        self.kind.check(name)?;
        let refuse = |value: &Value, reason: &str| CommandTaskError::Value {
            field: name.to_owned(),
            value: value.to_string(),
            reason: reason.to_owned(),
        };
        let mut values = Vec::new();
        if let Presence::Default(value) = &self.presence {
            values.push((value.clone(), self.kind.read(value).map_err(|reason| refuse(value, &reason))?));
        }
        if let FieldKind::Choice(choices) = &self.kind {
            values.extend(choices.iter().map(|choice| (Value::from(choice.as_str()), choice.clone())));
        }
        for (value, text) in &values {
            if text.contains('\0') {
                return Err(refuse(value, "must not have the character U+0000"));
            }
            if text.starts_with('-') && !self.allows_dash {
                return Err(refuse(value, "begins with `-`, which allow_leading_dash must permit"));
            }
        }
        Ok(())
    }
}

/// The texts of an input's fields; those that have none are not in it.
pub(super) type Values = BTreeMap<String, String>;

/// Reads an input; the error is words for whoever gave it, which name the field.
pub(super) fn read(fields: &BTreeMap<String, Field>, input: &str) -> Result<Values, String> {
    let Members(members) =
        serde_json::from_str(input).map_err(|_| "the input of a command must be an object".to_owned())?;
    let mut given: BTreeMap<&str, &RawValue> = BTreeMap::new();
    for (name, value) in &members {
        if !fields.contains_key(name) {
            return Err(format!("unknown field `{name}`, {}", expected(fields)));
        }
        if given.insert(name, value).is_some() {
            return Err(format!("duplicate field `{name}`"));
        }
    }
    let mut values = Values::new();
    for (name, field) in fields {
        let given = given.get(name.as_str()).map(|raw| serde_json::from_str::<Value>(raw.get()));
        let value = match (given, &field.presence) {
            (Some(Ok(Value::Null)) | None, Presence::Optional) => continue,
            (None, Presence::Required) => return Err(format!("missing field `{name}`")),
            (Some(Ok(Value::Null)) | None, Presence::Default(value)) => value.clone(),
            (Some(Ok(value)), _) => value,
            (Some(Err(error)), _) => return Err(format!("field `{name}`: {error}")),
        };
        let text = field.kind.read(&value).map_err(|reason| format!("field `{name}`: {reason}"))?;
        values.insert(name.clone(), text);
    }
    Ok(values)
}

fn expected(fields: &BTreeMap<String, Field>) -> String {
    let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "this command takes none".to_owned()
    } else {
        format!("expected {}", names.join(" or "))
    }
}
