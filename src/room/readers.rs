//! Readers: how far each member has read, and the lines that are for one member alone.
//!
//! None of this is part of the room: it belongs to the process that the member is connected to.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::Attachment;
use super::transcript::{FellBehind, Position, Transcript};

/// A point in the one order of the room: after so many bytes of the transcript, and after so many records.
///
/// A line for one member alone follows one, and readers read up to one: where the commit log makes entries
/// last, they are shown nothing that comes after what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The public lines before it.
    pub position: Position,
    /// The number of the last record before it; 0 where nothing is recorded.
    pub record: u64,
}

impl Point {
    /// After everything.
    pub const END: Self = Self { position: Position::MAX, record: u64::MAX };
}

/// The readers of the transcript, each with a cursor and an outlet `T` of the caller's.
///
/// A member that has left is still a reader until [`Readers::remove`], since it is sent everything
/// that came before.
#[derive(Debug)]
pub struct Readers<T> {
    by_attachment: BTreeMap<Attachment, Reader<T>>,
    /// How many bytes of private lines may wait for one reader, apart from one more line.
    private_bytes: usize,
    /// No cursor lies before this; cursors only move forward, so it may lag.
    slowest: Position,
}

/// One reader. [`Reader::read`] gives what it is to be sent next; [`Reader::advance`] moves its cursor.
#[derive(Debug)]
pub struct Reader<T> {
    /// Where the lines go.
    pub outlet: T,
    cursor: Position,
    /// Where reading ends: [`NEVER`] until the reader leaves.
    until: Position,
    /// Boxed, since few members have any.
    private: Option<Box<PrivateLines>>,
}

const NEVER: Position = Position::MAX;

/// Lines for one reader alone, each with the point that it follows. The bytes of the
/// first that were taken are gone.
type PrivateLines = VecDeque<(Point, Vec<u8>)>;

/// The next bytes for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// These bytes. They need not end where a line does.
    Data {
        /// Borrowed from the transcript, unless private lines are among them.
        bytes: Cow<'a, [u8]>,
        /// Nothing comes after them yet.
        is_all: bool,
    },
    /// Nothing at the moment.
    Idle,
    /// Nothing ever again: the reader has left, and was given everything that came before.
    End,
}

/// The next bytes of the one order that a reader sees: a stretch of the transcript, or a line for
/// the reader alone.
enum Piece {
    Public { until: Position },
    Private { index: usize },
}

impl<T> Readers<T> {
    /// No readers yet; each may have `private_bytes` of lines waiting for it alone.
    #[must_use]
    pub fn new(private_bytes: usize) -> Self {
        Self { by_attachment: BTreeMap::new(), private_bytes, slowest: 0 }
    }

    /// Adds a reader whose view begins at `cursor`.
    pub fn add(&mut self, id: Attachment, cursor: Position, outlet: T) {
        let reader = Reader { outlet, cursor, until: NEVER, private: None };
        self.slowest = self.slowest.min(cursor);
        self.by_attachment.insert(id, reader);
    }

    /// Ends the view of a reader at `until`: nothing after that is for it.
    pub fn end(&mut self, id: Attachment, until: Position) {
        if let Some(reader) = self.by_attachment.get_mut(&id) {
            reader.until = until.min(reader.until);
        }
    }

    /// Ends the view of a reader where the line ends that it is in, with a last line for it alone. What was to come
    /// after that is dropped.
    pub fn end_with(
        &mut self,
        id: Attachment,
        transcript: &Transcript,
        record: u64,
        last_words: &impl fmt::Display,
    ) {
        let Some(reader) = self.by_attachment.get_mut(&id) else { return };
        let position = transcript.next_line(reader.cursor);
        if let Some(lines) = &mut reader.private {
            lines.retain(|(at, _)| at.position <= position);
        }
        self.tell(id, Point { position, record }, last_words);
        self.end(id, position);
    }

    /// Forgets a reader, and what it has not read.
    pub fn remove(&mut self, id: Attachment) {
        self.by_attachment.remove(&id);
    }

