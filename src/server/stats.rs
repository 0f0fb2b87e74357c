//! Statistics of a running server, for its operator.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::room::DisconnectReason;

/// Reads the statistics of a server, from any thread. It keeps nothing alive, and reads zeros before the
/// server has started and after it has stopped.
#[derive(Clone, Default)]
pub struct Observer(Arc<Mutex<Option<Weak<dyn Observed>>>>);

/// The statistics at one moment. Causes are words in `snake_case`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// The connections that have been accepted and have not ended.
    pub connections: usize,
    /// The members of the room.
    pub members: usize,
    /// Those of them whose sessions wait for a connection.
    pub away: usize,
    /// Totals since the start.
    pub counters: Counters,
    /// How many bytes have ever been appended to the transcript.
    pub position_bytes: u64,
    /// How far the slowest member is behind the end of the transcript.
    pub largest_lag_bytes: u64,
}

/// Lifetime counters; not derivable from the current state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Lines for everyone.
    pub lines: u64,
    /// Lines for everyone and private ones, each counted once for every member that it was for.
    pub deliveries: u64,
    /// Bytes that members' sockets have taken.
    pub taken_bytes: u64,
    /// What has become of sessions.
    pub sessions: SessionCounters,
    /// What the commit log has made durable.
    pub store: StoreCounters,
    /// Members that were dropped, by cause.
    pub evictions: BTreeMap<&'static str, u64>,
    /// Nicknames, messages and connections that were refused, by cause.
    pub refusals: BTreeMap<&'static str, u64>,
}

/// What has become of sessions that lost their connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCounters {
    /// Lost connections.
    pub detached: u64,
    /// Sessions that went on in another connection.
    pub resumed: u64,
    /// Sessions that did not in time.
    pub expired: u64,
    /// Lines that were sent again because a client had missed them.
    pub replayed_lines: u64,
}

/// What a commit log has made durable since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCounters {
    /// Changes of the room.
    pub records: u64,
    /// The batches in which they came.
    pub batches: u64,
}

/// The reasons that are the server's doing, not the member's or the network's.
const EVICTIONS: [DisconnectReason; 4] = [
    DisconnectReason::TimedOut,
    DisconnectReason::Stalled,
    DisconnectReason::TooSlow,
    DisconnectReason::InternalError,
];

/// A server, as an observer sees it.
pub(super) trait Observed: Send + Sync {
    fn statistics(&self, connections: usize) -> Statistics;
}

impl Observer {
    /// The statistics now. They take one walk over the members, under the lock of the room.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let observed = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(server) = observed else { return Statistics::default() };
        // Every connection holds the server; so do the accept loop, the deliveries and the timers.
        let connections = server.strong_count().saturating_sub(3);
        server.upgrade().map_or_else(Statistics::default, |server| server.statistics(connections))
    }

    pub(super) fn observe(&self, server: Weak<dyn Observed>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }
}

impl Counters {
    pub(super) fn count_deliveries(&mut self, members: usize) {
        self.deliveries += members as u64;
    }

    pub(super) fn count_eviction(&mut self, reason: DisconnectReason) {
        if EVICTIONS.contains(&reason) {
            *self.evictions.entry(reason.cause()).or_default() += 1;
        }
    }

    pub(super) fn count_refusal(&mut self, cause: &'static str) {
        *self.refusals.entry(cause).or_default() += 1;
    }
}

impl Default for Counters {
    /// Every cause of an eviction is listed from the start, with a count of 0.
    fn default() -> Self {
        Self {
            lines: 0,
            deliveries: 0,
            taken_bytes: 0,
            sessions: SessionCounters::default(),
            store: StoreCounters::default(),
            evictions: EVICTIONS.iter().map(|reason| (reason.cause(), 0)).collect(),
            refusals: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Observer")
    }
}
