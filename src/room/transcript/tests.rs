use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(0);

fn read_all(log: &Transcript, mut cursor: Position) -> Result<String, FellBehind> {
    let mut seen = Vec::new();
    while cursor < log.end() {
        let bytes = log.read(cursor, log.end(), usize::MAX)?;
        cursor += bytes.len() as Position;
        seen.extend_from_slice(bytes);
    }
    Ok(String::from_utf8(seen).expect("lines are UTF-8"))
}

#[test]
fn a_transcript_holds_one_chunk_and_two_lines_more_than_its_retention() {
    assert_eq!(Transcript::bound_bytes(8_000, 100), 8_000 + 1_000 + 200);
}

#[test]
fn a_large_retention_takes_memory_only_as_it_is_needed() {
    let mut log = Transcript::new(1 << 40);
    log.append(NOW, "one");
    let capacity_bytes = log.open_chunk().lines.capacity();
    assert!((1 << 20..2 << 20).contains(&capacity_bytes), "{capacity_bytes}");
    assert_eq!(read_all(&log, 0).unwrap(), "one\n");
}

#[test]
fn a_cursor_reads_every_line_after_it_in_order() {
    let mut log = Transcript::new(1_024);
    assert_eq!(log.append(NOW, "one"), 0);
    let second = log.append(NOW, "two");
    log.append(NOW, "three");
    assert_eq!(read_all(&log, 0).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(read_all(&log, second).unwrap(), "two\nthree\n");
    assert_eq!(read_all(&log, second + 1).unwrap(), "wo\nthree\n");
    assert_eq!(read_all(&log, log.end()).unwrap(), "");
}

#[test]
fn reading_stops_at_the_given_position_and_length() {
    let mut log = Transcript::new(1_024);
    log.append(NOW, "one");
    let until = log.append(NOW, "two");
    assert_eq!(log.read(0, until, usize::MAX).unwrap(), b"one\n");
    assert_eq!(log.read(0, log.end(), 6).unwrap(), b"one\ntw");
}

#[test]
fn history_is_an_earlier_cursor() {
    let mut log = Transcript::new(1 << 20);
    for number in 0..5_000 {
        log.append(NOW, number);
    }
    let tail = |lines| read_all(&log, log.lines_before(log.end(), lines)).unwrap();
    assert_eq!(tail(0), "");
    assert_eq!(tail(2), "4998\n4999\n");
    assert_eq!(tail(5_000).lines().count(), 5_000);
    assert_eq!(tail(9_999).lines().count(), 5_000, "all that there are");
}

#[test]
fn history_reaches_back_a_quarter_of_the_retention_at_most() {
    let mut log = Transcript::new(4_000);
    for _ in 0..1_000 {
        log.append(NOW, "123456789");
    }
    assert_eq!(log.end() - log.lines_before(log.end(), 99), 990);
    assert_eq!(log.end() - log.lines_before(log.end(), 1_000), 1_000);
    assert_eq!(log.end() - log.lines_before(log.end(), 101), 1_000);
}

#[test]
fn a_line_is_found_by_its_number_and_missing_ones_are_counted() {
    let mut log = Transcript::new(4_000);
    let mut begins = Vec::new();
    for number in 0..2_000 {
        begins.push(log.append(NOW, format!("line {number}")));
    }
    let retained = begins.partition_point(|&begin| begin < log.begin());
    assert!(retained > 0);
    for (lines, &begin) in begins.iter().enumerate() {
        let expected = if lines < retained { (log.begin(), (retained - lines) as u64) } else { (begin, 0) };
        assert_eq!(log.position_after(lines as u64), expected, "{lines}");
    }
    assert_eq!(log.lines(), 2_000);
    assert_eq!(log.position_after(2_000), (log.end(), 0));
    assert_eq!(log.position_after(9_999), (log.end(), 0), "whatever a client says");
    assert_eq!(Transcript::new(4_000).position_after(0), (0, 0));
}

#[test]
fn the_latest_lines_come_first_each_with_its_second() {
    let mut log = Transcript::new(4_000);
    for number in 0..2_000 {
        log.append(Timestamp(number * 400), number);
    }
    for (number, (at, line)) in (0..2_000).rev().zip(log.latest()) {
        assert_eq!(line, number.to_string());
        assert_eq!(at.seconds(), number * 400 / 1_000);
    }
    let retained = log.latest().count() as u64;
    assert_eq!(log.position_after(0).1, 2_000 - retained);
}

#[test]
fn a_restored_transcript_counts_on_and_says_what_is_missing() {
    let lines = [(NOW, "eight"), (NOW, "nine")];
    let mut log = Transcript::restore(4_000, 10, lines.into_iter());
    assert_eq!(log.position_after(8), (0, 0));
    assert_eq!(log.position_after(3), (0, 5));
    log.append(NOW, "ten");
    assert_eq!(log.line_at(log.position_after(10).0), "ten");
    let log = Transcript::restore(4_000, 10, [].into_iter());
    assert_eq!((log.lines(), log.position_after(3)), (10, (0, 7)));
}

#[test]
fn the_next_line_begins_at_the_cursor_or_after_the_line_that_it_is_in() {
    let mut log = Transcript::new(1_024);
    log.append(NOW, "one");
    log.append(NOW, "two");
    let next: Vec<_> = (0..=log.end()).map(|cursor| log.next_line(cursor)).collect();
    assert_eq!(next, [0, 4, 4, 4, 4, 8, 8, 8, 8]);
}

#[test]
fn a_cursor_before_the_retention_has_fallen_behind() {
    let mut log = Transcript::new(10_000);
    while log.begin() == 0 {
        log.append(NOW, "x".repeat(100));
    }
    assert_eq!(read_all(&log, 0), Err(FellBehind));
    assert!(read_all(&log, log.begin()).is_ok());
}

proptest! {
    #[test]
    fn any_sequence_of_reads_gives_every_byte_in_order_and_within_the_bounds(
        lengths in proptest::collection::vec(0..2_000_usize, 1..200),
        at_most in 1..40_000_usize,
        retention in 0..100_000_usize,
    ) {
        let mut log = Transcript::new(retention);
        let mut expected = String::new();
        let (mut cursor, mut seen) = (0, Vec::new());
        for (index, length) in lengths.iter().enumerate() {
            let line = format!("{index} {}", "x".repeat(*length));
            log.append(NOW, &line);
            expected.push_str(&line);
            expected.push('\n');
            prop_assert_eq!(log.retained_bytes(), log.chunks.iter().map(|chunk| chunk.lines.len()).sum::<usize>());
            prop_assert!(log.retained_bytes() <= Transcript::bound_bytes(retention, 2_005));
            prop_assert!(log.end() - log.begin() >= retention.min(expected.len()) as u64);
            if index % 3 == 0 {
                let Ok(bytes) = log.read(cursor, log.end(), at_most) else { return Ok(()) };
                prop_assert!(!bytes.is_empty() && bytes.len() <= at_most);
                seen.extend_from_slice(bytes);
                cursor += bytes.len() as Position;
            }
        }
        match read_all(&log, cursor) {
            Ok(rest) => prop_assert_eq!(String::from_utf8(seen).unwrap() + &rest, expected),
            Err(FellBehind) => prop_assert!(cursor < log.begin()),
        }
    }
}
