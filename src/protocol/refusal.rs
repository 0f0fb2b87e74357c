//! Why something is refused, as the client that sent it is told.

use std::fmt;

use super::characters::Shown;
use super::{NICKNAME_CHARACTERS, NicknameError, SEARCHED_WORDS, TEXT_BYTES};

/// Why something that a client sent is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A text that is blank.
    Empty,
    /// A line over [`LINE_BYTES`](super::LINE_BYTES), or a text over [`TEXT_BYTES`].
    TooLong,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A character that would act on a terminal instead of appearing on it.
    Control(char),
    /// A command that does not exist.
    UnknownCommand,
    /// A command without its arguments; this is its usage.
    Usage(&'static str),
    /// Something that is not a nickname.
    Nickname(NicknameError),
    /// A line that is too long for a nickname.
    NicknameTooLong,
    /// A nickname that somebody has, or one that looks the same.
    NicknameTaken,
    /// A search for more words than [`SEARCHED_WORDS`].
    TooManyWords,
    /// A question about what was said, which cannot be answered now.
    NotLookedUp,
    /// `/nick` with the nickname that the member has.
    OwnNickname,
    /// A private message to somebody who is not here.
    NobodyOfThatName,
    /// A private message to somebody who does not read.
    NotReading,
    /// The room has as many members as it may have.
    Full,
    /// Something that is not the password of the room.
    WrongPassword,
    /// A password that was not checked, because too many from the same address were wrong.
    TooManyWrongPasswords {
        /// How many seconds to wait before another attempt.
        seconds: u64,
    },
    /// Too many newcomers at once, so this one, the oldest, gives way.
    TooManyNewcomers,
    /// An address has as many connections as it may have.
    TooMany,
    /// The room is closed.
    Closed,
    /// A numbered message of a member without a session.
    NoSession,
    /// `/session` of a member that has one.
    HasSession,
    /// `/session` where the server gives none.
    NoSessionsHere,
    /// `/session`, where the token would be sent in the clear.
    NotEncrypted,
    /// A `/resume` with a token that is of no session.
    UnknownSession,
}

impl Refusal {
    /// Its name in the metrics, in `snake_case`.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::NotUtf8 => "not_utf8",
            Self::Control(_) => "control_character",
            Self::UnknownCommand => "unknown_command",
            Self::Usage(_) | Self::NoSession | Self::HasSession => "usage",
            Self::Nickname(_) | Self::NicknameTooLong | Self::OwnNickname => "nickname",
            Self::NicknameTaken => "nickname_taken",
            Self::TooManyWords => "too_many_words",
            Self::NotLookedUp => "not_looked_up",
            Self::NobodyOfThatName => "nobody_of_that_name",
            Self::NotReading => "not_reading",
            Self::TooManyNewcomers => "too_many_newcomers",
            Self::TooMany => "too_many_from_one_address",
            Self::Full => "full",
            Self::WrongPassword => "wrong_password",
            Self::TooManyWrongPasswords { .. } => "too_many_wrong_passwords",
            Self::Closed => "closed",
            Self::NoSessionsHere => "no_sessions_here",
            Self::NotEncrypted => "not_encrypted",
            Self::UnknownSession => "unknown_session",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(formatter, "the message is empty"),
            Self::TooLong => write!(formatter, "a message has at most {TEXT_BYTES} bytes"),
            Self::NotUtf8 => write!(formatter, "it is not valid UTF-8"),
            Self::Control(control) => {
                write!(formatter, "a message cannot contain the control character {}", Shown(*control))
            }
            Self::UnknownCommand => write!(formatter, "no such command; /help lists them"),
            Self::Usage(usage) => write!(formatter, "the command is used so: {usage}"),
            Self::Nickname(error) => error.fmt(formatter),
            Self::NicknameTooLong => {
                write!(formatter, "a nickname has at most {NICKNAME_CHARACTERS} characters")
            }
            Self::NicknameTaken => write!(formatter, "somebody here has that nickname, or one like it"),
            Self::OwnNickname => write!(formatter, "that is your nickname already"),
            Self::TooManyWords => write!(formatter, "a search has at most {SEARCHED_WORDS} words"),
            Self::NotLookedUp => {
                write!(formatter, "this cannot be looked up at the moment; try again later")
            }
            Self::NobodyOfThatName => write!(formatter, "nobody of that name is here"),
            Self::NotReading => write!(formatter, "they are not reading at the moment"),
            Self::Full => write!(formatter, "the room is full"),
            Self::WrongPassword => write!(formatter, "the password is wrong"),
            Self::TooManyWrongPasswords { seconds } => {
                write!(formatter, "too many wrong passwords from this address; try again in {seconds} s")
            }
            Self::TooManyNewcomers => write!(formatter, "too many others are joining at the moment"),
            Self::TooMany => write!(formatter, "too many connections from this address"),
            Self::Closed => write!(formatter, "the server is shutting down"),
            Self::NoSession => {
                write!(formatter, "only a member with a session numbers its lines; see /session")
            }
            Self::HasSession => write!(formatter, "you have a session already"),
            Self::NoSessionsHere => write!(formatter, "this server keeps no sessions"),
            Self::NotEncrypted => write!(formatter, "a session needs an encrypted connection here"),
            Self::UnknownSession => write!(formatter, "there is no such session"),
        }
    }
}

impl From<NicknameError> for Refusal {
    fn from(error: NicknameError) -> Self {
        Self::Nickname(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_a_name_in_snake_case_for_the_metrics() {
        for (refusal, cause) in [
            (Refusal::Empty, "empty"),
            (Refusal::Control('\0'), "control_character"),
            (Refusal::NicknameTooLong, "nickname"),
            (Refusal::TooManyWrongPasswords { seconds: 8 }, "too_many_wrong_passwords"),
            (Refusal::HasSession, "usage"),
            (Refusal::UnknownSession, "unknown_session"),
        ] {
            assert_eq!(refusal.cause(), cause);
        }
    }
}
