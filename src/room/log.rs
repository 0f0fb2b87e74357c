//! The append-only log of lines that everything else is a view of.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;

/// A place in the log: how many bytes lie before it since the room began. Always at the beginning
/// of a line. A member's cursor is such a position.
pub type Position = u64;

/// How many bytes of whole lines a chunk gathers before the next one is begun (the last line may
/// overshoot). Two of them make a stretch of the size at which a socket write is cheapest a byte.
pub const CHUNK_BYTES: usize = 16 * 1_024;

/// Lines, each ended by a newline, in chunks; the oldest chunks are given up when together they
/// hold more than the retention.
#[derive(Debug)]
pub struct RoomLog {
    chunks: VecDeque<Chunk>,
    end: Position,
    retained_bytes: usize,
    retention_bytes: usize,
}

#[derive(Debug)]
struct Chunk {
    begin: Position,
    lines: Vec<u8>,
}

/// A cursor lies before what the log still holds: its reader was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FellBehind;

impl RoomLog {
    /// An empty log that keeps at least the last `retention_bytes`, as far as there are so many,
    /// and at most one chunk more.
    #[must_use]
    pub fn new(retention_bytes: usize) -> Self {
        Self { chunks: VecDeque::new(), end: 0, retained_bytes: 0, retention_bytes }
    }

    /// The position behind the last line, where the next one will begin.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// The position of the oldest line that is still there.
    #[must_use]
    pub fn begin(&self) -> Position {
        self.chunks.front().map_or(self.end, |chunk| chunk.begin)
    }

    /// How much is there: at most the retention, one chunk and one line.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.retained_bytes
    }

    /// Appends one line, and returns the position at which it begins.
    pub fn append(&mut self, line: impl fmt::Display) -> Position {
        let position = self.end;
        let chunk = self.open_chunk();
        let before = chunk.lines.len();
        writeln!(chunk.lines, "{line}").expect("writing into memory does not fail");
        let added = chunk.lines.len() - before;
        self.end += added as Position;
        self.retained_bytes += added;
        self.retire();
        position
    }

    /// Copies lines from `cursor` on into `out`, up to `until`, about `at_most` bytes and at
    /// least one line if there is one, and moves the cursor behind them.
    ///
    /// # Errors
    ///
    /// [`FellBehind`] if lines between the cursor and what is retained are gone.
    pub fn read(
        &self,
        cursor: &mut Position,
        until: Position,
        at_most: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), FellBehind> {
        if *cursor < self.begin() {
            return Err(FellBehind);
        }
        let first = self.chunks.partition_point(|chunk| chunk.begin <= *cursor).saturating_sub(1);
        let before = out.len();
        for chunk in self.chunks.range(first..) {
            if *cursor >= until || out.len() - before >= at_most {
                break;
            }
            let from = offset(*cursor - chunk.begin);
            let to = offset(until - chunk.begin).min(chunk.lines.len());
            out.extend_from_slice(&chunk.lines[from..to]);
            *cursor = chunk.begin + to as Position;
        }
        Ok(())
    }

    /// The position `lines` lines before `position`, or of the oldest line if there are fewer.
    #[must_use]
    pub fn lines_before(&self, position: Position, lines: usize) -> Position {
        let mut newlines = 0;
        for chunk in self.chunks.iter().rev() {
            let length = offset(position.saturating_sub(chunk.begin)).min(chunk.lines.len());
            for index in (0..length).rev() {
                if chunk.lines[index] == b'\n' {
                    newlines += 1;
                    // The newline that ends the line before the ones that are wanted.
                    if newlines > lines {
                        return chunk.begin + index as Position + 1;
                    }
                }
            }
        }
        self.begin().min(position)
    }

    /// The chunk that takes the next line.
    fn open_chunk(&mut self) -> &mut Chunk {
        if self.chunks.back().is_none_or(|chunk| chunk.lines.len() >= CHUNK_BYTES) {
            self.chunks.push_back(Chunk { begin: self.end, lines: Vec::new() });
        }
        self.chunks.back_mut().expect("a chunk was just seen or added")
    }

    /// Gives up the oldest chunks that the retention does not need.
    fn retire(&mut self) {
        while let Some(oldest) = self.chunks.front()
            && self.retained_bytes - oldest.lines.len() >= self.retention_bytes
            && self.chunks.len() > 1
        {
            self.retained_bytes -= oldest.lines.len();
            self.chunks.pop_front();
        }
    }
}

