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
    /// Says numbered lines to one other member alone, given by its index.
    Whisper { to: usize, lines: usize },
    /// Asks for another nickname: one that others ask for too, or one of its own.
    Rename { shared: bool },
    /// Is killed, and started again with what it has stored of its session.
    Restart,
    /// A second client goes on with the session, while the first says this many more lines, and leaves.
    Duplicate(usize),
}

impl Act {
    /// What all of them are called that a plan can have.
    pub const NAMES: [&str; 11] = [
        "talk",
        "talk and leave",
        "ignore",
        "probe",
        "ignore and leave",
        "leave",
        "vanish",
        "whisper",
        "rename",
        "restart",
        "duplicate",
    ];

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Say(_) => "say",
            Self::Talk { .. } => "talk",
            Self::TalkAndLeave(_) => "talk and leave",
            Self::Ignore(_) => "ignore",
            Self::Probe(_) => "probe",
            Self::IgnoreAndLeave(_) => "ignore and leave",
            Self::Leave => "leave",
            Self::Vanish => "vanish",
            Self::Whisper { .. } => "whisper",
            Self::Rename { .. } => "rename",
            Self::Restart => "restart",
            Self::Duplicate(_) => "duplicate",
        }
    }

    /// Whether only members with sessions do it.
    pub fn needs_session(&self) -> bool {
        matches!(self, Self::Whisper { .. } | Self::Rename { .. } | Self::Restart | Self::Duplicate(_))
    }
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
    /// It wants a session that outlives its connections, and draws its randomness from this seed.
    pub keeps: Option<u64>,
    /// The nicknames of the members that it knows.
    pub contacts: Vec<String>,
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
            keeps: None,
            contacts: Vec::new(),
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
