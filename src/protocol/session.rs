//! The wire protocol of sessions: what a client asks, and what the server answers.
//!
//! Each answer is a type that is displayed by the server and parsed by the client, so that the two
//! agree. `docs/protocol.md`, "Sessions", is the normative text.

use std::fmt;
use std::time::Duration;

use super::token::parse_digits;
use super::{LogEpoch, Token};

/// A client's request, instead of a nickname, to go on with its session: `/resume TOKEN EPOCH PUBLIC PRIVATE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The key to the session.
    pub token: Token,
    /// The log that the client has counted in.
    pub epoch: LogEpoch,
    /// How many public lines the log had when the client read last.
    pub public_lines: u64,
    /// How many private lines of the session the client has read.
    pub private_lines: u64,
}

impl Resume {
    /// How the request begins.
    pub const COMMAND: &str = "/resume ";

    /// Parses the request.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(Self::COMMAND)?.split(' ');
        let mut next = || words.next();
        let resume = Self {
            token: Token::parse(next()?)?,
            epoch: LogEpoch::parse(next()?)?,
            public_lines: parse_digits(next()?, 10)?,
            private_lines: parse_digits(next()?, 10)?,
        };
        next().is_none().then_some(resume)
    }
}

impl fmt::Display for Resume {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, epoch, public_lines, private_lines } = self;
        write!(formatter, "{}{token} {epoch} {public_lines} {private_lines}", Self::COMMAND)
    }
}

/// An answer about a session. Displayed without the `-- ` of a line for one member alone.
///
/// None of these lines counts as a private line of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionNotice {
    /// A session has begun: `Session TOKEN, log EPOCH at LINES.`
    Begun {
        /// The key to it.
        token: Token,
        /// The log that its lines are counted in.
        epoch: LogEpoch,
        /// How many public lines the log has.
        public_lines: u64,
    },
    /// How long a session is kept without a connection: `Kept for 120 s after a lost connection.`
    Kept(Duration),
    /// The session goes on: `Resumed as NICKNAME at LINES, N taken.` What was missed follows.
    Resumed {
        /// The member's nickname.
        nickname: String,
        /// How many public lines the log has.
        public_lines: u64,
        /// The number of the last line of the client's that was taken.
        taken: u64,
    },
    /// It does not: `Not resumed: REASON, N taken.` The request for a nickname follows.
    NotResumed {
        /// The reason, for people.
        reason: String,
        /// The number of the last line that was taken, if the server still knows it.
        taken: Option<u64>,
    },
    /// Some of what was missed is no longer kept: `N lines are missing: they are no longer kept.`
    PublicMissing(u64),
    /// The same of private lines: `N private lines are missing: they are no longer kept.`
    PrivateMissing(u64),
    /// Another connection has resumed the session, and this one is closed.
    TakenOver,
    /// What the member sends waits, because the server cannot store it at the moment. Members without a session
    /// are told, too.
    Held,
    /// The server ends, and the connection with it. If the room outlives the server, the session goes on with the
    /// next one. Everybody is told, members or not.
    ShuttingDown,
}

const TAKEN_OVER: &str = "Your session goes on in another connection. Goodbye.";
const HELD: &str = "What you send waits: the server cannot store it at the moment.";
const SHUTTING_DOWN: &str = "The server is shutting down.";
const NO_LONGER_KEPT: &str = ": no longer kept.";

impl SessionNotice {
    /// Parses a line without its `-- `.
    #[must_use]
    pub fn parse(told: &str) -> Option<Self> {
        match told {
            TAKEN_OVER => return Some(Self::TakenOver),
            HELD => return Some(Self::Held),
            SHUTTING_DOWN => return Some(Self::ShuttingDown),
            _ => {}
        }
        if let Some(missing) = told.strip_suffix(NO_LONGER_KEPT) {
            return Self::parse_missing(missing);
        }
        let (word, rest) = told.strip_suffix('.')?.split_once(' ')?;
        match word {
            "Session" => {
                let (token, rest) = rest.split_once(", log ")?;
                let (epoch, lines) = rest.split_once(" at ")?;
                let (token, epoch) = (Token::parse(token)?, LogEpoch::parse(epoch)?);
                Some(Self::Begun { token, epoch, public_lines: parse_digits(lines, 10)? })
            }
            "Kept" => {
                let seconds = rest.strip_prefix("for ")?.strip_suffix(" s after a lost connection")?;
                Some(Self::Kept(Duration::from_secs(parse_digits(seconds, 10)?)))
            }
            "Resumed" => {
                let (nickname, rest) = rest.strip_prefix("as ")?.split_once(" at ")?;
                let Progress { public_lines, taken } = Progress::parse(rest)?;
                Some(Self::Resumed { nickname: nickname.to_owned(), public_lines, taken })
            }
            "Not" => {
                let rest = rest.strip_prefix("resumed: ")?;
                let (reason, taken) =
                    match rest.strip_suffix(" taken").and_then(|rest| rest.rsplit_once(", ")) {
                        Some((reason, taken)) => (reason, Some(parse_digits(taken, 10)?)),
                        None => (rest, None),
                    };
                Some(Self::NotResumed { reason: reason.to_owned(), taken })
            }
            _ => None,
        }
    }

    fn parse_missing(text: &str) -> Option<Self> {
        let (count, what) = text.split_once(' ')?;
        let count = parse_digits(count, 10)?;
        match what {
            "line is missing" | "lines are missing" => Some(Self::PublicMissing(count)),
            "private line is missing" | "private lines are missing" => Some(Self::PrivateMissing(count)),
            _ => None,
        }
    }
}

