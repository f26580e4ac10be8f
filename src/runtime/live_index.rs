//! Tasks that run here, findable from everywhere.

use std::sync::{Arc, PoisonError, RwLock};

use crate::task::{IdMap, TaskId};

use super::live::Live;

/// Tasks that run here, by id, in shards: the owner of a task is read here without asking anybody.
pub(crate) struct LiveIndex([RwLock<IdMap<Arc<Live>>>; 16]);

impl LiveIndex {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }

    fn shard(&self, id: TaskId) -> Option<&RwLock<IdMap<Arc<Live>>>> {
        self.0.get(usize::try_from(id.get() % 16).unwrap_or(0))
    }

    pub(crate) fn insert(&self, live: &Arc<Live>) {
        if let Some(shard) = self.shard(live.id) {
            shard.write().unwrap_or_else(PoisonError::into_inner).insert(live.id, Arc::clone(live));
        }
    }

    pub(crate) fn remove(&self, id: TaskId) {
        if let Some(shard) = self.shard(id) {
            shard.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
    }

    /// How many tasks run here.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<Arc<Live>> {
        self.shard(id)?.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}
