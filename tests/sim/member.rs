//! A member of the simulated room as data.

use std::time::Duration;

use commonroom::net::Trust;
use commonroom::protocol::{Framing, Password};
use serde::{Deserialize, Serialize};

use super::network::Pieces;

/// An act of a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Act {
    /// Types a line.
    Say(String),
    /// Says numbered lines at once, each padded with two-byte characters.
    Talk { lines: usize, padding: usize },
    /// Says this many numbered lines and leaves at once, before it has read its echoes.
    TalkAndLeave(usize),
    /// Reads nothing for this long.
    Ignore(Duration),
    /// Opens another connection, sends these bytes, and drops it.
    Probe(Vec<u8>),
    /// Reads nothing for this long, then leaves, and only then reads what it has missed.
    IgnoreAndLeave(Duration),
    /// Closes the connection in order.
    Leave,
    /// Vanishes: drops the connection, with unread input.
    Vanish,
}

/// A member: its identity and its schedule.
#[derive(Clone, Debug)]
pub struct Member {
    pub host: String,
    pub nickname: String,
    pub framing: Framing,
    /// When it connects.
    pub connects: Duration,
    /// The pieces into which its connection cuts the data.
    pub pieces: Option<Pieces>,
    /// It speaks TLS, and trusts these authorities.
    pub tls: Option<Trust>,
    /// The password that it gives.
    pub password: Option<Password>,
    /// Connects again, under another nickname, whenever its connection has ended or is dead.
    pub returns: bool,
    /// Says something fresh again and again.
    pub fresh: Option<Fresh>,
    /// In chronological order.
    pub acts: Vec<(Duration, Act)>,
}

/// Talk that shows that a member is alive.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    pub begin: Duration,
    pub every: Duration,
}

impl Member {
    /// A line-framed member that connects at the beginning and does nothing.
    pub fn new(nickname: &str) -> Self {
        Self {
            host: nickname.to_owned(),
            nickname: nickname.to_owned(),
            framing: Framing::Lines,
            connects: Duration::ZERO,
            pieces: None,
            tls: None,
            password: None,
            returns: false,
            fresh: None,
            acts: Vec::new(),
        }
    }

    pub fn on_host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    pub fn report_framed(self) -> Self {
        Self { framing: Framing::Report, ..self }
    }

    pub fn trusts(self, trust: Trust) -> Self {
        Self { tls: Some(trust), ..self }
    }

    pub fn knows(self, password: &str) -> Self {
        Self { password: Password::parse(password).ok(), ..self }
    }

    pub fn connects(self, at: Duration) -> Self {
        Self { connects: at, ..self }
    }

    pub fn says(self, at: Duration, text: &str) -> Self {
        self.then(at, Act::Say(text.to_owned()))
    }

    pub fn then(mut self, at: Duration, act: Act) -> Self {
        self.acts.push((at, act));
        self
    }
}
