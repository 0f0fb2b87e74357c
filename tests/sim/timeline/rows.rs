//! The rows of a picture.
//!
//! Time is too uneven for a scale: a handshake takes milliseconds, and then nothing happens for minutes. So
//! each event has a row of its own, and a longer silence is one row that says how long it was.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::time::Duration;

use super::{Mark, Message, Shade, ShadeKind, Timeline};

/// How many rows a picture may have before messages in its middle are left out.
pub const ROW_LIMIT: usize = 120;

/// A silence of at least this length has a row of its own.
const SILENCE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub at: Duration,
    pub what: What<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    ShadeEnds(&'a Shade),
    ShadeBegins(&'a Shade),
    /// The arrival of a message that has been [`Late`](What::Late).
    Arrival(&'a Message),
    Mark(&'a Mark),
    /// A message that arrives in the same row.
    Arrow(&'a Message),
    /// A message that arrives in a later row.
    Late(&'a Message),
    /// A message that never arrives.
    Lost(&'a Message),
    Silence(Duration),
    /// This many messages are not shown.
    LeftOut(usize),
}

impl<'a> What<'a> {
    pub fn is_silent(self) -> bool {
        matches!(self, What::Silence(_) | What::LeftOut(_))
    }

    fn message(self) -> Option<&'a Message> {
        match self {
            What::Arrival(message) | What::Arrow(message) | What::Late(message) | What::Lost(message) => {
                Some(message)
            }
            _ => None,
        }
    }

    /// At the same instant, causes come before their effects: the repaired link before the
    /// arrival, the arrival before the join, and the join before the messages that tell of it.
    fn rank(self) -> u8 {
        match self {
            What::ShadeEnds(_) => 0,
            What::ShadeBegins(_) => 1,
            What::Arrival(_) => 2,
            What::Mark(_) => 3,
            _ => 4,
        }
    }
}

/// All rows of a picture, from its top.
pub fn rows(timeline: &Timeline) -> Vec<Row<'_>> {
    let mut rows = message_rows(timeline);
    rows.extend(timeline.marks.iter().map(|mark| Row { at: mark.at, what: What::Mark(mark) }));
    rows.extend(timeline.shades.iter().flat_map(|shade| shade_rows(shade, &timeline.marks)));
    rows.sort_by_key(|row| (row.at, row.what.rank()));
    with_silences(without_middle(rows))
}

/// Which rows a shade covers.
pub fn shaded(rows: &[Row<'_>], shade: &Shade) -> Range<usize> {
    let first_at = |time| rows.partition_point(|row| row.at < time);
    first_at(shade.begin)..shade.end.map_or(rows.len(), first_at)
}

/// One row for a message that is delivered before its receiver sees or does anything else, two for any
/// other: on each vertical line, events must be in the order in which they happened.
fn message_rows(timeline: &Timeline) -> Vec<Row<'_>> {
    let mut moments = moments(timeline);
    let mut rows = Vec::new();
    let mut messages: Vec<&Message> = timeline.messages.iter().collect();
    // Earlier deliveries take their places on the receiver's line first.
    messages.sort_by_key(|message| (message.delivered, message.sent));
    for message in messages {
        let Some(delivered) = message.delivered else {
            rows.push(Row { at: message.sent, what: What::Lost(message) });
            continue;
        };
        let receiver = moments.entry(&message.to).or_default();
        let meanwhile = (Bound::Excluded(message.sent), Bound::Excluded(delivered));
        let late = message.sent < delivered
            && (delivered.saturating_sub(message.sent) >= SILENCE
                || receiver.range(meanwhile).next().is_some());
        if late {
            receiver.insert(delivered);
            rows.push(Row { at: message.sent, what: What::Late(message) });
            rows.push(Row { at: delivered, what: What::Arrival(message) });
        } else {
            receiver.insert(message.sent);
            rows.push(Row { at: message.sent, what: What::Arrow(message) });
        }
    }
    rows
}

/// The times at which each host does something or something happens to it, except deliveries.
fn moments(timeline: &Timeline) -> BTreeMap<&str, BTreeSet<Duration>> {
    let mut moments = BTreeMap::<&str, BTreeSet<Duration>>::new();
    for message in &timeline.messages {
        moments.entry(&message.from).or_default().insert(message.sent);
    }
    for mark in &timeline.marks {
        moments.entry(&mark.host).or_default().insert(mark.at);
    }
    for shade in &timeline.shades {
        for host in [&shade.between.0, &shade.between.1] {
            moments.entry(host).or_default().extend([shade.begin].into_iter().chain(shade.end));
        }
    }
    moments
}

fn shade_rows<'a>(shade: &'a Shade, marks: &'a [Mark]) -> impl Iterator<Item = Row<'a>> {
    let begin = Row { at: shade.begin, what: What::ShadeBegins(shade) };
    let end = shade.end.map(|at| Row { at, what: What::ShadeEnds(shade) });
    // A crash usually has a mark, which says the same.
    let is_marked = |at| marks.iter().any(|mark| mark.host == shade.between.0 && mark.at == at);
    let is_news = move |row: &Row<'_>| shade.kind != ShadeKind::Crash || !is_marked(row.at);
    [begin].into_iter().chain(end).filter(is_news)
}

/// Leaves out messages in the middle of a picture that is too long, and nothing else: a picture of an
/// eviction after a thousand messages still has the eviction.
fn without_middle(rows: Vec<Row<'_>>) -> Vec<Row<'_>> {
    if rows.len() <= ROW_LIMIT {
        return rows;
    }
    let (first, last) = (ROW_LIMIT / 2, rows.len() - ROW_LIMIT / 2);
    // Compared by address, since two messages may be equal.
    let shown: BTreeSet<*const Message> = (rows[..first].iter().chain(&rows[last..]))
        .filter_map(|row| row.what.message())
        .map(std::ptr::from_ref)
        .collect();
    let mut kept = Vec::<Row<'_>>::new();
    for row in rows {
        let is_shown = row.what.message().is_none_or(|message| shown.contains(&std::ptr::from_ref(message)));
        match (kept.last_mut(), row.what) {
            _ if is_shown => kept.push(row),
            // It has been counted where it was sent.
            (_, What::Arrival(_)) => {}
            (Some(Row { what: What::LeftOut(count), .. }), _) => *count += 1,
            _ => kept.push(Row { at: row.at, what: What::LeftOut(1) }),
        }
    }
    kept
}

fn with_silences(rows: Vec<Row<'_>>) -> Vec<Row<'_>> {
    let mut result = Vec::<Row<'_>>::new();
    for row in rows {
        let previous = result.last().map_or(Row { at: Duration::ZERO, ..row }, |previous| *previous);
        let silence = row.at.saturating_sub(previous.at);
        // Messages that were left out may have filled the time.
        if silence >= SILENCE && !matches!(previous.what, What::LeftOut(_)) {
            result.push(Row { at: previous.at, what: What::Silence(silence) });
        }
        result.push(row);
    }
    result
}
