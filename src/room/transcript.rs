//! The transcript: the lines that everyone is told, in their one order.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;

/// A place in the transcript: the number of bytes before it since the room began. A member's cursor is
/// one: everything before it was taken by the member's socket.
pub type Position = u64;

/// A new chunk begins when the last one holds this fraction of the retention, so that dropping the oldest
/// one drops little.
const CHUNKS_IN_RETENTION: usize = 8;

/// The size of a chunk, at most: a large retention takes memory only as it fills.
const CHUNK_BYTES: usize = 1_024 * 1_024;

/// History reaches back at most this fraction of the retention. Senders are slowed down while anybody is
/// more than half of it behind, so a newcomer must begin well within that.
const HISTORY_IN_RETENTION: usize = 4;

/// One line in so many is noted, so that a line is found without reading all before it.
const LINES_PER_MARK: u64 = 64;

/// Lines, each ended by a newline, in chunks. The oldest chunks are dropped as soon as the others hold
/// the retention.
///
/// Reading borrows from the chunks: nothing is copied, however many members read it.
#[derive(Debug)]
pub struct Transcript {
    chunks: VecDeque<Chunk>,
    end: Position,
    /// How many lines there have been.
    lines: u64,
    retention_bytes: usize,
}

#[derive(Debug)]
struct Chunk {
    begin: Position,
    /// How many lines there were before.
    lines_before: u64,
    lines: Vec<u8>,
    /// Where every [`LINES_PER_MARK`]th line begins, the first one included.
    marks: Vec<usize>,
}

/// A cursor lies before all retained bytes: its reader was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FellBehind;

impl Transcript {
    /// An empty transcript that keeps at least the last `retention_bytes`.
    #[must_use]
    pub fn new(retention_bytes: usize) -> Self {
        Self { chunks: VecDeque::new(), end: 0, lines: 0, retention_bytes }
    }

    /// The most bytes that a transcript with this retention ever holds, if no line is longer than
    /// `line_bytes`: one chunk more than the retention.
    #[must_use]
    pub fn bound_bytes(retention_bytes: usize, line_bytes: usize) -> usize {
        retention_bytes + retention_bytes / CHUNKS_IN_RETENTION + 2 * line_bytes
    }

    /// The position after the last line, where the next one will begin.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// The position of the oldest line that is retained.
    #[must_use]
    pub fn begin(&self) -> Position {
        self.chunks.front().map_or(self.end, |chunk| chunk.begin)
    }

    /// How many lines there have been since the room began.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// How many bytes are retained; see [`Transcript::bound_bytes`].
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        offset(self.end - self.begin())
    }

    /// Appends one line, and returns the position at which it begins.
    pub fn append(&mut self, line: impl fmt::Display) -> Position {
        let position = self.end;
        let number = self.lines;
        let Chunk { lines_before, lines, marks, .. } = self.open_chunk();
        let before = lines.len();
        if (number - *lines_before).is_multiple_of(LINES_PER_MARK) {
            marks.push(before);
        }
        writeln!(lines, "{line}").expect("writing into memory does not fail");
        let added = lines.len() - before;
        self.end += added as Position;
        self.lines += 1;
        self.retire();
        position
    }

    /// The bytes from `cursor` up to `until`, at most `at_most_bytes` of them and none beyond the chunk of
    /// the first: at least one if there is one.
    ///
    /// # Errors
    ///
    /// [`FellBehind`] if the byte at the cursor is no longer retained.
    pub fn read(&self, cursor: Position, until: Position, at_most_bytes: usize) -> Result<&[u8], FellBehind> {
        if cursor < self.begin() {
            return Err(FellBehind);
        }
        // Most readers are in the last chunk.
        let index = match self.chunks.back() {
            Some(last) if last.begin <= cursor => self.chunks.len() - 1,
            _ => self.chunks.partition_point(|chunk| chunk.begin <= cursor).saturating_sub(1),
        };
        let Some(chunk) = self.chunks.get(index) else { return Ok(&[]) };
        let from = offset(cursor - chunk.begin);
        let to = offset(until - chunk.begin).min(chunk.lines.len()).min(from.saturating_add(at_most_bytes));
        Ok(&chunk.lines[from..to])
    }

    /// The position `lines` lines before `position`, but not before the first line that is retained, and
    /// at most a quarter of the retention back: a reader that begins there must not be far behind already.
    #[must_use]
    pub fn lines_before(&self, position: Position, lines: usize) -> Position {
        let farthest = position.saturating_sub((self.retention_bytes / HISTORY_IN_RETENTION) as Position);
        let mut nearer = position;
        let mut newlines = 0;
        for chunk in self.chunks.iter().rev() {
            let length = offset(position.saturating_sub(chunk.begin)).min(chunk.lines.len());
            for index in (0..length).rev() {
                if chunk.lines[index] == b'\n' {
                    let begin = chunk.begin + index as Position + 1;
                    if begin < farthest {
                        return nearer;
                    }
                    newlines += 1;
                    // This newline ends the line before those that are wanted.
                    if newlines > lines {
                        return begin;
                    }
                    nearer = begin;
                }
            }
        }
        let begin = self.begin().min(position);
        if begin < farthest { nearer } else { begin }
    }

    /// Where the line begins that `lines` lines come before, and how many lines are no longer retained between:
    /// if there are any, where the first begins that is.
    #[must_use]
    pub fn position_after(&self, lines: u64) -> (Position, u64) {
        let after = self.chunks.partition_point(|chunk| chunk.lines_before <= lines);
        let Some(chunk) = after.checked_sub(1).and_then(|index| self.chunks.get(index)) else {
            let retained = self.chunks.front().map_or(self.lines, |chunk| chunk.lines_before);
            return (self.begin(), retained.saturating_sub(lines));
        };
        let within = lines - chunk.lines_before;
        let mark = offset(within / LINES_PER_MARK);
        let Some(&mark) = chunk.marks.get(mark) else { return (self.end, 0) };
        let mut offset = mark;
        for _ in 0..within % LINES_PER_MARK {
            let Some(length) = line_length(&chunk.lines[offset..]) else { break };
            offset += length;
        }
        (chunk.begin + offset as Position, 0)
    }

    /// Where the first line begins that does not begin before `cursor`.
    #[must_use]
    pub fn next_line(&self, cursor: Position) -> Position {
        let Some(before) = cursor.checked_sub(1).filter(|before| *before >= self.begin()) else {
            return cursor;
        };
        let rest = self.read(before, self.end, usize::MAX).unwrap_or_default();
        before + line_length(rest).unwrap_or(rest.len()) as Position
    }

    /// The chunk that takes the next line.
    fn open_chunk(&mut self) -> &mut Chunk {
        let chunk_bytes = (self.retention_bytes / CHUNKS_IN_RETENTION).min(CHUNK_BYTES);
        if self.chunks.back().is_none_or(|chunk| chunk.lines.len() >= chunk_bytes) {
            // The last line overshoots. Memory that is not written to costs nothing.
            let lines = Vec::with_capacity(chunk_bytes + chunk_bytes / CHUNKS_IN_RETENTION);
            let (begin, lines_before) = (self.end, self.lines);
            self.chunks.push_back(Chunk { begin, lines_before, lines, marks: Vec::new() });
        }
        self.chunks.back_mut().expect("a chunk was just seen or added")
    }

    /// Drops the oldest chunks that the retention does not need.
    fn retire(&mut self) {
        while let Some(oldest) = self.chunks.front()
            && self.retained_bytes() - oldest.lines.len() >= self.retention_bytes
            && self.chunks.len() > 1
        {
            self.chunks.pop_front();
        }
    }
}

