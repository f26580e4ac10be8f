//! What is refused when a database is opened, and that it is left as it was.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::store::conformance::Harness;
use crate::store::{Answer, Write};
use crate::task::TaskId;

/// Every file below a folder, with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// Opens a database that must be refused; nothing in its folder may change.
fn refused(path: &Path) -> OpenError {
    let folder = path.parent().unwrap();
    let before = contents(folder);
    let error = open(path).unwrap_err();
    let after = contents(folder);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{error}");
    assert!(before == after, "bytes changed: {error}");
    error
}

/// A closed database with a few hundred rows, alone in its folder.
fn filled() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    let database = open(&path).unwrap();
    let mut writer = database.writer().unwrap();
    writer.commit(&[Write::ReserveIds { count: 9 }]).unwrap();
    drop((writer, database));
    let rows = "INSERT INTO audit (at, action, result) WITH RECURSIVE n(i) AS
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, 'start a task of some model', 'ok' FROM n";
    let mut db = connect::plain(&path).unwrap();
    connect::run(&mut db, rows).unwrap();
    drop(db);
    fs::remove_file(file::beside(&path, ".lock")).unwrap();
    assert_eq!(contents(folder.path()).len(), 1);
    (folder, path)
}

#[test]
fn urls_name_a_file() {
    assert_eq!(parse_url("sqlite://quell.db").unwrap(), Path::new("quell.db"));
    assert_eq!(parse_url("sqlite:///var/lib/quell.db").unwrap(), Path::new("/var/lib/quell.db"));
    for bad in [
        "",
        "quell.db",
        "sqlite:quell.db",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://q.db?mode=rwc",
        "sqlite:///x/",
    ] {
        assert!(matches!(parse_url(bad), Err(OpenError::Url(_))), "{bad:?}");
    }
    let said = parse_url("postgres://me:secret@db/quell").unwrap_err().to_string();
    assert!(said.contains("postgres://") && !said.contains("secret"), "{said}");
}

#[test]
fn a_new_database_is_made_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["quell.db", "a b?c#d%20.db", "ä'.db"] {
        let path = folder.path().join(name);
        let first = open(&path).unwrap();
        assert_eq!((first.node(), &*first.node_name()), (1, "n1"));
        drop(first);
        assert_eq!(open(&path).unwrap().node(), 2, "{name}");
        assert!(path.is_file());
    }
}

#[test]
fn an_empty_file_counts_as_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    fs::write(&path, "").unwrap();
    assert_eq!(open(&path).unwrap().node(), 1);
}

#[test]
fn i26_a_second_open_is_refused_while_anything_of_the_first_lives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    let link = folder.path().join("other.db");
    let database = open(&path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let in_use = |path: &Path| assert!(matches!(open(path), Err(OpenError::InUse(_))));
    in_use(&path);
    in_use(&link);
    let (copy, writer) = (database.clone(), database.writer().unwrap());
    let reader = copy.reader().unwrap();
    drop(database);
    in_use(&path);
    drop(copy);
    in_use(&path);
    drop(writer);
    in_use(&path);
    drop(reader);
    assert_eq!(open(&link).unwrap().node(), 2);
}

#[test]
fn i26_a_refused_open_does_not_disturb_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    let database = open(&path).unwrap();
    let mut writer = database.writer().unwrap();
    for first in 1..=3 {
        assert!(open(&path).is_err());
        assert_eq!(writer.commit(&[Write::ReserveIds { count: 1 }]).unwrap().answers, [Answer::Ids(first)]);
    }
}

#[test]
fn i27_a_path_that_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(&folder.path().join("none/quell.db")), Err(OpenError::NoFolder(_))));
    assert_eq!(contents(folder.path()).len(), 0);
    let inner = folder.path().join("folder.db");
    fs::create_dir(&inner).unwrap();
    assert!(matches!(refused(&inner), OpenError::Failed { .. }));
    let dangling = folder.path().join("dangling.db");
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    assert!(matches!(open(&dangling), Err(OpenError::Failed { .. })));
}

#[test]
fn i27_a_file_with_two_names_is_refused() {
    let (folder, path) = filled();
    let other = folder.path().join("other.db");
    fs::hard_link(&path, &other).unwrap();
    assert!(matches!(refused(&other), OpenError::Failed { .. }));
}

#[test]
fn i27_a_read_only_file_or_folder_is_refused() {
    let (folder, path) = filled();
    let set = |path: &Path, readonly| {
        let mut bits = fs::metadata(path).unwrap().permissions();
        bits.set_readonly(readonly);
        fs::set_permissions(path, bits).unwrap();
    };
    set(&path, true);
    assert!(matches!(refused(&path), OpenError::ReadOnly { .. }));
    set(&path, false);
    set(folder.path(), true);
    assert!(matches!(refused(&path), OpenError::ReadOnly { .. }));
    assert!(matches!(refused(&folder.path().join("new.db")), OpenError::ReadOnly { .. }));
    set(folder.path(), false);
    assert_eq!(open(&path).unwrap().node(), 2);
}

#[test]
fn i27_bytes_that_are_no_database_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    let mut random = Vec::new();
    let mut state = 1_u32;
    while random.len() < 10_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.extend(state.to_le_bytes());
    }
    for bytes in [b"x".as_slice(), b"SQLite format 3\0".as_slice(), &random] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(refused(&path), OpenError::Corrupt { .. }));
    }
}

