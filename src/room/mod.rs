//! The room: a deterministic state machine over one ordered log of entries.
//!
//! Pure state, without tokio, sockets or a clock. [`Room::apply`] carries out one [`Entry`]; the
//! [`Transcript`] that members read is derived from the entries, and every member is a cursor into
//! it, which [`Readers`] keep. See `docs/architecture.md`.

mod entry;
mod kept;
#[cfg(test)]
mod model_test;
mod readers;
mod roster;
mod sessions;
#[cfg(test)]
mod sessions_test;
mod transcript;

use std::fmt;

pub use entry::{Attachment, DisconnectReason, Entry, Origin, Outcome, Resumed};
pub use kept::Kept;
pub use readers::{Read, Reader, Readers};
pub use sessions::{Claim, ENDED_SESSIONS};
pub use transcript::{FellBehind, Position, Transcript};

use crate::protocol::{Broadcast, Nickname, Progress, Refusal, SecretHash, SessionId, Token};
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
    /// Nobody joins any more.
    closed: bool,
}

impl Room {
    /// An empty room whose transcript keeps at least the last `retention_bytes`.
    #[must_use]
    pub fn new(retention_bytes: usize) -> Self {
        Self {
            roster: Roster::default(),
            sessions: Sessions::default(),
            transcript: Transcript::new(retention_bytes),
            closed: false,
        }
    }

