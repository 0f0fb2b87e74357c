//! The lines that are to be sent to the server. While many are on their way the rest wait here, and the
//! person can still change their mind.

use std::collections::VecDeque;

/// How much may wait to be sent.
pub(super) const WAITING_BYTES: usize = 1_024 * 1_024;

/// The cost of a line in addition to its text.
const LINE_BYTES: usize = size_of::<String>();

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<String>,
    bytes: usize,
}

impl Outbox {
    /// A line is to be sent. Returns whether there is room for it.
    #[must_use]
    pub(super) fn put(&mut self, line: String) -> bool {
        let fits = self.bytes + line.len() + LINE_BYTES <= WAITING_BYTES;
        if fits {
            self.bytes += line.len() + LINE_BYTES;
            self.waiting.push_back(line);
        }
        fits
    }

    /// The next line.
    pub(super) fn next(&self) -> Option<&str> {
        self.waiting.front().map(String::as_str)
    }

    /// The next line has been sent, or never will be.
    pub(super) fn pop(&mut self) {
        if let Some(line) = self.waiting.pop_front() {
            self.bytes -= line.len() + LINE_BYTES;
        }
    }

    /// The lines that have not been sent.
    pub(super) fn waiting(&self) -> impl ExactSizeIterator<Item = &str> {
        self.waiting.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_lines_are_sent_in_order() {
        let mut outbox = Outbox::default();
        assert!(outbox.put("one".to_owned()) && outbox.put("two".to_owned()));
        assert_eq!((outbox.next(), outbox.waiting().len()), (Some("one"), 2));
        outbox.pop();
        assert_eq!(outbox.waiting().collect::<Vec<_>>(), ["two"]);
        outbox.pop();
        outbox.pop();
        assert_eq!(outbox.next(), None);
    }

    #[test]
    fn waiting_lines_are_bounded() {
        let mut outbox = Outbox::default();
        assert!(outbox.put("x".repeat(WAITING_BYTES - LINE_BYTES)));
        assert!(!outbox.put(String::new()));
        outbox.pop();
        let empty_lines = (0..WAITING_BYTES).take_while(|_| outbox.put(String::new())).count();
        assert_eq!(empty_lines, WAITING_BYTES / LINE_BYTES);
    }
}
