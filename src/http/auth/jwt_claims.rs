//! What a JSON Web Token says, read strictly.
//!
//! Invariants: nothing is said twice; each member that means something here has exactly the type that it must have;
//! the name is fit to be an owner, a line of the log and a part of a message.
//!
//! It deliberately does not compare times or issuers: the verifier does, with the same numbers.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::TokenPermissions;
use super::known::Known;

/// The most characters of a name.
const NAME_CHARACTERS: usize = 255;
/// The last second of the year 9999: whoever means "never" must say when.
const LAST_SECOND: u64 = 253_402_300_799;

/// The claims that mean something here; all others are passed over.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    pub(super) user: Known,
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reading)
    }
}

struct Reading;

/// The members as they came.
#[derive(Default)]
struct Members {
    sub: Option<Value>,
    user_id: Option<Value>,
    permissions: Option<Value>,
}

impl<'de> Visitor<'de> for Reading {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let mut seen: HashSet<String> = HashSet::new();
        let mut members = Members::default();
        let mut expires = false;
        while let Some(key) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            match key.as_str() {
                "exp" => expires = is_time(&value),
                "nbf" | "iat" if !value.is_null() && !is_time(&value) => {
                    return Err(A::Error::custom("a time is no whole number of seconds"));
                }
                "sub" => members.sub = Some(value),
                "user_id" => members.user_id = Some(value),
                "permissions" => members.permissions = Some(value),
                _ => {}
            }
            if !seen.insert(key) {
                return Err(A::Error::custom("a claim stands there twice"));
            }
        }
        if !expires {
            return Err(A::Error::custom("`exp` is no whole number of seconds"));
        }
        members.read().map_err(A::Error::custom)
    }
}

impl Members {
    fn read(self) -> Result<Claims, &'static str> {
        let name = match (given(self.sub), given(self.user_id)) {
            (Some(sub), None) => text(sub)?,
            (None, Some(id)) => text_or_number(id)?,
            (Some(sub), Some(id)) => {
                let (sub, id) = (text(sub)?, text_or_number(id)?);
                // Which of them owns the tasks would be a guess.
                if sub != id {
                    return Err("`sub` and `user_id` name two people");
                }
                sub
            }
            (None, None) => return Err("neither `sub` nor `user_id` is given"),
        };
        if !is_name(&name) {
            return Err("the name is empty, too long, or has characters that cannot be seen");
        }
        let permissions = permissions(given(self.permissions))?;
        Ok(Claims { user: Known { name: Arc::from(name), permissions } })
    }
}

/// Null counts as not given.
fn given(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !value.is_null())
}

fn is_time(value: &Value) -> bool {
    value.as_u64().is_some_and(|seconds| seconds <= LAST_SECOND)
}

fn text(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err("the name is no text"),
    }
}

fn text_or_number(value: Value) -> Result<String, &'static str> {
    match value.as_u64() {
        Some(number) => Ok(number.to_string()),
        None => text(value),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.trim() == name
        && name.chars().count() <= NAME_CHARACTERS
        && !name.chars().any(char::is_control)
}

/// Words for other services stand there too: they open nothing here.
fn permissions(value: Option<Value>) -> Result<TokenPermissions, &'static str> {
    let mut permissions = TokenPermissions::default();
    let words = match value {
        None => return Ok(permissions),
        Some(Value::Array(words)) => words,
        Some(_) => return Err("`permissions` is no list"),
    };
    for word in words {
        let Value::String(word) = word else { return Err("a permission is no text") };
        let _ = permissions.add(&word);
    }
    Ok(permissions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Known, String> {
        serde_json::from_str::<Claims>(json).map(|claims| claims.user).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_and_permissions_are_read() {
        let user = read(r#"{"exp":1,"sub":"alice","permissions":["view_any_task","billing:read"],"x":[1]}"#)
            .unwrap();
        assert_eq!(&*user.name, "alice");
        assert_eq!(user.permissions, TokenPermissions { view_any_task: true, cancel_any_task: false });
        for (json, name) in [
            (r#"{"exp":1,"user_id":"bob"}"#, "bob"),
            (r#"{"exp":1,"user_id":17}"#, "17"),
            (r#"{"exp":1,"sub":"17","user_id":17,"permissions":null}"#, "17"),
            (r#"{"exp":1,"sub":null,"user_id":"Zoë Ünal"}"#, "Zoë Ünal"),
        ] {
            assert_eq!(read(json), Ok(Known { name: name.into(), permissions: TokenPermissions::default() }));
        }
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        let long = format!(r#"{{"exp":1,"sub":"{}"}}"#, "x".repeat(256));
        for json in [
            "[]",
            "\"alice\"",
            r#"{"sub":"a"}"#,
            r#"{"exp":null,"sub":"a"}"#,
            r#"{"exp":"1","sub":"a"}"#,
            r#"{"exp":1.5,"sub":"a"}"#,
            r#"{"exp":1e3,"sub":"a"}"#,
            r#"{"exp":-1,"sub":"a"}"#,
            r#"{"exp":18446744073709551615,"sub":"a"}"#,
            r#"{"exp":1,"nbf":"0","sub":"a"}"#,
            r#"{"exp":1,"exp":2,"sub":"a"}"#,
            r#"{"exp":1,"sub":"a","sub":"b"}"#,
            r#"{"exp":1,"sub":"a","x":1,"x":1}"#,
            r#"{"exp":1}"#,
            r#"{"exp":1,"sub":""}"#,
            r#"{"exp":1,"sub":" a"}"#,
            r#"{"exp":1,"sub":"a\u0000"}"#,
            r#"{"exp":1,"sub":"a\nb"}"#,
            r#"{"exp":1,"sub":17}"#,
            r#"{"exp":1,"sub":["a"]}"#,
            r#"{"exp":1,"user_id":-1}"#,
            r#"{"exp":1,"user_id":1.5}"#,
            r#"{"exp":1,"sub":"a","user_id":"b"}"#,
            r#"{"exp":1,"sub":"a","permissions":"view_any_task"}"#,
            r#"{"exp":1,"sub":"a","permissions":[1]}"#,
            r#"{"exp":1,"sub":"a","permissions":{"view_any_task":true}}"#,
            &long,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
