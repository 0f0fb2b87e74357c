//! The room: an append-only log of lines, and every member a cursor into it.
//!
//! Pure state, without tokio, sockets or a clock. The server around it calls one method for what a
//! member wants, and [`Room::read`] for what a member is to be sent; whatever happens to the
//! network, the room stays a room. See `docs/architecture.md`, "Bird's eye".

mod transcript;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

pub use transcript::{FellBehind, Position, Slice, Transcript};

use crate::protocol::{Broadcast, Nickname, Notice, Refusal, Text};

/// Names a member for as long as the room exists; given in the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(u64);

/// Who is here, and what has been said.
#[derive(Debug)]
pub struct Room {
    log: Transcript,
    members: BTreeMap<MemberId, Member>,
    /// Those who have left, but are still to be sent what came before.
    leavers: BTreeMap<MemberId, Leaver>,
    /// What is for one of them alone: of those who have any such lines to be sent.
    private: BTreeMap<MemberId, PrivateLines>,
    /// The members, by the keys of their nicknames ([`Nickname::keys`]).
    roster: BTreeMap<Box<str>, MemberId>,
    joined_so_far: u64,
    /// No cursor that moves lies before this. Cursors only move forward, so it may lag behind.
    slowest: Position,
    private_bytes: usize,
    /// No one joins any more.
    closed: bool,
    totals: Totals,
}

/// What has happened in a room since it began. Nothing that is still there tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The lines for everyone.
    pub lines: u64,
    /// All lines, those for one member alone too, each as often as there were members that it was for.
    pub deliveries: u64,
    /// The bytes that members' sockets have taken.
    pub taken_bytes: u64,
}

impl Totals {
    fn line_for(&mut self, members: usize) {
        self.lines += 1;
        self.deliveries += members as u64;
    }
}

#[derive(Debug)]
struct Member {
    nickname: Nickname,
    cursor: Position,
}

#[derive(Debug)]
struct Leaver {
    cursor: Position,
    /// Where reading ends for it: where the log ended when it left.
    until: Position,
}

/// Lines for one reader alone, each behind its position in the log. Of the first, what has been taken is gone.
type PrivateLines = VecDeque<(Position, Vec<u8>)>;

/// What [`Room::read`] found.
#[derive(Clone, Debug)]
pub enum Read {
    /// What comes next.
    Data {
        /// The bytes; they need not end where a line does.
        slice: Slice,
        /// Nothing is known yet of what comes behind them.
        is_all: bool,
    },
    /// Nothing at the moment.
    Idle,
    /// Nothing ever again: the member has left and was given everything that came before.
    End,
}

impl Room {
    /// An empty room whose log keeps the last `retention_bytes`, and whose members may each have
    /// `private_bytes` of lines for them alone waiting.
    #[must_use]
    pub fn new(retention_bytes: usize, private_bytes: usize) -> Self {
        Self {
            log: Transcript::new(retention_bytes),
            members: BTreeMap::new(),
            leavers: BTreeMap::new(),
            private: BTreeMap::new(),
            roster: BTreeMap::new(),
            joined_so_far: 0,
            slowest: 0,
            private_bytes,
            closed: false,
            totals: Totals::default(),
        }
    }

