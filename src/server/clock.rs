//! The clock on the wall, as the server is given it.

use std::fmt;
use std::sync::Arc;

use crate::protocol::Timestamp;

/// Tells when lines were said. It orders nothing, and may be set.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    show: Arc<dyn Fn(Timestamp) -> String + Send + Sync>,
}

impl Clock {
    /// `now` tells the time, and `show` how a member reads one that it has told: as a word or two.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        show: impl Fn(Timestamp) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), show: Arc::new(show) }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub(super) fn show(&self, time: Timestamp) -> String {
        (self.show)(time)
    }
}

impl Default for Clock {
    /// A clock that stands still, and shows UTC.
    fn default() -> Self {
        Self::new(Timestamp::default, |time| time.to_string())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
