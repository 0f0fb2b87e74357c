//! What an operator can know about a running server, from outside of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::hub::Hub;
use crate::room::Totals;

/// Looks into the server whose [`Config`](super::Config) it is in, from any thread. It keeps nothing
/// alive, and sees nothing before the server has begun and after it has ended.
#[derive(Clone, Default)]
pub struct Observer(Arc<Mutex<Weak<Hub>>>);

/// What there is to know, at one moment. Causes are words in `snake_case`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The connections that have been accepted and have not ended.
    pub connections: usize,
    /// Those who are here.
    pub members: usize,
    /// What has happened so far.
    pub totals: Totals,
    /// How many bytes have ever been appended to the log.
    pub position_bytes: u64,
    /// How far the slowest member is behind the end of the log.
    pub largest_lag_bytes: u64,
    /// How many members were dropped, by the cause.
    pub evictions: BTreeMap<&'static str, u64>,
    /// How much was refused, by the cause: nicknames, messages, connections.
    pub refusals: BTreeMap<&'static str, u64>,
}

impl Observer {
    /// What there is to know now. It takes one walk over the members, under the lock of the room.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let room = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Every session holds the room, and so does the server itself.
        let connections = room.strong_count().saturating_sub(1);
        room.upgrade().map_or_else(Statistics::default, |room| room.statistics(connections))
    }

    pub(super) fn observe(&self, room: &Arc<Hub>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(room);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Observer")
    }
}
