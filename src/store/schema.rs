//! The tables, as diesel knows them.
//!
//! Kept by hand, so that it stays the same whichever database is migrated: a test holds every table, column and
//! nullability to the migrated one. It knows no constraint, index or trigger: those are in `migrations`.

diesel::table! {
    tasks (id) {
        id -> BigInt,
        app -> Text,
        model -> Text,
        status -> Text,
        owner -> Text,
        timeout_seconds -> Nullable<Double>,
        idle_timeout_seconds -> Nullable<Double>,
        created_at -> BigInt,
        updated_at -> BigInt,
        started_at -> Nullable<BigInt>,
        completed_at -> Nullable<BigInt>,
        error_type -> Nullable<Text>,
        error_message -> Nullable<Text>,
        cancel_requested_at -> Nullable<BigInt>,
        cancelled_at -> Nullable<BigInt>,
        cancellation_reason -> Nullable<Text>,
        cancel_cause -> Nullable<Text>,
        cancelled_by -> Nullable<Text>,
        stopped_by -> Nullable<Text>,
        cleanup -> Nullable<Text>,
        attempt -> BigInt,
        node -> Nullable<Text>,
        epoch -> BigInt,
        queued -> Bool,
    }
}

diesel::table! {
    task_data (task_id, kind) {
        task_id -> BigInt,
        kind -> Text,
        data -> Text,
    }
}

diesel::table! {
    task_events (task_id, seq) {
        task_id -> BigInt,
        seq -> BigInt,
        at -> BigInt,
        kind -> Text,
        data -> Text,
    }
}

diesel::table! {
    signals (id) {
        id -> BigInt,
        task_id -> BigInt,
        name -> Text,
        data -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    idempotency_keys (owner, key) {
        owner -> Text,
        key -> Text,
        digest -> Binary,
        created_at -> BigInt,
        task_id -> Nullable<BigInt>,
        status -> Nullable<BigInt>,
        body -> Nullable<Text>,
    }
}

diesel::table! {
    id_blocks (id) {
        id -> BigInt,
        next_id -> BigInt,
    }
}

diesel::table! {
    nodes (id) {
        id -> BigInt,
        name -> Text,
        version -> Text,
        process -> BigInt,
        started_at -> BigInt,
    }
}

diesel::table! {
    audit (id) {
        id -> BigInt,
        at -> BigInt,
        principal -> Nullable<Text>,
        action -> Text,
        app -> Nullable<Text>,
        model -> Nullable<Text>,
        task_id -> Nullable<BigInt>,
        address -> Nullable<Text>,
        result -> Text,
    }
}
