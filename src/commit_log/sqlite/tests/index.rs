//! What is indexed later, and found all the same.

use std::sync::mpsc;

use super::*;
use crate::commit_log::sqlite::writer::Writer;

fn now() -> Timestamp {
    Timestamp(0)
}

fn indexed(place: &Place) -> u64 {
    place.text("SELECT value || '' FROM meta WHERE name = 'indexed'").parse().unwrap()
}

#[test]
fn entries_are_indexed_in_a_pause() {
    let place = Place::new();
    let mut log = place.open();
    append(&mut log, (1..=3_000).map(said).collect(), None);
    append(&mut log, (3_001..=3_003).map(said).collect(), None);
    assert!(indexed(&place) < 3_003, "not at once");
    wait_for("the entries to be indexed", || indexed(&place) == 3_003);
    assert_eq!(place.text("SELECT count(*) || '' FROM said WHERE said MATCH 'hello'"), "3003");
    assert_eq!(place.text("SELECT count(*) || '' FROM public"), "3003");
}

#[test]
fn what_was_not_indexed_when_a_store_was_closed_is_indexed_when_it_is_opened() {
    let place = Place::with(10);
    assert_eq!(indexed(&place), 0);
    let _log = place.open();
    wait_for("the entries to be indexed", || indexed(&place) == 10);
}

#[test]
fn lines_are_found_in_order_wherever_they_are_indexed() {
    let place = Place::new();
    // The last part has not been indexed, and is searched in several.
    let last = 40_000;
    {
        let store = Store::open(&place.path()).unwrap();
        let mut writer = Writer::new(&store, KEEP_ALL, &now).unwrap();
        writer.recover(FRESH, LINES_BYTES).unwrap();
        writer.append(&Batch { records: (1..=2_000).map(said).collect(), snapshot: None }).unwrap();
        writer.do_chores();
        let records = (2_001..=last).map(said).collect();
        writer.append(&Batch { records, snapshot: Some(snapshot(last)) }).unwrap();
    }
    assert_eq!(indexed(&place), 1_024);
    let log = place.claim().unwrap();
    let numbers = |words: &str| -> Vec<u64> {
        let number = |line: String| line.rsplit("number").next().unwrap().parse().unwrap();
        find(&log, words).into_iter().map(number).collect()
    };
    for number in [1, 1_024, 1_025, 7_232, 7_233, 23_616, 23_617, last] {
        assert_eq!(numbers(&format!("number{number} hello")), [number]);
    }
    for words in ["hello", ""] {
        assert_eq!(numbers(words), (last - 9_999..=last).collect::<Vec<_>>(), "{words}");
    }
    drop(log);
    let recovered = place.recover(FRESH).unwrap();
    let size: usize = recovered.lines.iter().map(|line| line.text.len() + 1).sum();
    assert!((LINES_BYTES - 30..=LINES_BYTES).contains(&size), "{size} bytes of lines");
    assert_eq!(recovered.lines.last().unwrap().at, Timestamp(last * 1_000));
    assert!(recovered.lines.is_sorted_by_key(|line| line.at));
}

#[test]
fn lines_after_the_snapshot_are_not_before_it_when_they_are_indexed() {
    let place = Place::new();
    let mut log = place.open();
    append(&mut log, (1..=3).map(said).collect(), Some(snapshot(3)));
    append(&mut log, (4..=5).map(said).collect(), None);
    wait_for("the entries to be indexed", || indexed(&place) == 5);
    drop(log);
    let recovered = place.recover(FRESH).unwrap();
    assert_eq!((recovered.lines.len(), ids(&recovered)), (3, vec![4, 5]));
}

#[test]
fn a_pause_is_long_enough_if_it_is_short_and_much_is_to_be_done_or_if_it_is_long() {
    let place = Place::new();
    let store = Store::open(&place.path()).unwrap();
    let mut chores = chores::Chores::new(&store.connection, KEEP_ALL, &now).unwrap();
    let (short, long) = (Some(Duration::from_millis(20)), Some(Duration::from_secs(1)));
    for (last, forget, pause) in [
        (100, None, None),
        (101, None, long),
        (1_123, None, long),
        (1_124, None, short),
        (100, Some(9), short),
    ] {
        chores.progress = chores::Progress { indexed: 100, forget };
        assert_eq!(chores.pause(last), pause, "{last}");
        // There was no space for the last step.
        chores.is_put_off = true;
        assert_eq!(chores.pause(last), pause.and(long), "{last}");
        chores.is_put_off = false;
    }
}

#[test]
fn only_so_many_entries_wait_for_the_indices_however_much_is_said() {
    let place = Place::with(1_000);
    let store = Store::open(&place.path()).unwrap();
    let mut chores = chores::Chores::new(&store.connection, KEEP_ALL, &now).unwrap();
    let begun = chores.progress;
    assert_eq!(chores.step_with(begun, 1_048_576, 1).unwrap(), begun, "they may wait");
    assert_eq!(chores.step_with(begun, 1_048_577, 1).unwrap().indexed, 256);
    let further = chores::Progress { indexed: 256, ..begun };
    assert_eq!(chores.step_with(further, 1_048_833, 200).unwrap().indexed, 656);
}

#[test]
fn signs_are_found_as_they_are() {
    let place = Place::new();
    let mut log = place.open();
    let line = |id, text: &str| Record { text: Some(text.into()), ..said(id) };
    append(
        &mut log,
        vec![line(1, "Alex: 🙂 pizza"), line(2, "Zoë: :-) pizza"), line(3, "Zoë: 🙂 100%")],
        None,
    );
    let joined = Record { kind: "join".into(), ..line(4, "-- 🙂 has joined.") };
    append(&mut log, vec![joined], None);
    for (words, found) in [("🙂", 2), (":-)", 1), ("🙂 pizza", 1), ("pizza :-)", 1), ("🙂 %", 1), ("🙃", 0)]
    {
        assert_eq!(find(&log, words).len(), found, "{words}");
    }
    wait_for("the entries to be indexed", || indexed(&place) == 4);
    assert_eq!(find(&log, "🙂 pizza"), ["Alex: 🙂 pizza"]);
}

#[test]
fn a_search_that_takes_too_long_is_given_up() {
    let place = Place::with(3_000);
    let name = Name::new("room.db");
    let _log = place.open();
    let mut reader = find::open(&place.path(), &name).unwrap();
    let query = Query { words: vec!["number2000".into()], at_most: 10 };
    let mut answer = |is_over| find::answer_one(&mut reader, &name, &query, move || is_over);
    let over = "the search took more than 2 seconds; try other words";
    assert_eq!(answer(true), Err(LogError(over.to_owned())));
    assert_eq!(answer(false).unwrap().len(), 1, "the next one is answered");
}

#[test]
fn only_so_many_questions_wait() {
    let (go, wait) = mpsc::sync_channel::<()>(0);
    let worker = Worker::start("test", 2, move |questions: &mpsc::Receiver<Question>, _| {
        let _ = wait.recv();
        questions.iter().for_each(drop);
    });
    let worker = worker.unwrap();
    let finder = Finder::new(Arc::clone(worker.queue()));
    let ask = || finder.find(Query { words: Vec::new(), at_most: 1 });
    let _waiting = [ask(), ask()];
    assert_eq!(run(ask()), Err(LogError("too many searches at once; try again".to_owned())));
    drop(go);
    drop(worker);
    assert_eq!(run(ask()), Err(LogError("the store is closed".to_owned())));
}
