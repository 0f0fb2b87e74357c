//! The configuration that a session begins with, and the events that it reports.

use std::fmt;
use std::time::Duration;

use crate::protocol::{Framing, Nickname, Password, Refusal, Resume};

/// A client's identity and its way of speaking.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The nickname that the client wants.
    pub nickname: Nickname,
    /// The password that it gives if the server asks for one.
    pub password: Option<Password>,
    /// How messages are delimited.
    pub framing: Framing,
    /// Whether the client pings, and takes the silence of a server that answers for the end of the
    /// connection. In the report's framing it never does: the report's server would take a ping for talk.
    pub heartbeat: bool,
    /// Whether and how the client outlives its connections. It takes line framing and a heartbeat; without
    /// either, or with a server that gives no sessions, the end of the connection is the end.
    pub reconnect: Option<Reconnect>,
}

/// How a client outlives its connections: it asks the server for a session, and goes on with it in another
/// connection when one is lost.
#[derive(Clone, Debug)]
pub struct Reconnect {
    /// The source of the randomness between two attempts. Clients that lose their connections together must
    /// not have the same one.
    pub seed: u64,
    /// For how long another connection is looked for after one is lost; without it, for as long as the server
    /// keeps the session. An attempt that has begun by then is not cut short.
    pub for_at_most: Option<Duration>,
    /// A session to go on with at the beginning, as [`Session::saved`](super::Session::saved) gave it. If the
    /// server knows it no more, the client joins as usual.
    pub resume: Option<Resume>,
}

impl Reconnect {
    /// For as long as the server keeps the session, and with a new session.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, for_at_most: None, resume: None }
    }
}

impl Config {
    /// A line-framed client without a password, with a heartbeat, that does not outlive its connection.
    #[must_use]
    pub fn new(nickname: Nickname) -> Self {
        Self { nickname, password: None, framing: Framing::Lines, heartbeat: true, reconnect: None }
    }

    /// The same, but it outlives its connections.
    #[must_use]
    pub fn with_reconnect(self, reconnect: Reconnect) -> Self {
        Self { reconnect: Some(reconnect), ..self }
    }

    /// The same with this framing.
    #[must_use]
    pub fn with_framing(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// The same with this password, if there is one.
    #[must_use]
    pub fn with_password(self, password: Option<Password>) -> Self {
        Self { password, ..self }
    }

    /// Whether it pings.
    pub(super) fn has_heartbeat(&self) -> bool {
        self.heartbeat && self.framing == Framing::Lines
    }

    /// How it outlives its connections, if it does.
    pub(super) fn outlives(&self) -> Option<&Reconnect> {
        self.reconnect.as_ref().filter(|_| self.has_heartbeat())
    }

    /// The same without a heartbeat.
    #[must_use]
    pub fn without_heartbeat(self) -> Self {
        Self { heartbeat: false, ..self }
    }
}

/// Something that has happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server has refused the nickname and asks for another one;
    /// [`Session::choose_nickname`](super::Session::choose_nickname) answers.
    NicknameWanted,
    /// The server asks for a password, and there is none, or the server has had it already;
    /// [`Session::give_password`](super::Session::give_password) answers.
    PasswordWanted,
    /// The server has not let the client in, for this reason. It may ask again, or close the connection.
    NotJoined(String),
    /// The client is a member of the room.
    Joined,
    /// A line has come; [`Heard::parse`](crate::protocol::Heard::parse) tells whom it is for. Every line is
    /// handed out, apart from the answers to the client's own pings; some have an event of their own in
    /// addition.
    Line(String),
    /// Something has come that cannot be shown.
    Unreadable(Refusal),
    /// The server has refused this line of the client's. The line that follows gives the reason.
    NotSent(String),
    /// The client is called this from now on.
    Renamed(Nickname),
    /// The server has answered a ping of the client's own, so it is still there.
    Pong,
    /// The server keeps a session for the client, or goes on with it in this connection:
    /// [`Session::saved`](super::Session::saved) has something new to store.
    SessionKept,
    /// The connection was lost, and the session looks for another one. What is said meanwhile waits.
    ConnectionLost(Disconnected),
    /// The next attempt to connect begins after this long; zero is at once.
    TryingAgain(Duration),
    /// The session goes on in another connection: the client is a member without having joined again.
    /// Exactly what it has missed follows, and then what is new.
    Resumed {
        /// How long it was without a connection; `None` if the session was begun by an earlier client.
        away: Option<Duration>,
        /// How many public lines it has missed. Some of them may no longer be kept.
        missed_lines: u64,
    },
    /// Some of what was missed is no longer kept, and does not follow.
    Missing {
        /// How many public lines.
        public_lines: u64,
        /// How many private lines.
        private_lines: u64,
    },
    /// The session is over, for this reason. The client joins as a newcomer; if it succeeds,
    /// [`Joined`](Self::Joined) follows.
    NotResumed(String),
    /// Whether these lines were taken cannot be known any more. They are not sent again by themselves, and
    /// are not among [`Session::unconfirmed`](super::Session::unconfirmed) any more.
    Unconfirmed(Vec<String>),
    /// Another client goes on with the session. This one is not to come back; its connection ends.
    TakenOver,
    /// The session has no connection any more, and looks for none. This is the last event.
    Disconnected(Disconnected),
}

/// How a session lost its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disconnected {
    /// The client has left, and the server has closed the connection in its turn.
    Left,
    /// The server has closed it.
    Closed,
    /// It broke.
    Broken,
    /// The server has not let the client in, and said nothing for
    /// [`HANDSHAKE_TIMEOUT`](super::HANDSHAKE_TIMEOUT).
    NotAnswered,
    /// Nothing has come for [`SILENCE_TIMEOUT`](super::SILENCE_TIMEOUT), or with a session for
    /// [`SESSION_SILENCE_TIMEOUT`](super::SESSION_SILENCE_TIMEOUT), from a server that answers pings; or for
    /// longer than a client that leaves was ready to wait.
    Silent,
}

/// Why a line is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SayError {
    /// The client is not a member of the room, not yet or no more. The server would take the line for a
    /// nickname or a password.
    NotJoined,
    /// Too much waits to be sent or to be answered. Later there will be room.
    Full,
    /// It is not one line, or too long for one.
    NotALine,
}

impl fmt::Display for SayError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotJoined => "not a member of the room",
            Self::Full => "too much waits to be sent or to be answered",
            Self::NotALine => "not a line that can be sent",
        })
    }
}

impl std::error::Error for SayError {}
