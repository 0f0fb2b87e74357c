//! A run as the oracles see it: the events in `server.log`, and the lines that each member saw.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::civil::DateTime;

use super::store::SimulatedStore;
use super::stored::Stored;
use super::witness::Membership;
use super::world::Physics;

#[derive(Clone, Debug)]
pub struct History {
    /// The most bytes of its transcript that the server has retained at any time, by its own account.
    pub retained_bytes: Option<usize>,
    /// What has happened in each room: by its store if there is one, otherwise by `server.log`, and then each start
    /// of the server begins another one.
    pub epochs: Vec<Epoch>,
    /// What has become of the store, if there is one.
    pub stored: Option<Stored>,
    pub memberships: Vec<Membership>,
    pub terms: Terms,
    /// When everything was healed, if it has been.
    pub healed: Option<Duration>,
    /// How long it has lasted.
    pub now: Duration,
    /// The server is there, and has been for a second.
    pub is_running: bool,
}

/// The properties of a plan that the oracles need to know.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How many earlier lines the server shows a newcomer.
    pub history_lines: usize,
    /// How many members must be here at the end.
    pub survivors: usize,
    pub retention_bytes: usize,
    /// How long the server keeps a session without a connection.
    pub grace: Duration,
    /// Network and server are free of faults and limits, so nothing may be late.
    pub calm: bool,
}

/// The life of one room, or of one server process.
#[derive(Clone, Debug, Default)]
pub struct Epoch {
    pub events: Vec<LogEvent>,
    /// When each of them happened.
    pub times: Vec<Duration>,
    /// When servers began to run it.
    pub starts: Vec<Duration>,
    /// If there is a store, which record of it each event is, and when that was known to be durable.
    pub stored: Vec<(usize, Duration)>,
}

/// The part of a member in an epoch, from its joining on.
#[derive(Clone, Debug)]
pub struct Life<'a> {
    /// Its events, with their indices.
    pub events: Vec<(usize, &'a LogEvent)>,
    /// Its last nickname.
    pub nickname: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    Joined {
        nickname: String,
        from: SocketAddr,
    },
    Said {
        nickname: String,
        text: String,
    },
    Left {
        nickname: String,
        reason: String,
    },
    Renamed {
        old: String,
        new: String,
    },
    LostConnection {
        nickname: String,
    },
    Reconnected {
        nickname: String,
        from: SocketAddr,
    },
    /// About the store.
    Store(String),
    Warning(String),
    Error(String),
}

impl History {
    /// The history of a world in which nothing has happened yet.
    pub fn new(terms: Terms, has_store: bool) -> Self {
        Self {
            retained_bytes: None,
            epochs: Vec::new(),
            stored: has_store.then(Stored::default),
            memberships: Vec::new(),
            terms,
            healed: None,
            now: Duration::ZERO,
            is_running: false,
        }
    }

    /// Reads what has come since: these lines of `server.log`, and what the store holds now.
    pub fn read(&mut self, further_lines: &str, store: Option<&SimulatedStore>) {
        let Self { epochs, stored, .. } = self;
        read_log(stored.as_mut().map_or(&mut *epochs, |stored| &mut stored.processes), further_lines);
        if let (Some(stored), Some(store)) = (stored, store) {
            stored.read(store, epochs);
        }
    }

    /// Until when all that has happened is known.
    pub fn known(&self) -> Duration {
        self.stored.as_ref().map_or(self.now, |stored| stored.kept_until.min(self.now))
    }

    /// What `server.log` tells, one for each start of the server.
    pub fn told_by_the_log(&self) -> &[Epoch] {
        self.stored.as_ref().map_or(&self.epochs, |stored| &stored.processes)
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

    /// What the log says of a member, by whatever nickname: from its joining to its leaving.
    pub fn life(&self, membership: &Membership) -> Option<Life<'_>> {
        let (epoch, joining) = self.joining(membership)?;
        let mut events = self.epochs[epoch].events.iter().enumerate().skip(joining);
        let (_, LogEvent::Joined { nickname, .. }) = events.next()? else { return None };
        let mut life = Life { events: Vec::new(), nickname };
        for (index, event) in events {
            if event.is_of(life.nickname) {
                life.events.push((index, event));
            }
            match event {
                LogEvent::Renamed { old, new } if old == life.nickname => life.nickname = new,
                LogEvent::Left { nickname, .. } if nickname == life.nickname => break,
                _ => {}
            }
        }
        Some(life)
    }

