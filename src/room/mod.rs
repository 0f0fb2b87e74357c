//! The room: a deterministic state machine over one ordered log of entries.
//!
//! Pure state, without tokio, sockets or a clock. [`Room::apply`] carries out one [`Entry`]; the
//! [`Transcript`] that members read is derived from the entries, and every member is a cursor into
//! it, which [`Readers`] keep. See `docs/architecture.md`.

mod encoding;
mod entry;
mod kept;
#[cfg(test)]
mod model_test;
mod readers;
#[cfg(test)]
mod readers_test;
mod roster;
mod sessions;
#[cfg(test)]
mod sessions_test;
mod snapshot;
#[cfg(test)]
mod snapshot_test;
#[cfg(test)]
mod tests;
mod transcript;

use std::fmt;

pub use encoding::Malformed;
pub use entry::{Attachment, DisconnectReason, Entry, Origin, Outcome, Resumed};
pub use readers::{Point, Read, Reader, Readers};
pub use sessions::{Claim, ENDED_SESSIONS};
pub use transcript::{FellBehind, Position, Transcript};

use crate::protocol::{
    Broadcast, Nickname, Notice, Progress, Refusal, SecretHash, SessionId, Text, Timestamp, Token,
};
use roster::{Roster, Taken};
use sessions::Sessions;

/// Names a member for as long as the room exists; given in the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(u64);

impl MemberId {
    /// The first member of any room.
    const FIRST: Self = Self(0);
}

/// The roster, the sessions and the transcript: everything that follows from the entries so far.
#[derive(Debug)]
pub struct Room {
    roster: Roster,
    sessions: Sessions,
    transcript: Transcript,
    /// How often a server has begun to run it.
    starts: u64,
    kept_private_bytes: usize,
}

