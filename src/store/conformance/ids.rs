//! Chapter: ids are reserved in blocks.

use super::*;

fn reserve<H: Harness>(db: &mut H, count: u32) -> i64 {
    let Answer::Ids(first) = db.one(Write::ReserveIds { count }) else { panic!() };
    first
}

pub(super) fn blocks_never_overlap<H: Harness>(mut db: H) {
    assert_eq!(reserve(&mut db, 1_000), 1);
    assert_eq!(reserve(&mut db, 1), 1_001);
    let answers = db.commit(&[Write::ReserveIds { count: 5 }, Write::ReserveIds { count: 5 }]).answers;
    assert_eq!(answers, [Answer::Ids(1_002), Answer::Ids(1_007)]);
}

pub(super) fn i02_ids_are_never_reused_after_a_restart<H: Harness>(mut db: H) {
    assert_eq!(reserve(&mut db, 1_000), 1);
    let mut db = db.reopen();
    assert_eq!(reserve(&mut db, 1_000), 1_001);
    let mut db = db.reopen();
    assert_eq!(reserve(&mut db, 1), 2_001);
}

pub(super) fn a_failed_group_reserves_nothing_for_good<H: Harness>(mut db: H) {
    db.commit(&[create_running(1)]);
    assert!(db.store().commit(&[Write::ReserveIds { count: 5 }, create_running(1)]).is_err());
    assert_eq!(reserve(&mut db, 1), 1);
}
