//! What a member has heard, checked on arrival: no line lost or repeated, and each sender's lines in order.

use std::fmt;

use super::line::{self, Tag, sender_name};
use super::protocol::Protocol;

/// The lengths of the parts of a message as members receive it: the same for all messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Before the text.
    pub(super) heading: usize,
    pub(super) text: usize,
    /// After it; ends with a newline.
    pub(super) end: usize,
}

impl Shape {
    pub(super) fn of(protocol: Protocol, line_bytes: usize) -> Self {
        let text = line_bytes - 1;
        Self { heading: protocol.heading_bytes(text), text, end: protocol.end().len() }
    }

    pub(super) fn message_bytes(&self) -> usize {
        self.heading + self.text + self.end
    }
}

/// The next line of each sender that a member has not heard yet.
pub(super) struct Hearing {
    next: Box<[Tag]>,
    /// A hash of the senders in the order in which they were heard. If the numbers are right as well, equal
    /// hashes mean the same order.
    order: u64,
    until_sample: u32,
}

/// How a line differs from the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surprise {
    /// Earlier lines were not heard.
    Gap,
    /// It was heard before, or should have been.
    Late,
}

impl Hearing {
    /// Nothing heard yet. `offset` selects which of the first `stride` lines is the first sample, so that
    /// members sample different lines.
    pub(super) fn new(senders: usize, offset: u32) -> Self {
        Self { next: (0..senders).map(Tag::first).collect(), order: 0, until_sample: offset }
    }

    /// Hears complete messages as long as each is exactly the next one, and returns how many those were. Passes
    /// every `stride`th to `sample`.
    ///
    /// Apart from the operating system, this is where a run spends its time: a load, a comparison and a store
    /// for each message. The padding between the number and the end is not looked at.
    pub(super) fn hear_expected(
        &mut self,
        bytes: &[u8],
        shape: &Shape,
        stride: u32,
        mut sample: impl FnMut(Tag),
    ) -> usize {
        let mut heard = 0;
        for message in bytes.chunks_exact(shape.message_bytes()) {
            let Some(tag) = line::tag_of(&message[shape.heading..]) else { break };
            let expected = self.next.get(tag.sender()) == Some(&tag);
            if !expected || message.last() != Some(&b'\n') {
                break;
            }
            self.step(tag);
            heard += 1;
            if self.until_sample == 0 {
                sample(tag);
                self.until_sample = stride;
            }
            self.until_sample -= 1;
        }
        heard
    }

    /// Hears any one message of an existing sender.
    pub(super) fn hear(&mut self, tag: Tag) -> Result<(), Surprise> {
        let next = self.next(tag.sender());
        if tag.number() < next.number() {
            return Err(Surprise::Late);
        }
        let in_order = tag == next;
        self.step(tag);
        if in_order { Ok(()) } else { Err(Surprise::Gap) }
    }

    /// The next line of a sender.
    pub(super) fn next(&self, sender: usize) -> Tag {
        self.next[sender]
    }

    /// See the field.
    pub(super) fn order(&self) -> u64 {
        self.order
    }

    #[inline]
    fn step(&mut self, tag: Tag) {
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        self.next[tag.sender()] = tag.next();
        self.order = self.order.wrapping_mul(MULTIPLIER).wrapping_add(tag.sender() as u64 + 1);
    }
}

/// The first thing that went wrong in a run. It stops the senders. Messages in flight may still tell a loss from
/// a line out of order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// The name of the member that noticed.
    pub(super) member: String,
    pub(super) sender: usize,
    /// The number of the line.
    pub(super) number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    Lost,
    Twice,
    OutOfOrder,
}

impl Fault {
    /// Whether messages that are still to come may change the kind of the fault.
    pub(super) fn may_be_explained(&self) -> bool {
        self.kind == FaultKind::Lost
    }

    /// Whether a line that seemed missing has come late.
    pub(super) fn is_explained_by(&self, later: &Self) -> bool {
        self.kind == FaultKind::Lost
            && (&self.member, self.sender, self.number) == (&later.member, later.sender, later.number)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.kind {
            FaultKind::Lost => "lost on the way to",
            FaultKind::Twice => "delivered twice to",
            FaultKind::OutOfOrder => "delivered out of order to",
        };
        write!(formatter, "line {} of {} was {how} {}", self.number, sender_name(self.sender), self.member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { heading: 3, text: 40, end: 2 };

    fn message(tag: Tag) -> Vec<u8> {
        let mut text = line::text(tag.sender(), SHAPE.text + 1);
        line::set_tag(&mut text, tag);
        [b"-> ".as_slice(), &text, b"\r\n"].concat()
    }

    #[test]
    fn messages_are_heard_as_long_as_each_is_the_next_of_its_sender() {
        let (a, b) = (Tag::first(0), Tag::first(1));
        let bytes = [a, b, b.next(), a.next(), b.next()].map(message).concat();
        let mut hearing = Hearing::new(2, 1);
        let mut samples = Vec::new();
        assert_eq!(hearing.hear_expected(&bytes, &SHAPE, 2, |tag| samples.push(tag)), 4);
        assert_eq!(samples, [b, a.next()], "every second, from the offset on");
        assert_eq!(hearing.hear(b.next()), Err(Surprise::Late));
        assert_eq!(hearing.hear(a.next().next().next()), Err(Surprise::Gap));
    }

    #[test]
    fn a_different_order_of_the_senders_is_told_apart() {
        let orders = [[0, 1], [1, 0]].map(|senders| {
            let mut hearing = Hearing::new(2, 0);
            for sender in senders {
                assert_eq!(hearing.hear(Tag::first(sender)), Ok(()));
            }
            hearing.order()
        });
        assert_ne!(orders[0], orders[1]);
    }
}
