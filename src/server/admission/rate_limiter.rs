//! How fast one member may send: a bucket of tokens, filled at a steady rate.

use std::time::Duration;

use tokio::time::Instant;

/// How many messages a member may send at once, and how fast it may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many messages at once; at least one is always possible.
    pub burst_messages: u32,
    /// How many messages a second after that; 0 means no limit.
    pub messages_per_second: u32,
}

impl Rate {
    /// How long one token takes to come back; zero without a limit.
    fn interval(self) -> Duration {
        Duration::from_secs(1).checked_div(self.messages_per_second).unwrap_or_default()
    }

    /// How long all of them take: the burst tolerance.
    fn fill(self) -> Duration {
        self.interval() * self.burst_messages.max(1)
    }
}

/// The tokens of one member, one a message.
///
/// The algorithm is GCRA. Instead of a number of tokens and the time of its last change, it keeps only the
/// moment at which the bucket will be full: the theoretical arrival time. Each token that is taken moves
/// that into the future.
pub(in crate::server) struct RateLimiter {
    full_at: Instant,
}

impl RateLimiter {
    /// A bucket that is full.
    pub(in crate::server) fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// A bucket that is empty.
    pub(in crate::server) fn empty(rate: Rate, now: Instant) -> Self {
        Self { full_at: now + rate.fill() }
    }

    /// How long it takes until there is a token; zero if there is one.
    pub(in crate::server) fn wait(&self, rate: Rate, now: Instant) -> Duration {
        self.wait_for(1, rate, now)
    }

    /// How long it takes until there are `tokens` tokens, or would be if the bucket were large enough.
    pub(super) fn wait_for(&self, tokens: usize, rate: Rate, now: Instant) -> Duration {
        // GCRA: the messages conform if their intervals still fit into the burst tolerance.
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let full_at = self.full_at.max(now) + rate.interval().saturating_mul(tokens);
        full_at.saturating_duration_since(now + rate.fill())
    }

    /// Whether the bucket is full.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }

    /// Takes tokens, more than there are if need be.
    pub(in crate::server) fn take(&mut self, tokens: u32, rate: Rate, now: Instant) {
        self.full_at = self.full_at.max(now) + rate.interval().saturating_mul(tokens);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_one_token_an_interval() {
        let rate = Rate { burst_messages: 3, messages_per_second: 100 };
        let now = Instant::now();
        let mut bucket = RateLimiter::full(now);
        for _ in 0..3 {
            assert_eq!(bucket.wait(rate, now), Duration::ZERO);
            bucket.take(1, rate, now);
        }
        assert_eq!(bucket.wait(rate, now), Duration::from_millis(10));
        assert_eq!(bucket.wait(rate, now + Duration::from_millis(4)), Duration::from_millis(6));
        assert_eq!(bucket.wait(rate, now + Duration::from_millis(10)), Duration::ZERO);
    }

    #[test]
    fn an_empty_bucket_gives_one_token_an_interval_from_the_beginning() {
        let rate = Rate { burst_messages: 3, messages_per_second: 100 };
        let now = Instant::now();
        let bucket = RateLimiter::empty(rate, now);
        assert_eq!(bucket.wait(rate, now), Duration::from_millis(10));
        assert_eq!(bucket.wait(rate, now + Duration::from_millis(10)), Duration::ZERO);
        let unlimited = Rate { messages_per_second: 0, ..rate };
        assert_eq!(RateLimiter::empty(unlimited, now).wait(unlimited, now), Duration::ZERO);
    }

    proptest! {
        /// Whenever messages come, no span of time has more of them than the burst plus what the rate
        /// adds meanwhile; and a sender that waits as long as it is told gets its token.
        #[test]
        fn no_span_of_time_has_more_messages_than_the_burst_and_the_rate_allow(
            burst_messages in 1..20_u32,
            messages_per_second in 1..1_000_u32,
            pauses in proptest::collection::vec(0..50_000_u64, 1..200),
        ) {
            let rate = Rate { burst_messages, messages_per_second };
            let begin = Instant::now();
            let mut bucket = RateLimiter::full(begin);
            let (mut now, mut taken) = (begin, Vec::new());
            for pause in pauses {
                now += Duration::from_micros(pause);
                let wait = bucket.wait(rate, now);
                prop_assert!(wait <= Duration::from_secs(1));
                now += wait;
                prop_assert_eq!(bucket.wait(rate, now), Duration::ZERO);
                bucket.take(1, rate, now);
                taken.push(now);
            }
            for (index, &first) in taken.iter().enumerate() {
                for (count, &last) in (1..).zip(&taken[index..]) {
                    let refilled = (last - first).as_secs_f64() * f64::from(messages_per_second);
                    prop_assert!(f64::from(count) <= f64::from(burst_messages) + refilled + 1e-3);
                }
            }
        }

        #[test]
        fn without_a_rate_there_is_always_a_token(burst_messages in 0..3_u32, messages in 1..1_000_u32) {
            let rate = Rate { burst_messages, messages_per_second: 0 };
            let now = Instant::now();
            let mut bucket = RateLimiter::full(now);
            for _ in 0..messages {
                prop_assert_eq!(bucket.wait(rate, now), Duration::ZERO);
                bucket.take(1, rate, now);
            }
        }
    }
}
