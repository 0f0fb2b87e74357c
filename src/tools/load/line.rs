//! The lines of a run. Each has its sender and its number in a fixed place, so that checking it costs a load
//! and a comparison.
//!
//! `s00001: 10000002xxx…`: the name, then the [`Tag`], then padding to the wanted length.

/// How many senders there can be: one for each value of a digit of a tag.
pub const SENDERS: usize = 64;

/// The shortest line, in bytes: its name, its tag, its end.
pub const SHORTEST_LINE_BYTES: usize = NAME_BYTES + SEPARATOR.len() + TAG_BYTES + 1;

const NAME_BYTES: usize = 6;
const SEPARATOR: &str = ": ";
const TAG_AT: usize = NAME_BYTES + SEPARATOR.len();
const TAG_BYTES: usize = 8;
const FILLER: u8 = b'x';

/// Tags are written in base 64 with consecutive ASCII characters from `0` to `o`, so that they are printable and
/// counting is an addition.
const RADIX: u64 = SENDERS as u64;
const ZERO: u8 = b'0';

/// The nickname of a receiver: as long as all others.
pub(super) fn receiver_name(index: usize) -> String {
    format!("m{index:05}")
}

/// The nickname of a sender.
pub(super) fn sender_name(index: usize) -> String {
    format!("s{index:05}")
}

/// The text of a sender's line without the newline; `line_bytes` includes it.
pub(super) fn text(sender: usize, line_bytes: usize) -> Vec<u8> {
    let mut text = format!("{}{SEPARATOR}", sender_name(sender)).into_bytes();
    text.extend_from_slice(&Tag::first(sender).0.to_be_bytes());
    text.resize(line_bytes - 1, FILLER);
    text
}

/// Replaces the tag of a text.
pub(super) fn set_tag(text: &mut [u8], tag: Tag) {
    text[TAG_AT..TAG_AT + TAG_BYTES].copy_from_slice(&tag.0.to_be_bytes());
}

/// The tag of a text, if every byte is as it must be.
pub(super) fn parse(text: &[u8]) -> Option<Tag> {
    let tag = tag_of(text)?;
    let whole = text[..NAME_BYTES] == *sender_name(tag.sender()).as_bytes()
        && text[NAME_BYTES..TAG_AT] == *SEPARATOR.as_bytes()
        && tag.is_valid()
        && text[TAG_AT + TAG_BYTES..].iter().all(|&byte| byte == FILLER);
    whole.then_some(tag)
}

/// The bytes in the place of the tag.
#[inline]
pub(super) fn tag_of(text: &[u8]) -> Option<Tag> {
    let (_, rest) = text.split_at_checked(TAG_AT)?;
    Some(Tag(u64::from_be_bytes(*rest.first_chunk()?)))
}

/// A sender's digit and seven digits of a number, as written in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    /// The first line of a sender, below [`SENDERS`].
    pub(super) fn first(sender: usize) -> Self {
        let zeros = u64::from_be_bytes([ZERO; TAG_BYTES]);
        Self(zeros + ((sender as u64) << NUMBER_BITS))
    }

    /// The tag of the next line. At a million lines a second a sender would run out of numbers after more than a
    /// month.
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

    /// The sender's index. Beyond the last sender if the tag is invalid.
    #[inline]
    pub(super) fn sender(self) -> usize {
        usize::from(self.0.to_be_bytes()[0].wrapping_sub(ZERO))
    }

    /// The number of the line, starting from 0.
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
    fn the_next_tag_has_the_next_number_and_the_same_sender() {
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
