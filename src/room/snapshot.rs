//! The room as bytes, without the lines of its transcript.

use super::encoding::{Decoder, Encoder};
use super::roster::Roster;
use super::sessions::Sessions;
use super::{Bounds, Malformed, Room, Transcript};
use crate::protocol::Timestamp;

/// The first byte of a room. A room that is encoded in another way gets another one.
const VERSION: u8 = 1;

impl Room {
    /// Encodes everything that follows from the entries so far, but not the lines of the transcript.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.byte(VERSION).number(self.starts).number(self.transcript.lines());
        self.roster.encode(&mut out);
        self.sessions.encode(&mut out);
        out.0
    }

    /// The room of a [snapshot](Self::snapshot), with these last lines of its transcript.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is no snapshot, or of another version.
    pub fn restore<'a>(
        bounds: Bounds,
        snapshot: &[u8],
        lines: impl ExactSizeIterator<Item = (Timestamp, &'a str)>,
    ) -> Result<Self, Malformed> {
        let mut bytes = Decoder(snapshot);
        if bytes.byte()? != VERSION {
            return Err(Malformed);
        }
        let (starts, so_far) = (bytes.number()?, bytes.number()?);
        let roster = Roster::decode(&mut bytes)?;
        let sessions = Sessions::decode(&mut bytes)?;
        bytes.end()?;
        let transcript = Transcript::restore(bounds.retention_bytes, so_far, lines);
        let kept_private_bytes = bounds.kept_private_bytes;
        Ok(Self { roster, sessions, transcript, starts, kept_private_bytes })
    }
}
