//! The end of SQLite's write-ahead log: what an unfinished transaction has left there.
//!
//! SQLite drops it without a word, so it is counted before SQLite opens the store. The format is that of
//! section 4 of "Database File Format" (<https://sqlite.org/fileformat2.html#walformat>). The log is written
//! over from its beginning, so it ends with frames of an earlier generation, which have another salt.

use std::io::{self, Read};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// How many bytes of a frame show its salt.
const SALT_END: usize = 16;

/// The last bit says that the checksums are of numbers with the most significant byte first.
const MAGIC: u32 = 0x377f_0682;

/// What follows the last transaction that is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// Frames of a transaction that is not, one that is cut off included.
    pub(super) torn: u64,
    /// The first frame that cannot be read although transactions were completed after it, so it was once
    /// readable. Counted from 1.
    pub(super) damaged: Option<u64>,
}

/// Reads a log to its end.
///
/// # Errors
///
/// If it cannot be read.
pub(super) fn tail(mut log: impl Read) -> io::Result<Tail> {
    let mut header = Vec::new();
    fill(&mut log, &mut header, HEADER_BYTES)?;
    let Some(generation) = Generation::of(&header) else { return Ok(Tail::default()) };
    let mut sum = generation.sum;
    let mut tail = Tail::default();
    let (mut number, mut broken, mut completed) = (0, None, false);
    let mut frame = Vec::new();
    loop {
        fill(&mut log, &mut frame, FRAME_HEADER_BYTES + generation.page_bytes)?;
        if frame.is_empty() || !generation.has(&frame) {
            return Ok(tail);
        }
        number += 1;
        tail.torn += 1;
        if completed {
            tail.damaged = broken;
        }
        let is_last_of_its_transaction = number_at(&frame, 4).is_some_and(|pages| pages != 0);
        if broken.is_none() && generation.is_next(&frame, &mut sum) {
            if is_last_of_its_transaction {
                tail.torn = 0;
            }
        } else {
            broken = broken.or(Some(number));
            // The last transaction may have been written in any order; those before it were synced.
            completed |= is_last_of_its_transaction;
        }
    }
}

/// What the frames have in common that were written since the log was begun anew.
struct Generation {
    page_bytes: usize,
    salt: [u8; 8],
    is_big_endian: bool,
    sum: [u32; 2],
}

impl Generation {
    /// `None` if the header is not complete: then nothing is.
    fn of(header: &[u8]) -> Option<Self> {
        let magic = number_at(header, 0)?;
        let page_bytes = usize::try_from(number_at(header, 8)?).ok()?;
        let salt = header.get(16..24)?.try_into().ok()?;
        let is_big_endian = magic & 1 == 1;
        let sum = add([0, 0], header.get(..24)?, is_big_endian);
        let is_header = magic & !1 == MAGIC
            && (512..=65_536).contains(&page_bytes)
            && page_bytes.is_power_of_two()
            && sum == [number_at(header, 24)?, number_at(header, 28)?];
        is_header.then_some(Self { page_bytes, salt, is_big_endian, sum })
    }

    /// Whether the frame is of this generation. If it is cut off before its salt it must be: the log is only
    /// ever cut off at its newest end.
    fn has(&self, frame: &[u8]) -> bool {
        frame.get(8..SALT_END).is_none_or(|salt| salt == self.salt)
    }

    /// Whether the frame is complete, and follows those that come to this sum.
    fn is_next(&self, frame: &[u8], sum: &mut [u32; 2]) -> bool {
        let Some((header, page)) = frame.split_at_checked(FRAME_HEADER_BYTES) else { return false };
        *sum = add(add(*sum, &header[..8], self.is_big_endian), page, self.is_big_endian);
        [number_at(header, 16), number_at(header, 20)] == sum.map(Some)
    }
}

/// Adds bytes to a sum, eight at a time.
fn add(sum: [u32; 2], bytes: &[u8], is_big_endian: bool) -> [u32; 2] {
    let number = |bytes| if is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    bytes.as_chunks::<8>().0.iter().fold(sum, |[first, second], &[a, b, c, d, e, f, g, h]| {
        let first = first.wrapping_add(number([a, b, c, d])).wrapping_add(second);
        [first, second.wrapping_add(number([e, f, g, h])).wrapping_add(first)]
    })
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads that many bytes, or what there is.
fn fill(log: &mut impl Read, into: &mut Vec<u8>, bytes: usize) -> io::Result<()> {
    into.resize(bytes, 0);
    let mut filled = 0;
    while filled < bytes {
        match log.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    into.truncate(filled);
    Ok(())
}

#[cfg(test)]
mod tests;
