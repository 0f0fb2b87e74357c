//! What a person, or a script, sees of the chat.
//!
//! [`editor`] is for a terminal: a line of input that arriving messages do not tear apart.
//! [`pipe`] is for everything else: each input line is a message, and the end of the input comes
//! after the last receipt.

pub mod descriptors;
pub mod editor;
pub mod password_file;
pub mod pipe;
mod style;

use std::fmt;
use std::io;

use crate::net::{HandshakeError, explain};
use crate::protocol::{Framing, Heard};

/// How far the client has come in the handshake. Until it has joined, the server takes whatever is
/// sent for the nickname or the password, so nothing else may be.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Connected,
    Named,
    Joined,
}

impl Progress {
    /// A line has come from the server.
    fn hear(&mut self, heard: &Heard<'_>, framing: Framing) {
        match heard {
            Heard::Connected => *self = Self::Joined,
            // The report's server merges its greeting into what it sends with it.
            Heard::Everyone(_) | Heard::Whisper(_) if framing == Framing::Report && *self == Self::Named => {
                *self = Self::Joined;
            }
            _ => {}
        }
    }
}

/// Why a client did not end as it should have.
#[derive(Debug)]
pub enum Failure {
    /// The server cannot be reached.
    CannotConnect {
        /// Where it was looked for.
        address: String,
        /// What the network said.
        error: io::Error,
    },
    /// The server asks for a password, and there is none.
    NoPassword,
    /// The server did not let the client in.
    NotJoined(String),
    /// The connection ended before the client wanted it to.
    ConnectionLost {
        /// How many lines had been sent and had not come back.
        unconfirmed: usize,
    },
    /// The server is there, but lines did not come back.
    NotConfirmed(usize),
    /// Lines were refused; each has been reported already.
    Refused(usize),
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
            Self::ConnectionLost { unconfirmed: 0 } => write!(formatter, "Connection lost!"),
            Self::ConnectionLost { unconfirmed } => {
                write!(formatter, "Connection lost! {} not confirmed.", lines(*unconfirmed))
            }
            Self::NotConfirmed(unconfirmed) => {
                write!(formatter, "The server does not answer; {} not confirmed.", lines(*unconfirmed))
            }
            Self::Refused(count) => write!(formatter, "{} not sent.", lines(*count)),
            Self::Input(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for Failure {}

/// What to do about a server that cannot be reached.
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

fn lines(count: usize) -> String {
    if count == 1 { "1 line was".to_owned() } else { format!("{count} lines were") }
}
