//! The clock on the wall, as the server is given it.

use std::fmt;
use std::sync::Arc;

use crate::protocol::Timestamp;

/// Tells when lines were said. It orders nothing, and may be set.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// `now` tells the time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    /// A clock that stands still.
    fn default() -> Self {
        Self::new(Timestamp::default)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
