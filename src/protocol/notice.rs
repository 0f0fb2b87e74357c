//! Every sentence that the server says, in one place.

use std::fmt;

use super::{Found, Nickname, Progress, Refusal, SessionNotice, Text};

/// The prefix of every line for one member alone. No broadcast line can begin with it, because each of
/// them begins with a nickname or with `* `.
const PRIVATE: &str = "-- ";

/// The one such line without that prefix, since the report gives its wording.
const CONNECTED: &str = "Connected to server!";

/// A line that everyone in the room is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Broadcast<'a> {
    /// Somebody came.
    Joined(&'a Nickname),
    /// Somebody is gone.
    Left(&'a Nickname),
    /// Somebody said something.
    Said(&'a Nickname, Text<'a>),
    /// Somebody did something (`/me`).
    Acted(&'a Nickname, Text<'a>),
    /// Somebody changed the first nickname for the second.
    Renamed(&'a Nickname, &'a Nickname),
}

impl Broadcast<'_> {
    /// Whether this line, which everyone was told, is what a member has said or done: its text, not only news about
    /// it. No nickname contains a space, a colon or an asterisk.
    #[must_use]
    pub fn is_talk(line: &str) -> bool {
        line.split_once(' ').is_some_and(|(first, _)| first == "*" || first.ends_with(':'))
    }
}

impl fmt::Display for Broadcast<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(nickname) => write!(formatter, "{nickname} joined the chat!"),
            Self::Left(nickname) => write!(formatter, "{nickname} left the chat."),
            Self::Said(nickname, text) => write!(formatter, "{nickname}: {}", text.as_str()),
            Self::Acted(nickname, text) => write!(formatter, "* {nickname} {}", text.as_str()),
            Self::Renamed(old, new) => write!(formatter, "{old} is now known as {new}."),
        }
    }
}

