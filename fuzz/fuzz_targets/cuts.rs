//! Reads an input of the fuzzer as pieces that a network delivers, cut anywhere.

/// The length that stands for a long piece.
const LONG: usize = 0x7f;

/// How many bytes of the input are repeated to make a long piece.
const REPEATED: usize = 16;

/// A delivery by a network.
pub struct Piece {
    /// Which of two connections it is for.
    pub connection: usize,
    /// The delivered bytes; none stand for a silence.
    pub bytes: Vec<u8>,
}

/// Each piece begins with a byte: its highest bit chooses the connection, the rest is the length. A
/// `long` piece repeats a few bytes, so that a short input can make a line that is too long.
pub fn pieces(mut input: &[u8], long: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some((&head, rest)) = input.split_first() {
        let length = usize::from(head & 0x7f);
        let wanted = if length == LONG { REPEATED } else { length };
        let (bytes, after) = rest.split_at(wanted.min(rest.len()));
        let times = if length == LONG { long / REPEATED } else { 1 };
        pieces.push(Piece { connection: usize::from(head >> 7), bytes: bytes.repeat(times) });
        input = after;
    }
    pieces
}
