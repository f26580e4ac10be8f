//! Owns the shop's own database: the table that is imported into, and every statement on it.
//!
//! It is the application's, apart from quell's own file.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

diesel::table! {
    orders (import_id, number) {
        import_id -> BigInt,
        number -> BigInt,
        customer -> Text,
        amount_cents -> BigInt,
    }
}

/// One line of the file.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Order {
    pub(crate) number: i64,
    pub(crate) customer: String,
    pub(crate) amount_cents: i64,
}

/// The shop's database.
pub(crate) struct Shop(PathBuf);

impl Shop {
    /// Makes the file and its table where they are missing.
    pub(crate) fn open(path: &Path) -> Result<Self, crate::Failed> {
        let shop = Self(path.to_owned());
        shop.connect()?.batch_execute(
            "CREATE TABLE IF NOT EXISTS orders (
                import_id INTEGER NOT NULL, number INTEGER NOT NULL,
                customer TEXT NOT NULL, amount_cents INTEGER NOT NULL,
                PRIMARY KEY (import_id, number)
            ) WITHOUT ROWID",
        )?;
        Ok(shop)
    }

    /// A connection of its own for whoever works with it.
    pub(crate) fn connect(&self) -> ConnectionResult<SqliteConnection> {
        let mut connection = SqliteConnection::establish(&self.0.display().to_string())?;
        connection
            .batch_execute("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000")
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> Result<i64, crate::Failed> {
        Ok(orders::table.count().get_result(&mut self.connect()?)?)
    }
}

/// Adds a chunk in one transaction: all of it or nothing.
pub(crate) fn insert(connection: &mut SqliteConnection, import_id: i64, chunk: &[Order]) -> QueryResult<()> {
    connection.immediate_transaction(|connection| {
        for order in chunk {
            diesel::insert_into(orders::table)
                .values((
                    orders::import_id.eq(import_id),
                    orders::number.eq(order.number),
                    orders::customer.eq(&order.customer),
                    orders::amount_cents.eq(order.amount_cents),
                ))
                .execute(connection)?;
        }
        Ok(())
    })
}

/// Takes back whatever an import has added.
pub(crate) fn delete(connection: &mut SqliteConnection, import_id: i64) -> QueryResult<usize> {
    diesel::delete(orders::table.filter(orders::import_id.eq(import_id))).execute(connection)
}