    /// Visits one reader, if it is there.
    pub fn visit_one<R>(&mut self, id: Attachment, visit: impl FnOnce(&mut Reader<T>) -> R) -> Option<R> {
        let reader = self.by_attachment.get_mut(&id)?;
        Some(noting_the_slowest(&mut self.slowest, reader, visit))
    }

    /// Visits up to `at_most` readers from `from` on, in the order of joining. Returns where to go on,
    /// unless these were the last.
    pub fn visit(
        &mut self,
        from: Attachment,
        at_most: usize,
        mut visit: impl FnMut(Attachment, &mut Reader<T>),
    ) -> Option<Attachment> {
        let mut readers = self.by_attachment.range_mut(from..);
        for (&id, reader) in readers.by_ref().take(at_most) {
            noting_the_slowest(&mut self.slowest, reader, |reader| visit(id, reader));
        }
        readers.next().map(|(&id, _)| id)
    }

    /// Tells one reader something, after everything that lies before `at`.
    pub fn tell(&mut self, id: Attachment, at: Point, notice: &impl fmt::Display) {
        if let Some(reader) = self.by_attachment.get_mut(&id).filter(|reader| !reader.has_left()) {
            reader.private.get_or_insert_default().push_back((at, format!("{notice}\n").into_bytes()));
        }
    }

    /// Tells one reader something before everything that lies after `horizon`.
    pub fn interject(&mut self, id: Attachment, horizon: Point, notice: &impl fmt::Display) {
        if let Some(reader) = self.by_attachment.get_mut(&id).filter(|reader| !reader.has_left()) {
            let lines = reader.private.get_or_insert_default();
            let shown = lines.partition_point(|(at, _)| at.record <= horizon.record);
            // Not after public lines that wait for the next private one.
            let next = lines.get(shown).map_or(horizon.position, |(at, _)| at.position.min(horizon.position));
            lines.insert(shown, (Point { position: next, ..horizon }, format!("{notice}\n").into_bytes()));
        }
    }

    /// Whether a reader has taken enough of its private lines to be told more. A member that asks for
    /// answers waits for this before its next question is handled, so that its private lines stay bounded.
    #[must_use]
    pub fn may_be_told_more(&self, id: Attachment) -> bool {
        self.by_attachment.get(&id).is_none_or(|reader| {
            let waiting: usize =
                reader.private.iter().flat_map(|lines| lines.iter()).map(|(_, line)| line.len()).sum();
            waiting < self.private_bytes
        })
    }

    /// Whether some member is more than `bytes` behind `end`, apart from those that are `ignored`.
    ///
    /// Finding the slowest one takes a walk over all of them, which is done only when the transcript
    /// has grown by that much since the last walk, or somebody really is that far behind.
    pub fn somebody_is_behind_by(&mut self, bytes: u64, end: Position, ignored: impl Fn(&T) -> bool) -> bool {
        if end.saturating_sub(self.slowest) > bytes {
            let counted = self.members().filter(|reader| !ignored(&reader.outlet));
            self.slowest = counted.map(|reader| reader.cursor).min().unwrap_or(end);
        }
        end.saturating_sub(self.slowest) > bytes
    }

    /// How far the slowest member is behind `end`, in bytes.
    #[must_use]
    pub fn largest_lag_bytes(&self, end: Position) -> u64 {
        self.members().map(|reader| end.saturating_sub(reader.cursor)).max().unwrap_or(0)
    }

    /// The readers that have not left.
    fn members(&self) -> impl Iterator<Item = &Reader<T>> {
        self.by_attachment.values().filter(|reader| !reader.has_left())
    }
}

/// A reader that was ignored when the slowest was looked for counts again as soon as it moves.
fn noting_the_slowest<T, R>(
    slowest: &mut Position,
    reader: &mut Reader<T>,
    visit: impl FnOnce(&mut Reader<T>) -> R,
) -> R {
    let before = reader.cursor;
    let visited = visit(reader);
    if reader.cursor != before {
        *slowest = before.min(*slowest);
    }
    visited
}

