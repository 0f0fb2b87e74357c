//! Batches that cannot be appended.

use rusqlite::{Error, ffi};

use super::*;
use crate::commit_log::sqlite::writer::Writer;

/// A batch of this many pages or more.
fn large(ids: std::ops::RangeInclusive<u64>) -> Batch {
    let filler: Box<str> = "x".repeat(5_000).into();
    let records = ids.map(|id| Record { text: Some(filler.clone()), ..said(id) });
    Batch { records: records.collect(), snapshot: None }
}

/// The store may have so many pages, but not more.
fn limit(store: &Store, pages: u32) {
    store.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), (), |_| Ok(())).unwrap();
}

fn now() -> Timestamp {
    Timestamp(0)
}

#[test]
fn a_batch_for_which_there_is_no_space_is_not_kept_and_can_be_appended_later() {
    let place = Place::new();
    let store = Store::open(&place.path()).unwrap();
    let mut writer = Writer::new(&store, KEEP_ALL, &now).unwrap();
    writer.recover(FRESH, LINES_BYTES).unwrap();
    writer.append(&large(1..=3)).unwrap();
    limit(&store, 40);
    for _ in 0..3 {
        let full = writer.append(&large(4..=100)).unwrap_err();
        let AppendError::Full(LogError(sentence)) = full else { panic!("{full:?}") };
        assert!(sentence.starts_with("cannot write to the store "), "{sentence}");
        assert!(sentence.ends_with("/room.db: no space left on device"), "{sentence}");
        assert_eq!(place.text("SELECT count(*) || ' ' || max(id) FROM entry"), "3 3");
    }
    writer.append(&large(4..=5)).unwrap();
    limit(&store, 1_000_000);
    writer.append(&large(6..=100)).unwrap();
    drop(writer);
    drop(store);
    assert_eq!(ids(&place.recover(FRESH).unwrap()), (1..=100).collect::<Vec<_>>());
}

#[test]
fn while_another_program_writes_to_the_store_a_batch_can_be_appended_later() {
    let place = Place::new();
    let store = Store::open(&place.path()).unwrap();
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let mut writer = Writer::new(&store, KEEP_ALL, &now).unwrap();
    writer.recover(FRESH, LINES_BYTES).unwrap();
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let person = Connection::open(place.path()).unwrap();
    person.execute_batch("BEGIN IMMEDIATE").unwrap();
    let full = writer.append(&large(1..=3)).unwrap_err();
    let AppendError::Full(LogError(sentence)) = full else { panic!("{full:?}") };
    assert!(sentence.ends_with("/room.db: another program is writing to it"), "{sentence}");
    person.execute_batch("COMMIT").unwrap();
    writer.append(&large(1..=3)).unwrap();
}

/// There may be space in the store, and then the log of SQLite begins anew.
#[test]
fn when_a_batch_could_not_be_appended_the_log_of_sqlite_is_copied_into_the_store() {
    let place = Place::new();
    let store = Store::open(&place.path()).unwrap();
    let mut writer = Writer::new(&store, KEEP_ALL, &now).unwrap();
    writer.recover(FRESH, LINES_BYTES).unwrap();
    writer.append(&large(1..=3)).unwrap();
    let pages_to_copy = || {
        let pages = |row: &rusqlite::Row<'_>| Ok(row.get::<_, u32>(1)? - row.get::<_, u32>(2)?);
        store.connection.query_row("PRAGMA wal_checkpoint(NOOP)", (), pages).unwrap()
    };
    writer.checkpoint();
    assert_ne!(pages_to_copy(), 0);
    limit(&store, 30);
    writer.append(&large(4..=100)).unwrap_err();
    writer.checkpoint();
    assert_eq!(pages_to_copy(), 0);
}

#[test]
fn after_any_other_error_nothing_is_written_any_more() {
    let place = Place::with(3);
    let store = Store::open(&place.path()).unwrap();
    let mut writer = Writer::new(&store, KEEP_ALL, &now).unwrap();
    writer.recover(FRESH, LINES_BYTES).unwrap();
    writer.append(&large(4..=5)).unwrap();
    place.change("ALTER TABLE entry RENAME TO gone");
    let failed = writer.append(&large(6..=7)).unwrap_err();
    let AppendError::Failed(LogError(sentence)) = &failed else { panic!("{failed:?}") };
    assert!(sentence.contains("no such table"), "{sentence}");
    place.change("ALTER TABLE gone RENAME TO entry");
    assert_eq!(writer.append(&large(6..=7)), Err(failed));
    drop(writer);
    drop(store);
    assert!(place.file("room.db-wal").exists(), "what could not be synced is not copied into the store");
    assert_eq!(ids(&place.recover(FRESH).unwrap()), [1, 2, 3, 4, 5]);
}

