//! The input of a script, cut into lines.

use std::io;

use crate::net::explain;
use crate::protocol::{Decoder, Framing, Refusal};
use crate::terminal::Failure;

/// How much of the input is read before its turn, in bytes.
const READ_AHEAD_BYTES: usize = 64 * 1_024;

/// The input that has been read and not been said yet.
pub(super) struct Input {
    lines: Decoder,
    line_number: u64,
    pub(super) ended: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { lines: Decoder::with_framing(Framing::Lines), line_number: 0, ended: false }
    }
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.held_bytes() == 0
    }

    /// Whether all of it has been read and taken.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.is_empty()
    }

    pub(super) fn wants_more(&self) -> bool {
        !self.ended && self.lines.held_bytes() < READ_AHEAD_BYTES
    }

    pub(super) fn take(&mut self, read: io::Result<usize>, buffer: &[u8]) -> Result<(), Failure> {
        match read {
            Ok(0) => {
                self.ended = true;
                // The last line of a file may lack its newline.
                self.lines.push(b"\n");
            }
            Ok(length) => self.lines.push(&buffer[..length]),
            Err(error) => {
                return Err(Failure::Input(format!("Cannot read the input: {}", explain(&error))));
            }
        }
        Ok(())
    }

    /// The next line that is not blank, and its number.
    pub(super) fn next_line(&mut self) -> Option<(u64, Result<String, Refusal>)> {
        loop {
            let line = self.lines.next_message()?.map(str::to_owned);
            self.line_number += 1;
            if !line.as_ref().is_ok_and(|line| line.trim().is_empty()) {
                return Some((self.line_number, line));
            }
        }
    }
}
