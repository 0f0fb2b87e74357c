//! The lines that are said: each names its sender and its number at a fixed place, so that hearing
//! one costs a load and a comparison.
//!
//! `s00001: 10000002xxx…`: the name, then the [`Tag`], then as much as the length asks for.

/// How many senders there can be: one for each digit that a tag has.
pub const SENDERS: usize = 64;

/// The shortest line, in bytes: its name, its tag, its end.
pub const SHORTEST_LINE_BYTES: usize = NAME_BYTES + SEPARATOR.len() + TAG_BYTES + 1;

const NAME_BYTES: usize = 6;
const SEPARATOR: &str = ": ";
const TAG_AT: usize = NAME_BYTES + SEPARATOR.len();
const TAG_BYTES: usize = 8;
const FILLER: u8 = b'x';

/// Tags are written in 64 digits that follow each other in ASCII, from `0` to `o`: printable, and
/// counting is adding.
const RADIX: u64 = SENDERS as u64;
const ZERO: u8 = b'0';

/// How the nickname of a receiver looks: as long as all others.
pub(super) fn receiver_name(index: usize) -> String {
    format!("m{index:05}")
}

/// How the nickname of a sender looks.
pub(super) fn sender_name(index: usize) -> String {
    format!("s{index:05}")
}

/// The text of a sender's line, without its end, `line_bytes` long with it.
pub(super) fn text(sender: usize, line_bytes: usize) -> Vec<u8> {
    let mut text = format!("{}{SEPARATOR}", sender_name(sender)).into_bytes();
    text.extend_from_slice(&Tag::first(sender).0.to_be_bytes());
    text.resize(line_bytes - 1, FILLER);
    text
}

/// Puts another tag into a text.
pub(super) fn set_tag(text: &mut [u8], tag: Tag) {
    text[TAG_AT..TAG_AT + TAG_BYTES].copy_from_slice(&tag.0.to_be_bytes());
}

/// Whose text this is and which, if it is one, every byte of it.
pub(super) fn parse(text: &[u8]) -> Option<Tag> {
    let tag = tag_of(text)?;
    let whole = text[..NAME_BYTES] == *sender_name(tag.sender()).as_bytes()
        && text[NAME_BYTES..TAG_AT] == *SEPARATOR.as_bytes()
        && tag.is_valid()
        && text[TAG_AT + TAG_BYTES..].iter().all(|&byte| byte == FILLER);
    whole.then_some(tag)
}

/// What stands where a text has its tag.
#[inline]
pub(super) fn tag_of(text: &[u8]) -> Option<Tag> {
    let (_, rest) = text.split_at_checked(TAG_AT)?;
    Some(Tag(u64::from_be_bytes(*rest.first_chunk()?)))
}

/// A sender's digit and seven digits of a number, as they stand in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    /// The first line of a sender, below [`SENDERS`].
    pub(super) fn first(sender: usize) -> Self {
        let zeros = u64::from_be_bytes([ZERO; TAG_BYTES]);
        Self(zeros + ((sender as u64) << NUMBER_BITS))
    }

    /// The line after this one. A sender that says a million lines a second would need more than
    /// a month to say all that there are.
    #[inline]
    pub(super) fn next(self) -> Self {
        let mut tag = self.0 + 1;
        let mut shift = 0;
        while (tag >> shift) & 0xff == u64::from(ZERO) + RADIX {
            tag = tag - (RADIX << shift) + (1 << (shift + 8));
            shift += 8;
        }
        Self(tag)
    }

    /// The sender's index. Beyond every sender where the tag is none.
    #[inline]
    pub(super) fn sender(self) -> usize {
        usize::from(self.0.to_be_bytes()[0].wrapping_sub(ZERO))
    }

    /// The number of the line, from 0 on.
    pub(super) fn number(self) -> u64 {
        let digits = &self.0.to_be_bytes()[1..];
        digits.iter().fold(0, |number, digit| number * RADIX + u64::from(digit.wrapping_sub(ZERO)))
    }

    fn is_valid(self) -> bool {
        self.0.to_be_bytes().iter().all(|digit| u64::from(digit.wrapping_sub(ZERO)) < RADIX)
    }
}

const NUMBER_BITS: u32 = 56;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_a_tag_counts_its_number_and_keeps_its_sender() {
        for sender in [0, 1, 63] {
            let mut tag = Tag::first(sender);
            for number in 0..70_000 {
                assert_eq!((tag.sender(), tag.number(), tag.is_valid()), (sender, number, true));
                tag = tag.next();
            }
        }
    }

    #[test]
    fn a_text_is_recognised_whole_and_nothing_else_is() {
        let tag = Tag::first(7).next();
        let mut said = text(7, 64);
        assert_eq!(said.len(), 63);
        set_tag(&mut said, tag);
        assert_eq!(parse(&said), Some(tag));
        for index in 0..said.len() {
            let mut torn = said.clone();
            torn[index] = b'\x7f';
            assert_eq!(parse(&torn), None, "a foreign byte at {index}");
        }
        assert_eq!(parse(&said[..TAG_AT + TAG_BYTES - 1]), None);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(&text(0, SHORTEST_LINE_BYTES)), Some(Tag::first(0)));
    }
}
