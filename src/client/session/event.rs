//! The configuration that a session begins with, and the events that it reports.

use std::fmt;

use crate::protocol::{Framing, Nickname, Password, Refusal};

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
}

impl Config {
    /// A line-framed client without a password, with a heartbeat.
    #[must_use]
    pub fn new(nickname: Nickname) -> Self {
        Self { nickname, password: None, framing: Framing::Lines, heartbeat: true }
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
    /// The server has refused the nickname and asks for another one; [`Session::choose_nickname`](super::Session::choose_nickname) answers.
    NicknameWanted,
    /// The server asks for a password, and there is none, or the server has had it already;
    /// [`Session::give_password`](super::Session::give_password) answers.
    PasswordWanted,
    /// The server has not let the client in, for this reason. It may ask again, or close the connection.
    NotJoined(String),
    /// The client is a member of the room.
    Joined,
    /// A line has come; [`Heard::parse`](crate::protocol::Heard::parse) tells whom it is for. Every line is
    /// handed out, apart from the answers to the client's own pings; some have an event of their own in addition.
    Line(String),
    /// Something has come that cannot be shown.
    Unreadable(Refusal),
    /// The server has refused this line of the client's. The line that follows gives the reason.
    NotSent(String),
    /// The client is called this from now on.
    Renamed(Nickname),
    /// The server has answered a ping of the client's own, so it is still there.
    Pong,
    /// The session has no connection any more.
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
    /// Nothing has come for [`SILENCE_TIMEOUT`](super::SILENCE_TIMEOUT) from a server that answers pings; or for
    /// longer than a client that leaves was ready to wait.
    Silent,
}

/// Why a line is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SayError {
    /// The client is not a member of the room, not yet or no more. The server would take the line for a nickname
    /// or a password.
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
