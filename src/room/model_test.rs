//! The room and its readers against a naive model: for each reader, the text that it is to be sent.
//! Random sequences of entries, private lines and reads of any length must show the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::protocol::{Notice, Text, Timestamp};

/// Some of these look alike, and some differ only in case.
const NAMES: [&str; 6] = ["Alex", "alex", "Dinesh", "Ax", "\u{410}\u{445}", "Zoe"];

const NOW: Timestamp = Timestamp(0);

const TEXTS: [&str; 3] = ["hi", "a longer text that takes more than one read", "é"];

/// Small enough for readers to fall behind.
const TINY_RETENTION_BYTES: usize = 400;

/// Exactly five of the short lines, so that the bound itself is reached.
const PRIVATE_BYTES: usize = 55;

#[derive(Clone, Debug)]
enum Step {
    Join(Index, usize),
    Say(Index, Index),
    Act(Index, Index),
    Rename(Index, Index),
    Leave(Index),
    Forget(Index),
    Tell(Index, Index),
    /// Reads up to the first number of bytes, of which the socket takes up to the second.
    Read(Index, usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<Index>;
    let step = prop_oneof![
        4 => (index(), 0..4_usize).prop_map(|(name, history)| Step::Join(name, history)),
        6 => (index(), index()).prop_map(|(who, text)| Step::Say(who, text)),
        2 => (index(), index()).prop_map(|(who, text)| Step::Act(who, text)),
        2 => (index(), index()).prop_map(|(who, name)| Step::Rename(who, name)),
        2 => index().prop_map(Step::Leave),
        1 => index().prop_map(Step::Forget),
        4 => (index(), index()).prop_map(|(who, text)| Step::Tell(who, text)),
        9 => (index(), 1..80_usize, 0..80_usize).prop_map(|(who, most, taken)| Step::Read(who, most, taken)),
    ];
    prop::collection::vec(step, 1..120)
}

fn pick(index: Index, from: &[&'static str]) -> &'static str {
    from[index.index(from.len())]
}

/// The one connection of a member without a session.
fn at(member: MemberId) -> Attachment {
    Attachment { member, number: 0 }
}

fn from(member: MemberId) -> Origin {
    Origin { attachment: at(member), number: None }
}

/// The room as nobody would build it: everything is kept, and nothing is shared.
#[derive(Default)]
struct Model {
    /// The lines for everyone, each with its newline.
    lines: Vec<String>,
    members: BTreeMap<MemberId, String>,
    readers: BTreeMap<MemberId, ModelReader>,
}

#[derive(Default)]
struct ModelReader {
    /// Everything that it is to be sent, and was.
    screen: String,
    /// The ranges of its private lines in that.
    private: Vec<(usize, usize)>,
    taken: usize,
    left: bool,
}

impl ModelReader {
    fn rest(&self) -> &[u8] {
        &self.screen.as_bytes()[self.taken..]
    }

    /// The bytes of whole or half lines for it alone that it has not taken.
    fn private_waiting(&self) -> usize {
        self.private.iter().map(|&(begin, end)| end.saturating_sub(begin.max(self.taken))).sum()
    }

    /// The bytes for everyone that it has not taken.
    fn lag(&self) -> u64 {
        (self.rest().len() - self.private_waiting()) as u64
    }
}

impl Model {
    fn is_taken(&self, name: &str, by_others_than: Option<MemberId>) -> bool {
        let keys = Nickname::parse(name).unwrap().keys();
        self.members
            .iter()
            .filter(|&(&id, _)| Some(id) != by_others_than)
            .any(|(_, other)| Nickname::parse(other).unwrap().keys().iter().any(|key| keys.contains(key)))
    }

    fn say(&mut self, line: String) {
        let line = line + "\n";
        for reader in self.readers.values_mut().filter(|reader| !reader.left) {
            reader.screen.push_str(&line);
        }
        self.lines.push(line);
    }

    fn leave(&mut self, id: MemberId) {
        self.members.remove(&id);
        if let Some(reader) = self.readers.get_mut(&id) {
            reader.left = true;
        }
    }

    fn position(&self) -> Position {
        self.lines.iter().map(|line| line.len() as Position).sum()
    }
}

/// The real room and its readers, and the model of them.
struct Pair {
    room: Room,
    readers: Readers<()>,
    model: Model,
}

impl Pair {
    fn new(retention_bytes: usize) -> Self {
        let room = Room::new(Bounds { retention_bytes, kept_private_bytes: 0 });
        Self { room, readers: Readers::new(PRIVATE_BYTES), model: Model::default() }
    }

    fn take(&mut self, step: &Step) {
        let ids: Vec<MemberId> = self.model.readers.keys().copied().collect();
        let who = |index: &Index| if ids.is_empty() { MemberId::FIRST } else { *index.get(&ids) };
        match step {
            Step::Join(name, history) => self.join(pick(*name, &NAMES), *history),
            Step::Say(index, text) => self.broadcast(who(index), pick(*text, &TEXTS), true),
            Step::Act(index, text) => self.broadcast(who(index), pick(*text, &TEXTS), false),
            Step::Rename(index, name) => self.rename(who(index), pick(*name, &NAMES)),
            Step::Leave(index) => self.leave(who(index)),
            Step::Forget(index) => self.forget(who(index)),
            Step::Tell(index, text) => self.tell(who(index), pick(*text, &TEXTS)),
            Step::Read(index, most, taken) => self.read(who(index), *most, *taken),
        }
    }

    fn join(&mut self, name: &str, history: usize) {
        let nickname = Nickname::parse(name).unwrap();
        let joining = self.room.transcript().end();
        let outcome = self.room.apply(NOW, &Entry::Join { nickname, from: ([127, 0, 0, 1], 1).into() });
        let Outcome::Joined(Attachment { member: id, number: 0 }) = outcome else {
            assert_eq!(outcome, Outcome::Refused(Refusal::NicknameTaken));
            assert!(self.model.is_taken(name, None));
            return;
        };
        assert!(!self.model.is_taken(name, None));
        let cursor = self.room.transcript().lines_before(joining, history);
        self.readers.add(at(id), cursor, ());
        let earlier = usize::try_from(joining - cursor).unwrap();
        let all = self.model.lines.concat();
        let shown = &all[all.len() - earlier..];
        assert!(shown.lines().count() <= history);
        let reader = ModelReader { screen: shown.to_owned(), ..ModelReader::default() };
        self.model.readers.insert(id, reader);
        self.model.members.insert(id, name.to_owned());
        self.model.say(format!("{name} joined the chat!"));
    }

    fn broadcast(&mut self, member: MemberId, text: &str, says: bool) {
        let parsed = Text::parse(text).unwrap();
        let outcome = self.room.apply(
            NOW,
            &if says {
                Entry::Say { by: from(member), text: parsed }
            } else {
                Entry::Act { by: from(member), text: parsed }
            },
        );
        match self.model.members.get(&member).cloned() {
            None => assert_eq!(outcome, Outcome::Unchanged),
            Some(name) => {
                assert_eq!(outcome, Outcome::Said(Nickname::parse(&name).unwrap()));
                self.model.say(if says { format!("{name}: {text}") } else { format!("* {name} {text}") });
            }
        }
    }

    fn rename(&mut self, member: MemberId, name: &str) {
        let nickname = Nickname::parse(name).unwrap();
        let outcome = self.room.apply(NOW, &Entry::Rename { by: from(member), nickname });
        match self.model.members.get(&member).cloned() {
            None => assert_eq!(outcome, Outcome::Unchanged),
            Some(old) if old == name => assert_eq!(outcome, Outcome::Refused(Refusal::OwnNickname)),
            Some(_) if self.model.is_taken(name, Some(member)) => {
                assert_eq!(outcome, Outcome::Refused(Refusal::NicknameTaken));
            }
            Some(old) => {
                assert_eq!(outcome, Outcome::Renamed(Nickname::parse(&old).unwrap()));
                self.model.members.insert(member, name.to_owned());
                self.model.say(format!("{old} is now known as {name}."));
            }
        }
    }

    fn leave(&mut self, member: MemberId) {
        let until = self.room.transcript().end();
        let reason = DisconnectReason::Quit;
        let outcome = self.room.apply(NOW, &Entry::Leave { attachment: at(member), reason });
        match self.model.members.get(&member).cloned() {
            None => assert_eq!(outcome, Outcome::Unchanged),
            Some(name) => {
                let nickname = Nickname::parse(&name).unwrap();
                assert_eq!(outcome, Outcome::Left { nickname, reason, session: None });
                self.readers.end(at(member), until);
                self.model.leave(member);
                self.model.say(format!("{name} left the chat."));
            }
        }
    }

    fn forget(&mut self, member: MemberId) {
        if !self.model.members.contains_key(&member) {
            self.readers.remove(at(member));
            self.model.readers.remove(&member);
        }
    }

    fn tell(&mut self, member: MemberId, text: &str) {
        let notice = Notice::Pong(Text::parse(text).unwrap(), None);
        let now = Point { position: self.room.transcript().end(), record: 0 };
        self.readers.tell(at(member), now, &notice);
        if let Some(reader) = self.model.readers.get_mut(&member).filter(|reader| !reader.left) {
            let begin = reader.screen.len();
            writeln!(reader.screen, "-- pong {text}").unwrap();
            reader.private.push((begin, reader.screen.len()));
        }
    }

    fn read(&mut self, member: MemberId, at_most: usize, taken: usize) {
        let Some(expected) = self.model.readers.get_mut(&member) else {
            assert!(self.readers.visit_one(at(member), |_| ()).is_none());
            return;
        };
        let transcript = self.room.transcript();
        self.readers.visit_one(at(member), |reader| match reader.read(transcript, Point::END, at_most) {
            Ok(Read::Data { bytes, is_all }) => {
                assert!(!bytes.is_empty());
                if let Cow::Borrowed(_) = bytes {
                    assert!(!reader.has_fallen_behind(transcript));
                }
                // The last line of it may be a longer private one.
                assert!(bytes.len() < at_most + PRIVATE_BYTES, "{} bytes of {at_most}", bytes.len());
                assert!(expected.rest().starts_with(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
                assert_eq!(is_all, bytes.len() == expected.rest().len());
                let taken = taken.min(bytes.len());
                reader.advance(transcript, Point::END, taken);
                expected.taken += taken;
            }
            Ok(Read::Idle) => assert!(expected.rest().is_empty() && !expected.left),
            Ok(Read::End) => assert!(expected.rest().is_empty() && expected.left),
            Err(FellBehind) => assert!(reader.has_fallen_behind(transcript)),
        });
    }

    /// Every query agrees with the model.
    fn agree(&mut self) {
        let (room, model) = (&self.room, &self.model);
        let end = room.transcript().end();
        assert_eq!(end, model.position());
        assert!(room.members().map(|(_, name)| name.as_str()).eq(model.members.values().map(String::as_str)));
        let here = |id: &MemberId| model.members.contains_key(id);
        let lags = || model.readers.iter().filter(|(id, _)| here(id)).map(|(&id, reader)| (id, reader.lag()));
        assert_eq!(self.readers.largest_lag_bytes(end), lags().map(|(_, lag)| lag).max().unwrap_or(0));
        for (id, reader) in &model.readers {
            assert_eq!(self.readers.may_be_told_more(at(*id)), reader.private_waiting() < PRIVATE_BYTES);
        }
        for bytes in [0, 30, 200] {
            let wanted = lags().any(|(_, lag)| lag > bytes);
            assert_eq!(self.readers.somebody_is_behind_by(bytes, end, |()| false), wanted, "{bytes}");
        }
        for name in NAMES {
            let nickname = Nickname::parse(name).unwrap();
            let [key, _] = nickname.keys();
            let holder =
                |(_, other): &(&MemberId, &String)| Nickname::parse(other).unwrap().keys().contains(&key);
            assert_eq!(room.find(name), model.members.iter().find(holder).map(|(&id, _)| id), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn the_room_and_its_readers_do_what_a_naive_model_of_them_does(
        steps in steps(),
        retention in prop_oneof![Just(1 << 20), Just(TINY_RETENTION_BYTES)],
    ) {
        let mut pair = Pair::new(retention);
        for step in &steps {
            pair.take(step);
            pair.agree();
        }
    }
}
