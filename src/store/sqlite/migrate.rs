//! The schema: which migrations this program knows, and bringing a database up to them.
//!
//! Invariant: a database that was migrated by a newer program is never touched. It does not migrate down.

use diesel::SqliteConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connect::{number, texts};

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// A migration that the database has and this program does not know.
pub(super) fn unknown_migration(db: &mut SqliteConnection) -> Result<Option<String>, String> {
    let table = "SELECT count(*) AS value FROM sqlite_schema WHERE name = '__diesel_schema_migrations'";
    if number(db, table)? == 0 {
        // It was made, but its maker died before the first migration.
        return Ok(None);
    }
    let migrations = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).map_err(|error| error.to_string())?;
    let known: Vec<String> =
        migrations.iter().map(|migration| migration.name().version().to_string()).collect();
    let had = texts(db, "SELECT version AS value FROM __diesel_schema_migrations ORDER BY version DESC")?;
    Ok(had.into_iter().find(|version| !known.contains(version)))
}

/// Runs what is missing, each migration in a transaction of its own.
pub(super) fn migrate(db: &mut SqliteConnection) -> Result<(), String> {
    db.run_pending_migrations(MIGRATIONS).map(|_| ()).map_err(|error| error.to_string())
}
