//! The table of the API: each thing that can be asked for, its method and path, and what it needs.
//!
//! Invariant: this is the one list. Routes, `Allow`, permission checks, the audit log and the OpenAPI document are
//! read from it, so none of them can know a route that the others do not.

use super::path;

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Start,
    List,
    Show,
    Patch,
    Signal,
    Cancel,
    CancelMany,
    Stream,
    Metrics,
    Health,
    Live,
    Ready,
    OpenApi,
    Index,
}

/// What the caller must be allowed, to be given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Needs {
    /// Nothing, not even credentials.
    Nothing,
    /// To be known: of the tasks that are found, only those count that the caller may see.
    ToViewEach,
    /// To be known: of the tasks that are found, only those count that the caller may cancel.
    ToCancelEach,
    /// To start tasks of the model.
    ToStart,
    /// To see the task.
    ToView,
    /// To see everybody's tasks.
    ToViewAny,
    /// To cancel the task, which also means to patch and signal it.
    ToCancel,
}

impl Action {
    /// All of them, in the order in which they are documented.
    pub(super) const ALL: [Self; 14] = [
        Self::Start,
        Self::List,
        Self::Show,
        Self::Patch,
        Self::Signal,
        Self::Cancel,
        Self::CancelMany,
        Self::Stream,
        Self::Metrics,
        Self::Health,
        Self::Live,
        Self::Ready,
        Self::OpenApi,
        Self::Index,
    ];

    /// Its word in the audit log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::List => "list",
            Self::Show => "show",
            Self::Patch => "patch",
            Self::Signal => "signal",
            Self::Cancel => "cancel",
            Self::CancelMany => "cancel_many",
            Self::Stream => "stream",
            Self::Metrics => "metrics",
            Self::Health => "health",
            Self::Live => "livez",
            Self::Ready => "readyz",
            Self::OpenApi => "openapi",
            Self::Index => "index",
        }
    }

    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Start | Self::Signal | Self::Cancel | Self::CancelMany => "POST",
            Self::Patch => "PATCH",
            Self::List
            | Self::Show
            | Self::Stream
            | Self::Metrics
            | Self::Health
            | Self::Live
            | Self::Ready
            | Self::OpenApi
            | Self::Index => "GET",
        }
    }

    /// Its pattern for the router.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Start => path::MODEL,
            Self::List => path::TASKS,
            Self::Show | Self::Patch => path::TASK,
            Self::Signal => path::SIGNAL,
            Self::Cancel => path::CANCEL,
            Self::CancelMany => path::CANCEL_MANY,
            Self::Stream => path::STREAM,
            Self::Metrics => "/metrics",
            Self::Health => "/health",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::OpenApi => "/openapi.json",
            Self::Index => "/",
        }
    }

    /// The same as people read it: `/tasks/{app}/{model}`.
    pub(super) fn route(self) -> String {
        self.path().replace("quell_", "")
    }

    pub(super) fn needs(self) -> Needs {
        match self {
            Self::Start => Needs::ToStart,
            Self::List => Needs::ToViewEach,
            Self::CancelMany => Needs::ToCancelEach,
            Self::Show | Self::Stream => Needs::ToView,
            Self::Metrics => Needs::ToViewAny,
            Self::Patch | Self::Signal | Self::Cancel => Needs::ToCancel,
            Self::Health | Self::Live | Self::Ready | Self::OpenApi | Self::Index => Needs::Nothing,
        }
    }

    /// Whether it may change something: then it is audited also where it was accepted.
    pub(super) fn is_write(self) -> bool {
        self.method() != "GET"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_action_has_a_method_on_a_path_of_its_own_and_a_word() {
        let places: HashSet<_> = Action::ALL.map(|a| (a.method(), a.path())).into();
        let words: HashSet<_> = Action::ALL.map(Action::as_str).into();
        assert_eq!((places.len(), words.len()), (Action::ALL.len(), Action::ALL.len()));
    }

    #[test]
    fn whatever_changes_something_needs_somebody() {
        for action in Action::ALL.into_iter().filter(|action| action.is_write()) {
            assert_ne!(action.needs(), Needs::Nothing, "{action:?}");
        }
    }
}
