//! The room, its readers and its sessions, as a server has them, next to a model of what a session promises.

use std::collections::BTreeMap;

use commonroom::protocol::{
    Command, LogEpoch, Nickname, Notice, Numbered, Progress, Refusal, Resume, SECRET_BYTES, SessionId,
    SessionNotice, Text, Token,
};
use commonroom::room::{
    Attachment, Claim, DisconnectReason, Entry, Kept, MemberId, Origin, Outcome, Readers, Resumed, Room,
};

/// Small enough for lines to fall off the end of the transcript all the time.
pub const RETENTION_BYTES: usize = 4 * 1_024;
const PRIVATE_BYTES: usize = 1_024;
const KEPT_PRIVATE_BYTES: usize = 600;

/// The log that everybody counts in.
pub const EPOCH: LogEpoch = LogEpoch(1);

/// The tokens of pings in a session, with and without a number: a client that counts must tell the pongs apart.
pub const NUMBERED: &str = "numbered";
pub const HEARTBEAT: &str = "heartbeat";

pub struct Chat {
    pub room: Room,
    pub readers: Readers<()>,
    kept: BTreeMap<MemberId, Kept>,
    /// The model: what is true of each session.
    sessions: BTreeMap<MemberId, Session>,
    /// What was taken of the sessions that have ended.
    ended: BTreeMap<u128, u64>,
}

/// What is true of a session.
struct Session {
    id: SessionId,
    /// The only connection that may change the room.
    attachment: Attachment,
    /// Whether that is lost.
    lost: bool,
    /// The number of the last line that was taken.
    taken: u64,
    /// Every private line that counts, from the first.
    told: Vec<String>,
}

/// The result of asking to resume.
pub enum Resuming {
    /// The session goes on: over this connection, with the private lines from this one on.
    Goes { attachment: Attachment, nickname: Nickname, private_from: usize },
    /// It does not.
    Not,
}

impl Chat {
    pub fn new() -> Self {
        Self {
            room: Room::new(RETENTION_BYTES),
            readers: Readers::new(PRIVATE_BYTES),
            kept: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    pub fn join(&mut self, nickname: Nickname) -> Result<Attachment, Refusal> {
        let joining = self.room.transcript().end();
        match self.room.apply(&Entry::Join { nickname, from: ([127, 0, 0, 1], 1).into() }) {
            Outcome::Joined(attachment) => {
                self.readers.add(attachment, joining, ());
                self.tell_connection(attachment, &Notice::Connected);
                Ok(attachment)
            }
            Outcome::Refused(refusal) => Err(refusal),
            other => panic!("a joining comes to {other:?}"),
        }
    }

    /// Handles a message as a session of the server does. Returns whether the member wishes to leave.
    pub fn handle(&mut self, attachment: Attachment, chosen: &str, message: Result<&str, Refusal>) -> bool {
        let (number, line) = match message.and_then(Numbered::parse) {
            Ok(Numbered { number, line }) => (number, Ok(line)),
            Err(refusal) => (None, Err(refusal)),
        };
        let by = Origin { attachment, number };
        let is_news = match self.sessions.get(&attachment.member) {
            None if number.is_some() => {
                self.refuse(attachment, Refusal::NoSession);
                return false;
            }
            None => self.room.is_current(attachment),
            Some(session) => {
                session.attachment == attachment && number.is_none_or(|number| number > session.taken)
            }
        };
        if self.room.nickname(attachment.member).is_some() {
            assert_eq!(self.room.is_news(by), is_news, "{by:?}");
        }
        let position = self.room.transcript().end();
        let quits = self.handle_line(by, chosen, line, is_news);
        assert!(is_news || self.room.transcript().end() == position, "nothing old changes the room");
        if let Some(session) = self.sessions.get_mut(&attachment.member) {
            session.taken = session.taken.max(number.filter(|_| is_news).unwrap_or(0));
            let taken = self.room.progress(attachment.member).map(|progress| progress.taken);
            assert_eq!(taken, Some(session.taken), "every line that was handled is taken, and no other");
        }
        quits
    }

    fn handle_line(&mut self, by: Origin, chosen: &str, line: Result<&str, Refusal>, is_news: bool) -> bool {
        let attachment = by.attachment;
        let Some(nickname) = self.room.nickname(attachment.member).cloned() else { return false };
        let prefixes = [nickname.as_str(), chosen];
        let prefixes = if by.number.is_some() { &[][..] } else { &prefixes[..] };
        let command = match line.and_then(|line| Command::parse(line, prefixes)) {
            Ok(command) => command,
            Err(_) if !is_news => return false,
            Err(refusal) => {
                self.refuse(attachment, refusal);
                self.room.apply(&Entry::Note { by });
                return false;
            }
        };
        match self.entry(by, command) {
            Some(entry) => self.commit(by, &entry, is_news),
            None if !is_news => return false,
            None => {
                self.answer(by, command);
                self.room.apply(&Entry::Note { by });
            }
        }
        matches!(command, Command::Quit)
    }

    fn entry<'a>(&self, by: Origin, command: Command<'a>) -> Option<Entry<'a>> {
        match command {
            Command::Say(text) => Some(Entry::Say { by, text }),
            Command::Act(text) => Some(Entry::Act { by, text }),
            Command::Rename(name) => {
                Nickname::parse(name).ok().map(|nickname| Entry::Rename { by, nickname })
            }
            Command::Whisper { to, text } => {
                let to = self.room.find(to)?;
                let reads = self.readers.may_be_told_more(self.room.attachment(to));
                reads.then_some(Entry::Whisper { by, to, text })
            }
            _ => None,
        }
    }

