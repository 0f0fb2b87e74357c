//! A sender: its next line, and when it said the previous ones.

use super::line::{self, Tag};
use super::protocol::Protocol;

/// For how many lines of a sender the time of sending is kept. For members that lag further, the latency is
/// calculated from the oldest of these times, so it may be too low but is never too high.
const TIMES_LINES: usize = 64 * 1_024;

pub(super) struct Sender {
    before: Vec<u8>,
    text: Vec<u8>,
    end: &'static [u8],
    next: Tag,
    said: u64,
    /// How many of its lines have come back.
    pub(super) echoed: u64,
    /// When line n was said, at n modulo the length, in nanoseconds since the start of the run.
    times: Box<[u64]>,
}

impl Sender {
    pub(super) fn new(index: usize, protocol: Protocol, line_bytes: usize) -> Self {
        let text = line::text(index, line_bytes);
        Self {
            before: protocol.before_text(text.len()).into_bytes(),
            text,
            end: protocol.end().as_bytes(),
            next: Tag::first(index),
            said: 0,
            echoed: 0,
            times: vec![0; TIMES_LINES].into(),
        }
    }

    /// Writes the next `lines` lines to `out`, at this time in nanoseconds since the start of the run.
    pub(super) fn say(&mut self, lines: u64, time: u64, out: &mut Vec<u8>) {
        for _ in 0..lines {
            line::set_tag(&mut self.text, self.next);
            for part in [&self.before, &self.text, self.end] {
                out.extend_from_slice(part);
            }
            let slot = self.slot(self.said);
            self.times[slot] = time;
            self.next = self.next.next();
            self.said += 1;
        }
    }

    /// How many lines it has said.
    pub(super) fn said(&self) -> u64 {
        self.said
    }

    /// How many lines are on their way.
    pub(super) fn in_flight(&self) -> u64 {
        self.said - self.echoed
    }

    /// When a line was said. It must have been said already.
    pub(super) fn time_of(&self, number: u64) -> u64 {
        self.times[self.slot(number.max(self.said.saturating_sub(TIMES_LINES as u64)))]
    }

    fn slot(&self, number: u64) -> usize {
        // The remainder is below a length, so it fits.
        usize::try_from(number % self.times.len() as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_for_as_many_lines_as_there_is_room_for() {
        let mut sender = Sender::new(0, Protocol::Report, 64);
        let mut out = Vec::new();
        let lines = TIMES_LINES as u64 + 10;
        for time in 0..lines {
            sender.say(1, time, &mut out);
        }
        assert_eq!(out.len() as u64, 64 * lines);
        assert_eq!(sender.time_of(lines - 1), lines - 1);
        assert_eq!(sender.time_of(10), 10, "the oldest that is kept");
        assert_eq!(sender.time_of(9), 10, "rather too little than too much");
    }
}