#[test]
fn i27_a_database_that_is_cut_short_is_refused() {
    let (_folder, path) = filled();
    let whole = fs::read(&path).unwrap();
    for length in [50, 100, 4_096, 4_097, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(refused(&path), OpenError::Corrupt { .. }), "{length}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(&path).unwrap().node(), 2);
}

#[test]
fn i27_a_database_with_a_broken_page_is_refused() {
    let (_folder, path) = filled();
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4_096;
    assert!(pages > 15);
    for page in [1, pages / 2, pages - 1] {
        let mut broken = whole.clone();
        broken[page * 4_096..][..2_000].fill(0xA5);
        fs::write(&path, &broken).unwrap();
        assert!(matches!(refused(&path), OpenError::Corrupt { .. }), "page {page}");
    }
}

#[test]
fn i27_a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, mark) in [("plain.db", 0), ("marked.db", 7)] {
        let path = folder.path().join(name);
        let mut db = connect::plain(&path).unwrap();
        connect::run(&mut db, &format!("PRAGMA application_id = {mark}; CREATE TABLE tasks (id INTEGER)"))
            .unwrap();
        drop(db);
        assert!(matches!(refused(&path), OpenError::Foreign(_)));
    }
}

#[test]
fn i27_a_newer_schema_is_refused() {
    let (_folder, path) = filled();
    let mut db = connect::plain(&path).unwrap();
    connect::run(&mut db, "INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000001')")
        .unwrap();
    drop(db);
    match refused(&path) {
        OpenError::NewerSchema { found, .. } => assert_eq!(found, "20990101000001"),
        other => panic!("{other}"),
    }
}

#[test]
fn i27_a_lost_file_whose_log_is_left_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    fs::write(file::beside(&path, "-wal"), "commits").unwrap();
    assert!(matches!(refused(&path), OpenError::Corrupt { .. }));
    fs::write(&path, "").unwrap();
    assert!(matches!(refused(&path), OpenError::Corrupt { .. }));
}

/// A copy of an open database, as `kill -9` leaves it: its last commits are in the log only.
fn killed() -> (tempfile::TempDir, PathBuf) {
    let mut first = SqliteHarness::new();
    for _ in 0..5 {
        first.store().commit(&[Write::ReserveIds { count: 10 }]).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    for suffix in ["", "-wal"] {
        fs::copy(file::beside(&first.path(), suffix), file::beside(&path, suffix)).unwrap();
    }
    assert!(contents(folder.path()).values().all(|bytes| !bytes.is_empty()));
    (folder, path)
}

#[test]
fn i02_what_a_killed_process_committed_is_there() {
    let (_folder, path) = killed();
    let database = open(&path).unwrap();
    assert_eq!(database.node(), 2);
    let answers = database.writer().unwrap().commit(&[Write::ReserveIds { count: 1 }]).unwrap().answers;
    assert_eq!(answers, [Answer::Ids(51)]);
    assert_eq!(database.reader().unwrap().task(TaskId::new(1).unwrap()).unwrap(), None);
}

#[test]
fn i27_a_newer_schema_in_the_log_is_refused_with_the_log_unchanged() {
    let mut first = SqliteHarness::new();
    first.run_sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000001')").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    for suffix in ["", "-wal"] {
        fs::copy(file::beside(&first.path(), suffix), file::beside(&path, suffix)).unwrap();
    }
    assert!(matches!(refused(&path), OpenError::NewerSchema { .. }));
}

#[test]
fn a_torn_end_of_the_log_is_forgotten() {
    let (_folder, path) = killed();
    let log = file::beside(&path, "-wal");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 100]).unwrap();
    let answers =
        open(&path).unwrap().writer().unwrap().commit(&[Write::ReserveIds { count: 1 }]).unwrap().answers;
    assert_eq!(answers, [Answer::Ids(41)]);
}

#[test]
fn an_interrupted_making_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quell.db");
    let mut db = connect::plain(&path).unwrap();
    connect::run(&mut db, &format!("PRAGMA application_id = {APPLICATION_ID}")).unwrap();
    drop(db);
    assert_eq!(open(&path).unwrap().node(), 1);
}

#[test]
fn i27_a_library_that_can_lose_commits_is_refused() {
    for (version, safe) in [
        ("3.51.3", true),
        ("3.51.2", false),
        ("3.52.0", true),
        ("4.0.0", true),
        ("3.7.17", false),
        ("3.40", false),
        ("", false),
    ] {
        assert_eq!(is_safe(version), safe, "{version}");
    }
    check_library().unwrap();
}

#[test]
fn each_mode_is_set_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    for (synchronous, code) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
        let mut db = connect::writing(&folder.path().join("x.db"), synchronous).unwrap();
        assert_eq!(
            connect::number(&mut db, "SELECT synchronous AS value FROM pragma_synchronous").unwrap(),
            code
        );
        let pages =
            connect::number(&mut db, "SELECT wal_autocheckpoint AS value FROM pragma_wal_autocheckpoint");
        assert_eq!(pages.unwrap_or(4_000), 4_000);
    }
}
