//! Entries: everything that can change the room.

use std::fmt;
use std::net::SocketAddr;

use super::MemberId;
use crate::protocol::{Nickname, Refusal, Text};

/// One change of the room. [`Room::apply`](super::Room::apply) carries it out, or refuses it.
///
/// An entry holds all that the change depends on, so two rooms that apply the same entries are the
/// same. A text is borrowed: on its way from the read buffer into the transcript it is copied once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// Somebody comes in.
    Join {
        /// The nickname that was asked for.
        nickname: Nickname,
        /// The address of the connection, for `server.log`.
        from: SocketAddr,
    },
    /// A member says something to everyone.
    Say {
        /// The speaker.
        member: MemberId,
        /// The message.
        text: Text<'a>,
    },
    /// A member tells everyone what it does (`/me`).
    Act {
        /// The actor.
        member: MemberId,
        /// The action.
        text: Text<'a>,
    },
    /// A member says something to one other member alone (`/msg`).
    Whisper {
        /// The sender.
        member: MemberId,
        /// The addressee.
        to: MemberId,
        /// The message.
        text: Text<'a>,
    },
    /// A member takes another nickname.
    Rename {
        /// The member that is renamed.
        member: MemberId,
        /// The new nickname.
        nickname: Nickname,
    },
    /// A member leaves.
    Leave {
        /// The member that leaves.
        member: MemberId,
        /// The reason, for `server.log`.
        reason: DisconnectReason,
    },
    /// The room ends, with everyone in it.
    Close,
}

/// The outcome of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing has changed: the entry was of somebody who is not a member, or it was so already.
    Unchanged,
    /// The entry was refused for this reason, and nothing has changed.
    Refused(Refusal),
    /// Somebody is a member now.
    Joined(MemberId),
    /// Everyone was told something by this member.
    Said(Nickname),
    /// A member was told something by another one.
    Whispered {
        /// The nickname of the sender.
        from: Nickname,
        /// The nickname of the addressee.
        to: Nickname,
    },
    /// A member has its new nickname; this was the old one.
    Renamed(Nickname),
    /// The member with this nickname has left.
    Left(Nickname),
    /// The room has closed; these were its members, in the order of joining.
    Closed(Vec<(MemberId, Nickname)>),
}

/// Why a member is no longer here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// It closed the connection in order, or said `/quit`.
    Quit,
    /// The connection broke.
    Reset,
    /// Its host is gone: it used to ping and then was silent for the ping timeout, or TCP found out.
    TimedOut,
    /// Its socket took nothing for the write timeout.
    Stalled,
    /// It fell further behind than the transcript reaches back.
    TooSlow,
    /// The server ended.
    ServerStopped,
    /// Its session panicked.
    InternalError,
}

impl DisconnectReason {
    /// Its name in the metrics and the JSON log, in `snake_case`.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Reset => "connection_reset",
            Self::TimedOut => "timed_out",
            Self::Stalled => "stalled",
            Self::TooSlow => "too_slow",
            Self::ServerStopped => "server_stopped",
            Self::InternalError => "internal_error",
        }
    }
}

/// The reason in brackets, as `server.log` has it; empty if the member wished to leave.
impl fmt::Display for DisconnectReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Quit => "",
            Self::Reset => " (connection reset)",
            Self::TimedOut => " (timed out)",
            Self::Stalled => " (stalled)",
            Self::TooSlow => " (too slow)",
            Self::ServerStopped => " (server stopped)",
            Self::InternalError => " (internal error)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_name_for_machines_and_one_for_the_log() {
        let names = [
            (DisconnectReason::Quit, "quit", ""),
            (DisconnectReason::Reset, "connection_reset", " (connection reset)"),
            (DisconnectReason::TimedOut, "timed_out", " (timed out)"),
            (DisconnectReason::Stalled, "stalled", " (stalled)"),
            (DisconnectReason::TooSlow, "too_slow", " (too slow)"),
            (DisconnectReason::ServerStopped, "server_stopped", " (server stopped)"),
            (DisconnectReason::InternalError, "internal_error", " (internal error)"),
        ];
        for (reason, cause, shown) in names {
            assert_eq!((reason.cause(), reason.to_string().as_str()), (cause, shown));
        }
    }
}
