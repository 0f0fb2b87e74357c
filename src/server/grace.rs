//! The sessions that a server gives: under what conditions, and for how long they wait for a connection.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Config;
use crate::protocol::{Framing, LogEpoch, Password, Refusal, SECRET_BYTES, SessionId, Token};
use crate::room::{Attachment, ENDED_SESSIONS, MemberId};

/// The source of a server's tokens. Whoever can guess its bytes can speak as any member.
#[derive(Clone)]
pub struct Randomness(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// How a server gives sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// How long a session waits for a connection: usually [`RESUME_GRACE`](super::limits::RESUME_GRACE).
    pub grace: Duration,
    /// Gives sessions over connections that are neither encrypted nor local, too: anybody on the way can
    /// read the token.
    pub plaintext: bool,
    /// Where tokens come from.
    pub randomness: Randomness,
}

impl Randomness {
    /// `fill` fills a buffer with random bytes: those of the operating system in production, of a seed in a
    /// simulation.
    pub fn new(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    fn bytes<const COUNT: usize>(&self) -> [u8; COUNT] {
        let mut bytes = [0; COUNT];
        (self.0)(&mut bytes);
        bytes
    }
}

impl Sessions {
    /// An epoch that no log has had before.
    pub(super) fn fresh_epoch(&self) -> LogEpoch {
        LogEpoch(u64::from_be_bytes(self.randomness.bytes()))
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Randomness")
    }
}

/// The sessions of one server.
#[derive(Debug)]
pub(super) struct Grants {
    sessions: Option<Sessions>,
    /// Tokens are bound to it.
    password: Option<Password>,
    encrypted: bool,
    epoch: LogEpoch,
}

impl Grants {
    /// `encrypted`: so are all connections. The epoch is that of the commit log, or else a new one.
    pub(super) fn new(config: &Config, encrypted: bool, epoch: LogEpoch) -> Self {
        let sessions = config.sessions.clone().filter(|sessions| !sessions.grace.is_zero());
        Self { sessions, password: config.password.clone(), encrypted, epoch }
    }

    /// What a client is offered that connects from here, and delimits its messages so.
    pub(super) fn offered_to(&self, peer: SocketAddr, framing: Framing) -> Result<Offer<'_>, Refusal> {
        // Nobody can count what the report's framing merges.
        if framing == Framing::Report {
            return Err(Refusal::UnknownCommand);
        }
        let sessions = self.sessions.as_ref().ok_or(Refusal::NoSessionsHere)?;
        let is_private = self.encrypted || sessions.plaintext || peer.ip().to_canonical().is_loopback();
        if is_private { Ok(Offer { sessions, grants: self }) } else { Err(Refusal::NotEncrypted) }
    }

    /// The log that lines are counted in.
    pub(super) fn epoch(&self) -> LogEpoch {
        self.epoch
    }

    /// The token that the room knows, of one that a client has.
    pub(super) fn bound(&self, token: &Token) -> Token {
        token.bound_to(self.password.as_ref())
    }

    /// How long a session waits for a connection.
    pub(super) fn grace(&self) -> Duration {
        self.sessions.as_ref().map_or(Duration::ZERO, |sessions| sessions.grace)
    }
}

/// A session that a client may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) grants: &'a Grants,
}

impl Offer<'_> {
    /// A new token.
    pub(super) fn token(&self) -> Token {
        let randomness = &self.sessions.randomness;
        let id = u128::from_be_bytes(randomness.bytes());
        Token::new(SessionId(id), randomness.bytes::<SECRET_BYTES>())
    }
}

/// What is to be done at some time, unless the session goes on before.
#[derive(Debug, Default)]
pub(super) struct Timers {
    lost: BTreeMap<(Instant, u64), Attachment>,
    /// The members that are away.
    away: BTreeMap<MemberId, Waiting>,
    /// How many of them each address has. One without any takes no memory.
    addresses: BTreeMap<Ipv6Addr, usize>,
    so_far: u64,
    /// The sessions that have ended, in that order, and when each is forgotten. The room remembers no more of
    /// them either.
    ended: VecDeque<(Instant, SessionId)>,
}

/// How many members have no connection, but keep their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) all: usize,
    /// Those whose last connection came from the address in question.
    pub(super) of_address: usize,
}

/// A member that is away.
#[derive(Debug)]
struct Waiting {
    /// The key of its timer.
    key: (Instant, u64),
    /// Where its last connection came from.
    address: Ipv6Addr,
}

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The session has been without a connection for the grace.
    Expire(Attachment),
    /// The session has ended long ago.
    Forget(SessionId),
}

impl Timers {
    /// A member has lost its connection, which came from this address, and may be away until then.
    pub(super) fn lost(&mut self, attachment: Attachment, address: Ipv6Addr, until: Instant) {
        self.is_back(attachment.member);
        let key = (until, self.so_far);
        self.so_far += 1;
        self.lost.insert(key, attachment);
        self.away.insert(attachment.member, Waiting { key, address });
        *self.addresses.entry(address).or_default() += 1;
    }

