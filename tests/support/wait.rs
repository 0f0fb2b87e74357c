//! Waiting, by polling, for something that nobody announces.

use std::time::{Duration, Instant};

/// How long anything may take that a test waits for: far longer than it takes on any machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How long [`wait_for`] pauses before it looks again.
pub const POLL_INTERVAL: Duration = Duration::from_millis(3);

/// Waits until `is_so` returns true. Panics with `what` after the [`DEADLINE`].
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "here is where tests wait, and a pause is not spinning")]
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain for {what:?}");
        std::thread::sleep(POLL_INTERVAL);
    }
}
