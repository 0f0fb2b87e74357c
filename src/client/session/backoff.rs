//! The pauses between attempts to connect.

use std::time::Duration;

/// The least bound of a pause. No two attempts follow each other without one, unless this much time is between
/// them anyway.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);

/// The greatest bound of a pause.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Exponential back-off with full jitter: the bound of the pauses doubles, and each pause is drawn from all
/// that are within it. So the clients of a server that was away do not come back at the same time.
#[derive(Debug)]
pub(super) struct Backoff {
    /// The state of a splitmix64 generator.
    random: u64,
    bound: Duration,
    last_attempt: Option<Duration>,
    /// The last attempt has led to a connection.
    succeeded: bool,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: seed, bound: BACKOFF_MIN, last_attempt: None, succeeded: true }
    }

    /// How long to wait before the next attempt: not at all after a connection, unless it has broken at once.
    pub(super) fn pause(&mut self, now: Duration) -> Duration {
        let is_early = self.last_attempt.is_some_and(|last| now < last + BACKOFF_MIN);
        if std::mem::take(&mut self.succeeded) {
            self.bound = BACKOFF_MIN;
            if !is_early {
                return Duration::ZERO;
            }
        }
        let nanoseconds = u64::try_from(self.bound.as_nanos()).unwrap_or(u64::MAX);
        self.bound = (2 * self.bound).min(BACKOFF_MAX);
        Duration::from_nanos(self.next() % nanoseconds.saturating_add(1))
    }

    /// An attempt begins.
    pub(super) fn attempted(&mut self, now: Duration) {
        self.last_attempt = Some(now);
    }

    /// It has led to a connection that is of use.
    pub(super) fn succeeded(&mut self) {
        self.succeeded = true;
    }

    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses of attempts that all fail, after a connection.
    fn pauses(seed: u64) -> Vec<Duration> {
        let mut backoff = Backoff::new(seed);
        let mut now = Duration::from_secs(100);
        (0..1_000)
            .map(|_| {
                let pause = backoff.pause(now);
                now += pause;
                backoff.attempted(now);
                pause
            })
            .collect()
    }

    #[test]
    fn the_first_attempt_is_made_at_once_and_the_bound_of_the_pauses_doubles_from_there() {
        for seed in 0..100 {
            let pauses = pauses(seed);
            assert_eq!(pauses[0], Duration::ZERO);
            let mut bound = BACKOFF_MIN;
            for pause in &pauses[1..] {
                assert!(*pause <= bound, "{pause:?} of {bound:?}");
                bound = (2 * bound).min(BACKOFF_MAX);
            }
        }
    }

    #[test]
    fn pauses_are_spread_over_all_of_their_range() {
        let late = &pauses(7)[20..];
        for tenth in 0..10 {
            let range = BACKOFF_MAX * tenth / 10..BACKOFF_MAX * (tenth + 1) / 10;
            let share = late.iter().filter(|pause| range.contains(*pause)).count();
            assert!((50..150).contains(&share), "{share} of {} in {range:?}", late.len());
        }
        assert_ne!(pauses(7), pauses(8), "clients with other seeds come at other times");
        assert_eq!(pauses(7), pauses(7));
    }

    #[test]
    fn a_server_that_ends_each_connection_at_once_is_not_tried_without_a_pause() {
        let mut backoff = Backoff::new(1);
        let mut now = Duration::ZERO;
        assert_eq!(backoff.pause(now), Duration::ZERO);
        let mut paused = Duration::ZERO;
        for _ in 0..100 {
            backoff.attempted(now);
            backoff.succeeded();
            let pause = backoff.pause(now);
            assert!(pause <= BACKOFF_MIN);
            paused += pause;
            now += pause;
        }
        assert!(paused > 10 * BACKOFF_MIN, "{paused:?}");
        backoff.attempted(now);
        backoff.succeeded();
        assert_eq!(backoff.pause(now + BACKOFF_MIN), Duration::ZERO, "one that lasted is replaced at once");
    }
}
