//! What a newcomer was asked for, and why it did not become a member.

use std::io;
use std::time::Duration;

use crate::protocol::Refusal;

/// The last thing that a newcomer was asked for.
#[derive(Clone, Copy)]
pub(super) enum Awaited {
    Nickname,
    Password,
}

impl Awaited {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nickname => "nickname",
            Self::Password => "password",
        }
    }
}

/// Why a connection did not become a member.
pub(super) enum Unregistered {
    /// It closed, or broke.
    Gone,
    /// It was refused, and is told so after this time.
    Refused { refusal: Refusal, told_after: Duration },
    /// It took too long.
    TooLate,
    /// The server ended.
    ServerStopped,
}

impl From<io::Error> for Unregistered {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}