    /// Carries out one entry: the only way in which the room changes. Each entry appends at most one
    /// line to the transcript.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Outcome {
        match entry {
            Entry::Join { nickname, .. } => self.join(nickname),
            Entry::Say { by, text } => self.broadcast(*by, |nickname| Broadcast::Said(nickname, *text)),
            Entry::Act { by, text } => self.broadcast(*by, |nickname| Broadcast::Acted(nickname, *text)),
            Entry::Whisper { by, to, .. } => self.whisper(*by, *to),
            Entry::Rename { by, nickname } => self.rename(*by, nickname),
            Entry::Note { by } => {
                self.sessions.take(*by);
                Outcome::Unchanged
            }
            Entry::Begin { attachment, session, secret } => self.begin(*attachment, *session, *secret),
            Entry::Detach { attachment, reason } => self.detach(*attachment, *reason),
            Entry::Resume { session, .. } => self.resume(*session),
            Entry::Expire { attachment } => match self.sessions.lost(*attachment) {
                Some(reason) => self.leave(attachment.member, reason),
                None => Outcome::Unchanged,
            },
            Entry::Forget { session } => {
                self.sessions.forget(*session);
                Outcome::Unchanged
            }
            Entry::Leave { attachment, reason } if self.is_current(*attachment) => {
                self.leave(attachment.member, *reason)
            }
            Entry::Leave { .. } => Outcome::Unchanged,
            Entry::Close => self.close(),
        }
    }

    fn join(&mut self, nickname: &Nickname) -> Outcome {
        if self.closed {
            return Outcome::Refused(Refusal::Closed);
        }
        match self.roster.add(nickname.clone()) {
            Ok(member) => {
                self.transcript.append(Broadcast::Joined(nickname));
                Outcome::Joined(Attachment { member, number: 0 })
            }
            Err(Taken) => Outcome::Refused(Refusal::NicknameTaken),
        }
    }

    fn broadcast<'a, D: fmt::Display>(
        &'a mut self,
        by: Origin,
        line: impl FnOnce(&'a Nickname) -> D,
    ) -> Outcome {
        let Some(nickname) = self.roster.nickname(by.attachment.member) else { return Outcome::Unchanged };
        if !self.sessions.take(by) {
            return Outcome::Unchanged;
        }
        self.transcript.append(line(nickname));
        Outcome::Said(nickname.clone())
    }

    fn whisper(&mut self, by: Origin, to: MemberId) -> Outcome {
        if !self.sessions.take(by) {
            return Outcome::Unchanged;
        }
        match (self.nickname(by.attachment.member), self.nickname(to)) {
            (Some(from), Some(to)) => Outcome::Whispered { from: from.clone(), to: to.clone() },
            (Some(_), None) => Outcome::Refused(Refusal::NobodyOfThatName),
            (None, _) => Outcome::Unchanged,
        }
    }

    fn rename(&mut self, by: Origin, new: &Nickname) -> Outcome {
        let member = by.attachment.member;
        if !self.sessions.take(by) || self.nickname(member) == Some(new) {
            return Outcome::Unchanged;
        }
        match self.roster.rename(member, new) {
            Ok(Some(old)) => {
                self.transcript.append(Broadcast::Renamed(&old, new));
                Outcome::Renamed(old)
            }
            Ok(None) => Outcome::Unchanged,
            Err(Taken) => Outcome::Refused(Refusal::NicknameTaken),
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

    fn resume(&mut self, session: SessionId) -> Outcome {
        let resumed = self.sessions.resume(session).and_then(|(attachment, since, taken)| {
            let nickname = self.roster.nickname(attachment.member)?.clone();
            Some(Resumed { attachment, nickname, since, taken })
        });
        resumed.map_or(Outcome::Refused(Refusal::UnknownSession), Outcome::Resumed)
    }

    fn leave(&mut self, member: MemberId, reason: DisconnectReason) -> Outcome {
        let Some(nickname) = self.roster.remove(member) else { return Outcome::Unchanged };
        self.transcript.append(Broadcast::Left(&nickname));
        Outcome::Left { nickname, reason, session: self.sessions.end(member) }
    }

    fn close(&mut self) -> Outcome {
        self.closed = true;
        let members = self.roster.clear().into_iter();
        let members =
            members.map(|(member, nickname)| (self.sessions.attachment(member), nickname)).collect();
        self.sessions = Sessions::default();
        Outcome::Closed(members)
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

    /// Whether [`Entry::Close`] has been applied.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
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

    /// Whether an entry from here would change the room: it comes over the present connection, and its number
    /// is above those before it.
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

    /// What a token is good for. The secret is compared in constant time.
    #[must_use]
    pub fn claim(&self, token: &Token) -> Claim {
        self.sessions.claim(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Text;

    fn room() -> Room {
        Room::new(1 << 20)
    }

    fn nickname(name: &str) -> Nickname {
        Nickname::parse(name).expect("a valid nickname")
    }

    fn join(room: &mut Room, name: &str) -> Outcome {
        room.apply(&Entry::Join { nickname: nickname(name), from: ([127, 0, 0, 1], 5).into() })
    }

    fn joined(room: &mut Room, name: &str) -> Attachment {
        match join(room, name) {
            Outcome::Joined(attachment) => attachment,
            other => panic!("{other:?}"),
        }
    }

    fn from(attachment: Attachment) -> Origin {
        Origin { attachment, number: None }
    }

    fn say(room: &mut Room, attachment: Attachment, text: &str) -> Outcome {
        let text = Text::parse(text).expect("a valid text");
        room.apply(&Entry::Say { by: from(attachment), text })
    }

    fn rename(room: &mut Room, attachment: Attachment, name: &str) -> Outcome {
        room.apply(&Entry::Rename { by: from(attachment), nickname: nickname(name) })
    }

    fn leave(room: &mut Room, attachment: Attachment) -> Outcome {
        room.apply(&Entry::Leave { attachment, reason: DisconnectReason::Quit })
    }

    fn left(name: &str) -> Outcome {
        Outcome::Left { nickname: nickname(name), reason: DisconnectReason::Quit, session: None }
    }

    fn lines(room: &Room) -> Vec<String> {
        let transcript = room.transcript();
        let bytes = transcript.read(0, transcript.end(), usize::MAX).expect("everything is retained");
        String::from_utf8(bytes.to_vec()).expect("lines are UTF-8").lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_change_that_everyone_is_told_of_is_one_line() {
        let mut room = room();
        let dinesh = joined(&mut room, "Dinesh");
        assert_eq!(say(&mut room, dinesh, "anyone?"), Outcome::Said(nickname("Dinesh")));
        let act = Entry::Act { by: from(dinesh), text: Text::parse("waves").unwrap() };
        assert_eq!(room.apply(&act), Outcome::Said(nickname("Dinesh")));
        assert_eq!(rename(&mut room, dinesh, "Gilfoyle"), Outcome::Renamed(nickname("Dinesh")));
        assert_eq!(leave(&mut room, dinesh), left("Gilfoyle"));
        assert_eq!(
            lines(&room),
            [
                "Dinesh joined the chat!",
                "Dinesh: anyone?",
                "* Dinesh waves",
                "Dinesh is now known as Gilfoyle.",
                "Gilfoyle left the chat."
            ]
        );
    }

    #[test]
    fn a_whisper_is_in_no_transcript_and_needs_two_members() {
        let mut room = room();
        let dinesh = joined(&mut room, "Dinesh");
        let alex = joined(&mut room, "Alex");
        assert_eq!(room.find("ALEX"), Some(alex.member));
        let whisper =
            Entry::Whisper { by: from(dinesh), to: alex.member, text: Text::parse("psst").unwrap() };
        let end = room.transcript().end();
        assert_eq!(
            room.apply(&whisper),
            Outcome::Whispered { from: nickname("Dinesh"), to: nickname("Alex") }
        );
        assert_eq!(room.transcript().end(), end);
        leave(&mut room, alex);
        assert_eq!(room.find("Alex"), None);
        assert_eq!(room.apply(&whisper), Outcome::Refused(Refusal::NobodyOfThatName));
    }

    #[test]
    fn a_nickname_is_taken_while_its_member_is_here_and_free_afterwards() {
        let mut room = room();
        let alex = joined(&mut room, "Alex");
        for taken in ["Alex", "ALEX"] {
            assert_eq!(join(&mut room, taken), Outcome::Refused(Refusal::NicknameTaken), "{taken}");
        }
        leave(&mut room, alex);
        joined(&mut room, "Alex");
        assert_eq!(room.members().len(), 1);
    }

    #[test]
    fn a_new_nickname_is_taken_and_the_old_one_is_free() {
        let mut room = room();
        joined(&mut room, "Dinesh");
        let alex = joined(&mut room, "Alex");
        assert_eq!(rename(&mut room, alex, "dinesh"), Outcome::Refused(Refusal::NicknameTaken));
        assert_eq!(rename(&mut room, alex, "Alex"), Outcome::Unchanged, "it is no news");
        assert_eq!(rename(&mut room, alex, "ALEX"), Outcome::Renamed(nickname("Alex")), "but its case is");
        assert_eq!(join(&mut room, "Alex"), Outcome::Refused(Refusal::NicknameTaken));
        assert_eq!(rename(&mut room, alex, "Sascha"), Outcome::Renamed(nickname("ALEX")));
        joined(&mut room, "Alex");
        say(&mut room, alex, "it is me");
        assert_eq!(lines(&room).last().map(String::as_str), Some("Sascha: it is me"));
    }

    #[test]
    fn entries_of_a_member_that_has_left_change_nothing() {
        let mut room = room();
        let dinesh = joined(&mut room, "Dinesh");
        joined(&mut room, "Alex");
        leave(&mut room, dinesh);
        let end = room.transcript().end();
        assert_eq!(leave(&mut room, dinesh), Outcome::Unchanged);
        assert_eq!(say(&mut room, dinesh, "from beyond"), Outcome::Unchanged);
        assert_eq!(rename(&mut room, dinesh, "Ghost"), Outcome::Unchanged);
        assert_eq!(room.transcript().end(), end);
        joined(&mut room, "Ghost");
    }

    #[test]
    fn a_closed_room_has_no_members_and_lets_nobody_in() {
        let mut room = room();
        let dinesh = joined(&mut room, "Dinesh");
        let alex = joined(&mut room, "Alex");
        let members = vec![(dinesh, nickname("Dinesh")), (alex, nickname("Alex"))];
        assert_eq!(room.apply(&Entry::Close), Outcome::Closed(members));
        assert!(room.is_closed());
        assert_eq!(say(&mut room, dinesh, "wait"), Outcome::Unchanged);
        assert_eq!(leave(&mut room, dinesh), Outcome::Unchanged, "nobody is told again");
        assert_eq!(join(&mut room, "Late"), Outcome::Refused(Refusal::Closed));
    }
}
