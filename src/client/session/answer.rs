//! The answers that a server gives to what is said: which line from it answers which one of the client's.

use crate::protocol::{Command, Found, Framing, Heard, Progress};

/// The server's answer to a line, unless it refuses it.
#[derive(Debug)]
pub(super) enum Answer {
    /// None at all.
    None,
    /// The text, from its sender to everyone.
    Said,
    /// `* <nickname> <text>`, to everyone.
    Acted(String),
    /// A private line that begins and ends so.
    Told(&'static str, String),
    /// Lines that were said. The first line of the answer tells, and no other: another such answer may follow.
    Found,
    /// `<nickname> is now known as …`, to everyone.
    Renamed,
    /// `-- pong <token>`, with or without how far the session is.
    Pong(String),
    /// Nothing else.
    Refusal,
}

impl Answer {
    /// The answer to a line as it was typed: a text or a command.
    pub(super) fn to_line(line: &str, framing: Framing) -> Self {
        // The report's own server takes a command for a text, ours does not: nothing can be expected.
        if framing == Framing::Report && line.starts_with('/') {
            return Self::None;
        }
        match Command::parse(line, &[]) {
            Ok(Command::Nothing | Command::Quit) => Self::None,
            Ok(Command::Say(_)) => Self::Said,
            Ok(Command::Act(text)) => Self::Acted(text.as_str().to_owned()),
            Ok(Command::Whisper { text, .. }) => Self::Told("-- You to ", format!(": {}", text.as_str())),
            Ok(Command::Rename(_)) => Self::Renamed,
            Ok(Command::Who) => Self::Told("-- Here now ", String::new()),
            Ok(Command::Search(_) | Command::History(_)) => Self::Found,
            Ok(Command::Session) => Self::Told("-- Session ", String::new()),
            Ok(Command::Ping(token)) => Self::Pong(token.as_str().to_owned()),
            // The first line of several, and no other: another `/help` may follow.
            Ok(Command::Help) => Self::Told("-- /who ", String::new()),
            Err(_) => Self::Refusal,
        }
    }

    /// Whether this is heard in answer to `line` of a client whose nickname is now `nickname`.
    pub(super) fn is(&self, heard: Heard<'_>, line: &str, nickname: &str) -> bool {
        match heard {
            Heard::Everyone(told) => self.is_echo(told, line, nickname),
            Heard::Whisper(told) | Heard::Told(told) => match self {
                Self::Told(begin, end) => told.starts_with(begin) && told.ends_with(end.as_str()),
                Self::Found => told.strip_prefix("-- ").is_some_and(Found::begins_with),
                Self::Pong(token) => pong(told).is_some_and(|(answered, _)| answered == token),
                _ => false,
            },
            _ => false,
        }
    }

    fn is_echo(&self, told: &str, line: &str, nickname: &str) -> bool {
        // A server that knows no commands says them verbatim; ours takes off a slash.
        let own = told.strip_prefix(nickname);
        if let Some(said) = own.and_then(|rest| rest.strip_prefix(": ")) {
            return said == line || matches!(self, Self::Said) && line.strip_prefix('/') == Some(said);
        }
        match self {
            Self::Acted(text) => {
                let action = told.strip_prefix("* ").and_then(|told| told.strip_prefix(nickname));
                action.and_then(|action| action.strip_prefix(' ')) == Some(text)
            }
            Self::Renamed => own.is_some_and(|rest| rest.starts_with(" is now known as ")),
            _ => false,
        }
    }
}

/// The token of a pong, and how far the session is if there is one.
pub(super) fn pong(told: &str) -> Option<(&str, Option<Progress>)> {
    let pong = told.strip_prefix("-- pong ")?;
    let progress = pong.strip_suffix('.').and_then(Progress::split_off);
    Some(progress.map_or((pong, None), |(token, progress)| (token, Some(progress))))
}
