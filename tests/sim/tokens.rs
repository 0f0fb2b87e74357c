//! Sessions whose tokens come from a seed.

use std::sync::Mutex;
use std::time::Duration;

use commonroom::server::{Randomness, Sessions};

use super::support::random::SplitMix64;

/// Sessions that wait this long for a connection. The simulated network has no loopback, so they are given
/// over plain connections.
pub fn sessions(seed: u64, grace: Duration) -> Sessions {
    let generator = Mutex::new(SplitMix64::seeded(seed));
    let fill = move |bytes: &mut [u8]| {
        for byte in bytes {
            *byte = generator.lock().unwrap().draw().to_le_bytes()[0];
        }
    };
    Sessions { grace, plaintext: true, randomness: Randomness::new(fill) }
}
