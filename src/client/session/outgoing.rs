//! The bytes that are still to be sent to a server.

use crate::protocol::Framing;

/// The room that an empty queue keeps.
const KEPT_BYTES: usize = 2 * 1_024;

/// The bytes that are queued. [`UNSENT_BYTES`](super::UNSENT_BYTES) bounds a member's share; the session
/// itself adds a nickname, a password, and a ping when the queue is empty.
#[derive(Debug)]
pub(super) struct Outgoing {
    framing: Framing,
    bytes: Vec<u8>,
    /// How many of them have been sent.
    sent: usize,
}

impl Outgoing {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, bytes: Vec::new(), sent: 0 }
    }

    /// Adds a message, in parts.
    pub(super) fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.bytes.extend_from_slice(part.as_bytes());
        }
        if self.framing == Framing::Lines {
            self.bytes.push(b'\n');
        }
    }

    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent().is_empty()
    }

    pub(super) fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.bytes.len());
        if self.is_empty() {
            self.clear();
        }
    }

    /// Forgets everything, and frees the memory beyond [`KEPT_BYTES`].
    pub(super) fn clear(&mut self) {
        self.sent = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }
}
