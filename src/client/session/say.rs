//! What the client says: at once, or as soon as it can be sent.

use std::time::Duration;

use super::attachment::Phase;
use super::event::{Disconnected, Event, SayError};
use super::receipts::Outgo;
use super::{LEAVE_TIMEOUT, SENT_LINE_BYTES, Session, UNCONFIRMED_BYTES, UNSENT_BYTES};
use crate::protocol::{Command, Framing, Text};

impl Session {
    /// Says a text verbatim, even if it begins like a command.
    ///
    /// # Errors
    ///
    /// See [`SayError`]. Nothing has been said then.
    pub fn say(&mut self, text: Text<'_>, now: Duration) -> Result<(), SayError> {
        let text = text.as_str();
        self.may_say(text)?;
        self.receipts.say_text(text, now);
        self.send_waiting(now);
        Ok(())
    }

    /// Sends a line as a person has typed it: a text or a command. After `/quit` the client leaves.
    ///
    /// # Errors
    ///
    /// See [`SayError`]. Nothing has been sent then.
    pub fn send_line(&mut self, line: &str, now: Duration) -> Result<(), SayError> {
        self.may_say(line)?;
        match Command::parse(line, &[]) {
            Ok(Command::Quit) if self.config.framing == Framing::Lines => {
                self.leave_by(false, true, now + LEAVE_TIMEOUT);
                return Ok(());
            }
            // Nobody would answer it, so it could not be told whether it was taken.
            Ok(Command::Nothing) if self.config.outlives().is_some() => return Ok(()),
            _ => {}
        }
        self.receipts.say_line(line, now);
        self.send_waiting(now);
        Ok(())
    }

    /// Leaves in order: the queue is sent, the server is told that nothing more will come, and its last words
    /// can still be heard until it closes the connection too. The wait for that is limited to `at_most`,
    /// usually [`LEAVE_TIMEOUT`], since a server that has stopped reading may never close. Without a
    /// connection the client leaves at once.
    pub fn leave(&mut self, at_most: Duration, now: Duration) {
        // Otherwise the server would keep the session.
        let asked = |attachment: &super::Attachment| attachment.session_asked;
        let quit = self.kept.is_some() || self.attachment.as_ref().is_some_and(asked);
        self.leave_by(true, quit, now + at_most);
        self.now = now;
    }

    fn leave_by(&mut self, shutdown: bool, quit: bool, by: Duration) {
        match &mut self.attachment {
            Some(attachment) => {
                attachment.leave(shutdown, quit && attachment.phase == Phase::Joined, by);
                self.send_waiting(self.now);
            }
            None if self.search.take().is_some() => {
                self.kept = None;
                self.events.push_back(Event::Disconnected(Disconnected::Left));
            }
            None => {}
        }
    }

    /// Whether this can be said now.
    fn may_say(&self, line: &str) -> Result<(), SayError> {
        if !self.is_joined() {
            return Err(SayError::NotJoined);
        }
        if line.len() > SENT_LINE_BYTES || line.contains('\n') {
            return Err(SayError::NotALine);
        }
        let unsent_bytes = match &self.attachment {
            Some(attachment) if self.waiting() == 0 => attachment.outgoing.unsent().len(),
            _ => 0,
        };
        let is_full = unsent_bytes + line.len() > UNSENT_BYTES;
        if is_full || self.receipts.bytes() + line.len() > UNCONFIRMED_BYTES {
            return Err(SayError::Full);
        }
        Ok(())
    }

    /// Queues the lines that wait, as far as there is room, if they are to be sent now.
    pub(super) fn send_waiting(&mut self, now: Duration) {
        let Some(attachment) = self.attachment.as_mut().filter(|attachment| attachment.takes_lines()) else {
            return;
        };
        while attachment.outgoing.unsent().len() <= UNSENT_BYTES {
            let next_number = self.kept.as_mut().map(|kept| &mut kept.next_number);
            let Some(Outgo { number, line }) = self.receipts.send_next(next_number, now) else {
                attachment.quit();
                return;
            };
            attachment.heartbeat.said(now);
            match number {
                Some(number) => attachment.send_numbered(number, &line),
                None => attachment.send(&line),
            }
        }
    }
}
