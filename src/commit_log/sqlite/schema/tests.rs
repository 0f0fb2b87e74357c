use tempfile::TempDir;

use super::*;

/// A database that some program has written.
fn database(sql: &str) -> (TempDir, Connection) {
    let directory = tempfile::tempdir().unwrap();
    let connection = Connection::open(directory.path().join("room.db")).unwrap();
    connection.execute_batch(sql).unwrap();
    (directory, connection)
}

fn name() -> Name {
    Name::new("room.db")
}

fn number(connection: &Connection, sql: &str) -> i32 {
    connection.query_row(sql, (), |row| row.get(0)).unwrap()
}

#[test]
fn a_store_of_an_earlier_version_is_brought_to_this_one_with_what_is_in_it() {
    let (_directory, connection) = database("");
    migrate(&connection, &name(), &MIGRATIONS).unwrap();
    connection.execute_batch("INSERT INTO entry VALUES (1, 2, 'say', NULL, 0, 'hello', x'', 7)").unwrap();
    let next = [MIGRATIONS[0], "CREATE TABLE moods (mood);", "INSERT INTO moods SELECT text FROM entry;"];
    for _ in 0..2 {
        migrate(&connection, &name(), &next).unwrap();
    }
    assert_eq!(number(&connection, "PRAGMA user_version"), 3);
    assert_eq!(number(&connection, "SELECT count(*) FROM moods WHERE mood = 'hello'"), 1);
}

#[test]
fn a_migration_that_fails_leaves_the_store_as_it_was() {
    let (directory, connection) = database("");
    migrate(&connection, &name(), &MIGRATIONS).unwrap();
    let broken = [MIGRATIONS[0], "CREATE TABLE moods (mood); SELECT nonsense;"];
    assert!(migrate(&connection, &name(), &broken).is_err());
    drop(connection);
    let connection = open(&directory.path().join("room.db"), &name()).unwrap();
    assert_eq!(number(&connection, "PRAGMA user_version"), 1);
    assert_eq!(number(&connection, "SELECT count(*) FROM sqlite_schema WHERE name = 'moods'"), 0);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let (_directory, connection) = database("");
    migrate(&connection, &name(), &MIGRATIONS).unwrap();
    for version in [2, 1_000, -1] {
        connection.pragma_update(None, "user_version", version).unwrap();
        let error = migrate(&connection, &name(), &MIGRATIONS).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot open the store room.db: it was written by a newer chat-server; use that one, or give another file \
             to begin with an empty room"
        );
        assert_eq!(number(&connection, "PRAGMA user_version"), version);
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    for sql in [
        "CREATE TABLE bookmarks (url)",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 252006",
        "CREATE TABLE bookmarks (url); PRAGMA user_version = 1",
    ] {
        let (directory, connection) = database(sql);
        drop(connection);
        let path = directory.path().join("room.db");
        let before = std::fs::read(&path).unwrap();
        let error = open(&path, &name()).unwrap_err();
        assert_eq!(error.to_string(), "cannot open the store room.db: it is a database of another program");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn what_is_written_is_synced_with_every_transaction_and_copied_by_the_writer_alone() {
    let (directory, connection) = database("");
    drop(connection);
    let connection = open(&directory.path().join("room.db"), &name()).unwrap();
    let text = |sql| connection.query_row(sql, (), |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA journal_mode"), "wal");
    assert_eq!(number(&connection, "PRAGMA synchronous"), 2);
    assert_eq!(number(&connection, "PRAGMA wal_autocheckpoint"), 0);
}