/// A distance inside a chunk or the retained log, which fits into memory by construction; a
/// distance to a position far beyond is cut to what can be addressed.
fn offset(distance: Position) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(log: &RoomLog, mut cursor: Position) -> Result<String, FellBehind> {
        let mut out = Vec::new();
        log.read(&mut cursor, log.end(), usize::MAX, &mut out)?;
        assert_eq!(cursor, log.end());
        Ok(String::from_utf8(out).expect("lines are UTF-8"))
    }

    #[test]
    fn a_cursor_reads_every_line_behind_it_in_order() {
        let mut log = RoomLog::new(1_024);
        assert_eq!(log.append("one"), 0);
        let second = log.append("two");
        log.append("three");
        assert_eq!(read_all(&log, 0).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(read_all(&log, second).unwrap(), "two\nthree\n");
        assert_eq!(read_all(&log, log.end()).unwrap(), "");
    }

    #[test]
    fn reading_stops_at_the_given_position() {
        let mut log = RoomLog::new(1_024);
        log.append("one");
        let until = log.append("two");
        let (mut cursor, mut out) = (0, Vec::new());
        log.read(&mut cursor, until, usize::MAX, &mut out).unwrap();
        assert_eq!(out, b"one\n");
        assert_eq!(cursor, until);
    }

    #[test]
    fn history_is_an_earlier_cursor() {
        let mut log = RoomLog::new(1 << 20);
        for number in 0..5_000 {
            log.append(number);
        }
        let tail = |lines| read_all(&log, log.lines_before(log.end(), lines)).unwrap();
        assert_eq!(tail(0), "");
        assert_eq!(tail(2), "4998\n4999\n");
        assert_eq!(tail(5_000).lines().count(), 5_000);
        assert_eq!(tail(9_999).lines().count(), 5_000, "there are no more than there are");
    }

    #[test]
    fn a_cursor_before_the_retention_has_fallen_behind() {
        let mut log = RoomLog::new(4 * CHUNK_BYTES);
        while log.begin() == 0 {
            log.append("x".repeat(100));
        }
        assert_eq!(read_all(&log, 0), Err(FellBehind));
        assert!(read_all(&log, log.begin()).is_ok());
    }

    proptest! {
        #[test]
        fn any_sequence_of_reads_gives_the_lines_whole_in_order_and_within_the_bounds(
            lengths in proptest::collection::vec(0..2_000_usize, 1..200),
            at_most in 1..40_000_usize,
            retention in 0..100_000_usize,
        ) {
            let mut log = RoomLog::new(retention);
            let mut expected = String::new();
            let (mut cursor, mut seen) = (0, Vec::new());
            for (index, length) in lengths.iter().enumerate() {
                let line = format!("{index} {}", "x".repeat(*length));
                log.append(&line);
                expected.push_str(&line);
                expected.push('\n');
                prop_assert!(log.retained_bytes <= retention + CHUNK_BYTES + 2_100);
                prop_assert!(log.end() - log.begin() >= retention.min(expected.len()) as u64);
                if index % 3 == 0 {
                    let before = seen.len();
                    let mut stretch = Vec::new();
                    if log.read(&mut cursor, log.end(), at_most, &mut stretch).is_err() {
                        return Ok(());
                    }
                    prop_assert!(stretch.ends_with(b"\n") && stretch.len() <= at_most + CHUNK_BYTES + 2_100);
                    seen.extend_from_slice(&stretch);
                    prop_assert!(seen.len() > before);
                }
            }
            while cursor < log.end() {
                if log.read(&mut cursor, log.end(), at_most, &mut seen).is_err() {
                    return Ok(());
                }
            }
            prop_assert_eq!(String::from_utf8(seen).unwrap(), expected);
        }
    }
}
