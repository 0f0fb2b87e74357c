//! The chat as a person, or a script, sees it.
//!
//! [`interactive`] is for a terminal: a line of input that arriving messages do not tear apart.
//! [`pipe`] is for everything else: each input line is a message, and the end of the input comes
//! after the last receipt.

mod console;
pub mod descriptors;
mod history;
pub mod interactive;
mod key;
mod line;
mod outage;
mod outbox;
pub mod password_file;
pub mod pipe;
mod screen;
pub mod settings;
mod style;
pub mod token_file;
mod view;
mod wrap;

use std::fmt;
use std::io;

use crate::net::{HandshakeError, explain};

/// Why a client did not end as it should have.
#[derive(Debug)]
pub enum Failure {
    /// The server cannot be reached.
    CannotConnect {
        /// The address that was tried.
        address: String,
        /// The error of the network.
        error: io::Error,
    },
    /// The server asks for a password, and there is none.
    NoPassword,
    /// The server did not let the client in.
    NotJoined(String),
    /// The connection ended before the client wanted it to.
    ConnectionLost(Shortfall),
    /// The server is there, but does not answer.
    NotAnswered(Shortfall),
    /// Another client goes on with the session.
    TakenOver(Shortfall),
    /// Somebody wanted to leave before everything was said.
    Interrupted(Shortfall),
    /// Everything was said, but whether some lines were taken is not known.
    Unconfirmed(Shortfall),
    /// Lines were refused; each has been reported already.
    Refused(usize),
    /// The lines from the room could not be written.
    NotWritten(io::Error),
    /// The terminal or the input cannot be used.
    Input(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotConnect { address, error } => {
                write!(formatter, "Cannot connect to {address}: {}{}", explain(error), advice(error))
            }
            Self::NoPassword => {
                write!(
                    formatter,
                    "Not joined: the room has a password; --password-file or CHAT_PASSWORD gives it"
                )
            }
            Self::NotJoined(reason) => write!(formatter, "Not joined: {reason}"),
            Self::ConnectionLost(shortfall) if shortfall.is_none() => write!(formatter, "Connection lost!"),
            Self::ConnectionLost(shortfall) => write!(formatter, "Connection lost! {shortfall}."),
            Self::NotAnswered(shortfall) if shortfall.is_none() => {
                write!(formatter, "The server does not answer.")
            }
            Self::NotAnswered(shortfall) => write!(formatter, "The server does not answer; {shortfall}."),
            Self::TakenOver(shortfall) => {
                write!(formatter, "Your session goes on in another client")?;
                if shortfall.is_none() {
                    formatter.write_str(".")
                } else {
                    write!(formatter, "; {shortfall}.")
                }
            }
            Self::Interrupted(shortfall) => write!(formatter, "Interrupted; {shortfall}."),
            Self::Unconfirmed(shortfall) => write!(formatter, "{shortfall}."),
            Self::Refused(count) => write!(formatter, "{} not sent.", lines(*count, "")),
            Self::NotWritten(error) => {
                write!(formatter, "What was said could not be written: {}.", explain(error))
            }
            Self::Input(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for Failure {}

/// Advice about a server that cannot be reached.
fn advice(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return "; is the server running there?";
    }
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(HandshakeError::UntrustedAuthority) => "; --tls-ca names a file with the certificate of another",
        Some(HandshakeError::NotTls) => "; without --tls everybody on the way could read along",
        _ => "",
    }
}

/// The number of input lines that the server is not known to have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// They were sent, and have not come back.
    pub unconfirmed: usize,
    /// They were not sent.
    pub unsent: usize,
    /// There may be more that were not sent.
    pub or_more: bool,
}

impl Shortfall {
    /// Whether there is no such line.
    #[must_use]
    pub fn is_none(&self) -> bool {
        (self.unconfirmed, self.unsent) == (0, 0)
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_more = if self.or_more { " or more" } else { "" };
        match (self.unconfirmed, self.unsent) {
            (0, unsent) => write!(formatter, "{} not sent", lines(unsent, or_more)),
            (unconfirmed, 0) => write!(formatter, "{} not confirmed", lines(unconfirmed, "")),
            (unconfirmed, unsent) => {
                let were = if (unsent, self.or_more) == (1, false) { "was" } else { "were" };
                let unconfirmed = lines(unconfirmed, "");
                write!(formatter, "{unconfirmed} not confirmed, and {unsent}{or_more} {were} not sent")
            }
        }
    }
}

fn lines(count: usize, or_more: &str) -> String {
    if count == 1 && or_more.is_empty() {
        "1 line was".to_owned()
    } else {
        format!("{count}{or_more} lines were")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortfall_is_described_in_a_sentence() {
        for (unconfirmed, unsent, or_more, said) in [
            (1, 0, false, "1 line was not confirmed"),
            (2, 0, true, "2 lines were not confirmed"),
            (0, 1, false, "1 line was not sent"),
            (0, 1, true, "1 or more lines were not sent"),
            (0, 7, true, "7 or more lines were not sent"),
            (1, 1, false, "1 line was not confirmed, and 1 was not sent"),
            (3, 1, true, "3 lines were not confirmed, and 1 or more were not sent"),
            (3, 8, false, "3 lines were not confirmed, and 8 were not sent"),
        ] {
            assert_eq!(Shortfall { unconfirmed, unsent, or_more }.to_string(), said);
        }
    }
}
