//! A principal that is a name and permissions, whichever way it became known.

use std::sync::Arc;

use super::{Scope, TaskRef, TokenPermissions};

/// Who, and what they may do with other people's tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) permissions: TokenPermissions,
}

impl Known {
    pub(super) fn may_view(&self, task: &TaskRef<'_>) -> bool {
        self.permissions.view_any_task || *task.owner == *self.name
    }

    pub(super) fn may_cancel(&self, task: &TaskRef<'_>) -> bool {
        self.permissions.cancel_any_task || *task.owner == *self.name
    }

    pub(super) fn view_scope(&self) -> Scope {
        if self.permissions.view_any_task { Scope::Any } else { Scope::Own }
    }

    pub(super) fn cancel_scope(&self) -> Scope {
        if self.permissions.cancel_any_task { Scope::Any } else { Scope::Own }
    }
}

/// Makes a [`Principal`](super::Principal) out of a struct around [`Known`].
macro_rules! principal {
    ($user:ty) => {
        impl $crate::http::Principal for $user {
            fn name(&self) -> std::sync::Arc<str> {
                self.0.name.clone()
            }

            fn may_view(&self, task: &$crate::http::TaskRef<'_>) -> bool {
                self.0.may_view(task)
            }

            fn may_cancel(&self, task: &$crate::http::TaskRef<'_>) -> bool {
                self.0.may_cancel(task)
            }

            fn view_scope(&self) -> $crate::http::Scope {
                self.0.view_scope()
            }

            fn cancel_scope(&self) -> $crate::http::Scope {
                self.0.cancel_scope()
            }
        }
    };
}

pub(super) use principal;
