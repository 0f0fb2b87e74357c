//! Why members leave.

use std::fmt;
use std::io;

/// Why somebody is no longer here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisconnectReason {
    /// It closed the connection in order, or said `/quit`.
    Wish,
    /// The connection broke.
    Reset,
    /// Its host is gone: it used to ping, and then was silent for the ping timeout, or TCP found out.
    TimedOut,
    /// Its socket has taken nothing for the write timeout.
    Stalled,
    /// It fell further behind than the log reaches back.
    TooSlow,
    /// The server ended.
    ServerStopped,
    /// Its session panicked.
    InternalError,
}

/// The departures that are the server's doing, not the member's or the network's.
pub(super) const EVICTIONS: [DisconnectReason; 4] = [
    DisconnectReason::TimedOut,
    DisconnectReason::Stalled,
    DisconnectReason::TooSlow,
    DisconnectReason::InternalError,
];

impl DisconnectReason {
    /// What such a departure is called where they are counted.
    pub(super) fn eviction(self) -> Option<&'static str> {
        match self {
            Self::TimedOut => Some("timed_out"),
            Self::Stalled => Some("stalled"),
            Self::TooSlow => Some("too_slow"),
            Self::InternalError => Some("internal_error"),
            Self::Wish | Self::Reset | Self::ServerStopped => None,
        }
    }
}

/// What an error of a connection says of its peer. The error that TCP has found comes to whoever asks first,
/// be it to read or to write.
impl From<io::Error> for DisconnectReason {
    fn from(error: io::Error) -> Self {
        // What TCP says when its own probes are not answered.
        if error.kind() == io::ErrorKind::TimedOut { Self::TimedOut } else { Self::Reset }
    }
}

/// The cause in brackets, as `server.log` has it; nothing where it was the member's own wish.
impl fmt::Display for DisconnectReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Wish => "",
            Self::Reset => " (connection reset)",
            Self::TimedOut => " (timed out)",
            Self::Stalled => " (stalled)",
            Self::TooSlow => " (too slow)",
            Self::ServerStopped => " (server stopped)",
            Self::InternalError => " (internal error)",
        })
    }
}