    fn commit(&mut self, by: Origin, entry: &Entry<'_>, is_news: bool) {
        let outcome = self.room.apply(entry);
        assert!(is_news || outcome == Outcome::Unchanged, "{outcome:?} of something old");
        match (outcome, entry) {
            (Outcome::Refused(refusal), _) => self.refuse(by.attachment, refusal),
            (Outcome::Whispered { from, to: addressee }, Entry::Whisper { to, text, .. }) => {
                self.tell(*to, &Notice::WhisperFrom(&from, *text));
                self.tell(by.attachment.member, &Notice::WhisperTo(&addressee, *text));
            }
            _ => {}
        }
    }

    fn answer(&mut self, by: Origin, command: Command<'_>) {
        let member = by.attachment.member;
        match command {
            Command::Ping(token) => match self.room.progress(member) {
                None => self.tell_connection(by.attachment, &Notice::Pong(token, None)),
                Some(progress) => self.pong(by, progress),
            },
            Command::Help => self.tell(member, &Notice::Help),
            Command::Session => self.begin(by.attachment),
            Command::Whisper { .. } => self.refuse(by.attachment, Refusal::NobodyOfThatName),
            _ => {}
        }
    }

    fn pong(&mut self, by: Origin, progress: Progress) {
        let token = if by.number.is_some() { NUMBERED } else { HEARTBEAT };
        let token = Text::parse(token).expect("a text");
        let taken = by.number.unwrap_or(progress.taken);
        let pong = Notice::Pong(token, Some(Progress { taken, ..progress }));
        match by.number {
            Some(_) => self.tell(by.attachment.member, &pong),
            None => self.tell_connection(by.attachment, &pong),
        }
    }

    /// Gives a member a session. Its token follows from the number of the session, so that an input can have it.
    fn begin(&mut self, attachment: Attachment) {
        let number = (self.sessions.len() + self.ended.len() + 1) as u8;
        let (id, secret) = (SessionId(u128::from(number)), [number; SECRET_BYTES]);
        let token = Token::new(id, secret);
        match self.room.apply(&Entry::Begin { attachment, session: id, secret: token.hash() }) {
            Outcome::Begun => {
                let public_lines = self.room.transcript().lines();
                let begun = SessionNotice::Begun { token, epoch: EPOCH, public_lines };
                self.tell_connection(attachment, &Notice::Session(begun));
                let session = Session { id, attachment, lost: false, taken: 0, told: Vec::new() };
                self.sessions.insert(attachment.member, session);
            }
            Outcome::Refused(refusal) => self.refuse(attachment, refusal),
            other => panic!("a session begins with {other:?}"),
        }
    }

    /// A connection is lost: a session waits for another one, and a member without one leaves.
    pub fn lose(&mut self, attachment: Attachment) {
        let until = self.room.transcript().end();
        let reason = DisconnectReason::Reset;
        match self.sessions.get_mut(&attachment.member) {
            None => drop(self.room.apply(&Entry::Leave { attachment, reason })),
            Some(session) => {
                let outcome = self.room.apply(&Entry::Detach { attachment, reason });
                let is_lost = session.attachment == attachment && !session.lost;
                assert_eq!(matches!(outcome, Outcome::Detached(_)), is_lost);
                assert_eq!(self.room.transcript().end(), until, "nobody is told");
                session.lost |= is_lost;
            }
        }
        self.readers.end(attachment, until);
    }