#[test]
fn a_batch_that_does_not_follow_is_refused() {
    for (batch, why) in [
        (Batch { records: vec![said(5)], snapshot: None }, "entry 5 does not follow entry 3"),
        (Batch { records: vec![said(4), said(4)], snapshot: None }, "entry 4 does not follow entry 4"),
        (
            Batch { records: vec![said(4)], snapshot: Some(snapshot(3)) },
            "a snapshot of entry 3 follows entry 4",
        ),
    ] {
        let place = Place::with(3);
        let mut log = place.open();
        let refused = run(log.append(Arc::new(batch)));
        let Err(AppendError::Failed(LogError(sentence))) = refused else { panic!("{refused:?}") };
        assert!(sentence.ends_with(why), "{sentence}");
        drop(log);
        assert_eq!(ids(&place.recover(FRESH).unwrap()), [1, 2, 3]);
    }
    let place = Place::with(3);
    let mut log = place.claim().unwrap();
    let unread = run(log.append(Arc::new(Batch { records: vec![said(4)], snapshot: None })));
    assert!(matches!(unread, Err(AppendError::Failed(_))), "{unread:?}");
}

#[test]
fn an_error_may_pass_only_if_nothing_was_kept() {
    let error_of = |code| Error::SqliteFailure(ffi::Error::new(code), None);
    for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_BUSY] {
        assert!(error::is_passing(&error_of(code)), "{code}");
    }
    for code in [
        ffi::SQLITE_IOERR,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_CORRUPT,
        ffi::SQLITE_CORRUPT_VTAB,
        ffi::SQLITE_NOTADB,
        ffi::SQLITE_READONLY,
        ffi::SQLITE_NOMEM,
        ffi::SQLITE_CONSTRAINT,
        ffi::SQLITE_ERROR,
    ] {
        assert!(!error::is_passing(&error_of(code)), "{code}");
    }
    assert!(!error::is_passing(&Error::QueryReturnedNoRows));
}

#[test]
fn the_errors_of_a_disk_are_told_in_plain_words() {
    let name = Name::new("room.db");
    for (code, why) in [
        (ffi::SQLITE_FULL, "no space left on device"),
        (ffi::SQLITE_IOERR_SHMSIZE, "no space left on device for its file -shm"),
        (ffi::SQLITE_IOERR_FSYNC, "what was written may not have reached the disk (fsync failed)"),
        (
            ffi::SQLITE_IOERR_WRITE,
            "a quota or a limit of the size of files is reached, or the disk has failed",
        ),
        (ffi::SQLITE_BUSY, "another program is writing to it"),
        (ffi::SQLITE_READONLY, "it is read-only"),
    ] {
        let sentence = name.cannot("write to", &Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(sentence.to_string(), format!("cannot write to the store room.db: {why}"));
    }
}

#[test]
fn an_index_that_is_damaged_is_built_anew() {
    let place = Place::new();
    {
        let store = Store::open(&place.path()).unwrap();
        let mut writer = Writer::new(&store, KEEP_ALL, &now).unwrap();
        writer.recover(FRESH, LINES_BYTES).unwrap();
        writer
            .append(&Batch { records: (1..=1_024).map(said).collect(), snapshot: Some(snapshot(1_024)) })
            .unwrap();
        writer.do_chores();
        writer.do_chores();
    }
    // It is noticed when its parts are merged, which is at once with this setting.
    let at_once = "INSERT INTO said (said, rank) VALUES ('crisismerge', 2)";
    place.change(&format!("{at_once}; DELETE FROM said_data WHERE id > 10"));
    let store = Store::open(&place.path()).unwrap();
    // Entry 1 is to be forgotten.
    let (keep, then) = (Keep { age: Some(Duration::from_secs(60)), ..KEEP_ALL }, || Timestamp(61_500));
    let mut writer = Writer::new(&store, keep, &then).unwrap();
    writer.recover(FRESH, LINES_BYTES).unwrap();
    let forgetting = Batch { records: vec![said(1_025)], snapshot: Some(snapshot(1_025)) };
    let full = writer.append(&forgetting).unwrap_err();
    let AppendError::Full(LogError(sentence)) = full else { panic!("{full:?}") };
    assert!(sentence.ends_with("/room.db was damaged, and is built anew"), "{sentence}");
    writer.append(&forgetting).unwrap();
    for _ in 0..4 {
        writer.do_chores();
    }
    assert_eq!(
        place.text("SELECT count(*) || ' ' || min(rowid) FROM said WHERE said MATCH 'hello'"),
        "1024 2"
    );
    assert_eq!(place.text("SELECT count(*) || ' ' || min(id) FROM public"), "1024 2");
    place.change("INSERT INTO said (said, rank) VALUES ('integrity-check', 1)");
}

#[test]
fn a_batch_that_nobody_waits_for_any_more_is_appended_and_only_so_many_wait() {
    let place = Place::new();
    let mut log = place.open();
    let person = Connection::open(place.path()).unwrap();
    person.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut offer = |id| {
        run(async {
            tokio::select! {
                biased;
                appended = log.append(Arc::new(Batch { records: vec![said(id)], snapshot: None })) => Some(appended),
                () = std::future::ready(()) => None,
            }
        })
    };
    // One of them may be under way already.
    let refused = (1..=6).find_map(|id| offer(id).map(|appended| (id, appended)));
    let (id, Err(AppendError::Full(LogError(sentence)))) = refused.expect("a batch too many") else {
        panic!("a batch that could not be appended");
    };
    assert!((5..=6).contains(&id), "{id}");
    assert!(sentence.ends_with("/room.db is behind: 4 batches wait"), "{sentence}");
    person.execute_batch("COMMIT").unwrap();
    drop(log);
    assert_eq!(ids(&place.recover(FRESH).unwrap()), (1..id).collect::<Vec<_>>());
}
