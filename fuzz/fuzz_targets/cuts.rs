//! Reads an input of the fuzzer as what a network does to two connections: pieces, cut anywhere, and losses.

/// The length that stands for a long piece.
const LONG: u8 = 0x7f;

/// Lengths that stand for something else.
const LOST: u8 = 0x7e;
const SLOW: u8 = 0x7d;
const LATER: u8 = 0x7c;

/// How many bytes of the input are repeated to make a long piece.
const REPEATED: usize = 16;

/// Something that happens to a connection.
pub struct Step {
    /// To which of the two.
    pub connection: usize,
    /// What happens.
    pub event: Event,
}

/// What happens to a connection.
pub enum Event {
    /// These bytes are delivered; none stand for a silence.
    Bytes(Vec<u8>),
    /// It is lost, and another one takes its place.
    Lost,
    /// Its reader is slow from now on.
    Slow,
    /// So much time passes that lost sessions end.
    Later,
}

/// Each step begins with a byte: its highest bit chooses the connection, the rest is the length of a piece, or
/// stands for one of the other events. A `long` piece repeats a few bytes, so that a short input can make a line
/// that is too long.
pub fn steps(mut input: &[u8], long: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some((&head, rest)) = input.split_first() {
        let (event, after) = match head & 0x7f {
            LOST => (Event::Lost, rest),
            SLOW => (Event::Slow, rest),
            LATER => (Event::Later, rest),
            length => {
                let (wanted, times) =
                    if length == LONG { (REPEATED, long / REPEATED) } else { (usize::from(length), 1) };
                let (bytes, after) = rest.split_at(wanted.min(rest.len()));
                (Event::Bytes(bytes.repeat(times)), after)
            }
        };
        steps.push(Step { connection: usize::from(head >> 7), event });
        input = after;
    }
    steps
}
