//! Sessions: the members that outlive their connections, and what was taken of their lines.

use std::collections::{BTreeMap, VecDeque};

use super::encoding::{Decoder, Encoder};
use super::kept::Kept;
use super::{Attachment, DisconnectReason, Malformed, MemberId, Origin, Resumed};
use crate::protocol::{Nickname, SecretHash, SessionId, Token};

/// How many sessions that have ended are remembered, so that a client that comes too late learns how many of
/// its lines were taken.
pub const ENDED_SESSIONS: usize = 10_000;

/// The sessions of a room. A member without one takes no memory here.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Boxed, since the nodes of a map in which members come in order are half empty.
    by_member: BTreeMap<MemberId, Box<Session>>,
    members: BTreeMap<SessionId, MemberId>,
    ended: BTreeMap<SessionId, Ended>,
    /// In the order of their ends.
    in_order: VecDeque<SessionId>,
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    secret: SecretHash,
    /// How many public lines there had been when it began.
    since: u64,
    /// The number of its connection, the present one or the last.
    attachment: u32,
    taken: u64,
    /// Why it has no connection, while it has none.
    away: Option<DisconnectReason>,
    /// Its private lines. Boxed, since few sessions have any.
    kept: Option<Box<Kept>>,
}

#[derive(Debug)]
struct Ended {
    secret: SecretHash,
    taken: u64,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is of a session that goes on over this connection, or has lost it.
    Of(Attachment),
    /// It is of a session that has ended, of which this many lines were taken.
    Ended {
        /// The number of the last line that was taken.
        taken: u64,
    },
    /// It is of no session that is known.
    Unknown,
}

impl Sessions {
    /// Gives a member a session, after `since` public lines. Returns false if it has one, or if there is or was
    /// one of this number.
    pub(super) fn begin(&mut self, member: MemberId, id: SessionId, secret: SecretHash, since: u64) -> bool {
        let is_known = self.members.contains_key(&id) || self.ended.contains_key(&id);
        if self.by_member.contains_key(&member) || is_known {
            return false;
        }
        self.members.insert(id, member);
        let session = Session { id, secret, since, attachment: 0, taken: 0, away: None, kept: None };
        self.by_member.insert(member, Box::new(session));
        true
    }

    /// The connection of a member, the present one or the last.
    pub(super) fn attachment(&self, member: MemberId) -> Attachment {
        let number = self.by_member.get(&member).map_or(0, |session| session.attachment);
        Attachment { member, number }
    }

    /// Whether nothing that was taken has come from here with that number or a later one. A connection that was lost
    /// cannot speak any more.
    pub(super) fn is_news(&self, by: Origin) -> bool {
        match (self.by_member.get(&by.attachment.member), by.number) {
            (None, number) => by.attachment.number == 0 && number.is_none(),
            (Some(session), number) => {
                session.attachment == by.attachment.number
                    && number.is_none_or(|number| number > session.taken)
                    && session.away.is_none()
            }
        }
    }

    /// Takes note of a number, if it [`is_news`](Self::is_news).
    pub(super) fn take(&mut self, by: Origin) -> bool {
        let is_news = self.is_news(by);
        if is_news
            && let Some(number) = by.number
            && let Some(session) = self.by_member.get_mut(&by.attachment.member)
        {
            session.taken = number;
        }
        is_news
    }

    /// Keeps lines that a member is told, after so many public lines, if it has a session. Returns whether it has.
    pub(super) fn keep(&mut self, member: MemberId, after: u64, lines: &str, at_most_bytes: usize) -> bool {
        let Some(session) = self.by_member.get_mut(&member) else { return false };
        if !lines.is_empty() {
            let kept = session.kept.get_or_insert_default();
            lines.lines().for_each(|line| kept.push(after, line, at_most_bytes));
        }
        true
    }

    /// The private lines of a member that are kept, in order, each with the number of public lines that it follows.
    pub(super) fn kept(&self, member: MemberId) -> impl Iterator<Item = (u64, &str)> {
        let kept = self.by_member.get(&member).and_then(|session| session.kept.as_deref());
        kept.into_iter().flat_map(Kept::lines)
    }

    /// The number of the last line that was taken from a member, if it has a session.
    pub(super) fn taken(&self, member: MemberId) -> Option<u64> {
        self.by_member.get(&member).map(|session| session.taken)
    }

    /// Whether a member has lost its connection.
    pub(super) fn is_away(&self, member: MemberId) -> bool {
        self.by_member.get(&member).is_some_and(|session| session.away.is_some())
    }

    /// The session of this connection has lost it. Returns false if there is none, or it goes on in another.
    pub(super) fn detach(&mut self, attachment: Attachment, reason: DisconnectReason) -> bool {
        let session = self.by_member.get_mut(&attachment.member);
        let Some(session) = session.filter(|session| session.attachment == attachment.number) else {
            return false;
        };
        session.away.is_none() && session.away.replace(reason).is_none()
    }