/// How much a room keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The transcript keeps at least so much.
    pub retention_bytes: usize,
    /// For each session, private lines are kept up to this.
    pub kept_private_bytes: usize,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            roster: Roster::default(),
            sessions: Sessions::default(),
            transcript: Transcript::new(bounds.retention_bytes),
            starts: 0,
            kept_private_bytes: bounds.kept_private_bytes,
        }
    }

    /// Carries out one entry: the only way in which the room changes. Each entry appends at most one
    /// line to the transcript, which was said at that time.
    pub fn apply(&mut self, at: Timestamp, entry: &Entry<'_>) -> Outcome {
        match entry {
            Entry::Join { nickname, .. } => self.join(at, nickname),
            Entry::Say { by, text } => self.broadcast(at, *by, |nickname| Broadcast::Said(nickname, *text)),
            Entry::Act { by, text } => self.broadcast(at, *by, |nickname| Broadcast::Acted(nickname, *text)),
            Entry::Whisper { by, to, text } => self.whisper(*by, *to, *text),
            Entry::Rename { by, nickname } => self.rename(at, *by, nickname),
            Entry::Answer { by, lines } => self.answer(*by, lines),
            Entry::Begin { attachment, session, secret } => self.begin(*attachment, *session, *secret),
            Entry::Detach { attachment, reason } => self.detach(*attachment, *reason),
            Entry::Resume { session, private_lines, .. } => self.resume(*session, *private_lines),
            Entry::Expire { attachment } => match self.sessions.lost(*attachment) {
                Some(reason) => self.leave(at, attachment.member, reason),
                None => Outcome::Unchanged,
            },
            Entry::Forget { session } if self.sessions.forget(*session) => Outcome::Noted,
            Entry::Leave { attachment, reason } if self.is_current(*attachment) => {
                self.leave(at, attachment.member, *reason)
            }
            Entry::Leave { .. } | Entry::Forget { .. } => Outcome::Unchanged,
            Entry::Start => {
                self.starts += 1;
                Outcome::Noted
            }
        }
    }

    fn join(&mut self, at: Timestamp, nickname: &Nickname) -> Outcome {
        match self.roster.add(nickname.clone()) {
            Ok(member) => {
                self.transcript.append(at, Broadcast::Joined(nickname));
                Outcome::Joined(Attachment { member, number: 0 })
            }
            Err(Taken) => Outcome::Refused(Refusal::NicknameTaken),
        }
    }

    fn broadcast<'a, D: fmt::Display>(
        &'a mut self,
        at: Timestamp,
        by: Origin,
        line: impl FnOnce(&'a Nickname) -> D,
    ) -> Outcome {
        let Some(nickname) = self.roster.nickname(by.attachment.member) else { return Outcome::Unchanged };
        if !self.sessions.take(by) {
            return Outcome::Unchanged;
        }
        self.transcript.append(at, line(nickname));
        Outcome::Said(nickname.clone())
    }

    fn whisper(&mut self, by: Origin, to: MemberId, text: Text<'_>) -> Outcome {
        let sender = by.attachment.member;
        if !self.sessions.take(by) {
            return Outcome::Unchanged;
        }
        match (self.nickname(sender).cloned(), self.nickname(to).cloned()) {
            (Some(from), Some(addressee)) => {
                self.keep(to, &Notice::WhisperFrom(&from, text));
                self.keep(sender, &Notice::WhisperTo(&addressee, text));
                Outcome::Whispered { from, to: addressee }
            }
            (Some(_), None) => self.refuse(sender, Refusal::NobodyOfThatName),
            (None, _) => Outcome::Unchanged,
        }
    }

    fn rename(&mut self, at: Timestamp, by: Origin, new: &Nickname) -> Outcome {
        let member = by.attachment.member;
        if !self.sessions.take(by) {
            return Outcome::Unchanged;
        }
        if self.nickname(member) == Some(new) {
            return self.refuse(member, Refusal::OwnNickname);
        }
        match self.roster.rename(member, new) {
            Ok(Some(old)) => {
                self.transcript.append(at, Broadcast::Renamed(&old, new));
                Outcome::Renamed(old)
            }
            Ok(None) => Outcome::Unchanged,
            Err(Taken) => self.refuse(member, Refusal::NicknameTaken),
        }
    }

    fn answer(&mut self, by: Origin, lines: &str) -> Outcome {
        let after = self.transcript.lines();
        if self.sessions.take(by)
            && self.sessions.keep(by.attachment.member, after, lines, self.kept_private_bytes)
        {
            return Outcome::Noted;
        }
        Outcome::Unchanged
    }

    fn refuse(&mut self, member: MemberId, refusal: Refusal) -> Outcome {
        self.keep(member, &Notice::NotSent(refusal));
        Outcome::Refused(refusal)
    }

    /// Keeps what a member is told, if it has a session.
    fn keep(&mut self, member: MemberId, notice: &Notice<'_>) {
        if self.sessions.taken(member).is_some() {
            let after = self.transcript.lines();
            self.sessions.keep(member, after, &notice.to_string(), self.kept_private_bytes);
        }
    }

    fn begin(&mut self, attachment: Attachment, session: SessionId, secret: SecretHash) -> Outcome {
        if !self.is_current(attachment) {
            Outcome::Unchanged
        } else if self.sessions.begin(attachment.member, session, secret, self.transcript.lines()) {
            Outcome::Begun
        } else {
            Outcome::Refused(Refusal::HasSession)
        }
    }

    fn detach(&mut self, attachment: Attachment, reason: DisconnectReason) -> Outcome {
        match self.roster.nickname(attachment.member) {
            Some(nickname) if self.sessions.detach(attachment, reason) => Outcome::Detached(nickname.clone()),
            _ => Outcome::Unchanged,
        }
    }

    fn resume(&mut self, session: SessionId, private_lines: u64) -> Outcome {
        let nickname = |member| self.roster.nickname(member).cloned();
        let resumed = self.sessions.resume(session, nickname, private_lines);
        resumed.map_or(Outcome::Refused(Refusal::UnknownSession), Outcome::Resumed)
    }

    fn leave(&mut self, at: Timestamp, member: MemberId, reason: DisconnectReason) -> Outcome {
        let Some(nickname) = self.roster.remove(member) else { return Outcome::Unchanged };
        self.transcript.append(at, Broadcast::Left(&nickname));
        Outcome::Left { nickname, reason, session: self.sessions.end(member) }
    }

    /// The lines that everyone is told.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The nickname of a member.
    #[must_use]
    pub fn nickname(&self, member: MemberId) -> Option<&Nickname> {
        self.roster.nickname(member)
    }

    /// All members, in the order of joining.
    #[must_use]
    pub fn members(&self) -> impl ExactSizeIterator<Item = (MemberId, &Nickname)> {
        self.roster.members()
    }

    /// The member of this name, however it is written.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<MemberId> {
        self.roster.find(&Nickname::parse(name).ok()?)
    }

    /// How often a server has begun to run the room.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// The connection of a member, the present one or the last.
    #[must_use]
    pub fn attachment(&self, member: MemberId) -> Attachment {
        self.sessions.attachment(member)
    }

    /// Whether this is the present or last connection of a member.
    #[must_use]
    pub fn is_current(&self, attachment: Attachment) -> bool {
        self.nickname(attachment.member).is_some() && self.attachment(attachment.member) == attachment
    }

    /// Whether an entry from here would change the room: it comes over the present connection, which is not
    /// lost, and its number is above those before it.
    #[must_use]
    pub fn is_news(&self, by: Origin) -> bool {
        self.sessions.is_news(by)
    }

    /// How far a member's session is; `None` if it has none.
    #[must_use]
    pub fn progress(&self, member: MemberId) -> Option<Progress> {
        let taken = self.sessions.taken(member)?;
        Some(Progress { public_lines: self.transcript.lines(), taken })
    }

    /// Whether a member has lost its connection, and its session waits for another one.
    #[must_use]
    pub fn is_away(&self, member: MemberId) -> bool {
        self.sessions.is_away(member)
    }

    /// The private lines of a member's session that are kept, in order, each with the number of public lines that
    /// it follows.
    pub fn kept(&self, member: MemberId) -> impl Iterator<Item = (u64, &str)> {
        self.sessions.kept(member)
    }

    /// The members that have a session, each with its connection, the present one or the last.
    pub fn sessions(&self) -> impl Iterator<Item = Attachment> {
        self.sessions.attachments()
    }

    /// The sessions that have ended and are remembered, in the order in which they ended.
    pub fn ended_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.ended()
    }

    /// What a token is good for. The secret is compared in constant time.
    #[must_use]
    pub fn claim(&self, token: &Token) -> Claim {
        self.sessions.claim(token)
    }
}
