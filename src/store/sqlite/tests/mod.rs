//! What is true of SQLite alone: the file, its errors, its schema. The rest is in `conformance`.

mod damage;
mod open;
mod schema;
mod upgrade;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::store::conformance::{Harness, KEEP};
use crate::store::{Faults, Reader, Store};

pub(in crate::store) struct SqliteHarness {
    store: SqliteWriter,
    faults: Faults,
    reader: SqliteReader,
    database: SqliteDatabase,
    folder: TempDir,
}

const OPTIONS: SqliteOptions = SqliteOptions { synchronous: Synchronous::Full, keep_events: KEEP };

fn open(path: &Path) -> Result<SqliteDatabase, OpenError> {
    SqliteDatabase::open(path, OPTIONS)
}

impl SqliteHarness {
    fn at(folder: TempDir) -> Self {
        let database = open(&folder.path().join("quell.db")).unwrap();
        let faults = Faults::default();
        let store = database.writer_with(faults.clone()).unwrap();
        Self { store, faults, reader: database.reader().unwrap(), database, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("quell.db")
    }
}

impl Harness for SqliteHarness {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn store(&mut self) -> &mut dyn Store {
        &mut self.store
    }

    fn reader(&mut self) -> &mut dyn Reader {
        &mut self.reader
    }

    fn faults(&self) -> Faults {
        self.faults.clone()
    }

    fn reopen(self) -> Self {
        let Self { store, reader, database, folder, .. } = self;
        drop((store, reader, database));
        Self::at(folder)
    }

    fn run_sql(&mut self, sql: &str) -> Result<(), String> {
        connect::run(&mut connect::plain(&self.path())?, sql)
    }
}