/// A line, or a few, for one member alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// The member has joined.
    Connected,
    /// Something that the member sent was refused.
    NotSent(Refusal),
    /// The nickname was refused; line-framed clients are asked again.
    NotJoined(Refusal),
    /// The connection was refused.
    NotConnected(Refusal),
    /// This, a nickname or a password, did not come in time.
    TooLate(&'static str),
    /// The answer to `/who`.
    Here {
        /// How many members there are.
        count: usize,
        /// The nicknames of the first of them, and whether the member is away: its session waits for a
        /// connection.
        names: Vec<(&'a str, bool)>,
    },
    /// The answer to `/search` and `/history`.
    Found(Found<'a>),
    /// A private message from somebody.
    WhisperFrom(&'a Nickname, Text<'a>),
    /// The receipt of a private message to somebody.
    WhisperTo(&'a Nickname, Text<'a>),
    /// The answer to `/ping`, and how far the member's session is, if it has one.
    Pong(Text<'a>, Option<Progress>),
    /// Something about the member's session.
    Session(SessionNotice),
    /// The commands.
    Help,
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(self, Self::Connected) {
            formatter.write_str(PRIVATE)?;
        }
        match self {
            Self::Connected => formatter.write_str(CONNECTED),
            Self::NotSent(refusal) => write!(formatter, "{NOT_SENT}{refusal}."),
            Self::NotJoined(refusal) => write!(formatter, "{NOT_JOINED}{refusal}."),
            Self::NotConnected(refusal) => write!(formatter, "Not connected: {refusal}."),
            Self::TooLate(awaited) => write!(formatter, "No {awaited} has come in time. Goodbye."),
            Self::Here { count, names } => {
                write!(formatter, "Here now ({count}): ")?;
                for (index, (name, away)) in names.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    let away = if *away { " (away)" } else { "" };
                    write!(formatter, "{comma}{name}{away}")?;
                }
                match count - names.len() {
                    0 => Ok(()),
                    more => write!(formatter, " and {more} more"),
                }
            }
            Self::Found(found) => found.fmt(formatter),
            Self::WhisperFrom(from, text) => write!(formatter, "{from} to you: {}", text.as_str()),
            Self::WhisperTo(to, text) => write!(formatter, "You to {to}: {}", text.as_str()),
            Self::Pong(token, None) => write!(formatter, "pong {}", token.as_str()),
            Self::Pong(token, Some(progress)) => write!(formatter, "pong {}{progress}.", token.as_str()),
            Self::Session(notice) => notice.fmt(formatter),
            Self::Help => formatter.write_str(HELP),
        }
    }
}

const NOT_SENT: &str = "Not sent: ";
const NOT_JOINED: &str = "Not joined: ";

const HELP: &str = "/who  who is here
-- /me TEXT  tell everyone what you do
-- /msg NICKNAME TEXT  say something to one member alone
-- /nick NICKNAME  be called something else
-- /search WORDS  what was said last with all of these words
-- /history NUMBER  the last lines, of whatever kind
-- /ping TOKEN  the server answers with the token
-- /quit  leave
-- //TEXT  say a text that begins with a slash";

/// A line from the server as a client takes it, told apart by whom it is for.
///
/// The inverse of [`Broadcast`] and [`Notice`]. It is exact, because no broadcast line can
/// begin like a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard<'a> {
    /// A line that everyone is told.
    Everyone(&'a str),
    /// The handshake is over, and the client is a member.
    Connected,
    /// The nickname was refused, for this reason.
    NotJoined(&'a str),
    /// Something that the client sent was refused, for this reason.
    NotSent(&'a str),
    /// A private message, to or from the client.
    Whisper(&'a str),
    /// Something else that is for the client alone.
    Told(&'a str),
}

impl<'a> Heard<'a> {
    /// Classifies a line from the server.
    #[must_use]
    pub fn parse(line: &'a str) -> Self {
        if line == CONNECTED {
            return Self::Connected;
        }
        let Some(told) = line.strip_prefix(PRIVATE) else {
            return Self::Everyone(line);
        };
        if let Some(reason) = told.strip_prefix(NOT_SENT) {
            Self::NotSent(reason)
        } else if let Some(reason) = told.strip_prefix(NOT_JOINED) {
            Self::NotJoined(reason)
        } else if is_whisper(told) {
            Self::Whisper(line)
        } else {
            Self::Told(line)
        }
    }
}

fn is_whisper(told: &str) -> bool {
    told.split_once(": ").is_some_and(|(head, _)| {
        let words: Vec<&str> = head.split(' ').collect();
        matches!(words[..], [_, "to", "you"] | ["You", "to", _])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_tell_every_notice_from_a_broadcast() {
        let (alex, bo) = (Nickname::parse("Alex").unwrap(), Nickname::parse("Bo").unwrap());
        let text = Text::parse("-- Not sent: x").unwrap();
        for broadcast in [
            Broadcast::Joined(&alex),
            Broadcast::Left(&alex),
            Broadcast::Said(&alex, text),
            Broadcast::Acted(&alex, text),
            Broadcast::Renamed(&alex, &bo),
        ] {
            let line = broadcast.to_string();
            assert_eq!(Heard::parse(&line), Heard::Everyone(&line));
            let is_talk = matches!(broadcast, Broadcast::Said(..) | Broadcast::Acted(..));
            assert_eq!(Broadcast::is_talk(&line), is_talk, "{line}");
        }
        let parsed = |notice: Notice<'_>| {
            let line = notice.to_string();
            match Heard::parse(&line) {
                Heard::Everyone(_) => "everyone",
                Heard::Connected => "connected",
                Heard::NotJoined("somebody here has that nickname, or one like it.") => "not joined",
                Heard::NotSent("no such command; /help lists them.") => "not sent",
                Heard::Whisper(_) => "whisper",
                Heard::Told(_) => "told",
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(parsed(Notice::Connected), "connected");
        assert_eq!(parsed(Notice::NotSent(Refusal::UnknownCommand)), "not sent");
        assert_eq!(parsed(Notice::NotJoined(Refusal::NicknameTaken)), "not joined");
        assert_eq!(parsed(Notice::WhisperFrom(&bo, text)), "whisper");
        assert_eq!(parsed(Notice::WhisperTo(&bo, text)), "whisper");
        assert_eq!(parsed(Notice::Here { count: 1, names: vec![("Alex", false)] }), "told");
        assert_eq!(parsed(Notice::Pong(text, None)), "told");
        assert_eq!(parsed(Notice::Found(Found(vec![]))), "told");
        assert_eq!(parsed(Notice::Session(SessionNotice::ShuttingDown)), "told");
    }

    #[test]
    fn those_who_are_away_are_marked_in_the_list() {
        let here = Notice::Here { count: 3, names: vec![("Alex", true), ("Bo", false)] };
        assert_eq!(here.to_string(), "-- Here now (3): Alex (away), Bo and 1 more");
    }

    #[test]
    fn every_line_of_a_notice_is_marked_as_one() {
        let found = Found(vec![("18:07".to_owned(), "Dinesh: hello"), ("18:09".to_owned(), "* Alex waves")]);
        for notice in [Notice::Help, Notice::Found(found)] {
            assert!(notice.to_string().lines().all(|line| line.starts_with(PRIVATE)), "{notice}");
        }
    }
}
