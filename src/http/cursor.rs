//! The cursor of a list: opaque to clients, and refused where it was not made here.
//!
//! A version, an id and a check, in hexadecimal. It is no secret and opens nothing: a list holds only what its reader
//! may see, wherever it begins.

use crate::task::TaskId;

/// The version of this form.
const VERSION: u64 = 1;

/// Hexadecimal digits: two of the version, fourteen of the id, two of the check.
const DIGITS: usize = 18;

pub(super) fn write(below: TaskId) -> String {
    let id = below.get().unsigned_abs();
    format!("{VERSION:02x}{id:014x}{:02x}", check(id))
}

pub(super) fn read(text: &str) -> Option<TaskId> {
    let is_ours = text.len() == DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let digits = |from, to| u64::from_str_radix(text.get(from..to)?, 16).ok();
    let (version, id, told) = (digits(0, 2)?, digits(2, 16)?, digits(16, DIGITS)?);
    let id = if is_ours && version == VERSION && told == check(id) {
        i64::try_from(id).ok()?
    } else {
        return None;
    };
    TaskId::new(id)
}

/// Tells a cursor from any other digits.
fn check(id: u64) -> u64 {
    id.to_be_bytes()
        .iter()
        .fold(0x5a, |sum: u64, byte| (sum.wrapping_mul(31).wrapping_add(u64::from(*byte))) & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for id in [1, 255, 256, 1_000_000_007, TaskId::MAX] {
            let id = TaskId::new(id).unwrap();
            assert_eq!(read(&write(id)), Some(id));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = write(TaskId::new(77).unwrap());
        for bad in
            ["", "1", "77", "x", "ü", &good[1..], &format!("{good}0"), &good.to_uppercase().replace('0', "O")]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        for place in 0..good.len() {
            let digit = if good.as_bytes()[place] == b'f' { "0" } else { "f" };
            let mut bad = good.clone();
            bad.replace_range(place..=place, digit);
            assert_eq!(read(&bad), None, "{bad}");
        }
        assert_eq!(read("010000000000000000"), None, "no id is zero");
    }
}
