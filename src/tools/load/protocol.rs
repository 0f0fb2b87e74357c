//! The protocols of chat servers and message brokers, as far as joining, publishing and receiving need them.
//!
//! All four are line protocols. Every message arrives with the same length and with its text right before
//! its end, so that the same check fits all.

use crate::protocol::{NICKNAME_REQUEST, Resume, SessionNotice};

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The report's: nickname, then `nickname: text`, here each with a newline.
    Report,
    /// A channel of an IRC server.
    Irc,
    /// A Redis channel (RESP3, so that one connection can both publish and be subscribed).
    Redis,
    /// A NATS subject.
    Nats,
}

/// The meaning of a line that is not a sender's message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chatter {
    /// Irrelevant here.
    Nothing,
    /// The server wants this answer.
    Answer(String),
    /// This connection has joined.
    Joined,
    /// This connection has joined, and the server keeps a session for it.
    Begun(Resume),
    /// Its session goes on in this connection.
    Resumed,
    /// Irrelevant here, and for this connection alone.
    Told,
    /// Somebody has joined.
    Announced,
    /// The server refuses something.
    Refused,
    /// Nobody has said this.
    Unexpected,
}

impl Protocol {
    /// Whether senders are sent their own lines.
    pub(super) fn echoes(self) -> bool {
        self != Self::Irc
    }

    /// The first bytes on a new connection. The report's server asks for the nickname with `NICK`, but also takes
    /// one that it is sent before.
    pub(super) fn greeting(self, name: &str) -> String {
        match self {
            Self::Report => format!("{name}\n"),
            Self::Irc => format!("NICK {name}\r\nUSER load 0 * :load\r\n"),
            Self::Redis => "HELLO 3\r\nSUBSCRIBE room\r\n".to_owned(),
            Self::Nats => {
                "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB room 1\r\nPING\r\n".to_owned()
            }
        }
    }

    /// What precedes a text when it is published.
    pub(super) fn before_text(self, text_bytes: usize) -> String {
        match self {
            Self::Report => String::new(),
            Self::Irc => "PRIVMSG #room :".to_owned(),
            Self::Redis => format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nroom\r\n${text_bytes}\r\n"),
            Self::Nats => format!("PUB room {text_bytes}\r\n"),
        }
    }

    /// The end of a text, in both directions.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::Report => "\n",
            Self::Irc | Self::Redis | Self::Nats => "\r\n",
        }
    }

    /// How many bytes precede a received text. In IRC that depends on the server's name for this machine, so it is
    /// learned from the first line.
    pub(super) fn heading_bytes(self, text_bytes: usize) -> usize {
        match self {
            Self::Report | Self::Irc => 0,
            Self::Redis => format!(">3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n${text_bytes}\r\n").len(),
            Self::Nats => format!("MSG room 1 {text_bytes}\r\n").len(),
        }
    }

    /// The meaning of a line without its end, or, for a client that has not joined yet, of an unfinished one.
    pub(super) fn interpret(self, line: &str) -> Chatter {
        match self {
            Self::Report => interpret_report(line),
            Self::Irc => interpret_irc(line),
            Self::Redis => interpret_redis(line),
            Self::Nats => interpret_nats(line),
        }
    }
}

/// The report's server does not delimit its own sentences, so one line can have several.
fn interpret_report(line: &str) -> Chatter {
    if line.contains("Connected to server!") {
        Chatter::Joined
    } else if line.contains("joined the chat!") {
        Chatter::Announced
    } else if let Some(told) = line.strip_prefix(NICKNAME_REQUEST).unwrap_or(line).strip_prefix("-- ") {
        interpret_told(told)
    } else if line.is_empty() || line.starts_with("NICK") || line.contains("left the chat.") {
        Chatter::Nothing
    } else {
        Chatter::Unexpected
    }
}

