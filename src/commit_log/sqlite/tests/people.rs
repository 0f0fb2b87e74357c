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
    let unheard = Record { line: None, ..said(3) };
    append(&mut log, vec![said(1), whisper, unheard], None);
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

/// The first two of three lines are indexed and in the snapshot.
fn with_three_lines() -> Place {
    let place = Place::new();
    let mut log = place.open();
    append(&mut log, vec![said(1), said(2)], Some(snapshot(2)));
    wait_for("the lines to be indexed", || {
        place.text("SELECT value || '' FROM meta WHERE name = 'indexed'") == "2"
    });
    append(&mut log, vec![said(3)], None);
    place
}

/// Somebody may have to take back what was said.
#[test]
fn people_can_change_and_delete_what_is_in_the_snapshot() {
    let place = with_three_lines();
    place.change(
        "UPDATE entry SET text = '(removed by the operator)' WHERE id = 1; DELETE FROM entry WHERE id = 2",
    );
    let recovered = place.recover(FRESH).unwrap();
    assert_eq!((texts_of(&recovered.lines), ids(&recovered)), (vec!["(removed by the operator)"], vec![3]));
    let log = place.open();
    assert_eq!(find(&log, "number1"), [""; 0]);
    assert_eq!(find(&log, "removed"), ["(removed by the operator)"]);
    assert_eq!(find(&log, ""), ["(removed by the operator)", "Alex: hello number3"]);
    wait_for("the line to be indexed", || {
        place.text("SELECT value || '' FROM meta WHERE name = 'indexed'") == "3"
    });
    place.change("INSERT INTO said (said, rank) VALUES ('integrity-check', 1)");
    // Nothing is left of it when it is forgotten, and the indices know of nothing that they never had.
    place.change(
        "DELETE FROM entry WHERE id < 3; INSERT INTO said (said, rank) VALUES ('integrity-check', 1)",
    );
}

#[test]
fn people_cannot_change_what_the_room_follows_from() {
    let place = with_three_lines();
    let store = Connection::open(place.path()).unwrap();
    for sql in
        ["UPDATE entry SET text = '' WHERE id = 3", "DELETE FROM entry WHERE id = 3", "DELETE FROM entry"]
    {
        let error = store.execute(sql, ()).unwrap_err().to_string();
        assert!(error.starts_with("entries after the snapshot must stay"), "{error}");
    }
    drop(store);
    assert_eq!(ids(&place.recover(FRESH).unwrap()), [3]);
}

fn texts_of(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| &*line.text).collect()
}
