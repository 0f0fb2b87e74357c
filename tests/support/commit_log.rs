//! What every commit log does, as tests that are run for each.
//!
//! A test is given a way to open the same log again and again, which is empty at first. The macro
//! `commit_log_tests!` makes them tests of a module.

use std::sync::Arc;

use commonroom::commit_log::{Batch, CommitLog, Line, Query, Record, Recovered, Snapshot};
use commonroom::protocol::{LogEpoch, Timestamp};

/// `$run` takes a future to its end, `$open` makes a way to open one log.
macro_rules! commit_log_tests {
    ($run:path, $open:expr) => {
        $crate::support::commit_log::commit_log_tests! { $run, $open,
            a_new_log_holds_nothing_and_takes_the_fresh_epoch
            what_was_appended_is_recovered_in_order
            a_log_goes_on_where_it_was_left
            a_large_batch_is_recovered_as_a_whole
            a_snapshot_takes_the_place_of_the_records_before_it
            a_snapshot_may_come_without_records
            the_lines_before_the_snapshot_come_back_as_far_as_they_fit
            the_epoch_stays_as_long_as_the_log
            words_are_found_in_what_members_said
            a_word_is_found_in_any_case_and_between_signs
            without_words_the_last_lines_are_found
            what_was_said_in_private_is_never_found
            nothing_in_a_word_has_a_meaning_of_its_own
            a_line_is_found_as_soon_as_it_is_appended
            what_was_found_once_is_found_in_a_log_that_was_opened_again
            a_finder_that_outlives_its_log_finds_nothing_more
        }
    };
    ($run:path, $open:expr, $($name:ident)+) => {
        $(#[test] fn $name() { $run($crate::support::commit_log::$name($open)); })+
    };
}
pub(crate) use commit_log_tests;

/// More than all lines of a test have.
const ALL_BYTES: usize = 1_000_000;

const FRESH: LogEpoch = LogEpoch(0x5c1e);

pub async fn a_new_log_holds_nothing_and_takes_the_fresh_epoch<L: CommitLog>(mut open: impl FnMut() -> L) {
    let recovered = open().recover(FRESH, ALL_BYTES).await;
    let nothing =
        Recovered { epoch: FRESH, snapshot: None, lines: Vec::new(), records: Vec::new(), torn_pages: 0 };
    assert_eq!(recovered, Ok(nothing));
}

pub async fn what_was_appended_is_recovered_in_order<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut records = vec![
        said(1, 0, "Alex: hello"),
        Record { nickname: None, text: None, line: None, head: Vec::new(), ..said(2, 0, "") },
        Record { at: Timestamp(0), kind: "detach".into(), ..said(3, 1, "") },
        Record {
            nickname: Some("Zoë 🙂".into()),
            head: vec![0, 255],
            ..said(4, 2, "Zoë 🙂: a\0b \u{10ffff}")
        },
    ];
    records.extend((5..50).map(|id| said(id, id, "Alex: and so on")));
    let mut log = reopened(&mut open).await;
    for part in records.chunks(7) {
        append(&mut log, part.to_vec(), None).await;
    }
    drop(log);
    assert_eq!(recover(&mut open()).await.records, records);
}

pub async fn a_log_goes_on_where_it_was_left<L: CommitLog>(mut open: impl FnMut() -> L) {
    for id in 1..=5 {
        let mut log = open();
        assert_eq!(recover(&mut log).await.records.len() as u64, id - 1);
        append(&mut log, vec![said(id, id, "Alex: once more")], None).await;
    }
    assert_eq!(ids(&recover(&mut open()).await), [1, 2, 3, 4, 5]);
}

pub async fn a_large_batch_is_recovered_as_a_whole<L: CommitLog>(mut open: impl FnMut() -> L) {
    let records: Vec<_> = (1..=3_000).map(|id| said(id, id, "Alex: one of many")).collect();
    append(&mut reopened(&mut open).await, records.clone(), None).await;
    assert_eq!(recover(&mut open()).await.records, records);
}

pub async fn a_snapshot_takes_the_place_of_the_records_before_it<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    append(&mut log, vec![said(1, 0, "Alex: first"), said(2, 1, "Alex: second")], None).await;
    append(&mut log, vec![said(3, 2, "Alex: third")], Some(snapshot(3, "first"))).await;
    append(&mut log, vec![said(4, 3, "Alex: fourth")], None).await;
    drop(log);
    let mut log = open();
    let recovered = recover(&mut log).await;
    assert_eq!((recovered.snapshot.as_ref(), ids(&recovered)), (Some(&snapshot(3, "first")), vec![4]));
    append(&mut log, vec![said(5, 4, "Alex: fifth")], Some(snapshot(5, "second"))).await;
    drop(log);
    let recovered = recover(&mut open()).await;
    assert_eq!((recovered.snapshot.as_ref(), ids(&recovered)), (Some(&snapshot(5, "second")), vec![]));
}

