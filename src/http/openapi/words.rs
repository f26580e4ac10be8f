//! The fixed words of the wire as schemas, made from the very lists that are serialised.
//!
//! The plain data of layer 0 knows no documentation: a member of a DTO names one of these as its `value_type`.

use std::borrow::Cow;

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::task::{Cause, Cleanup, Status, StoppedBy};

/// Declares the schema of an enum of words.
macro_rules! words {
    ($($schema:ident = $name:literal, $description:literal, $all:expr;)+) => {
        $(
            #[doc = $description]
            pub(in crate::http) struct $schema;

            impl PartialSchema for $schema {
                fn schema() -> RefOr<Schema> {
                    one_of($description, $all.iter().map(|word| word.as_str())).into()
                }
            }

            impl ToSchema for $schema {
                fn name() -> Cow<'static, str> {
                    $name.into()
                }
            }
        )+
    };
}

words! {
    StatusWord = "Status", "What a task is doing, or how it ended: these five, no other.", Status::ALL;
    CauseWord = "CancelCause", "Who or what asked for a stop.", Cause::ALL;
    StoppedByWord = "StoppedBy", "How a body ended after a stop was asked.", StoppedBy::ALL;
    CleanupWord = "Cleanup", "How the cleanup of a model went.", Cleanup::ALL;
}

fn one_of(description: &str, words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words))
        .build()
}

/// The `status` of a receipt or of a signal's answer: the one word that it always has.
pub(in crate::http) const CANCELLED: &str = "cancelled";
pub(in crate::http) const CANCELLING: &str = "cancelling";
pub(in crate::http) const NOT_RUNNING: &str = "not_running";
pub(in crate::http) const ACCEPTED: &str = "accepted";

pub(in crate::http) fn cancelled() -> Object {
    fixed(CANCELLED)
}

pub(in crate::http) fn cancelling() -> Object {
    fixed(CANCELLING)
}

pub(in crate::http) fn not_running() -> Object {
    fixed(NOT_RUNNING)
}

pub(in crate::http) fn accepted() -> Object {
    fixed(ACCEPTED)
}

fn fixed(word: &'static str) -> Object {
    one_of("Always this word.", std::iter::once(word))
}