impl fmt::Display for SessionNotice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun { token, epoch, public_lines } => {
                write!(formatter, "Session {token}, log {epoch} at {public_lines}.")
            }
            Self::Kept(grace) => write!(formatter, "Kept for {} s after a lost connection.", grace.as_secs()),
            Self::Resumed { nickname, public_lines, taken } => {
                let progress = Progress { public_lines: *public_lines, taken: *taken };
                write!(formatter, "Resumed as {nickname}{progress}.")
            }
            Self::NotResumed { reason, taken: Some(taken) } => {
                write!(formatter, "Not resumed: {reason}, {taken} taken.")
            }
            Self::NotResumed { reason, taken: None } => write!(formatter, "Not resumed: {reason}."),
            Self::PublicMissing(count) => {
                write!(formatter, "{count} {}{NO_LONGER_KEPT}", missing(*count, "line"))
            }
            Self::PrivateMissing(count) => {
                write!(formatter, "{count} {}{NO_LONGER_KEPT}", missing(*count, "private line"))
            }
            Self::TakenOver => formatter.write_str(TAKEN_OVER),
            Self::Held => formatter.write_str(HELD),
            Self::ShuttingDown => formatter.write_str(SHUTTING_DOWN),
        }
    }
}

fn missing(count: u64, what: &str) -> String {
    if count == 1 { format!("{what} is missing") } else { format!("{what}s are missing") }
}

/// How far a session is: ` at LINES, N taken`, as it ends a pong and the line that tells of a resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many public lines the log had when this was said.
    pub public_lines: u64,
    /// The number of the last line of the client's that was taken.
    pub taken: u64,
}

impl Progress {
    /// Splits the progress off the end of a pong, given without its full stop. The token of a ping may
    /// contain anything, so this looks at the end alone.
    #[must_use]
    pub fn split_off(pong: &str) -> Option<(&str, Self)> {
        let (token, rest) = pong.rsplit_once(" at ")?;
        Some((token, Self::parse(rest)?))
    }

    fn parse(text: &str) -> Option<Self> {
        let (lines, taken) = text.strip_suffix(" taken")?.split_once(", ")?;
        Some(Self { public_lines: parse_digits(lines, 10)?, taken: parse_digits(taken, 10)? })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, " at {}, {} taken", self.public_lines, self.taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::SessionId;

    fn token() -> Token {
        Token::new(SessionId(0x6f3a), [0x5e; 32])
    }

    #[test]
    fn each_answer_is_displayed_as_the_protocol_has_it_and_parsed_again() {
        let session = format!("Session {}, log 5c1e at 1042.", token());
        for (notice, text) in [
            (
                SessionNotice::Begun { token: token(), epoch: LogEpoch(0x5c1e), public_lines: 1042 },
                &session[..],
            ),
            (SessionNotice::Kept(Duration::from_secs(120)), "Kept for 120 s after a lost connection."),
            (
                SessionNotice::Resumed { nickname: "Dinesh".to_owned(), public_lines: 1061, taken: 12 },
                "Resumed as Dinesh at 1061, 12 taken.",
            ),
            (
                SessionNotice::NotResumed { reason: "the session has ended".to_owned(), taken: Some(12) },
                "Not resumed: the session has ended, 12 taken.",
            ),
            (
                SessionNotice::NotResumed { reason: "there is no such session".to_owned(), taken: None },
                "Not resumed: there is no such session.",
            ),
            (SessionNotice::PublicMissing(1), "1 line is missing: no longer kept."),
            (SessionNotice::PublicMissing(12), "12 lines are missing: no longer kept."),
            (SessionNotice::PrivateMissing(1), "1 private line is missing: no longer kept."),
            (SessionNotice::PrivateMissing(2), "2 private lines are missing: no longer kept."),
            (SessionNotice::Held, "What you send waits: the server cannot store it at the moment."),
            (SessionNotice::ShuttingDown, "The server is shutting down."),
            (SessionNotice::TakenOver, "Your session goes on in another connection. Goodbye."),
        ] {
            assert_eq!(notice.to_string(), text);
            assert_eq!(SessionNotice::parse(text), Some(notice), "{text}");
        }
        for not in
            ["", "Session x, log 5c1e at 1042.", "Resumed as Dinesh at 1061, -1 taken.", "Kept for x s."]
        {
            assert_eq!(SessionNotice::parse(not), None, "{not}");
        }
    }

    #[test]
    fn a_request_to_resume_is_one_line_of_five_words() {
        let resume = Resume { token: token(), epoch: LogEpoch(0x5c1e), public_lines: 1057, private_lines: 3 };
        let line = format!("/resume {} 5c1e 1057 3", token());
        assert_eq!(resume.to_string(), line);
        assert_eq!(Resume::parse(&line), Some(resume));
        for not in [format!("{line} 4"), line[..line.len() - 2].to_owned(), line.replace(" 3", " +3")] {
            assert_eq!(Resume::parse(&not), None, "{not}");
        }
    }

    #[test]
    fn a_pong_is_parsed_from_its_end() {
        let progress = Progress { public_lines: 1057, taken: 1 };
        assert_eq!(format!("7{progress}"), "7 at 1057, 1 taken");
        assert_eq!(Progress::split_off("7 at 1057, 1 taken"), Some(("7", progress)));
        assert_eq!(Progress::split_off("look at me at 1057, 1 taken"), Some(("look at me", progress)));
        assert_eq!(Progress::split_off("look at me"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(text: String) {
            let _ = (Resume::parse(&text), SessionNotice::parse(&text), Progress::split_off(&text));
        }
    }
}
