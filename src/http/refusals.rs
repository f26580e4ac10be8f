//! The one mapping from the runtime's errors to problems.
//!
//! Invariant: every variant has an arm of its own, so that a new error must choose its status here. What the
//! database said is logged and not shown.

use crate::store::StoreError;
use crate::task::Timeout;
use crate::{CommandError, Refusal, StartError};

use super::problem::{Problem, shown};

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::UnknownModel { app, model } => Self::unknown_model(&app, &model),
            StartError::InvalidInput { model: _, reason } => {
                Self::invalid_input(&input_field(&reason), reason)
            }
            StartError::TimeoutTooLong { given: _, most } => too_long("timeout_seconds", most),
            StartError::IdleTimeoutTooLong { given: _, most } => too_long("idle_timeout_seconds", most),
            StartError::TooManyOfOwner(count) => Self::too_many_tasks(count),
            StartError::TooManyPending(count) => too_many(count),
            StartError::KeyTaken => Self::key_in_use(),
            StartError::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotFound(key) => Self::task_not_found(&key),
            CommandError::Ended(record) => Self::already_ended(&record.key, record.status.as_str()),
            CommandError::SignalName(_) => signal_name(),
            CommandError::CannotRun { key: _, reason } => Self::invalid_input(&input_field(&reason), reason),
            CommandError::TimeoutTooLong { given: _, most } => too_long("timeout_seconds", most),
            CommandError::TooManySignals(count) => Self::too_many_pending(format!(
                "{count} signals wait for this task already: try again when it has taken some"
            )),
            CommandError::TooManyPending(count) => too_many(count),
            CommandError::KeyTaken => Self::key_in_use(),
            CommandError::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::ShuttingDown | Refusal::Stopped => Self::shutting_down(),
            Refusal::Busy => Self::too_many_pending("too many commands wait: try again in a second"),
            Refusal::Unavailable(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Damaged(_) => {
                tracing::warn!(%error, "a request met a database that does not answer");
                Self::database_unavailable()
            }
            StoreError::OutcomeUnknown(_) => {
                tracing::warn!(%error, "a request met a database that lost its answer");
                Self::outcome_unknown()
            }
            // Trying again cannot help: saying "away" would be untrue.
            StoreError::Refused(_) | StoreError::BadRow { .. } => {
                tracing::error!(%error, "a request met a defect");
                Self::internal()
            }
        }
    }
}

/// The name of a signal is malformed.
pub(super) fn signal_name() -> Problem {
    Problem::invalid_path("name", "of a signal must match [a-z][a-z0-9_]{0,63}")
}

fn too_long(field: &str, most: Timeout) -> Problem {
    Problem::invalid_field(field, format!("is too long: at most {most} seconds are allowed here"))
}

fn too_many(count: usize) -> Problem {
    Problem::too_many_pending(format!("{count} tasks wait already: try again when some have run"))
}

/// The field that serde's sentence names: `input.steps` for "missing field `steps`", else the input as a whole.
fn input_field(reason: &str) -> String {
    let name = reason.split_once("field `").and_then(|(_, rest)| rest.split_once('`')).map(|(name, _)| name);
    name.map_or_else(|| "input".to_owned(), |name| format!("input.{}", shown(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;

    fn told(problem: impl Into<Problem>) -> (&'static str, u16) {
        let problem = problem.into();
        (problem.name(), problem.status_code().as_u16())
    }

    #[test]
    fn starts_are_refused_with_the_status_of_the_table() {
        let unknown = StartError::UnknownModel { app: "a".into(), model: "B".into() };
        assert_eq!(told(unknown), ("unknown-model", 404));
        assert_eq!(told(StartError::TooManyPending(7)), ("too-many-pending", 503));
        assert_eq!(told(StartError::TooManyOfOwner(7)), ("too-many-tasks", 429));
        assert_eq!(told(StartError::Refused(Refusal::ShuttingDown)), ("shutting-down", 503));
        let input = StartError::InvalidInput { model: "B".into(), reason: "missing field `steps`".into() };
        assert_eq!(told(input), ("invalid-input", 422));
    }

    #[test]
    fn commands_are_refused_with_the_status_of_the_table() {
        let key: crate::task::TaskKey = "tests/LongTask/1".parse().unwrap();
        assert_eq!(told(CommandError::NotFound(key.clone())), ("task-not-found", 404));
        assert_eq!(told(CommandError::SignalName("X".into())), ("invalid-path", 400));
        assert_eq!(told(CommandError::TooManySignals(1000)), ("too-many-pending", 503));
        let ended = CommandError::Ended(Box::new(super::super::dto::tests::record()));
        assert_eq!(told(ended), ("already-ended", 409));
        let cannot = CommandError::CannotRun { key, reason: "x".into() };
        assert_eq!(told(cannot), ("invalid-input", 422));
    }

    #[test]
    fn a_timeout_that_is_too_long_names_its_field_and_the_maximum() {
        let (given, most) = (Timeout::from_seconds(9.0).unwrap(), Timeout::from_seconds(2.5).unwrap());
        let table: [(Problem, &str); 3] = [
            (StartError::TimeoutTooLong { given, most }.into(), "timeout_seconds"),
            (StartError::IdleTimeoutTooLong { given, most }.into(), "idle_timeout_seconds"),
            (CommandError::TimeoutTooLong { given, most }.into(), "timeout_seconds"),
        ];
        for (problem, field) in table {
            assert_eq!(told(problem.clone()), ("invalid-body", 400));
            assert_eq!(problem.errors()[0].field, field);
            assert!(problem.errors()[0].detail.contains("2.5 seconds"), "{problem}");
        }
    }

    #[test]
    fn what_the_database_said_is_not_shown() {
        let problem = Problem::from(StoreError::Unavailable("/secret/path.db: disk full".into()));
        assert_eq!(told(problem.clone()), ("database-unavailable", 503));
        assert!(!problem.to_string().contains("secret"));
        let unknown =
            Problem::from(Refusal::Unavailable(StoreError::OutcomeUnknown("/secret/path.db".into())));
        assert_eq!(told(unknown.clone()), ("outcome-unknown", 503));
        assert!(!unknown.to_string().contains("secret"));
        assert_eq!(told(StoreError::BadRow { id: 1, reason: "x".into() }), ("internal-error", 500));
    }

    #[test]
    fn an_input_error_names_the_field_it_is_about() {
        let name = |reason: &str| {
            Problem::from(StartError::InvalidInput { model: "B".into(), reason: reason.into() }).errors()[0]
                .field
                .clone()
        };
        assert_eq!(name("unknown field `stepz`, expected `steps`"), "input.stepz");
        assert_eq!(name("invalid type: string, expected u32"), "input");
    }
}
