//! The transcript: the lines that everyone is told, in their one order.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;

use crate::protocol::Timestamp;

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
    /// When lines were said: the time of the line that begins there, and of those after it in the same second.
    times: Vec<(usize, Timestamp)>,
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

    /// A transcript that had so many lines, of which these are the last.
    pub(super) fn restore<'a>(
        retention_bytes: usize,
        so_far: u64,
        lines: impl ExactSizeIterator<Item = (Timestamp, &'a str)>,
    ) -> Self {
        let before = so_far.saturating_sub(lines.len() as u64);
        let mut transcript = Self { lines: before, ..Self::new(retention_bytes) };
        lines.for_each(|(at, line)| {
            transcript.append(at, line);
        });
        transcript
    }

    /// How many bytes are retained; see [`Transcript::bound_bytes`].
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        offset(self.end - self.begin())
    }

    /// Appends one line that was said at that time, and returns the position at which it begins.
    pub fn append(&mut self, at: Timestamp, line: impl fmt::Display) -> Position {
        let position = self.end;
        let number = self.lines;
        let Chunk { lines_before, lines, marks, times, .. } = self.open_chunk();
        let before = lines.len();
        if (number - *lines_before).is_multiple_of(LINES_PER_MARK) {
            marks.push(before);
        }
        if times.last().is_none_or(|(_, last)| last.seconds() != at.seconds()) {
            times.push((before, at));
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

    /// The lines that are retained, the last one first, each with the second in which it was said.
    pub fn latest(&self) -> impl Iterator<Item = (Timestamp, &str)> {
        self.latest_before(self.end).map(|(_, at, line)| (at, line))
    }

    /// The same of those before `end`, where a line begins or will: each with the position at which it begins.
    pub fn latest_before(&self, end: Position) -> impl Iterator<Item = (Position, Timestamp, &str)> {
        let chunks = self.chunks.iter().rev().skip_while(move |chunk| chunk.begin >= end);
        chunks.flat_map(move |chunk| {
            let lines = chunk.latest_before(offset(end - chunk.begin));
            lines.map(|(begin, at, line)| (chunk.begin + begin as Position, at, line))
        })
    }

    /// The line that begins at a position, without its newline; empty if it is not retained.
    #[must_use]
    pub fn line_at(&self, position: Position) -> &str {
        let line = self.read(position, self.end, usize::MAX).unwrap_or_default();
        let line = &line[..line_length(line).map_or(0, |length| length - 1)];
        std::str::from_utf8(line).unwrap_or_default()
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
            let (marks, times) = (Vec::new(), Vec::new());
            self.chunks.push_back(Chunk { begin, lines_before, lines, marks, times });
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

impl Chunk {
    /// Its lines before an offset, the last one first.
    fn latest_before(&self, end: usize) -> impl Iterator<Item = (usize, Timestamp, &str)> {
        let mut end = end.min(self.lines.len());
        std::iter::from_fn(move || {
            let last = end.checked_sub(1)?;
            let begin =
                self.lines[..last].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
            end = begin;
            let time = self.times.partition_point(|&(from, _)| from <= begin).checked_sub(1)?;
            let line = std::str::from_utf8(&self.lines[begin..last]).unwrap_or_default();
            Some((begin, self.times[time].1, line))
        })
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
mod tests;
