//! A run as the oracles see it: the events in `server.log`, and the lines that each member saw.

use std::net::SocketAddr;
use std::time::Duration;

use super::actor::Membership;

#[derive(Clone, Debug)]
pub struct History {
    /// The most bytes of its transcript that the server has retained at any time, by its own account.
    pub retained_bytes: Option<usize>,
    /// One for each start of the server.
    pub epochs: Vec<Epoch>,
    pub memberships: Vec<Membership>,
    pub terms: Terms,
    /// When everything was healed, if it has been.
    pub healed: Option<Duration>,
}

/// The properties of a plan that the oracles need to know.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How many earlier lines the server shows a newcomer.
    pub history_lines: usize,
    /// How many members must be here at the end.
    pub survivors: usize,
    pub retention_bytes: usize,
    /// Network and server are free of faults and limits, so nothing may be late.
    pub calm: bool,
}

/// The life of one server process, from its log.
#[derive(Clone, Debug, Default)]
pub struct Epoch {
    pub events: Vec<LogEvent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    Joined { nickname: String, from: SocketAddr },
    Said { nickname: String, text: String },
    Left { nickname: String, reason: String },
    Warning(String),
    Error(String),
}

impl History {
    pub fn new(
        server_log: &str,
        retained_bytes: Option<usize>,
        memberships: Vec<Membership>,
        terms: Terms,
        healed: Option<Duration>,
    ) -> Self {
        let mut epochs = Vec::new();
        for line in server_log.lines() {
            let event = line.split_once(" - ").expect("a time and an event").1;
            if event == "INFO - Server started" {
                epochs.push(Epoch::default());
            } else if event != "INFO - Server stopped" {
                let epoch = epochs.last_mut().expect("a server starts before anything happens");
                epoch.events.push(LogEvent::parse(event));
            }
        }
        Self { retained_bytes, epochs, memberships, terms, healed }
    }

    /// Where in the log a membership begins: in which epoch, and with which of its events.
    pub fn joining(&self, membership: &Membership) -> Option<(usize, usize)> {
        self.epochs.iter().enumerate().find_map(|(epoch, log)| {
            let joined = |event: &LogEvent| {
                matches!(event, LogEvent::Joined { from, nickname }
                    if *from == membership.from && membership.nicknames.last() == Some(nickname))
            };
            Some((epoch, log.events.iter().position(joined)?))
        })
    }

    /// The members at the end: they have joined, and their connections have not ended.
    pub fn live(&self) -> impl Iterator<Item = &Membership> {
        self.memberships
            .iter()
            .filter(|membership| membership.ended.is_none() && self.joining(membership).is_some())
    }
}

/// The most bytes of its transcript that the server has retained, by its traced events. `None` if none of
/// them has the field.
pub fn most_retained_bytes(events: &str) -> Option<usize> {
    let retained = events.split("retained_bytes=").skip(1).map(|rest| {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().expect("a number of bytes")
    });
    retained.max()
}

impl LogEvent {
    /// Parses what follows the time in a line of the log.
    pub fn parse(event: &str) -> Self {
        let (level, text) = event.split_once(" - ").expect("a level and a text");
        let parsed = match level {
            "ERROR" => Some(Self::Error(text.to_owned())),
            "WARNING" => Some(Self::Warning(text.to_owned())),
            _ => Self::parse_message(text)
                .or_else(|| Self::parse_joined(text))
                .or_else(|| Self::parse_left(text)),
        };
        parsed.unwrap_or_else(|| panic!("server.log has an unknown line: {event}"))
    }

    fn parse_message(text: &str) -> Option<Self> {
        let (nickname, text) = text.strip_prefix("Message: ")?.split_once(": ")?;
        Some(Self::Said { nickname: nickname.to_owned(), text: text.to_owned() })
    }

    fn parse_joined(text: &str) -> Option<Self> {
        let (nickname, tuple) = text.split_once(" connected from ('")?;
        let (ip, port) = tuple.strip_suffix(')')?.split_once("', ")?;
        let from = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
        Some(Self::Joined { nickname: nickname.to_owned(), from })
    }

    fn parse_left(text: &str) -> Option<Self> {
        let (nickname, reason) = text.split_once(" disconnected")?;
        let reason = reason.trim_start_matches(" (").trim_end_matches(')');
        Some(Self::Left { nickname: nickname.to_owned(), reason: reason.to_owned() })
    }

    /// The line that everyone in the room was sent because of it.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::Joined { nickname, .. } => Some(format!("{nickname} joined the chat!")),
            Self::Said { nickname, text } => Some(format!("{nickname}: {text}")),
            Self::Left { nickname, .. } => Some(format!("{nickname} left the chat.")),
            Self::Warning(_) | Self::Error(_) => None,
        }
    }
}
