//! Maps and sets by the id of a task.
//!
//! Ids are numbers that the database gives out, one after the other: nobody chooses them in order to make them meet
//! in a map, so the hash is a multiplication and not the keyed one of the standard library.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::TaskId;

/// A map by id. What is looked for in it may come from outside, what is put in may not.
pub(crate) type IdMap<V> = HashMap<TaskId, V, BuildHasherDefault<IdHasher>>;

/// A set of ids.
pub(crate) type IdSet = HashSet<TaskId, BuildHasherDefault<IdHasher>>;

/// Spreads numbers that lie close together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct IdHasher(u64);

/// 2^64 by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(SPREAD);
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }

    fn finish(&self) -> u64 {
        // The product is spread best at its top, and a map looks at both ends.
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn ids_in_a_row_and_every_sixteenth_one_are_spread_over_a_map() {
        let hash = |number| BuildHasherDefault::<IdHasher>::new().hash_one(TaskId::new(number).unwrap());
        for step in [1, 16, 1_000] {
            // As a map of 4,096 places sees them: where they lie, and the seven bits that it compares.
            let places: HashSet<u64> = (1..=1_024).map(|n| hash(n * step) % 4_096).collect();
            let tags: HashSet<u64> = (1..=1_024).map(|n| hash(n * step) >> 57).collect();
            assert!(places.len() > 800, "step {step}: {} places", places.len());
            assert_eq!(tags.len(), 128, "step {step}");
        }
    }
}
