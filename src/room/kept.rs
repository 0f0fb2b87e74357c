//! The private lines of a session, kept until its client has counted them.

use std::collections::VecDeque;

/// The last private lines of one session, each with the number of public lines that it follows.
#[derive(Debug, Default)]
pub(super) struct Kept {
    lines: VecDeque<(u64, Box<str>)>,
    /// How many lines there have been.
    so_far: u64,
    bytes: usize,
}

impl Kept {
    /// Keeps one more line, given without its end. The oldest are dropped beyond `at_most_bytes`.
    pub(super) fn push(&mut self, after: u64, line: &str, at_most_bytes: usize) {
        self.so_far += 1;
        self.bytes += line.len();
        self.lines.push_back((after, line.into()));
        while self.bytes > at_most_bytes
            && let Some((_, oldest)) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    /// Forgets the first `count` lines of the session, which the client has read. Returns how many lines after
    /// those are no longer kept.
    pub(super) fn count(&mut self, count: u64) -> u64 {
        let mut first = self.so_far - self.lines.len() as u64;
        let missing = first.saturating_sub(count);
        while first < count
            && let Some((_, line)) = self.lines.pop_front()
        {
            self.bytes -= line.len();
            first += 1;
        }
        missing
    }

    /// The lines that are kept, in order.
    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = (u64, &str)> {
        self.lines.iter().map(|(after, line)| (*after, &**line))
    }

    /// How many lines there have been.
    pub(super) fn so_far(&self) -> u64 {
        self.so_far
    }

    /// These lines, the last of `so_far`.
    pub(super) fn restore(so_far: u64, lines: VecDeque<(u64, Box<str>)>) -> Self {
        let bytes = lines.iter().map(|(_, line)| line.len()).sum();
        Self { lines, so_far, bytes }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_counted_is_forgotten_and_what_the_bound_has_cost_is_said() {
        let mut kept = Kept::default();
        for line in ["one", "two", "three", "four"] {
            kept.push(7, line, 9);
        }
        assert_eq!(kept.count(1), 1, "`two` is missing");
        assert_eq!(kept.lines().collect::<Vec<_>>(), [(7, "three"), (7, "four")]);
        assert_eq!(kept.count(3), 0);
        assert_eq!(kept.lines().collect::<Vec<_>>(), [(7, "four")]);
        assert_eq!(kept.count(99), 0, "whatever a client says");
        kept.push(8, "five", 9);
        assert_eq!(kept.lines().collect::<Vec<_>>(), [(8, "five")]);
    }

    proptest! {
        #[test]
        fn every_line_is_read_once_or_said_to_be_missing(
            steps in proptest::collection::vec((0..9_usize, 0..4_u64), 1..60),
            at_most_bytes in 0..30_usize,
        ) {
            let (mut kept, mut so_far, mut counted) = (Kept::default(), 0, 0);
            for (length, unread) in steps {
                let line = format!("{so_far}{}", "x".repeat(length));
                kept.push(so_far, &line, at_most_bytes);
                so_far += 1;
                prop_assert!(kept.bytes <= at_most_bytes);
                prop_assert_eq!(kept.bytes, kept.lines().map(|(_, line)| line.len()).sum::<usize>());
                counted = counted.max(so_far.saturating_sub(unread));
                let missing = kept.count(counted);
                let read: Vec<u64> = kept.lines().map(|(at, _)| at).collect();
                prop_assert_eq!(read, (counted + missing..so_far).collect::<Vec<_>>());
            }
        }
    }
}
