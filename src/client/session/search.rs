//! The search for another connection, after one is lost.

use std::time::Duration;

use super::event::Disconnected;

/// A client without its connection, until its session goes on in another one.
#[derive(Debug)]
pub(super) struct Search {
    /// How the connection was lost.
    pub(super) how: Disconnected,
    /// When it was lost.
    pub(super) since: Duration,
    /// No attempt begins after this.
    pub(super) until: Duration,
    pub(super) attempt: Attempt,
}

/// The next or present attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It begins then.
    Due(Duration),
    /// The owner of the session connects.
    Connecting,
    /// There is a connection, on which the session does not go on yet.
    Connected,
}
