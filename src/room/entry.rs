//! Entries: everything that can change the room.

use std::fmt;
use std::net::SocketAddr;

use super::MemberId;
use crate::protocol::{Nickname, Refusal, SecretHash, SessionId, Text};

/// One connection of a member. A member without a session has one in its life, number 0; each time a session
/// is resumed its member gets the next, and nothing that comes over an earlier one changes the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attachment {
    /// The member.
    pub member: MemberId,
    /// How often its session has been resumed before.
    pub number: u32,
}

impl Attachment {
    /// The first connection of the first member of any room.
    pub const FIRST: Self = Self { member: MemberId::FIRST, number: 0 };
}

/// Where an entry of a member's comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The connection.
    pub attachment: Attachment,
    /// The number that the client has given to the line, if it has a session. An entry whose number is not
    /// above those before it changes nothing.
    pub number: Option<u64>,
}

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
        by: Origin,
        /// The message.
        text: Text<'a>,
    },
    /// A member tells everyone what it does (`/me`).
    Act {
        /// The actor.
        by: Origin,
        /// The action.
        text: Text<'a>,
    },
    /// A member says something to one other member alone (`/msg`).
    Whisper {
        /// The sender.
        by: Origin,
        /// The addressee.
        to: MemberId,
        /// The message.
        text: Text<'a>,
    },
    /// A member takes another nickname.
    Rename {
        /// The member that is renamed.
        by: Origin,
        /// The new nickname.
        nickname: Nickname,
    },
    /// A line of a member with a session was answered or refused, or needs no answer.
    Answer {
        /// The sender of the line.
        by: Origin,
        /// The answer: lines for the member alone, if there are any.
        lines: &'a str,
    },
    /// A member gets a session: from now on it outlives its connections.
    Begin {
        /// Its connection.
        attachment: Attachment,
        /// The number of the session.
        session: SessionId,
        /// The hash of the secret that resumes it.
        secret: SecretHash,
    },
    /// A session has lost its connection.
    Detach {
        /// The connection.
        attachment: Attachment,
        /// The reason, for `server.log`.
        reason: DisconnectReason,
    },
    /// A session goes on in another connection.
    Resume {
        /// The session.
        session: SessionId,
        /// The address of the new connection, for `server.log`.
        from: SocketAddr,
        /// How many private lines the client has read: those need not be kept any more.
        private_lines: u64,
    },
    /// A session has been without a connection for too long: its member leaves.
    Expire {
        /// The connection that it lost.
        attachment: Attachment,
    },
    /// What was kept of a session that has ended is forgotten.
    Forget {
        /// The session.
        session: SessionId,
    },
    /// A member leaves.
    Leave {
        /// Its connection.
        attachment: Attachment,
        /// The reason, for `server.log`.
        reason: DisconnectReason,
    },
    /// A server begins to run the room.
    Start,
}

impl Entry<'_> {
    /// What it is, in one word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Say { .. } => "say",
            Self::Act { .. } => "act",
            Self::Whisper { .. } => "whisper",
            Self::Rename { .. } => "rename",
            Self::Answer { .. } => "answer",
            Self::Begin { .. } => "begin",
            Self::Detach { .. } => "detach",
            Self::Resume { .. } => "resume",
            Self::Expire { .. } => "expire",
            Self::Forget { .. } => "forget",
            Self::Leave { .. } => "leave",
            Self::Start => "start",
        }
    }

    /// The member whose doing it is, if it was one before.
    #[must_use]
    pub fn member(&self) -> Option<MemberId> {
        match self {
            Self::Say { by, .. }
            | Self::Act { by, .. }
            | Self::Whisper { by, .. }
            | Self::Rename { by, .. }
            | Self::Answer { by, .. } => Some(by.attachment.member),
            Self::Begin { attachment, .. }
            | Self::Detach { attachment, .. }
            | Self::Expire { attachment }
            | Self::Leave { attachment, .. } => Some(attachment.member),
            Self::Join { .. } | Self::Resume { .. } | Self::Forget { .. } | Self::Start => None,
        }
    }
}

/// The outcome of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing has changed: the entry was of somebody who is not a member, or it was so already.
    Unchanged,
    /// Nothing has changed but what the room remembers of a session, or of its servers.
    Noted,
    /// The entry was refused for this reason. That is all that has changed, if anything.
    Refused(Refusal),
    /// Somebody is a member now, over this connection.
    Joined(Attachment),
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
    /// A member has a session now.
    Begun,
    /// The member with this nickname has lost its connection.
    Detached(Nickname),
    /// A session goes on.
    Resumed(Resumed),
    /// The member with this nickname has left. If it had a session, that has ended.
    Left {
        /// The nickname of the member.
        nickname: Nickname,
        /// The reason.
        reason: DisconnectReason,
        /// Its session, which is remembered until [`Entry::Forget`].
        session: Option<SessionId>,
    },
}

impl Outcome {
    /// The nickname of the member that it is about, if it names one: the one from before, if that has changed.
    #[must_use]
    pub fn nickname(&self) -> Option<&Nickname> {
        match self {
            Self::Said(nickname)
            | Self::Whispered { from: nickname, .. }
            | Self::Renamed(nickname)
            | Self::Detached(nickname)
            | Self::Resumed(Resumed { nickname, .. })
            | Self::Left { nickname, .. } => Some(nickname),
            Self::Unchanged | Self::Noted | Self::Refused(_) | Self::Joined(_) | Self::Begun => None,
        }
    }
}

/// A session that goes on in another connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The new connection.
    pub attachment: Attachment,
    /// The nickname of the member.
    pub nickname: Nickname,
    /// How many public lines there had been when the session began: those are not the member's to read again.
    pub since: u64,
    /// The number of the last line of the client's that was taken.
    pub taken: u64,
    /// How many private lines that the client has not read are no longer kept.
    pub missing_private_lines: u64,
}

/// Why a member is no longer here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// It said `/quit`; or it closed the connection in order, and has no session.
    Quit,
    /// The connection was closed in order, and the session goes on without it.
    Closed,
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
    pub(super) const ALL: [Self; 8] = [
        Self::Quit,
        Self::Closed,
        Self::Reset,
        Self::TimedOut,
        Self::Stalled,
        Self::TooSlow,
        Self::ServerStopped,
        Self::InternalError,
    ];

    /// The reason of this name.
    pub(super) fn from_cause(cause: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.cause() == cause)
    }

    /// Its name in the metrics and the JSON log, in `snake_case`.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Closed => "connection_closed",
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
            Self::Closed => " (connection closed)",
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
            (DisconnectReason::Closed, "connection_closed", " (connection closed)"),
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
