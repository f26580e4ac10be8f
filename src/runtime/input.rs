//! Reading an input as a task type, with words that name the member that does not fit.
//!
//! serde names a member that is missing, unknown or there twice, and not one whose value is wrong. So an input that
//! was refused is read once more, member by member, to see at which one it stops.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Reads an input; the error is words for whoever gave it.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let words = error.to_string();
        if words.contains("field `") {
            return words;
        }
        match wrong_member::<T>(text) {
            Some(name) => format!("field `{name}`: {words}"),
            None => words,
        }
    })
}

/// The member of an object whose value does not fit; none where something else is wrong.
fn wrong_member<T: DeserializeOwned>(text: &str) -> Option<String> {
    let Members(members) = serde_json::from_str(text).ok()?;
    let reading = RefCell::new(None);
    let access = OneByOne { members: members.into_iter(), next: None, reading: &reading };
    // The error is known already; what is wanted is where it came.
    let _ = T::deserialize(MapAccessDeserializer::new(access));
    reading.into_inner()
}

/// Gives out the members of an object, and notes which value is being read.
struct OneByOne<'de, 'a> {
    members: std::vec::IntoIter<(String, &'de RawValue)>,
    next: Option<(String, &'de RawValue)>,
    reading: &'a RefCell<Option<String>>,
}

impl<'de> MapAccess<'de> for OneByOne<'de, '_> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        self.next = self.members.next();
        let Some((name, _)) = &self.next else { return Ok(None) };
        seed.deserialize(name.clone().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        let missing = || serde::de::Error::custom("a value was read before its name");
        let (name, value) = self.next.take().ok_or_else(missing)?;
        self.reading.replace(Some(name));
        let read = seed.deserialize(&mut serde_json::Deserializer::from_str(value.get()))?;
        self.reading.replace(None);
        Ok(read)
    }
}

/// The members of an object in their order, also those that stand twice.
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        #[expect(dead_code, reason = "only read from JSON")]
        first: Option<u8>,
        #[expect(dead_code, reason = "only read from JSON")]
        second: String,
        #[expect(dead_code, reason = "only read from JSON")]
        #[serde(default, deserialize_with = "no")]
        third: (),
    }

    fn no<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        u8::deserialize(deserializer)?;
        Err(serde::de::Error::custom("never fits"))
    }

    /// One whose members fit, but not together.
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "(u8, u8)")]
    struct Pair;

    impl TryFrom<(u8, u8)> for Pair {
        type Error = &'static str;

        fn try_from(_: (u8, u8)) -> Result<Self, Self::Error> {
            Err("not together")
        }
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only read from JSON")]
        pair: Pair,
    }

    fn words(text: &str) -> String {
        read::<Input>(text).unwrap_err()
    }

    #[test]
    fn the_member_with_a_wrong_value_is_named() {
        for (text, name) in [
            (r#"{"first":-1,"second":""}"#, "first"),
            (r#"{"first":300,"second":""}"#, "first"),
            (r#"{"first":"x","second":""}"#, "first"),
            ("{\n  \"first\": 1,\n  \"second\": null\n}", "second"),
            (r#"{"first":1,"second":{"first":1}}"#, "second"),
            (r#"{"first" : [ 1 ], "second":""}"#, "first"),
            (r#"{"third":1 , "second":""}"#, "third"),
            (r#"{"second":"","third":1}"#, "third"),
        ] {
            assert!(words(text).starts_with(&format!("field `{name}`: ")), "{text}: {}", words(text));
        }
    }

    #[test]
    fn what_serde_names_itself_is_named_once() {
        assert!(words("{}").starts_with("missing field `second`"));
        assert!(words(r#"{"fourth":1}"#).starts_with("unknown field `fourth`"));
        assert!(words(r#"{"first":1,"first":1}"#).starts_with("duplicate field `first`"));
        assert!(words("[]").starts_with("invalid length"));
        assert!(words("1").starts_with("invalid type"));
        assert!(read::<Outer>(r#"{"pair":[1,2]}"#).unwrap_err().starts_with("field `pair`: not together"));
        assert!(read::<Pair>("[1,2]").unwrap_err().starts_with("not together"));
    }
}
