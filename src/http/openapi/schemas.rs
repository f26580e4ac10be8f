//! The shapes of parameters and bodies that are read rather than written, and the list of all that have a name.
//!
//! Invariant: the members of a body are those that `bodies.rs` knows; a test compares them.

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, ComponentsBuilder, Object, ObjectBuilder, SchemaType, Type,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, KnownFormat, Ref, RefOr, Required, Schema, SchemaFormat};

use crate::http::bodies::REASON_CHARACTERS;
use crate::http::dto::{
    CancelledDto, CancelledManyDto, CancelledTaskDto, CancellingDto, NotRunningDto, SignalDto, TaskDto,
    TaskPageDto,
};
use crate::http::problem::{Document, FieldError};
use crate::http::query::OWNER_CHARACTERS;
use crate::task::{TaskId, Timeout};

use super::words::{CauseWord, CleanupWord, StatusWord, StoppedByWord};

/// The name of the one security scheme.
pub(super) const BEARER: &str = "bearer";

const NAME: &str = "^[A-Za-z_][A-Za-z0-9_]{0,63}$";
const EVENT_NAME: &str = "^[a-z][a-z0-9_]{0,63}$";

/// All that has a name.
pub(super) fn components() -> Components {
    let components = ComponentsBuilder::new().security_scheme(BEARER, bearer());
    let components = named::<TaskDto<'_>>(components);
    let components = named::<CancelledDto<'_>>(components);
    let components = named::<CancellingDto<'_>>(components);
    let components = named::<NotRunningDto<'_>>(components);
    let components = named::<SignalDto<'_>>(components);
    let components = named::<TaskPageDto<'_>>(components);
    let components = named::<CancelledManyDto<'_>>(components);
    let components = named::<CancelledTaskDto<'_>>(components);
    let components = named::<Document<'_>>(components);
    let components = named::<FieldError>(components);
    let components = named::<StatusWord>(components);
    let components = named::<CauseWord>(components);
    let components = named::<StoppedByWord>(components);
    let components = named::<CleanupWord>(components);
    components
        .schema("StartBody", start_body())
        .schema("PatchBody", patch_body())
        .schema("CancelBody", cancel_body())
        .schema("CancelManyBody", cancel_many_body())
        .build()
}

fn named<T: ToSchema>(components: ComponentsBuilder) -> ComponentsBuilder {
    components.schema(T::name(), T::schema())
}

fn bearer() -> SecurityScheme {
    let description = "A static token or a JSON Web Token, as the server is set. In a host application, whatever its \
                       own user type is extracted from.";
    SecurityScheme::Http(
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build(),
    )
}

/// Stands for the schema of a type that has a name.
pub(super) fn reference<T: ToSchema>() -> RefOr<Schema> {
    of_name(&T::name())
}

pub(super) fn of_name(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

/// A text of no particular shape.
pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Any JSON at all.
pub(super) fn any() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build().into()
}

/// A segment of the path.
pub(super) fn segment(name: &str) -> Parameter {
    let (description, schema) = match name {
        "app" => ("The first part of the key.", text().pattern(Some(NAME)).examples([json!("tests")])),
        "model" => ("The second part of the key.", text().pattern(Some(NAME)).examples([json!("LongTask")])),
        "id" => ("The last part of the key.", whole_number(1).examples([json!(1)])),
        _ => ("The name of the signal.", text().pattern(Some(EVENT_NAME)).examples([json!("continue")])),
    };
    parameter(ParameterIn::Path, name, description, schema)
}

pub(super) fn header(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    parameter(ParameterIn::Header, name, description, schema)
}

pub(super) fn query(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    parameter(ParameterIn::Query, name, description, schema)
}

fn parameter(place: ParameterIn, name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// A whole number that JavaScript can hold.
pub(super) fn whole_number(minimum: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(minimum))
        .maximum(Some(TaskId::MAX))
}

fn seconds(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Number, Type::Null]))
        .exclusive_minimum(Some(0_i64))
        .maximum(Some(Timeout::MAX.as_secs_f64()))
        .description(Some(description))
}

/// An object that takes no member but those it lists.
fn closed() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

fn start_body() -> Object {
    let input = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
        .description(Some("The fields of the model. No text in it may hold U+0000."));
    closed()
        .property("input", input)
        .property("timeout_seconds", seconds("The total run time; null takes the default."))
        .property("idle_timeout_seconds", seconds("The longest time without a sign of life."))
        .examples([json!({"input": {"steps": 50, "step_ms": 200}, "timeout_seconds": 300})])
        .build()
}

fn patch_body() -> Object {
    closed()
        .property("timeout_seconds", seconds("Counted from `started_at`; null removes the timeout."))
        .required("timeout_seconds")
        .examples([json!({"timeout_seconds": 600})])
        .build()
}

/// A name of an app or a model.
pub(super) fn name() -> ObjectBuilder {
    text().pattern(Some(NAME))
}

/// Whose tasks are meant.
pub(super) fn owner() -> ObjectBuilder {
    text().min_length(Some(1)).max_length(Some(OWNER_CHARACTERS))
}

fn filter() -> ObjectBuilder {
    let or_null =
        |schema: ObjectBuilder| schema.schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    closed()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property("app", or_null(name()))
        .property("model", or_null(name()))
        .property("status", or_null(text()).description(Some("One of the five statuses.")))
        .property("owner", or_null(owner()))
}

fn cancel_many_body() -> Object {
    let switch = |description: &str| {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Boolean, Type::Null]))
            .description(Some(description))
    };
    closed()
        .property(
            "filter",
            filter().description(Some("Which tasks are meant; where it says nothing, `all` is needed.")),
        )
        .property("reason", reason())
        .property("dry_run", switch("Only says which tasks are meant."))
        .property("all", switch("That a filter which says nothing is meant."))
        .examples([json!({"filter": {"model": "LongTask"}, "reason": "maintenance", "dry_run": true})])
        .build()
}

fn cancel_body() -> Object {
    closed().property("reason", reason()).examples::<[Value; 1], _>([json!({"reason": "wrong file"})]).build()
}

fn reason() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .max_length(Some(REASON_CHARACTERS))
        .description(Some("Kept as given; any Unicode but U+0000. Null or empty counts as none."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::bodies;

    fn members(body: &Object) -> Vec<&str> {
        let mut members: Vec<&str> = body.properties.keys().map(String::as_str).collect();
        members.sort_unstable();
        members
    }

    fn sorted<const N: usize>(mut known: [&'static str; N]) -> Vec<&'static str> {
        known.sort_unstable();
        known.to_vec()
    }

    #[test]
    fn a_body_has_the_members_that_are_read() {
        assert_eq!(members(&start_body()), sorted(bodies::START));
        assert_eq!(members(&patch_body()), sorted(bodies::PATCH));
        assert_eq!(members(&cancel_body()), sorted(bodies::CANCEL));
        assert_eq!(members(&cancel_many_body()), sorted(bodies::CANCEL_MANY));
        assert_eq!(members(&filter().build()), sorted(bodies::FILTER));
    }
}
