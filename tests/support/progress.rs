//! The progress of a long test, for a person at a terminal.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bar on stderr, if that is a terminal. Several threads may advance it.
pub struct Progress {
    what: &'static str,
    done: AtomicU64,
    total: u64,
}

impl Progress {
    /// The beginning of `total` things, which are called `what`.
    pub fn of(total: u64, what: &'static str) -> Self {
        Self { what, done: AtomicU64::new(0), total }
    }

    /// One more is done.
    pub fn advance(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if std::io::stderr().is_terminal() {
            let filled = usize::try_from(done * WIDTH as u64 / self.total.max(1)).expect("a short bar");
            let end = if done == self.total { "\n" } else { "" };
            eprint!("\r[{:WIDTH$}] {done}/{} {}{end}", "█".repeat(filled), self.total, self.what);
        }
    }
}

/// The length of the bar, in characters.
const WIDTH: usize = 50;