    /// A session goes on in another connection, from which on nothing is taken from those before. Its client has
    /// read so many private lines.
    pub(super) fn resume(
        &mut self,
        id: SessionId,
        nickname: impl FnOnce(MemberId) -> Option<Nickname>,
        private_lines: u64,
    ) -> Option<Resumed> {
        let &member = self.members.get(&id)?;
        let session = self.by_member.get_mut(&member)?;
        session.attachment += 1;
        session.away = None;
        Some(Resumed {
            attachment: Attachment { member, number: session.attachment },
            nickname: nickname(member)?,
            since: session.since,
            taken: session.taken,
            missing_private_lines: session.kept.as_mut().map_or(0, |kept| kept.count(private_lines)),
        })
    }

    /// The reason why this connection was lost, if the session still waits for another one.
    pub(super) fn lost(&self, attachment: Attachment) -> Option<DisconnectReason> {
        let session = self.by_member.get(&attachment.member)?;
        session.away.filter(|_| session.attachment == attachment.number)
    }

    /// Ends the session of a member, if it has one, and remembers what was taken.
    pub(super) fn end(&mut self, member: MemberId) -> Option<SessionId> {
        let Session { id, secret, taken, .. } = *self.by_member.remove(&member)?;
        self.members.remove(&id);
        self.ended.insert(id, Ended { secret, taken });
        self.in_order.push_back(id);
        if self.in_order.len() > ENDED_SESSIONS
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        Some(id)
    }

    /// Forgets a session that has ended. They are forgotten in the order in which they ended. Returns whether it
    /// was the next.
    pub(super) fn forget(&mut self, id: SessionId) -> bool {
        let is_next = self.in_order.front() == Some(&id);
        if is_next {
            self.in_order.pop_front();
            self.ended.remove(&id);
        }
        is_next
    }

    /// The present or last connections of the members that have sessions.
    pub(super) fn attachments(&self) -> impl Iterator<Item = Attachment> {
        self.by_member.iter().map(|(&member, session)| Attachment { member, number: session.attachment })
    }

    /// The sessions that have ended, in that order.
    pub(super) fn ended(&self) -> impl Iterator<Item = SessionId> {
        self.in_order.iter().copied()
    }

    pub(super) fn encode(&self, out: &mut Encoder) {
        out.number(self.by_member.len() as u64);
        for attachment in self.attachments() {
            if let Some(session) = self.by_member.get(&attachment.member) {
                out.attachment(attachment);
                session.encode(out);
            }
        }
        out.number(self.in_order.len() as u64);
        for id in &self.in_order {
            if let Some(Ended { secret, taken }) = self.ended.get(id) {
                out.session(*id).bytes(secret.as_bytes()).number(*taken);
            }
        }
    }

    pub(super) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let mut sessions = Self::default();
        for _ in 0..bytes.number()? {
            let attachment = bytes.attachment()?;
            let session = Session::decode(attachment.number, bytes)?;
            sessions.members.insert(session.id, attachment.member);
            sessions.by_member.insert(attachment.member, Box::new(session));
        }
        for _ in 0..bytes.number()? {
            let id = bytes.session()?;
            let secret = SecretHash::from_bytes(bytes.bytes()?);
            sessions.ended.insert(id, Ended { secret, taken: bytes.number()? });
            sessions.in_order.push_back(id);
        }
        Ok(sessions)
    }

    /// What a token is good for. The secret is compared in constant time.
    pub(super) fn claim(&self, token: &Token) -> Claim {
        if let Some((&member, session)) =
            self.members.get(&token.id()).and_then(|member| self.by_member.get_key_value(member))
        {
            if session.secret.is_of(token) {
                return Claim::Of(Attachment { member, number: session.attachment });
            }
        } else if let Some(ended) = self.ended.get(&token.id())
            && ended.secret.is_of(token)
        {
            return Claim::Ended { taken: ended.taken };
        }
        Claim::Unknown
    }
}

impl Session {
    fn encode(&self, out: &mut Encoder) {
        out.session(self.id).bytes(self.secret.as_bytes()).number(self.since).number(self.taken);
        out.text(self.away.map_or("", DisconnectReason::cause));
        let so_far = self.kept.as_ref().map_or(0, |kept| kept.so_far());
        let lines = || self.kept.iter().flat_map(|kept| kept.lines());
        out.number(so_far).number(lines().count() as u64);
        for (after, line) in lines() {
            out.number(after).text(line);
        }
    }

    fn decode(attachment: u32, bytes: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let (id, secret) = (bytes.session()?, SecretHash::from_bytes(bytes.bytes()?));
        let (since, taken) = (bytes.number()?, bytes.number()?);
        let away = match bytes.text()? {
            "" => None,
            cause => Some(DisconnectReason::from_cause(cause).ok_or(Malformed)?),
        };
        let (so_far, count) = (bytes.number()?, bytes.number()?);
        let lines = (0..count).map(|_| Ok((bytes.number()?, bytes.text()?.into())));
        let lines = lines.collect::<Result<_, _>>()?;
        let kept = (so_far > 0).then(|| Box::new(Kept::restore(so_far, lines)));
        Ok(Self { id, secret, since, attachment, taken, away, kept })
    }
}