pub async fn a_snapshot_may_come_without_records<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    append(&mut log, Vec::new(), Some(snapshot(0, "of nothing"))).await;
    append(&mut log, vec![said(1, 0, "Alex: hello")], None).await;
    append(&mut log, Vec::new(), Some(snapshot(1, ""))).await;
    append(&mut log, Vec::new(), None).await;
    drop(log);
    let recovered = recover(&mut open()).await;
    assert_eq!((recovered.snapshot.as_ref(), ids(&recovered)), (Some(&snapshot(1, "")), vec![]));
}

pub async fn the_lines_before_the_snapshot_come_back_as_far_as_they_fit<L: CommitLog>(
    mut open: impl FnMut() -> L,
) {
    let mut log = reopened(&mut open).await;
    let lines = ["Alex: one", "Alex: two", "Alex: three"];
    append(&mut log, vec![said(1, 0, lines[0]), whispered(2, "for Dinesh"), said(3, 1, lines[1])], None)
        .await;
    append(&mut log, vec![said(4, 2, lines[2]), whispered(5, "for Zoë")], Some(snapshot(5, "room"))).await;
    append(&mut log, vec![said(6, 3, "Alex: four")], None).await;
    drop(log);
    // Each takes its bytes and one for its end.
    for (bytes, fitting) in [(0, 3), (11, 3), (12, 2), (21, 2), (22, 1), (31, 1), (32, 0), (ALL_BYTES, 0)] {
        let recovered = open().recover(FRESH, bytes).await.expect("a log that can be read");
        assert_eq!(texts(&recovered.lines), &lines[fitting..], "{bytes} bytes");
    }
    assert_eq!(recover(&mut open()).await.lines[1].at, Timestamp(1_003));
}

pub async fn the_epoch_stays_as_long_as_the_log<L: CommitLog>(mut open: impl FnMut() -> L) {
    for _ in 0..2 {
        append(&mut reopened(&mut open).await, Vec::new(), None).await;
    }
    let mut log = reopened(&mut open).await;
    append(&mut log, vec![said(1, 0, "Alex: hello")], None).await;
    drop(log);
    for fresh in [LogEpoch(1), LogEpoch(u64::MAX)] {
        let recovered = open().recover(fresh, ALL_BYTES).await;
        assert_eq!(recovered.map(|recovered| recovered.epoch), Ok(FRESH));
    }
}

pub async fn words_are_found_in_what_members_said<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    let joined = Record { kind: "join".into(), ..said(1, 0, "-- Pizza has joined.") };
    let acted = Record { kind: "act".into(), ..said(4, 3, "* Alex eats pizza tonight") };
    let lines = vec![joined, said(2, 1, "Alex: pizza tonight?"), said(3, 2, "Zoë: no pizza"), acted];
    append(&mut log, lines, None).await;
    let found = |words, at_most| find(&log, words, at_most);
    assert_eq!(
        found("pizza", 10).await,
        ["Alex: pizza tonight?", "Zoë: no pizza", "* Alex eats pizza tonight"]
    );
    assert_eq!(found("tonight pizza", 10).await, ["Alex: pizza tonight?", "* Alex eats pizza tonight"]);
    assert_eq!(found("pizza", 2).await, ["Zoë: no pizza", "* Alex eats pizza tonight"]);
    assert!(found("pizza salad", 10).await.is_empty());
    assert!(found("pizza", 0).await.is_empty());
}

pub async fn a_word_is_found_in_any_case_and_between_signs<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    append(&mut log, vec![said(1, 0, "Alex: \"Äpfel\", (and) PEARS!")], None).await;
    for words in ["äpfel", "ÄPFEL pears", "and", "pears!"] {
        assert_eq!(find(&log, words, 10).await.len(), 1, "{words}");
    }
}

pub async fn without_words_the_last_lines_are_found<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    let joined = Record { kind: "join".into(), ..said(2, 1, "-- Zoë has joined.") };
    append(&mut log, vec![said(1, 0, "Alex: hello"), joined, whispered(3, "psst")], None).await;
    append(&mut log, vec![said(4, 2, "Zoë: hello")], Some(snapshot(4, "room"))).await;
    assert_eq!(find(&log, "", 2).await, ["-- Zoë has joined.", "Zoë: hello"]);
    assert_eq!(find(&log, "", 10).await, ["Alex: hello", "-- Zoë has joined.", "Zoë: hello"]);
    assert!(find(&log, "", 0).await.is_empty());
}