impl<T> Reader<T> {
    /// The next bytes up to `horizon`, at most `at_most_bytes` of them unless the first line is a longer private
    /// one.
    ///
    /// # Errors
    ///
    /// [`FellBehind`]: the transcript no longer holds the next bytes.
    pub fn read<'a>(
        &self,
        transcript: &'a Transcript,
        horizon: Point,
        at_most_bytes: usize,
    ) -> Result<Read<'a>, FellBehind> {
        let end = self.end(transcript, horizon);
        let Some(private) = &self.private else {
            if self.cursor >= end {
                return Ok(if self.cursor == self.until { Read::End } else { Read::Idle });
            }
            let bytes = transcript.read(self.cursor, end, at_most_bytes)?;
            let is_all = self.cursor + bytes.len() as Position == end;
            return Ok(Read::Data { bytes: Cow::Borrowed(bytes), is_all });
        };
        let (mut bytes, mut cursor, mut index) = (Vec::new(), self.cursor, 0);
        while bytes.len() < at_most_bytes
            && let Some(piece) = self.next_piece(cursor, index, end, horizon)
        {
            match piece {
                Piece::Public { until } => {
                    let part = transcript.read(cursor, until, at_most_bytes - bytes.len())?;
                    cursor += part.len() as Position;
                    bytes.extend_from_slice(part);
                }
                Piece::Private { index: next } => {
                    bytes.extend_from_slice(&private[next].1);
                    index = next + 1;
                }
            }
        }
        if bytes.is_empty() {
            return Ok(Read::Idle);
        }
        let is_all = self.next_piece(cursor, index, end, horizon).is_none();
        Ok(Read::Data { bytes: Cow::Owned(bytes), is_all })
    }

    /// Moves the cursor past the first `taken_bytes` that [`Reader::read`] gave.
    pub fn advance(&mut self, transcript: &Transcript, horizon: Point, mut taken_bytes: usize) {
        let end = self.end(transcript, horizon);
        while taken_bytes > 0
            && let Some(piece) = self.next_piece(self.cursor, 0, end, horizon)
        {
            match piece {
                Piece::Public { until } => {
                    let part = taken_bytes.min(usize::try_from(until - self.cursor).unwrap_or(usize::MAX));
                    self.cursor += part as Position;
                    taken_bytes -= part;
                }
                Piece::Private { .. } => taken_bytes -= self.take_private(taken_bytes),
            }
        }
    }

    /// Takes up to `at_most_bytes` off the first private line. Returns how many.
    fn take_private(&mut self, at_most_bytes: usize) -> usize {
        let Some(private) = &mut self.private else { return 0 };
        let Some((_, line)) = private.front_mut() else { return 0 };
        let part = at_most_bytes.min(line.len());
        line.drain(..part);
        if line.is_empty() {
            private.pop_front();
        }
        if private.is_empty() {
            self.private = None;
        }
        part
    }

    /// Whether the transcript no longer holds the next bytes.
    #[must_use]
    pub fn has_fallen_behind(&self, transcript: &Transcript) -> bool {
        self.cursor < transcript.begin()
    }

    /// The piece after `cursor` and the first `index` private lines: the one place where public and private
    /// lines are merged.
    fn next_piece(&self, cursor: Position, index: usize, end: Position, horizon: Point) -> Option<Piece> {
        let private = self.private.as_ref().and_then(|lines| lines.get(index)).map(|&(at, _)| at);
        // What comes after a private line waits for it, even if that lies beyond the horizon.
        let until = private.map_or(end, |at| at.position.min(end));
        if cursor < until {
            return Some(Piece::Public { until });
        }
        private.filter(|at| at.record <= horizon.record).map(|_| Piece::Private { index })
    }

    fn end(&self, transcript: &Transcript, horizon: Point) -> Position {
        self.until.min(horizon.position).min(transcript.end())
    }

    fn has_left(&self) -> bool {
        self.until != NEVER
    }
}
