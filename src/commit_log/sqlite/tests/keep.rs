//! What is forgotten.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::commit_log::sqlite::writer::Writer;

/// Entry number n is n seconds old at the beginning of all time, so this is when the last that is kept is a minute old.
fn keep_a_minute() -> Keep {
    Keep { age: Some(Duration::from_secs(60)), ..KEEP_ALL }
}

/// What is left, as `first..last` or `nothing`.
fn left(place: &Place) -> String {
    place.text("SELECT coalesce(min(id) || '..' || max(id), 'nothing') FROM entry")
}

#[test]
fn what_is_too_old_is_forgotten_up_to_the_snapshot() {
    let place = Place::new();
    let now = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&now);
    let open = || {
        let clock = Arc::clone(&clock);
        let mut log =
            Sqlite::open(&place.path(), keep_a_minute(), move || Timestamp(clock.load(Ordering::Relaxed)))
                .unwrap();
        recover(&mut log, FRESH).unwrap();
        log
    };
    let mut log = open();
    append(&mut log, (1..=100).map(said).collect(), Some(snapshot(100)));
    append(&mut log, (101..=150).map(said).collect(), None);
    assert_eq!(left(&place), "1..150");
    now.store(110_000, Ordering::Relaxed);
    // It is looked at when there is a snapshot, and when the store is opened.
    drop(log);
    let log = open();
    wait_for("the old entries to be forgotten", || left(&place) == "50..150");
    now.store(1_000_000, Ordering::Relaxed);
    drop(log);
    let mut log = open();
    wait_for("the entries before the snapshot to be forgotten", || left(&place) == "101..150");
    append(&mut log, Vec::new(), Some(snapshot(150)));
    wait_for("all entries to be forgotten", || left(&place) == "nothing");
    append(&mut log, vec![said(151)], None);
    drop(log);
    let recovered = place.recover(FRESH).unwrap();
    assert_eq!((ids(&recovered), recovered.snapshot), (vec![151], Some(snapshot(150))));
}

#[test]
fn a_clock_that_was_wrong_for_a_while_keeps_nothing_for_ever() {
    let place = Place::new();
    let store = Store::open(&place.path()).unwrap();
    let now = || Timestamp(100_000);
    let mut writer = Writer::new(&store, keep_a_minute(), &now).unwrap();
    writer.recover(FRESH, LINES_BYTES).unwrap();
    let mut records: Vec<_> = (1..=100).map(said).collect();
    records[4].at = Timestamp(u64::MAX >> 1);
    writer.append(&Batch { records, snapshot: Some(snapshot(100)) }).unwrap();
    assert_eq!(left(&place), "40..100");
}

#[test]
fn a_store_grows_no_further_than_it_may() {
    let place = Place::new();
    let bytes = 500_000;
    let mut log = Sqlite::open(&place.path(), Keep { bytes, age: None }, || Timestamp(0)).unwrap();
    recover(&mut log, FRESH).unwrap();
    for round in 0..60 {
        let records = (round * 200 + 1..=round * 200 + 200).map(said).collect();
        append(&mut log, records, Some(snapshot(round * 200 + 200)));
    }
    let used = "SELECT ((page_count - freelist_count) * page_size) || ''
                FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
    wait_for("the oldest entries to be forgotten", || place.text(used).parse::<u64>().unwrap() <= bytes);
    assert!(find(&log, "number12000").len() == 1 && find(&log, "number1").is_empty());
    drop(log);
    assert!(fs::metadata(place.path()).unwrap().len() < 2 * bytes, "what was free is used again");
    let kept = place.text("SELECT count(*) || '' FROM entry").parse::<u64>().unwrap();
    assert!((1_000..10_000).contains(&kept), "{kept} are kept");
}

#[test]
fn a_transaction_forgets_a_few_at_a_time() {
    let place = Place::new();
    let store = Store::open(&place.path()).unwrap();
    let now = || Timestamp(1_000_000_000);
    let mut writer = Writer::new(&store, keep_a_minute(), &now).unwrap();
    writer.recover(FRESH, LINES_BYTES).unwrap();
    writer.append(&Batch { records: (1..=2_000).map(said).collect(), snapshot: None }).unwrap();
    for (entries, first) in [(1, 257), (10, 513), (300, 1_113), (1, 1_369)] {
        let last: u64 = place.text("SELECT max(id) || '' FROM entry").parse().unwrap();
        let records = (last + 1..=last + entries).map(said).collect();
        writer.append(&Batch { records, snapshot: Some(snapshot(last + entries)) }).unwrap();
        assert_eq!(place.text("SELECT min(id) || '' FROM entry"), first.to_string());
    }
}

/// The index of words complains if it is told to forget what it does not have.
#[test]
fn the_indices_forget_what_the_store_forgets_and_nothing_else() {
    for indexed in [0, 1, 50, 100, 150] {
        let place = Place::new();
        let store = Store::open(&place.path()).unwrap();
        let now = || Timestamp(160_000);
        let mut writer = Writer::new(&store, keep_a_minute(), &now).unwrap();
        writer.recover(FRESH, LINES_BYTES).unwrap();
        writer.append(&Batch { records: (1..=indexed).map(said).collect(), snapshot: None }).unwrap();
        writer.do_chores();
        let records = (indexed + 1..=150).map(said).collect();
        writer.append(&Batch { records, snapshot: Some(snapshot(150)) }).unwrap();
        assert_eq!(left(&place), "100..150", "{indexed} were indexed");
        for _ in 0..2 {
            writer.do_chores();
        }
        let words =
            "SELECT min(rowid) || '..' || max(rowid) || ' ' || count(*) FROM said WHERE said MATCH 'hello'";
        assert_eq!(place.text(words), "100..150 51");
        assert_eq!(
            place.text("SELECT min(id) || '..' || max(id) || ' ' || count(*) FROM public"),
            "100..150 51"
        );
        place.change("INSERT INTO said (said, rank) VALUES ('integrity-check', 1)");
    }
}