    /// A member leaves for good.
    pub fn leave(&mut self, attachment: Attachment) {
        let until = self.room.transcript().end();
        let outcome = self.room.apply(&Entry::Leave { attachment, reason: DisconnectReason::Quit });
        self.has_left(attachment.member, &outcome);
        self.readers.end(attachment, until);
    }

    /// Goes on with a session in another connection, if the token is the right one.
    pub fn resume(&mut self, request: &Resume) -> Resuming {
        let before = match self.room.claim(&request.token) {
            Claim::Of(attachment) => attachment,
            Claim::Ended { taken } => {
                assert_eq!(self.ended.get(&request.token.id().0), Some(&taken), "what was taken is known");
                return Resuming::Not;
            }
            Claim::Unknown => return Resuming::Not,
        };
        let from = ([127, 0, 0, 1], 1).into();
        let outcome = self.room.apply(&Entry::Resume { session: request.token.id(), from });
        let Outcome::Resumed(resumed) = outcome else { panic!("a known session comes to {outcome:?}") };
        let session = self.sessions.get_mut(&before.member).expect("a session");
        assert_eq!((session.id, session.attachment), (request.token.id(), before));
        assert_eq!(resumed.taken, session.taken);
        (session.attachment, session.lost) = (resumed.attachment, false);
        let notice = Notice::Session(SessionNotice::TakenOver);
        self.readers.end_with(before, self.room.transcript(), &notice);
        self.replay(resumed, request)
    }

    fn replay(&mut self, resumed: Resumed, request: &Resume) -> Resuming {
        let Resumed { attachment, nickname, taken, .. } = resumed;
        let public_lines = self.room.transcript().lines();
        let (cursor, missing) = self.room.transcript().position_after(request.public_lines);
        self.readers.add(attachment, cursor, ());
        let mut tell = |notice| self.readers.tell(attachment, cursor, &Notice::Session(notice));
        tell(SessionNotice::Resumed { nickname: nickname.to_string(), public_lines, taken });
        if missing > 0 {
            tell(SessionNotice::PublicMissing(missing));
        }
        let told = self.sessions.get(&attachment.member).map_or(0, |session| session.told.len());
        let mut private_from = told;
        if let Some(kept) = self.kept.get_mut(&attachment.member) {
            let missing = kept.count(request.private_lines);
            if missing > 0 {
                tell(SessionNotice::PrivateMissing(missing));
            }
            private_from -= kept.lines().len();
            for (at, line) in kept.lines() {
                self.readers.tell(attachment, at, &line);
            }
        }
        Resuming::Goes { attachment, nickname, private_from }
    }

    /// The sessions that have been without a connection for too long end.
    pub fn expire(&mut self) {
        let lost = self.sessions.values().filter(|session| session.lost);
        let lost: Vec<_> = lost.map(|session| session.attachment).collect();
        for attachment in lost {
            let outcome = self.room.apply(&Entry::Expire { attachment });
            assert!(matches!(outcome, Outcome::Left { .. }), "{outcome:?}");
            self.has_left(attachment.member, &outcome);
        }
    }

    /// Every private line of a session that counts, and whether this is its connection.
    pub fn told(&self, attachment: Attachment) -> Option<(&[String], bool)> {
        let session = self.sessions.get(&attachment.member)?;
        Some((&session.told, session.attachment == attachment))
    }

    fn has_left(&mut self, member: MemberId, outcome: &Outcome) {
        if let Outcome::Left { session, .. } = outcome {
            self.kept.remove(&member);
            let ended = self.sessions.remove(&member);
            assert_eq!(*session, ended.as_ref().map(|ended| ended.id));
            self.ended.extend(ended.map(|ended| (ended.id.0, ended.taken)));
        }
    }

    fn refuse(&mut self, attachment: Attachment, refusal: Refusal) {
        self.tell(attachment.member, &Notice::NotSent(refusal));
    }

    /// Tells one member something. It is kept for a session.
    fn tell(&mut self, member: MemberId, notice: &Notice<'_>) {
        let at = self.room.transcript().end();
        if let Some(session) = self.sessions.get_mut(&member) {
            let kept = self.kept.entry(member).or_default();
            for line in notice.to_string().lines() {
                kept.push(at, line, KEPT_PRIVATE_BYTES);
                session.told.push(line.to_owned());
            }
        }
        self.tell_connection(self.room.attachment(member), notice);
    }

    /// The same for something that is of no use in another connection.
    fn tell_connection(&mut self, attachment: Attachment, notice: &Notice<'_>) {
        self.readers.tell(attachment, self.room.transcript().end(), notice);
    }
}