pub async fn what_was_said_in_private_is_never_found<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    let told = Record { kind: "answer".into(), ..whispered(2, "secret") };
    // Not even if it looks as if it was said, to nobody in particular.
    let unsaid = Record { kind: "say".into(), ..whispered(3, "secret") };
    append(&mut log, vec![whispered(1, "secret"), told, unsaid], None).await;
    for words in ["secret", "", "Alex", "🤫"] {
        assert!(find(&log, words, 10).await.is_empty(), "{words}");
    }
}

pub async fn nothing_in_a_word_has_a_meaning_of_its_own<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    append(&mut log, vec![said(1, 0, "Alex: pizza or salad"), said(2, 1, "Alex: near NOT text")], None).await;
    for (words, found) in [
        ("pizza OR near", 0),
        ("pizza NOT near", 0),
        ("NOT", 1),
        ("near", 1),
        ("NEAR(pizza salad)", 0),
        ("piz*", 0),
        ("text:pizza", 0),
        ("said: pizza", 0),
        ("\"pizza", 1),
        ("pizza\"", 1),
        ("\"\"\" pizza", 0),
        ("^Alex", 2),
        ("-pizza", 1),
        ("pi\0zza", 0),
        ("'", 0),
        ("%", 0),
        ("?1", 0),
    ] {
        assert_eq!(find(&log, words, 10).await.len(), found, "{words}");
    }
}

pub async fn a_line_is_found_as_soon_as_it_is_appended<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    for id in 1..=30 {
        append(&mut log, vec![said(id, id, &format!("Alex: word{id} again"))], None).await;
        assert_eq!(find(&log, &format!("word{id}"), 10).await.len(), 1);
        assert_eq!(find(&log, "again", 1_000).await.len() as u64, id);
    }
}

pub async fn what_was_found_once_is_found_in_a_log_that_was_opened_again<L: CommitLog>(
    mut open: impl FnMut() -> L,
) {
    let mut log = reopened(&mut open).await;
    let lines = vec![said(1, 0, "Alex: pizza?"), whispered(2, "pizza"), said(3, 1, "Zoë: pizza!")];
    append(&mut log, lines, Some(snapshot(3, "room"))).await;
    drop(log);
    let mut log = reopened(&mut open).await;
    append(&mut log, vec![said(4, 2, "Alex: pizza it is")], None).await;
    assert_eq!(find(&log, "pizza", 10).await, ["Alex: pizza?", "Zoë: pizza!", "Alex: pizza it is"]);
    assert_eq!(find(&log, "", 2).await, ["Zoë: pizza!", "Alex: pizza it is"]);
}

pub async fn a_finder_that_outlives_its_log_finds_nothing_more<L: CommitLog>(mut open: impl FnMut() -> L) {
    let mut log = reopened(&mut open).await;
    append(&mut log, vec![said(1, 0, "Alex: hello")], None).await;
    let finder = log.finder();
    drop(log);
    let error = finder.find(query("hello", 10)).await.expect_err("a log that is closed");
    assert!(!error.0.is_empty());
}

/// A public line of Alex's, or of whoever begins it.
fn said(id: u64, line: u64, text: &str) -> Record {
    Record {
        id,
        at: Timestamp(1_000 + id),
        kind: "say".into(),
        nickname: Some("Alex".into()),
        text: Some(text.into()),
        line: Some(line),
        head: id.to_be_bytes().to_vec(),
    }
}

/// What Alex said to one member.
fn whispered(id: u64, text: &str) -> Record {
    Record { kind: "whisper".into(), line: None, ..said(id, 0, text) }
}

fn snapshot(id: u64, state: &str) -> Snapshot {
    Snapshot { id, state: state.as_bytes().to_vec() }
}

fn ids(recovered: &Recovered) -> Vec<u64> {
    recovered.records.iter().map(|record| record.id).collect()
}

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| &*line.text).collect()
}

fn query(words: &str, at_most: usize) -> Query {
    Query { words: words.split_whitespace().map(Box::from).collect(), at_most }
}

async fn find(log: &impl CommitLog, words: &str, at_most: usize) -> Vec<String> {
    let found = log.finder().find(query(words, at_most)).await.expect("a search");
    found.into_iter().map(|line| line.text.into()).collect()
}

async fn recover(log: &mut impl CommitLog) -> Recovered {
    log.recover(FRESH, ALL_BYTES).await.expect("a log that can be read")
}

/// The log, opened and ready to append to.
async fn reopened<L: CommitLog>(open: &mut impl FnMut() -> L) -> L {
    let mut log = open();
    recover(&mut log).await;
    log
}

async fn append(log: &mut impl CommitLog, records: Vec<Record>, snapshot: Option<Snapshot>) {
    let appended = log.append(Arc::new(Batch { records, snapshot })).await;
    appended.expect("a batch that is appended");
}
