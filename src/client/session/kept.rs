//! The session that a server keeps for the client: how far it is, as the client counts.

use std::time::Duration;

use crate::protocol::{Heard, LogEpoch, Nickname, Resume, Token};

/// How long a server is taken to keep a session if it has not said so.
const ASSUMED_GRACE: Duration = Duration::from_secs(120);

/// A session at the server.
#[derive(Debug)]
pub(super) struct Kept {
    /// What is needed to go on with it: its token, and what has been heard of it.
    pub(super) resume: Resume,
    /// How long the server keeps it without a connection.
    pub(super) grace: Duration,
    /// The number of the next line.
    pub(super) next_number: u64,
    /// The nickname that the client has after the lines that it has missed, while those come.
    pub(super) replay: Option<Nickname>,
    /// An earlier client has begun it, and this one has not heard all that that client has missed.
    pub(super) is_inherited: bool,
}

impl Kept {
    /// A new session.
    pub(super) fn new(token: Token, epoch: LogEpoch, public_lines: u64) -> Self {
        Self {
            resume: Resume { token, epoch, public_lines, private_lines: 0 },
            grace: ASSUMED_GRACE,
            next_number: 1,
            replay: None,
            is_inherited: false,
        }
    }

    /// A session of an earlier client.
    pub(super) fn inherited(resume: Resume) -> Self {
        Self { resume, grace: ASSUMED_GRACE, next_number: 1, replay: None, is_inherited: true }
    }

    /// A line of the session has come. Those about the session itself do not count, nor do the answers to the
    /// client's own pings.
    pub(super) fn count(&mut self, line: &str) {
        match Heard::parse(line) {
            Heard::Everyone(_) | Heard::Connected => self.add(1, 0),
            _ => self.add(0, 1),
        }
    }

    /// Counts lines. The counts come from a server, which may have sent any number.
    pub(super) fn add(&mut self, public_lines: u64, private_lines: u64) {
        let counts = &mut self.resume;
        counts.public_lines = counts.public_lines.saturating_add(public_lines);
        counts.private_lines = counts.private_lines.saturating_add(private_lines);
    }
}
