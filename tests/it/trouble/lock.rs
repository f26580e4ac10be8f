//! Holds what a stranger's lock on the database does: whoever waits for it is told within a second or so.

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;

use super::SOON;
use super::served::Day;
use crate::server::Server;

#[tokio::test]
async fn i19_a_stranger_who_locks_the_database_holds_up_no_answer_and_loses_nothing() {
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        let server = Server::start().await;
        let day = Day::begin(&server).await;
        let database = server.home().database();
        let mut stranger = SqliteConnection::establish(database.to_str().expect("text")).expect("it opens");
        stranger.batch_execute(&format!("PRAGMA busy_timeout = 20000; {lock}")).expect("the lock");
        let longest = day.refuses(&server).await;
        assert!(longest < SOON, "{lock}: {longest:?}");
        stranger.batch_execute("ROLLBACK").expect("it lets go");
        day.heals(&server).await;
        drop(stranger);
        server.stop().await;
    }
}
