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

/// Lines, each ended by a newline, in chunks. The oldest chunks are dropped as soon as the others hold
/// the retention.
///
/// Reading borrows from the chunks: nothing is copied, however many members read it.
#[derive(Debug)]
pub struct Transcript {
    chunks: VecDeque<Chunk>,
    end: Position,
    retention_bytes: usize,
}

#[derive(Debug)]
struct Chunk {
    begin: Position,
    lines: Vec<u8>,
}

/// A cursor lies before all retained bytes: its reader was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FellBehind;

impl Transcript {
    /// An empty transcript that keeps at least the last `retention_bytes`.
    #[must_use]
    pub fn new(retention_bytes: usize) -> Self {
        Self { chunks: VecDeque::new(), end: 0, retention_bytes }
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

    /// How many bytes are retained; see [`Transcript::bound_bytes`].
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        offset(self.end - self.begin())
    }

    /// Appends one line, and returns the position at which it begins.
    pub fn append(&mut self, line: impl fmt::Display) -> Position {
        let position = self.end;
        let lines = &mut self.open_chunk().lines;
        let before = lines.len();
        writeln!(lines, "{line}").expect("writing into memory does not fail");
        let added = lines.len() - before;
        self.end += added as Position;
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

    /// The chunk that takes the next line.
    fn open_chunk(&mut self) -> &mut Chunk {
        let chunk_bytes = (self.retention_bytes / CHUNKS_IN_RETENTION).min(CHUNK_BYTES);
        if self.chunks.back().is_none_or(|chunk| chunk.lines.len() >= chunk_bytes) {
            // The last line overshoots. Memory that is not written to costs nothing.
            let lines = Vec::with_capacity(chunk_bytes + chunk_bytes / CHUNKS_IN_RETENTION);
            self.chunks.push_back(Chunk { begin: self.end, lines });
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
