//! The room: a deterministic state machine over one ordered log of entries.
//!
//! Pure state, without tokio, sockets or a clock. [`Room::apply`] carries out one [`Entry`]; the
//! [`Transcript`] that members read is derived from the entries, and every member is a cursor into
//! it, which [`Readers`] keep. See `docs/architecture.md`.

mod entry;
#[cfg(test)]
mod model_test;
mod readers;
mod roster;
mod transcript;

use std::fmt;

pub use entry::{DisconnectReason, Entry, Outcome};
pub use readers::{Read, Reader, Readers};
pub use transcript::{FellBehind, Position, Transcript};

use crate::protocol::{Broadcast, Nickname, Refusal};
use roster::{Roster, Taken};

/// Names a member for as long as the room exists; given in the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(u64);

impl MemberId {
    /// The first member of any room.
    pub const FIRST: Self = Self(0);
}

/// The roster and the transcript: everything that follows from the entries so far.
#[derive(Debug)]
pub struct Room {
    roster: Roster,
    transcript: Transcript,
    /// Nobody joins any more.
    closed: bool,
}

impl Room {
    /// An empty room whose transcript keeps at least the last `retention_bytes`.
    #[must_use]
    pub fn new(retention_bytes: usize) -> Self {
        Self { roster: Roster::default(), transcript: Transcript::new(retention_bytes), closed: false }
    }

    /// Carries out one entry: the only way in which the room changes. Each entry appends at most one
    /// line to the transcript.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Outcome {
        match entry {
            Entry::Join { nickname, .. } => self.join(nickname),
            Entry::Say { member, text } => {
                self.broadcast(*member, |nickname| Broadcast::Said(nickname, *text))
            }
            Entry::Act { member, text } => {
                self.broadcast(*member, |nickname| Broadcast::Acted(nickname, *text))
            }
            Entry::Whisper { member, to, .. } => self.whisper(*member, *to),
            Entry::Rename { member, nickname } => self.rename(*member, nickname),
            Entry::Leave { member, .. } => self.leave(*member),
            Entry::Close => {
                self.closed = true;
                Outcome::Closed(self.roster.clear())
            }
        }
    }

    fn join(&mut self, nickname: &Nickname) -> Outcome {
        if self.closed {
            return Outcome::Refused(Refusal::Closed);
        }
        match self.roster.add(nickname.clone()) {
            Ok(member) => {
                self.transcript.append(Broadcast::Joined(nickname));
                Outcome::Joined(member)
            }
            Err(Taken) => Outcome::Refused(Refusal::NicknameTaken),
        }
    }

    fn broadcast<'a, D: fmt::Display>(
        &'a mut self,
        member: MemberId,
        line: impl FnOnce(&'a Nickname) -> D,
    ) -> Outcome {
        let Some(nickname) = self.roster.nickname(member) else { return Outcome::Unchanged };
        self.transcript.append(line(nickname));
        Outcome::Said(nickname.clone())
    }

    fn whisper(&self, member: MemberId, to: MemberId) -> Outcome {
        match (self.nickname(member), self.nickname(to)) {
            (Some(from), Some(to)) => Outcome::Whispered { from: from.clone(), to: to.clone() },
            (Some(_), None) => Outcome::Refused(Refusal::NobodyOfThatName),
            (None, _) => Outcome::Unchanged,
        }
    }

    fn rename(&mut self, member: MemberId, new: &Nickname) -> Outcome {
        if self.nickname(member) == Some(new) {
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

    fn leave(&mut self, member: MemberId) -> Outcome {
        let Some(nickname) = self.roster.remove(member) else { return Outcome::Unchanged };
        self.transcript.append(Broadcast::Left(&nickname));
        Outcome::Left(nickname)
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

    /// The nicknames of all members, in the order of joining.
    #[must_use]
    pub fn nicknames(&self) -> impl ExactSizeIterator<Item = &Nickname> {
        self.roster.nicknames()
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

    fn joined(room: &mut Room, name: &str) -> MemberId {
        match join(room, name) {
            Outcome::Joined(member) => member,
            other => panic!("{other:?}"),
        }
    }

    fn say(room: &mut Room, member: MemberId, text: &str) -> Outcome {
        room.apply(&Entry::Say { member, text: Text::parse(text).expect("a valid text") })
    }

    fn rename(room: &mut Room, member: MemberId, name: &str) -> Outcome {
        room.apply(&Entry::Rename { member, nickname: nickname(name) })
    }

    fn leave(room: &mut Room, member: MemberId) -> Outcome {
        room.apply(&Entry::Leave { member, reason: DisconnectReason::Quit })
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
        let act = Entry::Act { member: dinesh, text: Text::parse("waves").unwrap() };
        assert_eq!(room.apply(&act), Outcome::Said(nickname("Dinesh")));
        assert_eq!(rename(&mut room, dinesh, "Gilfoyle"), Outcome::Renamed(nickname("Dinesh")));
        assert_eq!(leave(&mut room, dinesh), Outcome::Left(nickname("Gilfoyle")));
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
        assert_eq!(room.find("ALEX"), Some(alex));
        let whisper = Entry::Whisper { member: dinesh, to: alex, text: Text::parse("psst").unwrap() };
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
        assert_eq!(room.nicknames().len(), 1);
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