fn interpret_told(told: &str) -> Chatter {
    match SessionNotice::parse(told) {
        Some(SessionNotice::Begun { token, epoch, public_lines }) => {
            Chatter::Begun(Resume { token, epoch, public_lines, private_lines: 0 })
        }
        Some(SessionNotice::Kept(_)) => Chatter::Told,
        Some(SessionNotice::Resumed { .. }) => Chatter::Resumed,
        _ => Chatter::Refused,
    }
}

fn interpret_irc(line: &str) -> Chatter {
    let mut words = line.split(' ');
    let first = words.next().unwrap_or_default();
    match (first, words.next().unwrap_or_default()) {
        ("PING", token) => Chatter::Answer(format!("PONG {token}\r\n")),
        ("ERROR", _) => Chatter::Refused,
        (_, "001") => Chatter::Answer("JOIN #room\r\n".to_owned()),
        (_, "366") => Chatter::Joined,
        (_, "JOIN") => Chatter::Announced,
        (_, "PRIVMSG") => Chatter::Unexpected,
        // There is no message of the day, which is no fault.
        (_, "422") => Chatter::Nothing,
        (_, code) if code.len() == 3 && code.starts_with(['4', '5']) => Chatter::Refused,
        _ => Chatter::Nothing,
    }
}

fn interpret_redis(line: &str) -> Chatter {
    match line {
        "subscribe" => Chatter::Joined,
        _ if line.starts_with('-') => Chatter::Refused,
        _ => Chatter::Nothing,
    }
}

fn interpret_nats(line: &str) -> Chatter {
    match line.split(' ').next().unwrap_or_default() {
        "PONG" => Chatter::Joined,
        "PING" => Chatter::Answer("PONG\r\n".to_owned()),
        "-ERR" => Chatter::Refused,
        "INFO" | "MSG" | "+OK" => Chatter::Nothing,
        _ => Chatter::Unexpected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_servers_are_understood() {
        use Chatter::{Announced, Answer, Joined, Nothing, Refused, Resumed, Told, Unexpected};
        for (protocol, line, meaning) in [
            (Protocol::Report, "NICKm00001 joined the chat!", Announced),
            (Protocol::Report, "Connected to server!", Joined),
            (Protocol::Report, " joined the chat!Connected to server!m00002", Joined),
            (Protocol::Report, "m00001 left the chat.", Nothing),
            (Protocol::Report, "-- Not joined: the room is full.", Refused),
            (Protocol::Report, "NICK-- Resumed as m00001 at 12, 0 taken.", Resumed),
            (Protocol::Report, "-- Kept for 120 s after a lost connection.", Told),
            (Protocol::Report, "-- 3 lines are missing: no longer kept.", Refused),
            (Protocol::Report, "s00000: 0000", Unexpected),
            (Protocol::Irc, ":irc.test 001 m00001 :Welcome", Answer("JOIN #room\r\n".to_owned())),
            (Protocol::Irc, ":irc.test 366 m00001 #room :End of NAMES list", Joined),
            (Protocol::Irc, ":m00002!~load@localhost JOIN :#room", Announced),
            (Protocol::Irc, "PING :irc.test", Answer("PONG :irc.test\r\n".to_owned())),
            (Protocol::Irc, ":irc.test 422 m00001 :MOTD file is missing", Nothing),
            (Protocol::Irc, ":irc.test 433 * m00001 :Nickname already in use", Refused),
            (Protocol::Redis, "subscribe", Joined),
            (Protocol::Redis, ":12", Nothing),
            (Protocol::Redis, "-ERR unknown command 'HELLO'", Refused),
            (Protocol::Nats, "PONG", Joined),
            (Protocol::Nats, "PING", Answer("PONG\r\n".to_owned())),
            (Protocol::Nats, "-ERR 'Slow Consumer'", Refused),
        ] {
            assert_eq!(protocol.interpret(line), meaning, "{protocol:?}: {line}");
        }
    }
}
