//! People who read the store while it is written to.

use std::thread;

use super::*;

#[test]
fn a_person_reads_whole_batches_while_more_are_appended() {
    const BATCHES: u32 = 200;
    const LINES: u32 = 5;
    let place = Place::new();
    let mut log = place.open();
    append(&mut log, (1..=LINES.into()).map(said).collect(), None);
    let path = place.path();
    let person = thread::spawn(move || {
        let mut seen = 0;
        while seen < BATCHES * LINES {
            // As `sqlite3` does: opened anew, and closed.
            let store = Connection::open(&path).unwrap();
            let count: u32 = store.query_row("SELECT count(*) FROM chat", (), |row| row.get(0)).unwrap();
            assert!(count >= seen && count.is_multiple_of(LINES), "{count} lines after {seen}");
            seen = count;
        }
    });
    for batch in 1..BATCHES {
        let before = u64::from(batch * LINES);
        append(&mut log, (before + 1..=before + u64::from(LINES)).map(said).collect(), None);
    }
    person.join().unwrap();
}

#[test]
fn a_person_who_reads_for_long_holds_up_nothing() {
    let place = Place::with(5);
    let mut log = place.open();
    let person = Connection::open(place.path()).unwrap();
    person.execute_batch("BEGIN; SELECT count(*) FROM chat;").unwrap();
    let text: Box<str> = "x".repeat(100_000).into();
    for id in 6..=100 {
        append(&mut log, vec![Record { text: Some(text.clone()), ..said(id) }], None);
    }
    let count: u32 = person.query_row("SELECT count(*) FROM chat", (), |row| row.get(0)).unwrap();
    assert_eq!(count, 5, "as it was when they began");
    drop(log);
    drop(person);
    assert_eq!(place.recover(FRESH).unwrap().records.len(), 100);
}

#[test]
fn the_log_of_sqlite_is_copied_into_the_store_again_and_again() {
    let place = Place::new();
    let mut log = place.open();
    let text: Box<str> = "x".repeat(100_000).into();
    for id in 1..=200 {
        append(&mut log, vec![Record { text: Some(text.clone()), ..said(id) }], None);
    }
    let size = fs::metadata(place.file("room.db-wal")).unwrap().len();
    assert!((3_000_000..6_000_000).contains(&size), "{size} bytes");
    drop(log);
    assert_eq!(place.recover(FRESH).unwrap().records.len(), 200);
}

#[test]
fn people_find_what_was_said_with_its_time() {
    let place = Place::new();
    let mut log = place.open();
    let whisper = Record { kind: "whisper".into(), line: None, ..said(2) };
    append(&mut log, vec![said(1), whisper], None);
    let time = place.text("SELECT datetime(1, 'unixepoch', 'localtime')");
    assert_eq!(
        place.text("SELECT group_concat(time || ' ' || text) FROM chat"),
        format!("{time} Alex: hello number1")
    );
    let searched =
        "SELECT group_concat(chat.text) FROM said JOIN chat ON chat.id = said.rowid WHERE said MATCH 'hello'";
    wait_for("the line to be indexed", || {
        place.text(&format!("SELECT coalesce(({searched}), '')")) == "Alex: hello number1"
    });
    // Whatever people do with the index, it has nothing that was said in private.
    place.change("INSERT INTO said (said) VALUES ('rebuild')");
    assert_eq!(place.text("SELECT count(*) || '' FROM said WHERE said MATCH 'hello'"), "1");
    assert_eq!(find(&log, "hello"), ["Alex: hello number1"]);
}
