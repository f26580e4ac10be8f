//! The members of a JSON body, checked before anybody believes them.
//!
//! Invariants: every text in a body has been decoded once, so that a half surrogate or bytes that are no UTF-8 are
//! found (a value kept as its text would hide them); nesting is bounded by `serde_json` (128); an unknown or a
//! repeated member is refused by name.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::Problem;

/// The members of a body that is an object.
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// Reads a body whose members are all among `known`.
    pub(super) fn parse(body: &[u8], known: &[&str]) -> Result<Self, Problem> {
        let Members(members) = serde_json::from_slice(body).map_err(|error| not_json(&error))?;
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &members {
            if !known.contains(&name.as_str()) {
                return Err(Problem::invalid_field(
                    name,
                    format!("is unknown: only {} may stand here", list(known)),
                ));
            }
            if seen.contains(&name.as_str()) {
                return Err(Problem::invalid_field(name, "stands twice: give it once"));
            }
            seen.push(name);
            has_nul(value.get().as_bytes())
                .map_err(|error| Problem::invalid_field(name, error.to_string()))?;
        }
        Ok(Self(members))
    }

    /// A member, where it is there; it may be `null`.
    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| &**value)
    }

    /// A member, where it is there and not `null`.
    pub(super) fn given(&self, name: &str) -> Option<&RawValue> {
        self.get(name).filter(|value| value.get() != "null")
    }
}

/// A body is no JSON.
pub(super) fn not_json(error: &serde_json::Error) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => Problem::invalid_body("the body must be a JSON object"),
        _ => Problem::invalid_body(format!("the body is not JSON: {error}")),
    }
}

/// Reads one value whole, keeping nothing of it, and says whether U+0000 stands in any of its texts or names.
pub(super) fn has_nul(json: &[u8]) -> Result<bool, serde_json::Error> {
    Ok(serde_json::from_slice::<HasNul>(json)?.0)
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A value of any shape, of which only this one fact is kept.
struct HasNul(bool);

impl<'de> Deserialize<'de> for HasNul {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = HasNul;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<HasNul, E> {
                Ok(HasNul(false))
            }

            fn visit_i64<E>(self, _: i64) -> Result<HasNul, E> {
                Ok(HasNul(false))
            }

            fn visit_u64<E>(self, _: u64) -> Result<HasNul, E> {
                Ok(HasNul(false))
            }

            fn visit_f64<E>(self, _: f64) -> Result<HasNul, E> {
                Ok(HasNul(false))
            }

            fn visit_unit<E>(self) -> Result<HasNul, E> {
                Ok(HasNul(false))
            }

            fn visit_str<E>(self, text: &str) -> Result<HasNul, E> {
                Ok(HasNul(text.contains('\0')))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<HasNul, A::Error> {
                let mut found = false;
                while let Some(HasNul(item)) = seq.next_element()? {
                    found |= item;
                }
                Ok(HasNul(found))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HasNul, A::Error> {
                let mut found = false;
                while let Some((HasNul(name), HasNul(value))) = map.next_entry()? {
                    found |= name | value;
                }
                Ok(HasNul(found))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> Problem {
        Fields::parse(body.as_bytes(), &["a", "b"]).unwrap_err()
    }

    #[test]
    fn members_are_kept_as_their_text() {
        let fields = Fields::parse(br#" {"a": {"x": 1.50}, "b": null} "#, &["a", "b"]).unwrap();
        assert_eq!(fields.get("a").unwrap().get(), r#"{"x": 1.50}"#);
        assert!(fields.get("b").is_some() && fields.given("b").is_none());
        assert!(fields.get("c").is_none());
    }

    #[test]
    fn an_unknown_or_repeated_member_is_named() {
        for (body, field) in
            [(r#"{"force":true}"#, "force"), (r#"{"a":1,"\u0061":2}"#, "a"), (r#"{"A":1}"#, "A")]
        {
            let problem = refused(body);
            assert_eq!((problem.name(), problem.errors()[0].field.as_str()), ("invalid-body", field));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in
            ["", "nope", "[]", "1", "null", "\"x\"", "{", "{\"a\":}", "{} {}", "{'a':1}", "{\"a\":1,}"]
        {
            assert_eq!(refused(body).name(), "invalid-body", "{body}");
        }
    }

    #[test]
    fn half_surrogates_are_refused_wherever_they_stand() {
        for body in
            [r#"{"a":"\ud800"}"#, r#"{"a":[{"\udc00":1}]}"#, r#"{"\ud800":1}"#, r#"{"a":"\ud800\u0041"}"#]
        {
            assert_eq!(refused(body).name(), "invalid-body", "{body}");
        }
        assert!(Fields::parse(b"{\"a\":\"\xff\"}", &["a"]).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_without_overflow() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{{\"a\":{}1{}}}", open.repeat(30_000), close.repeat(30_000));
            assert_eq!(refused(&deep).name(), "invalid-body");
            assert_eq!(refused(&format!("{{\"a\":{}", open.repeat(60_000))).name(), "invalid-body");
        }
    }

    #[test]
    fn a_number_beyond_all_bounds_names_its_member() {
        assert_eq!(refused(r#"{"a":1e999}"#).errors()[0].field, "a");
    }

    #[test]
    fn nul_is_found_in_texts_and_names_at_any_depth() {
        for json in [r#""\u0000""#, r#"{"x":["a",{"y":"b\u0000"}]}"#, r#"[{"\u0000":1}]"#] {
            assert!(has_nul(json.as_bytes()).unwrap(), "{json}");
        }
        for json in [r#""\\u0000""#, r#"{"x":[1,-2,3.5,true,null,"\u0001"]}"#] {
            assert!(!has_nul(json.as_bytes()).unwrap(), "{json}");
        }
        assert!(has_nul(b"\"\0\"").is_err());
    }
}