    /// The members at the end: they have joined, and their connections have not ended.
    pub fn live(&self) -> impl Iterator<Item = &Membership> {
        self.memberships
            .iter()
            .filter(|membership| membership.ended.is_none() && self.joining(membership).is_some())
    }
}

/// Reads lines of `server.log`. What they say of the store is left out.
fn read_log(processes: &mut Vec<Epoch>, lines: &str) {
    for line in lines.lines() {
        let (time, event) = line.split_once(" - ").expect("a time and an event");
        let time = since_the_beginning(time);
        if event == "INFO - Server started" {
            processes.push(Epoch { starts: vec![time], ..Epoch::default() });
        } else if event != "INFO - Server stopped" {
            let event = LogEvent::parse(event);
            if let LogEvent::Store(_) = event {
                continue;
            }
            let process = processes.last_mut().expect("a server starts before anything happens");
            process.events.push(event);
            process.times.push(time);
        }
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
            _ if ABOUT_THE_STORE.iter().any(|begin| text.starts_with(begin)) => {
                Some(Self::Store(text.to_owned()))
            }
            "ERROR" => Some(Self::Error(text.to_owned())),
            "WARNING" => Some(Self::Warning(text.to_owned())),
            _ => Self::parse_message(text)
                .or_else(|| Self::parse_connected(text))
                .or_else(|| Self::parse_other(text)),
        };
        parsed.unwrap_or_else(|| panic!("server.log has an unknown line: {event}"))
    }

    fn parse_message(text: &str) -> Option<Self> {
        let (nickname, text) = text.strip_prefix("Message: ")?.split_once(": ")?;
        Some(Self::Said { nickname: nickname.to_owned(), text: text.to_owned() })
    }

    fn parse_connected(text: &str) -> Option<Self> {
        let (who, tuple) = text.split_once(" from ('")?;
        let (ip, port) = tuple.strip_suffix(')')?.split_once("', ")?;
        let from = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
        let (nickname, verb) = who.split_once(' ')?;
        let nickname = nickname.to_owned();
        match verb {
            "connected" => Some(Self::Joined { nickname, from }),
            "reconnected" => Some(Self::Reconnected { nickname, from }),
            _ => None,
        }
    }

    fn parse_other(text: &str) -> Option<Self> {
        let (nickname, what) = text.split_once(' ')?;
        let nickname = nickname.to_owned();
        if let Some(new) = what.strip_prefix("is now known as ") {
            return Some(Self::Renamed { old: nickname, new: new.to_owned() });
        }
        if what.starts_with("lost connection") {
            return Some(Self::LostConnection { nickname });
        }
        let reason = what.strip_prefix("disconnected")?;
        let reason = reason.trim_start_matches(" (").trim_end_matches(')');
        Some(Self::Left { nickname, reason: reason.to_owned() })
    }

    /// Whether it is about the member of that nickname.
    pub fn is_of(&self, whom: &str) -> bool {
        match self {
            Self::Joined { nickname, .. }
            | Self::Said { nickname, .. }
            | Self::Left { nickname, .. }
            | Self::Renamed { old: nickname, .. }
            | Self::LostConnection { nickname }
            | Self::Reconnected { nickname, .. } => nickname == whom,
            Self::Store(_) | Self::Warning(_) | Self::Error(_) => false,
        }
    }

    /// The line that everyone in the room was sent because of it.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::Joined { nickname, .. } => Some(format!("{nickname} joined the chat!")),
            Self::Said { nickname, text } => Some(format!("{nickname}: {text}")),
            Self::Left { nickname, .. } => Some(format!("{nickname} left the chat.")),
            Self::Renamed { old, new } => Some(format!("{old} is now known as {new}.")),
            Self::LostConnection { .. }
            | Self::Reconnected { .. }
            | Self::Store(_)
            | Self::Warning(_)
            | Self::Error(_) => None,
        }
    }
}

/// How the lines of the log begin that are about the store.
const ABOUT_THE_STORE: [&str; 3] =
    ["Dropped an unfinished write from the store", "Nothing can be stored at the moment", "The store takes"];

/// The time of the world at a time of the log.
fn since_the_beginning(time: &str) -> Duration {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S,%3f", time).expect("a time of the log");
    Duration::try_from(Physics::default().begin.until(time).expect("a span")).expect("time goes on")
}