/// The length of the first line, with its newline.
fn line_length(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n').map(|newline| newline + 1)
}

/// A distance within the retained bytes, which fit into memory by construction. Larger ones saturate.
fn offset(distance: Position) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        log.append("one");
        let capacity_bytes = log.open_chunk().lines.capacity();
        assert!((1 << 20..2 << 20).contains(&capacity_bytes), "{capacity_bytes}");
        assert_eq!(read_all(&log, 0).unwrap(), "one\n");
    }

    #[test]
    fn a_cursor_reads_every_line_after_it_in_order() {
        let mut log = Transcript::new(1_024);
        assert_eq!(log.append("one"), 0);
        let second = log.append("two");
        log.append("three");
        assert_eq!(read_all(&log, 0).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(read_all(&log, second).unwrap(), "two\nthree\n");
        assert_eq!(read_all(&log, second + 1).unwrap(), "wo\nthree\n");
        assert_eq!(read_all(&log, log.end()).unwrap(), "");
    }

    #[test]
    fn reading_stops_at_the_given_position_and_length() {
        let mut log = Transcript::new(1_024);
        log.append("one");
        let until = log.append("two");
        assert_eq!(log.read(0, until, usize::MAX).unwrap(), b"one\n");
        assert_eq!(log.read(0, log.end(), 6).unwrap(), b"one\ntw");
    }

    #[test]
    fn history_is_an_earlier_cursor() {
        let mut log = Transcript::new(1 << 20);
        for number in 0..5_000 {
            log.append(number);
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
            log.append("123456789");
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
            begins.push(log.append(format!("line {number}")));
        }
        let retained = begins.partition_point(|&begin| begin < log.begin());
        assert!(retained > 0);
        for (lines, &begin) in begins.iter().enumerate() {
            let expected =
                if lines < retained { (log.begin(), (retained - lines) as u64) } else { (begin, 0) };
            assert_eq!(log.position_after(lines as u64), expected, "{lines}");
        }
        assert_eq!(log.lines(), 2_000);
        assert_eq!(log.position_after(2_000), (log.end(), 0));
        assert_eq!(log.position_after(9_999), (log.end(), 0), "whatever a client says");
        assert_eq!(Transcript::new(4_000).position_after(0), (0, 0));
    }

    #[test]
    fn the_next_line_begins_at_the_cursor_or_after_the_line_that_it_is_in() {
        let mut log = Transcript::new(1_024);
        log.append("one");
        log.append("two");
        let next: Vec<_> = (0..=log.end()).map(|cursor| log.next_line(cursor)).collect();
        assert_eq!(next, [0, 4, 4, 4, 4, 8, 8, 8, 8]);
    }

    #[test]
    fn a_cursor_before_the_retention_has_fallen_behind() {
        let mut log = Transcript::new(10_000);
        while log.begin() == 0 {
            log.append("x".repeat(100));
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
                log.append(&line);
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
}