    /// A member is not away any more.
    pub(super) fn is_back(&mut self, member: MemberId) {
        let Some(Waiting { key, address }) = self.away.remove(&member) else { return };
        self.lost.remove(&key);
        if let Some(of_address) = self.addresses.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    /// A session has ended, and is remembered until then.
    pub(super) fn ended(&mut self, session: SessionId, until: Instant) {
        self.ended.push_back((until, session));
        if self.ended.len() > ENDED_SESSIONS {
            self.ended.pop_front();
        }
    }

    /// How many members are away.
    pub(super) fn away(&self) -> usize {
        self.away.len()
    }

    /// How many members are away, and how many of them have lost a connection from this address.
    pub(super) fn away_from(&self, address: Ipv6Addr) -> Away {
        Away { all: self.away(), of_address: self.addresses.get(&address).copied().unwrap_or(0) }
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let lost = self.lost.first_key_value().map(|(&(at, _), _)| at);
        let ended = self.ended.front().map(|&(at, _)| at);
        lost.into_iter().chain(ended).min()
    }

    /// Takes the next thing that is due by now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Due> {
        if let Some((_, &attachment)) = self.lost.first_key_value().filter(|((at, _), _)| *at <= now) {
            self.is_back(attachment.member);
            return Some(Due::Expire(attachment));
        }
        self.ended.front().filter(|(at, _)| *at <= now)?;
        self.ended.pop_front().map(|(_, session)| Due::Forget(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(plaintext: bool, grace_seconds: u64) -> Sessions {
        let randomness = Randomness::new(|bytes| bytes.fill(7));
        Sessions { grace: Duration::from_secs(grace_seconds), plaintext, randomness }
    }

    #[test]
    fn a_token_is_sent_only_where_nobody_can_read_it_unless_the_operator_allows_it() {
        let refusal = |sessions: Option<Sessions>, encrypted, peer: &str| {
            let config = Config { sessions, ..Config::default() };
            let grants = Grants::new(&config, encrypted, LogEpoch(1));
            grants.offered_to(peer.parse().unwrap(), Framing::Lines).err()
        };
        assert_eq!(refusal(Some(sessions(false, 1)), false, "10.0.0.1:5"), Some(Refusal::NotEncrypted));
        assert_eq!(refusal(Some(sessions(false, 1)), true, "10.0.0.1:5"), None);
        assert_eq!(refusal(Some(sessions(true, 1)), false, "10.0.0.1:5"), None);
        assert_eq!(refusal(Some(sessions(false, 1)), false, "127.0.0.1:5"), None);
        assert_eq!(refusal(Some(sessions(false, 1)), false, "[::ffff:127.0.0.1]:5"), None);
        assert_eq!(refusal(Some(sessions(true, 0)), true, "127.0.0.1:5"), Some(Refusal::NoSessionsHere));
        assert_eq!(refusal(None, true, "127.0.0.1:5"), Some(Refusal::NoSessionsHere));
        let config = Config { sessions: Some(sessions(true, 1)), ..Config::default() };
        let grants = Grants::new(&config, true, LogEpoch(1));
        let offered = grants.offered_to("127.0.0.1:5".parse().unwrap(), Framing::Report);
        assert_eq!(offered.err(), Some(Refusal::UnknownCommand), "it knows no sessions");
    }

    #[test]
    fn a_member_that_comes_back_is_not_expired_and_others_are_in_order() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let first = Attachment::FIRST;
        let again = Attachment { number: 1, ..first };
        let mut timers = Timers::default();
        timers.lost(first, Ipv6Addr::LOCALHOST, at(3));
        timers.ended(SessionId(1), at(4));
        assert_eq!((timers.away(), timers.next()), (1, Some(at(3))));
        assert_eq!(timers.take(at(2)), None);
        timers.is_back(first.member);
        assert_eq!((timers.away(), timers.take(at(3))), (0, None));
        timers.lost(again, Ipv6Addr::LOCALHOST, at(4));
        let of_address = |address| timers.away_from(address).of_address;
        assert_eq!((of_address(Ipv6Addr::LOCALHOST), of_address(Ipv6Addr::UNSPECIFIED)), (1, 0));
        assert_eq!(timers.take(at(9)), Some(Due::Expire(again)));
        assert_eq!(timers.take(at(9)), Some(Due::Forget(SessionId(1))));
        assert_eq!((timers.away(), timers.take(at(9)), timers.next()), (0, None, None));
        assert_eq!(timers.addresses.len(), 0);
    }

    #[test]
    fn of_many_sessions_that_have_ended_only_the_last_have_timers() {
        let now = Instant::now();
        let mut timers = Timers::default();
        for id in 0..3 + ENDED_SESSIONS as u128 {
            timers.ended(SessionId(id), now);
        }
        assert_eq!(timers.take(now), Some(Due::Forget(SessionId(3))));
        assert_eq!(std::iter::from_fn(|| timers.take(now)).count(), ENDED_SESSIONS - 1);
    }
}
