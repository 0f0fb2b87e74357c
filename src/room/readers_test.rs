//! Readers: who is slow, and what is shown up to a horizon.

use super::*;

const NOW: Timestamp = Timestamp(0);
const PRIVATE_BYTES: usize = 100;

fn at(member: MemberId) -> Attachment {
    Attachment { member, number: 0 }
}

#[test]
fn a_reader_that_is_ignored_counts_again_as_soon_as_it_moves() {
    let mut readers = Readers::new(PRIVATE_BYTES);
    let mut transcript = Transcript::new(1 << 20);
    let [slow, quick] = [at(MemberId(0)), at(MemberId(1))];
    readers.add(slow, 0, "stalled");
    readers.add(quick, 0, "well");
    while transcript.end() < 1_000 {
        transcript.append(NOW, "twenty bytes of text");
    }
    let end = transcript.end();
    readers.visit_one(quick, |reader| reader.advance(&transcript, Point::END, usize::MAX));
    let is_stalled = |outlet: &&str| *outlet == "stalled";
    assert!(readers.somebody_is_behind_by(500, end, |_| false));
    assert!(!readers.somebody_is_behind_by(500, end, is_stalled));
    assert!(!readers.somebody_is_behind_by(500, end, |_| false), "nothing has changed since");
    readers.visit_one(slow, |reader| reader.advance(&transcript, Point::END, 1));
    assert!(readers.somebody_is_behind_by(500, end, |_| false));
}

#[test]
fn a_visit_goes_on_where_the_last_one_stopped() {
    let mut readers = Readers::new(PRIVATE_BYTES);
    for id in 0..5 {
        readers.add(at(MemberId(id)), 0, ());
    }
    let mut visited = Vec::new();
    let next = readers.visit(Attachment::FIRST, 2, |id, _| visited.push(id.member.0));
    assert_eq!(next, Some(at(MemberId(2))));
    assert_eq!(readers.visit(at(MemberId(2)), 3, |id, _| visited.push(id.member.0)), None);
    assert_eq!(visited, [0, 1, 2, 3, 4]);
}

#[test]
fn a_newcomer_counts_when_the_slowest_is_looked_for() {
    let mut readers = Readers::new(PRIVATE_BYTES);
    assert!(!readers.somebody_is_behind_by(10, 100, |()| false));
    readers.add(Attachment::FIRST, 50, ());
    assert!(readers.somebody_is_behind_by(10, 100, |()| false));
}

#[test]
fn nothing_after_the_horizon_is_shown_and_a_reader_that_has_left_waits_for_it() {
    let mut readers = Readers::new(PRIVATE_BYTES);
    let mut transcript = Transcript::new(1 << 20);
    let id = Attachment::FIRST;
    readers.add(id, 0, ());
    let start = Point { position: 0, record: 0 };
    transcript.append(NOW, "public");
    let said = Point { position: transcript.end(), record: 1 };
    let answered = Point { record: 2, ..said };
    readers.tell(id, answered, &"private");
    assert_eq!(next(&mut readers, &transcript, start), "Ok(Idle)");
    readers.interject(id, start, &"at once");
    assert_eq!(next(&mut readers, &transcript, start), "at once\n");
    assert_eq!(next(&mut readers, &transcript, said), "public\n");
    readers.end(id, said.position);
    assert_eq!(next(&mut readers, &transcript, said), "Ok(Idle)", "it is still to be told something");
    assert_eq!(next(&mut readers, &transcript, answered), "private\n");
    assert_eq!(next(&mut readers, &transcript, answered), "Ok(End)");
}

#[test]
fn a_reader_that_comes_back_is_first_told_so_even_if_that_waits_for_the_horizon() {
    let mut readers = Readers::new(PRIVATE_BYTES);
    let mut transcript = Transcript::new(1 << 20);
    let id = Attachment::FIRST;
    transcript.append(NOW, "missed");
    let said = Point { position: transcript.end(), record: 1 };
    readers.add(id, 0, ());
    let resumed = Point { position: 0, record: 2 };
    readers.tell(id, resumed, &"resumed");
    assert_eq!(next(&mut readers, &transcript, said), "Ok(Idle)");
    readers.interject(id, said, &"at once");
    assert_eq!(next(&mut readers, &transcript, said), "at once\n");
    let horizon = Point { record: 2, ..said };
    assert_eq!(next(&mut readers, &transcript, horizon), "resumed\nmissed\n");
}

#[test]
fn a_reader_that_ends_early_is_told_nothing_that_follows_lines_that_it_is_not_sent() {
    let mut readers = Readers::new(PRIVATE_BYTES);
    let mut transcript = Transcript::new(1 << 20);
    let id = Attachment::FIRST;
    readers.add(id, 0, ());
    let start = Point { position: 0, record: 0 };
    readers.tell(id, start, &"before");
    transcript.append(NOW, "public");
    readers.tell(id, Point { position: transcript.end(), ..start }, &"after");
    readers.end_with(id, &transcript, 0, &"last");
    assert_eq!(next(&mut readers, &transcript, Point::END), "before\nlast\n");
    assert_eq!(next(&mut readers, &transcript, Point::END), "Ok(End)");
}

/// What the reader takes next.
fn next(readers: &mut Readers<()>, transcript: &Transcript, horizon: Point) -> String {
    let next = readers.visit_one(Attachment::FIRST, |reader| match reader.read(transcript, horizon, 99) {
        Ok(Read::Data { bytes, .. }) => {
            reader.advance(transcript, horizon, bytes.len());
            String::from_utf8(bytes.into_owned()).unwrap()
        }
        other => format!("{other:?}"),
    });
    next.expect("a reader")
}
