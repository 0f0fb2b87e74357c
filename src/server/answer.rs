//! What one member alone is told, and what of it is kept for its session.

use std::fmt;
use std::net::SocketAddr;

use super::hub::State;
use super::report::report_refusal;
use crate::net::Stream;
use crate::protocol::{Nickname, Notice, Refusal};
use crate::room::{Attachment, Entry, Origin};

impl<S: Stream> State<S> {
    pub(super) fn deliver_whisper(&mut self, entry: &Entry<'_>, from: &Nickname, addressee: &Nickname) {
        let Entry::Whisper { by, to, text } = entry else { return };
        self.tell_connection(self.room.attachment(*to), &Notice::WhisperFrom(from, *text));
        self.tell_connection(by.attachment, &Notice::WhisperTo(addressee, *text));
    }

    pub(super) fn refuse(&mut self, by: Origin, peer: SocketAddr, refusal: Refusal) {
        self.answer(by, &Notice::NotSent(refusal).to_string());
        self.report_refused(by.attachment, peer, refusal);
    }

    /// The room itself has refused something.
    pub(super) fn refused(&mut self, attachment: Attachment, peer: SocketAddr, refusal: Refusal) {
        self.tell_connection(attachment, &Notice::NotSent(refusal));
        self.report_refused(attachment, peer, refusal);
    }

    fn report_refused(&mut self, attachment: Attachment, peer: SocketAddr, refusal: Refusal) {
        self.counters.count_refusal(refusal.cause());
        if let Some(nickname) = self.room.nickname(attachment.member) {
            report_refusal(nickname, peer, refusal);
        }
    }

    /// Answers a line, after everything that has been said so far. For a session the answer is kept, and the
    /// line counts as taken if it has a number.
    pub(super) fn answer(&mut self, by: Origin, lines: &str) {
        if self.room.progress(by.attachment.member).is_some() && (by.number.is_some() || !lines.is_empty()) {
            self.apply(&Entry::Answer { by, lines });
        }
        if !lines.is_empty() {
            self.tell_connection(by.attachment, &lines);
        }
    }

    /// Tells a connection something, after everything that has been said so far.
    pub(super) fn tell_connection(&mut self, attachment: Attachment, notice: &impl fmt::Display) {
        self.readers.tell(attachment, self.now(), notice);
        self.counters.count_deliveries(1);
        self.is_due(attachment);
    }
}
