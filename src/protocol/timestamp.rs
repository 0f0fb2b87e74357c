//! Moments of the wall clock.

/// A moment, in milliseconds since 1970 in UTC. It says when something happened, for people; nothing is ordered by
/// it, since clocks are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1_000
    }
}
