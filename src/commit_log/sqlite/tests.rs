//! What a store does with its files.

mod damage;
mod full;
mod index;
mod keep;
mod mark;
mod people;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::commit_log::{Line, Query, Record, Snapshot};

const FRESH: LogEpoch = LogEpoch(0x5c1e);

const LINES_BYTES: usize = 100_000;

const KEEP_ALL: Keep = Keep { bytes: u64::MAX, age: None };

/// How long a test waits for anything.
const DEADLINE: Duration = Duration::from_secs(30);

/// A directory with the store `room.db`.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a store in which Alex has said this much.
    fn with(lines: u64) -> Self {
        let place = Self::new();
        let mut log = place.open();
        append(&mut log, (1..=lines).map(said).collect(), None);
        place
    }

    fn path(&self) -> PathBuf {
        self.file("room.db")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Opens the store, and reads it.
    fn open(&self) -> Sqlite {
        let mut log = self.claim().unwrap();
        recover(&mut log, FRESH).unwrap();
        log
    }

    fn claim(&self) -> Result<Sqlite, LogError> {
        Sqlite::open(&self.path(), KEEP_ALL, || Timestamp(0))
    }

    /// Opens the store and says what is in it.
    fn recover(&self, fresh: LogEpoch) -> Result<Recovered, LogError> {
        self.claim().and_then(|mut log| recover(&mut log, fresh))
    }

    /// The epoch of the store, if this is a fresh one.
    fn epoch(&self, fresh: LogEpoch) -> LogEpoch {
        self.recover(fresh).unwrap().epoch
    }

    /// The sentence why the store cannot be used, in which it is called room.db.
    fn refusal(&self) -> String {
        let error = self.recover(FRESH).expect_err("a store that cannot be used").to_string();
        error.replace(&self.path().display().to_string(), "room.db")
    }

    /// Changes the store as a person would.
    fn change(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    fn text(&self, sql: &str) -> String {
        Connection::open(self.path()).unwrap().query_row(sql, (), |row| row.get(0)).unwrap()
    }

    /// A copy of the store and its log, as a power cut would leave them; without the mark.
    fn copy(&self) -> Self {
        let copy = Self::new();
        for name in ["room.db", "room.db-wal"] {
            if self.file(name).exists() {
                fs::copy(self.file(name), copy.file(name)).unwrap();
            }
        }
        copy
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test)
}

fn recover(log: &mut Sqlite, fresh: LogEpoch) -> Result<Recovered, LogError> {
    run(log.recover(fresh, LINES_BYTES))
}

fn append(log: &mut Sqlite, records: Vec<Record>, snapshot: Option<Snapshot>) {
    run(log.append(Arc::new(Batch { records, snapshot }))).unwrap();
}

fn find(log: &Sqlite, words: &str) -> Vec<String> {
    let words = words.split_whitespace().map(Box::from).collect();
    let found = run(log.finder().find(Query { words, at_most: 100_000 }));
    found.unwrap().into_iter().map(|Line { text, .. }| text.into()).collect()
}

/// The entry of this number, which everyone was told.
fn said(id: u64) -> Record {
    Record {
        id,
        at: Timestamp(id * 1_000),
        kind: "say".into(),
        nickname: Some("Alex".into()),
        text: Some(format!("Alex: hello number{id}").into()),
        line: Some(id),
        head: vec![1, 2, 3],
    }
}

fn snapshot(id: u64) -> Snapshot {
    Snapshot { id, state: b"the room".to_vec() }
}

fn ids(recovered: &Recovered) -> Vec<u64> {
    recovered.records.iter().map(|record| record.id).collect()
}

#[expect(clippy::disallowed_methods, reason = "here is where tests wait, and a pause is not spinning")]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "waited {DEADLINE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
