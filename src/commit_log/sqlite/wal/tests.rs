use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// The smallest pages that there are, so that there are few places where a log can be cut off.
const PAGE_BYTES: usize = 512;
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + PAGE_BYTES;

/// A database whose transactions, of several pages each, are in its log alone.
struct Database {
    directory: TempDir,
    connection: Connection,
    rows: u32,
}

impl Database {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(directory.path().join("x.db")).unwrap();
        let settings = format!(
            "PRAGMA page_size = {PAGE_BYTES}; CREATE TABLE numbers (number, filler);
             PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"
        );
        connection.execute_batch(&settings).unwrap();
        Self { directory, connection, rows: 0 }
    }

    /// One more transaction. Returns how long the log is then.
    fn write(&mut self) -> usize {
        self.rows += 1;
        self.connection.execute("INSERT INTO numbers VALUES (?1, zeroblob(1200))", [self.rows]).unwrap();
        // The log may be longer, if it was longer before.
        let pages: u32 =
            self.connection.query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| row.get(1)).unwrap();
        HEADER_BYTES + pages as usize * FRAME_BYTES
    }

    fn log(&self) -> Vec<u8> {
        fs::read(self.directory.path().join("x.db-wal")).unwrap()
    }

    /// How many transactions SQLite itself finds with this log.
    fn rows_with(&self, log: &[u8]) -> u32 {
        let elsewhere = tempfile::tempdir().unwrap();
        let path = elsewhere.path().join("x.db");
        fs::copy(self.directory.path().join("x.db"), &path).unwrap();
        fs::write(elsewhere.path().join("x.db-wal"), log).unwrap();
        let count = |path: &Path| {
            Connection::open(path)?.query_row("SELECT count(*) FROM numbers", (), |row| row.get(0))
        };
        count(&path).unwrap()
    }
}

fn torn(log: &[u8]) -> u64 {
    let tail = tail(log).unwrap();
    assert_eq!(tail.damaged, None);
    tail.torn
}

#[test]
fn a_log_that_was_cut_off_anywhere_in_its_last_transaction_has_the_frames_that_are_left_of_it() {
    let mut database = Database::new();
    let (_, begin, end) = (database.write(), database.write(), database.write());
    let log = database.log();
    assert!(log.len() == end && end - begin > 2 * FRAME_BYTES, "a transaction of several pages");
    for length in begin..end {
        let frames = (length - begin).div_ceil(FRAME_BYTES);
        assert_eq!(torn(&log[..length]), frames as u64, "cut off at {length} of {begin}..{end}");
    }
    assert_eq!(torn(&log), 0);
    for (length, rows) in [(begin, 2), (begin + 1, 2), (end - 1, 2), (end, 3)] {
        assert_eq!(database.rows_with(&log[..length]), rows, "cut off at {length} of {begin}..{end}");
    }
}

#[test]
fn a_last_transaction_of_which_any_page_did_not_reach_the_disk_is_torn_as_a_whole() {
    let mut database = Database::new();
    let (begin, end) = (database.write(), database.write());
    for frame in (begin..end).step_by(FRAME_BYTES) {
        let mut log = database.log();
        log[frame + FRAME_HEADER_BYTES + 100..frame + FRAME_BYTES].fill(0x55);
        assert_eq!(torn(&log), ((end - begin) / FRAME_BYTES) as u64);
        assert_eq!(database.rows_with(&log), 1);
    }
}

#[test]
fn a_page_that_cannot_be_read_before_a_transaction_that_was_synced_is_damage() {
    let mut database = Database::new();
    let (begin, _) = (database.write(), database.write());
    database.write();
    let mut log = database.log();
    log[begin + FRAME_BYTES + 100] ^= 1;
    let number = (begin - HEADER_BYTES) / FRAME_BYTES + 2;
    assert_eq!(tail(log.as_slice()).unwrap().damaged, Some(number as u64));
    assert_eq!(database.rows_with(&log), 1, "SQLite says nothing");
}

#[test]
fn what_an_earlier_generation_has_left_is_not_torn() {
    let mut database = Database::new();
    for _ in 0..5 {
        database.write();
    }
    database.connection.query_row("PRAGMA wal_checkpoint(RESTART)", (), |_| Ok(())).unwrap();
    let end = database.write();
    let log = database.log();
    assert!(log.len() > end, "the log was written over from its beginning");
    assert_eq!(torn(&log), 0);
    // Whatever was cut off is of the earlier one.
    assert_eq!(torn(&log[..end + 100]), 0);
}

#[test]
fn a_log_without_a_complete_header_holds_nothing() {
    let mut database = Database::new();
    database.write();
    let log = database.log();
    for length in 0..HEADER_BYTES {
        assert_eq!(tail(&log[..length]).unwrap(), Tail::default());
    }
    for byte in 0..HEADER_BYTES {
        let mut log = log.clone();
        log[byte] ^= 0x40;
        assert_eq!(tail(log.as_slice()).unwrap(), Tail::default(), "byte {byte}");
    }
}
