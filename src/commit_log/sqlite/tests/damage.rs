//! Stores that cannot be used, and what their operators are told.

use super::*;

/// What the sentences about damage end with.
const ADVICE: &str = "restore a backup, save what can be read with `sqlite3 room.db .recover`, or move the file away to \
                      begin with an empty room";

/// Changes the store as a disk would: nothing can forbid it.
fn damage(place: &Place, sql: &str) {
    place.change(&format!("DROP TRIGGER entry_needed_update; DROP TRIGGER entry_needed_delete; {sql}"));
}

#[test]
fn an_entry_that_has_changed_is_named() {
    for change in [
        "at = at + 1",
        "kind = 'act'",
        "nickname = NULL",
        "nickname = 'Zoë'",
        "line = NULL",
        "line = line + 1",
        "text = text || '!'",
        // What one has lost the other has got.
        "nickname = nickname || 'A', text = substr(text, 2)",
        "text = nickname, nickname = text",
        "text = NULL",
        "head = x''",
        "\"check\" = \"check\" + 1",
    ] {
        let place = Place::with(5);
        damage(&place, &format!("UPDATE entry SET {change} WHERE id = 3"));
        let sentence =
            format!("the store room.db is damaged: entry 3 has changed since it was written; {ADVICE}");
        assert_eq!(place.refusal(), sentence, "{change}");
    }
}

#[test]
fn an_entry_that_no_server_can_have_written_is_named() {
    for change in ["text = x'ff'", "at = 'now'", "head = 7", "\"check\" = 'right'"] {
        let place = Place::with(5);
        damage(&place, &format!("UPDATE entry SET {change} WHERE id = 3"));
        let sentence = format!("the store room.db is damaged: entry 3 cannot be read; {ADVICE}");
        assert_eq!(place.refusal(), sentence, "{change}");
    }
}

#[test]
fn an_entry_that_is_missing_is_named() {
    for (missing, named) in [("1", 1), ("3", 3), ("3, 4", 3)] {
        let place = Place::with(5);
        damage(&place, &format!("DELETE FROM entry WHERE id IN ({missing})"));
        let sentence = format!("the store room.db is damaged: entry {named} is missing; {ADVICE}");
        assert_eq!(place.refusal(), sentence);
    }
}

#[test]
fn a_snapshot_that_has_changed_is_an_error() {
    for change in ["id = 1", "state = x'00'"] {
        let place = Place::with(2);
        append(&mut place.open(), vec![said(3)], Some(snapshot(3)));
        place.change(&format!("UPDATE snapshot SET {change}"));
        let sentence =
            format!("the store room.db is damaged: the snapshot has changed since it was written; {ADVICE}");
        assert_eq!(place.refusal(), sentence, "{change}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = Place::new();
    let text = b"A shopping list, which is long enough to be taken for the header of a database: bread, butter, salt, ...";
    fs::write(place.path(), text).unwrap();
    assert_eq!(
        place.refusal(),
        "cannot open the store room.db: it is no database of SQLite, or its beginning is damaged; restore a backup, or \
         move the file away to begin with an empty room"
    );
    assert_eq!(fs::read(place.path()).unwrap(), text);
}

#[test]
fn a_page_that_was_overwritten_is_damage() {
    let place = Place::with(2_000);
    let mut file = fs::read(place.path()).unwrap();
    // In the middle of the entries.
    let (middle, page) = (file.len() / 2 / 4_096 * 4_096, 4_096);
    file[middle..middle + page].fill(0x55);
    fs::write(place.path(), file).unwrap();
    let refusal = place.refusal();
    assert!(refusal.starts_with("the store room.db is damaged: entry "), "{refusal}");
    assert!(refusal.ends_with(&format!(" cannot be read; {ADVICE}")), "{refusal}");
}

#[test]
fn a_store_that_was_cut_off_is_damage() {
    let place = Place::with(2_000);
    let mut file = fs::read(place.path()).unwrap();
    file.truncate(file.len() / 2 / 4_096 * 4_096);
    fs::write(place.path(), file).unwrap();
    let refusal = place.refusal();
    assert!(refusal.starts_with("the store room.db is damaged: "), "{refusal}");
}

#[test]
fn what_is_no_file_is_refused() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    assert_eq!(place.refusal(), "cannot open the store room.db: is a directory");
    let nowhere = Sqlite::open(&place.file("nowhere/room.db"), KEEP_ALL, || Timestamp(0));
    let error = nowhere.err().unwrap().to_string();
    assert!(
        error.starts_with("cannot open the store ") && error.ends_with("/room.db: No such file or directory")
    );
    #[cfg(target_os = "linux")]
    {
        let device = Sqlite::open(std::path::Path::new("/dev/null"), KEEP_ALL, || Timestamp(0));
        let sentence = "cannot open the store /dev/null: it is no file on a disk";
        assert_eq!(device.err().unwrap().to_string(), sentence);
    }
}

#[test]
fn a_torn_batch_is_dropped_and_counted_once() {
    let place = Place::new();
    let mut log = place.open();
    append(&mut log, vec![said(1)], None);
    append(&mut log, vec![said(2)], None);
    let begin = fs::metadata(place.file("room.db-wal")).unwrap().len();
    append(&mut log, (3..300).map(said).collect(), None);
    let copy = place.copy();
    let mut torn = fs::read(copy.file("room.db-wal")).unwrap();
    torn.truncate(torn.len() - 1);
    let pages = (torn.len() as u64 - begin).div_ceil(4_096 + 24);
    assert!(pages > 2);
    fs::write(copy.file("room.db-wal"), &torn).unwrap();
    let recovered = copy.recover(FRESH).unwrap();
    assert_eq!((ids(&recovered), recovered.torn_pages), (vec![1, 2], pages));
    // A second crash, before anything else was appended.
    fs::copy(place.file("room.db"), copy.file("room.db")).unwrap();
    fs::write(copy.file("room.db-wal"), torn).unwrap();
    let _log = copy.open();
    assert_eq!(copy.copy().recover(FRESH).unwrap().torn_pages, 0);
}

#[test]
fn a_crash_loses_nothing_that_was_appended() {
    let place = Place::new();
    let mut log = place.open();
    for id in 1..=20 {
        append(&mut log, vec![said(id)], (id == 10).then(|| snapshot(10)));
        let recovered = place.copy().recover(FRESH).unwrap();
        let first = if id < 10 { 1 } else { 11 };
        assert_eq!((ids(&recovered), recovered.torn_pages), ((first..=id).collect(), 0));
    }
}

#[test]
fn damage_in_the_log_of_sqlite_is_an_error_too() {
    let place = Place::new();
    let mut log = place.open();
    for id in 1..=5 {
        append(&mut log, vec![said(id)], None);
    }
    let copy = place.copy();
    let mut wal = fs::read(copy.file("room.db-wal")).unwrap();
    let middle = wal.len() / 2;
    wal[middle] ^= 1;
    fs::write(copy.file("room.db-wal"), wal).unwrap();
    let refusal = copy.refusal();
    assert!(refusal.starts_with("the store room.db is damaged: frame "), "{refusal}");
    // The advice helps.
    assert!(
        refusal.ends_with("or go without that after `sqlite3 room.db 'PRAGMA wal_checkpoint(TRUNCATE)'`")
    );
    copy.change("PRAGMA wal_checkpoint(TRUNCATE)");
    assert!(ids(&copy.recover(FRESH).unwrap()).len() < 5);
}