    /// Lets somebody in: everyone is told, the newcomer too, and then the newcomer alone that it
    /// is connected. The newcomer's view begins `history` lines before its joining.
    ///
    /// # Errors
    ///
    /// [`Refusal::NicknameTaken`], or [`Refusal::Closed`] once the room is closed.
    pub fn join(&mut self, nickname: Nickname, history: usize) -> Result<MemberId, Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        let keys = nickname.keys();
        if keys.iter().any(|key| self.roster.contains_key(key)) {
            return Err(Refusal::NicknameTaken);
        }
        let id = MemberId(self.joined_so_far);
        self.joined_so_far += 1;
        self.roster.extend(keys.map(|key| (key, id)));
        self.totals.line_for(self.members.len() + 1);
        let joining = self.log.append(Broadcast::Joined(&nickname));
        let cursor = self.log.lines_before(joining, history);
        self.slowest = self.slowest.min(cursor);
        self.members.insert(id, Member { nickname, cursor });
        self.tell(id, &Notice::Connected);
        Ok(id)
    }

    /// Tells everyone that a member is gone. What the member has not read yet it can still be
    /// sent, up to here. Returns its nickname the first time, and `None` ever after.
    pub fn leave(&mut self, id: MemberId) -> Option<Nickname> {
        let nickname = self.stop_reading(id)?;
        for key in nickname.keys() {
            self.roster.remove(&key);
        }
        self.totals.line_for(self.members.len());
        self.log.append(Broadcast::Left(&nickname));
        Some(nickname)
    }

    /// Forgets somebody who has left. A member that has not left leaves by this.
    pub fn forget(&mut self, id: MemberId) -> Option<Nickname> {
        let left = self.leave(id);
        self.leavers.remove(&id);
        self.private.remove(&id);
        left
    }

    /// Ends the room: every member is told so, and is a member no more. Returns who was here, in
    /// the order of joining.
    pub fn close(&mut self) -> Vec<Nickname> {
        self.closed = true;
        self.roster.clear();
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        let mut nicknames = Vec::with_capacity(ids.len());
        for id in ids {
            self.tell(id, &Notice::ShuttingDown);
            nicknames.extend(self.stop_reading(id));
        }
        nicknames
    }

    /// Whether [`Room::close`] has been called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Says a text to everyone. Returns false if the speaker is no member.
    pub fn say(&mut self, id: MemberId, text: Text<'_>) -> bool {
        self.broadcast(id, |nickname| Broadcast::Said(nickname, text))
    }

    /// Tells everyone what a member does. Returns false if it is no member.
    pub fn act(&mut self, id: MemberId, text: Text<'_>) -> bool {
        self.broadcast(id, |nickname| Broadcast::Acted(nickname, text))
    }

    /// Says a text to one member alone, and gives the speaker a receipt. Returns who was told.
    ///
    /// # Errors
    ///
    /// [`Refusal::NobodyOfThatName`], or [`Refusal::NotReading`] if too much is waiting for them.
    pub fn whisper(&mut self, id: MemberId, to: &str, text: Text<'_>) -> Result<MemberId, Refusal> {
        let Some(from) = self.nickname(id).cloned() else { return Ok(id) };
        let (addressee, nickname) = self.find(to).ok_or(Refusal::NobodyOfThatName)?;
        if !self.may_be_told_more(addressee) {
            return Err(Refusal::NotReading);
        }
        self.tell(addressee, &Notice::WhisperFrom(&from, text));
        self.tell(id, &Notice::WhisperTo(&nickname, text));
        Ok(addressee)
    }

    /// Gives a member another nickname. Returns the old one; none if that is the same, which is no news.
    ///
    /// # Errors
    ///
    /// [`Refusal::NicknameTaken`] if somebody else has it, or one that looks the same.
    pub fn rename(&mut self, id: MemberId, new: Nickname) -> Result<Option<Nickname>, Refusal> {
        let Some(old) = self.nickname(id).filter(|&old| *old != new).cloned() else { return Ok(None) };
        let keys = new.keys();
        if keys.iter().any(|key| self.roster.get(key).is_some_and(|&holder| holder != id)) {
            return Err(Refusal::NicknameTaken);
        }
        for key in old.keys() {
            self.roster.remove(&key);
        }
        self.roster.extend(keys.map(|key| (key, id)));
        self.totals.line_for(self.members.len());
        self.log.append(Broadcast::Renamed(&old, &new));
        if let Some(member) = self.members.get_mut(&id) {
            member.nickname = new;
        }
        Ok(Some(old))
    }

    /// Tells one member something, behind everything that has been said so far.
    pub fn tell(&mut self, id: MemberId, notice: &Notice<'_>) {
        if self.members.contains_key(&id) {
            let line = format!("{notice}\n").into_bytes();
            self.private.entry(id).or_default().push_back((self.log.end(), line));
            self.totals.deliveries += 1;
        }
    }

    /// Whether a member has taken enough of what is for it alone to be told more. Who asks for
    /// answers waits for this before it asks again, so that what waits stays bounded.
    #[must_use]
    pub fn may_be_told_more(&self, id: MemberId) -> bool {
        self.private.get(&id).is_none_or(|lines| {
            let waiting: usize = lines.iter().map(|(_, line)| line.len()).sum();
            waiting < self.private_bytes
        })
    }

    /// What a reader is to be sent next: what lies between its cursor and the end, at most
    /// `at_most` bytes, in the one order that everyone sees. [`Room::advance`] moves the cursor.
    ///
    /// # Errors
    ///
    /// [`FellBehind`]: the log no longer holds what comes next for it.
    pub fn read(&self, id: MemberId, at_most: usize) -> Result<Read, FellBehind> {
        let (cursor, end, nothing) = match (self.members.get(&id), self.leavers.get(&id)) {
            (Some(member), _) => (member.cursor, self.log.end(), Read::Idle),
            (None, Some(leaver)) => (leaver.cursor, leaver.until, Read::End),
            (None, None) => return Ok(Read::End),
        };
        if let Some(private) = self.private.get(&id) {
            let (bytes, is_all) = self.gather(private, cursor, end, at_most)?;
            return Ok(Read::Data { slice: bytes.into(), is_all });
        }
        if cursor < end {
            let slice = self.log.read(cursor, end, at_most)?;
            let is_all = cursor + slice.len() as Position == end;
            return Ok(Read::Data { slice, is_all });
        }
        Ok(nothing)
    }

    /// Says that a reader has been sent the next `taken` bytes of what [`Room::read`] gave.
    pub fn advance(&mut self, id: MemberId, mut taken: usize) {
        let (cursor, end) = match (self.members.get_mut(&id), self.leavers.get_mut(&id)) {
            (Some(member), _) => (&mut member.cursor, self.log.end()),
            (None, Some(leaver)) => (&mut leaver.cursor, leaver.until),
            (None, None) => return,
        };
        self.slowest = self.slowest.min(*cursor);
        self.totals.taken_bytes += taken as u64;
        let mut private = self.private.remove(&id).unwrap_or_default();
        while taken > 0 {
            let stop = private.front().map_or(end, |&(position, _)| position.min(end));
            if *cursor < stop {
                let part = taken.min(usize::try_from(stop - *cursor).unwrap_or(usize::MAX));
                *cursor += part as Position;
                taken -= part;
            } else if let Some((_, line)) = private.front_mut() {
                let part = taken.min(line.len());
                line.drain(..part);
                taken -= part;
                if line.is_empty() {
                    private.pop_front();
                }
            } else {
                // No more can have been taken than there was.
                break;
            }
        }
        if !private.is_empty() {
            self.private.insert(id, private);
        }
    }

    /// Puts together what lies in the log and what is for a reader alone. Returns it, and whether
    /// that is all.
    fn gather(
        &self,
        private: &PrivateLines,
        mut cursor: Position,
        end: Position,
        at_most: usize,
    ) -> Result<(Vec<u8>, bool), FellBehind> {
        let mut bytes = Vec::new();
        let mut private = private.iter().peekable();
        while bytes.len() < at_most {
            let stop = private.peek().map_or(end, |&&(position, _)| position.min(end));
            if cursor < stop {
                let slice = self.log.read(cursor, stop, at_most - bytes.len())?;
                cursor += slice.len() as Position;
                bytes.extend_from_slice(&slice);
            } else if let Some((_, line)) = private.next() {
                bytes.extend_from_slice(line);
            } else {
                break;
            }
        }
        let is_all = cursor == end && private.peek().is_none();
        Ok((bytes, is_all))
    }

    /// Whether the log no longer holds what comes next for a reader.
    #[must_use]
    pub fn has_fallen_behind(&self, id: MemberId) -> bool {
        let member = self.members.get(&id).map(|member| member.cursor);
        let cursor = member.or_else(|| self.leavers.get(&id).map(|leaver| leaver.cursor));
        cursor.is_some_and(|cursor| cursor < self.log.begin())
    }

    /// Whether some member is behind by more than `bytes`, beside those that are `ignored`.
    ///
    /// Looking for the slowest one takes a walk over all of them, which is done only when the log
    /// has grown by so much since the last time, or somebody really is so far behind.
    pub fn somebody_is_behind_by(&mut self, bytes: u64, ignored: impl Fn(MemberId) -> bool) -> bool {
        if self.log.end() - self.slowest > bytes {
            let counted = self.members.iter().filter(|&(&id, _)| !ignored(id));
            self.slowest = counted.map(|(_, member)| member.cursor).min().unwrap_or(self.log.end());
        }
        self.log.end() - self.slowest > bytes
    }

    /// How far the slowest member is behind, in bytes.
    #[must_use]
    pub fn largest_lag(&self) -> u64 {
        self.members.values().map(|member| self.log.end() - member.cursor).max().unwrap_or(0)
    }

    /// What has happened so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The nickname of a member.
    #[must_use]
    pub fn nickname(&self, id: MemberId) -> Option<&Nickname> {
        self.members.get(&id).map(|member| &member.nickname)
    }

    /// The nicknames of all members, in the order of joining.
    pub fn nicknames(&self) -> impl Iterator<Item = &Nickname> {
        self.members.values().map(|member| &member.nickname)
    }

    /// How much of the log is there.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.log.retained_bytes()
    }

    /// The position of the oldest line that the log still holds.
    #[must_use]
    pub fn begin(&self) -> Position {
        self.log.begin()
    }

    /// The position behind the last line of the log.
    #[must_use]
    pub fn end(&self) -> Position {
        self.log.end()
    }

    /// Makes a member a leaver: what comes from now on is not for it.
    fn stop_reading(&mut self, id: MemberId) -> Option<Nickname> {
        let Member { nickname, cursor } = self.members.remove(&id)?;
        self.leavers.insert(id, Leaver { cursor, until: self.log.end() });
        Some(nickname)
    }

    fn find(&self, name: &str) -> Option<(MemberId, Nickname)> {
        let [key, _] = Nickname::parse(name).ok()?.keys();
        let id = *self.roster.get(&key)?;
        Some((id, self.nickname(id)?.clone()))
    }

    fn broadcast<'a, D: fmt::Display>(
        &'a mut self,
        id: MemberId,
        line: impl FnOnce(&'a Nickname) -> D,
    ) -> bool {
        // Field by field, so that the nickname can be read while the log is written.
        let Some(Member { nickname, .. }) = self.members.get(&id) else { return false };
        self.totals.line_for(self.members.len());
        self.log.append(line(nickname));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        Room::new(1 << 20, 1 << 10)
    }

    fn nickname(name: &str) -> Nickname {
        Nickname::parse(name).expect("a valid nickname")
    }

    fn text(text: &str) -> Text<'_> {
        Text::parse(text).expect("a valid text")
    }

    fn join(room: &mut Room, name: &str) -> MemberId {
        room.join(nickname(name), 0).expect("the nickname is free")
    }

    /// Everything that a reader is sent until it has caught up.
    fn screen(room: &mut Room, id: MemberId) -> Vec<String> {
        let mut out = Vec::new();
        // Some at a time, so that reading stops and goes on within lines.
        while let Read::Data { slice, .. } = room.read(id, 7).expect("not fallen behind") {
            out.extend_from_slice(&slice);
            room.advance(id, slice.len());
        }
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_nickname_that_a_member_has_already_is_no_news() {
        let mut room = room();
        let alex = join(&mut room, "Alex");
        let end = room.end();
        assert_eq!(room.rename(alex, nickname("Alex")), Ok(None));
        assert_eq!(room.end(), end);
        assert_eq!(room.rename(alex, nickname("alex")), Ok(Some(nickname("Alex"))), "but its case is");
    }

    #[test]
    fn everyone_sees_one_order_and_a_newcomer_sees_its_own_joining_first() {
        let mut room = room();
        let dinesh = join(&mut room, "Dinesh");
        room.say(dinesh, text("anyone?"));
        let alex = join(&mut room, "Alex");
        room.say(alex, text("Hello everyone"));
        room.act(dinesh, text("waves"));
        assert_eq!(
            screen(&mut room, dinesh),
            [
                "Dinesh joined the chat!",
                "Connected to server!",
                "Dinesh: anyone?",
                "Alex joined the chat!",
                "Alex: Hello everyone",
                "* Dinesh waves"
            ]
        );
        assert_eq!(
            screen(&mut room, alex),
            ["Alex joined the chat!", "Connected to server!", "Alex: Hello everyone", "* Dinesh waves"]
        );
    }

    #[test]
    fn a_private_line_stands_where_it_was_said_between_the_broadcast_ones() {
        let mut room = room();
        let dinesh = join(&mut room, "Dinesh");
        let alex = join(&mut room, "Alex");
        screen(&mut room, alex);
        room.say(dinesh, text("before"));
        assert_eq!(room.whisper(dinesh, "alex", text("psst")), Ok(alex));
        room.say(dinesh, text("after"));
        assert_eq!(screen(&mut room, alex), ["Dinesh: before", "-- Dinesh to you: psst", "Dinesh: after"]);
        let receipt = "-- You to Alex: psst".to_owned();
        assert!(screen(&mut room, dinesh).contains(&receipt));
    }

    #[test]
    fn a_whisper_to_nobody_or_to_one_who_does_not_read_is_refused() {
        let mut room = room();
        let dinesh = join(&mut room, "Dinesh");
        let alex = join(&mut room, "Alex");
        assert_eq!(room.whisper(dinesh, "Max", text("hi")), Err(Refusal::NobodyOfThatName));
        let mut whispers = 0;
        while room.whisper(dinesh, "Alex", text("hi")).is_ok() {
            screen(&mut room, dinesh);
            whispers += 1;
            assert!(whispers < 1_000, "what waits for Alex is bounded");
        }
        assert!(!room.may_be_told_more(alex));
        screen(&mut room, alex);
        assert!(room.may_be_told_more(alex));
        assert_eq!(room.whisper(dinesh, "Alex", text("hi")), Ok(alex));
    }

    #[test]
    fn a_nickname_is_taken_while_its_member_is_here_and_free_afterwards() {
        let mut room = room();
        let alex = join(&mut room, "Alex");
        assert_eq!(room.join(nickname("ALEX"), 0), Err(Refusal::NicknameTaken));
        assert_eq!(room.join(nickname("\u{410}lex"), 0), Err(Refusal::NicknameTaken));
        room.leave(alex);
        assert!(room.join(nickname("Alex"), 0).is_ok());
        assert_eq!(room.nicknames().count(), 1);
    }

    #[test]
    fn joining_and_leaving_are_told_exactly_once_however_often_it_is_asked() {
        let mut room = room();
        let dinesh = join(&mut room, "Dinesh");
        let alex = join(&mut room, "Alex");
        assert_eq!(room.leave(alex), Some(nickname("Alex")));
        assert_eq!(room.leave(alex), None);
        assert_eq!(room.forget(alex), None);
        assert_eq!(room.forget(alex), None);
        let screen = screen(&mut room, dinesh);
        assert_eq!(screen.iter().filter(|line| *line == "Alex left the chat.").count(), 1);
    }

    #[test]
    fn who_has_left_is_sent_what_came_before_and_nothing_behind() {
        let mut room = room();
        let dinesh = join(&mut room, "Dinesh");
        let alex = join(&mut room, "Alex");
        room.say(alex, text("bye"));
        room.leave(alex);
        assert!(!room.say(alex, text("from beyond")));
        room.say(dinesh, text("gone"));
        assert_eq!(screen(&mut room, alex).last().map(String::as_str), Some("Alex: bye"));
        assert!(matches!(room.read(alex, 1), Ok(Read::End)));
    }

    #[test]
    fn a_new_nickname_is_taken_and_the_old_one_is_free() {
        let mut room = room();
        let dinesh = join(&mut room, "Dinesh");
        let alex = join(&mut room, "Alex");
        assert_eq!(room.rename(alex, nickname("dinesh")), Err(Refusal::NicknameTaken));
        assert_eq!(room.rename(alex, nickname("ALEX")), Ok(Some(nickname("Alex"))));
        assert_eq!(room.rename(alex, nickname("Sascha")), Ok(Some(nickname("ALEX"))));
        join(&mut room, "Alex");
        room.say(alex, text("it is me"));
        let screen = screen(&mut room, dinesh);
        assert!(screen.contains(&"ALEX is now known as Sascha.".to_owned()));
        assert_eq!(screen.last().map(String::as_str), Some("Sascha: it is me"));
    }

    #[test]
    fn history_begins_the_view_of_a_newcomer_earlier() {
        let mut room = room();
        let dinesh = join(&mut room, "Dinesh");
        for number in 1..=5 {
            room.say(dinesh, text(&number.to_string()));
        }
        let alex = room.join(nickname("Alex"), 2).unwrap();
        assert_eq!(
            screen(&mut room, alex),
            ["Dinesh: 4", "Dinesh: 5", "Alex joined the chat!", "Connected to server!"]
        );
    }

    #[test]
    fn who_falls_off_the_end_of_the_log_is_told_so_and_nobody_else_notices() {
        let retention = 32 << 10;
        let mut room = Room::new(retention, 1 << 10);
        let slow = join(&mut room, "Slow");
        let quick = join(&mut room, "Quick");
        let line = "x".repeat(1_000);
        for _ in 0..200 {
            room.say(quick, text(&line));
            screen(&mut room, quick);
        }
        assert!(matches!(room.read(slow, 1), Err(FellBehind)));
        assert!(room.somebody_is_behind_by(retention as u64, |_| false));
        assert!(!room.somebody_is_behind_by(retention as u64, |id| id == slow));
        room.forget(slow);
        assert_eq!(screen(&mut room, quick), ["Slow left the chat."]);
        assert!(!room.somebody_is_behind_by(0, |_| false));
    }

    #[test]
    fn a_closed_room_tells_everyone_and_lets_nobody_in() {
        let mut room = room();
        let dinesh = join(&mut room, "Dinesh");
        let alex = join(&mut room, "Alex");
        assert_eq!(room.close(), [nickname("Dinesh"), nickname("Alex")]);
        assert!(!room.say(dinesh, text("wait")));
        assert_eq!(room.leave(dinesh), None, "nobody is told again");
        assert_eq!(room.join(nickname("Late"), 0), Err(Refusal::Closed));
        for id in [dinesh, alex] {
            let last = screen(&mut room, id).pop();
            assert_eq!(last.as_deref(), Some("-- The server is shutting down."));
        }
    }
}
