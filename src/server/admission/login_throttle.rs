//! Who guesses the password: the more often an address was wrong, the longer it waits.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::server::limits::{
    GUESSING_ADDRESSES, PASSWORD_PAUSE, PASSWORD_PAUSE_LONGEST, PASSWORD_PAUSES_FORGOTTEN,
};

/// The addresses that were wrong lately.
#[derive(Default)]
pub(in crate::server) struct LoginThrottle(Mutex<BTreeMap<IpAddr, Wrong>>);

/// What is known of an address that was wrong.
struct Wrong {
    /// How long it waits the next time.
    pause: Duration,
    /// When it may try again.
    next: Instant,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Attempt {
    Right,
    Wrong,
    /// It was not looked at; it may be made again after so long.
    TooEarly(Duration),
}

impl LoginThrottle {
    /// An attempt of an address. `is_right` is asked only if the address has waited long enough, so
    /// many connections at once bring no more than one.
    pub(in crate::server) fn attempt(
        &self,
        address: IpAddr,
        now: Instant,
        is_right: impl FnOnce() -> bool,
    ) -> Attempt {
        let address = address.to_canonical();
        let mut guesses = self.lock();
        if guesses.get(&address).is_some_and(|wrong| wrong.is_long_ago(now)) {
            guesses.remove(&address);
        }
        if let Some(wrong) = guesses.get(&address).filter(|wrong| wrong.next > now) {
            return Attempt::TooEarly(wrong.next - now);
        }
        if is_right() {
            guesses.remove(&address);
            return Attempt::Right;
        }
        make_room(&mut guesses, now);
        let wrong = guesses.entry(address).or_insert(Wrong { pause: PASSWORD_PAUSE, next: now });
        wrong.next = now + wrong.pause;
        wrong.pause = (wrong.pause * 2).min(PASSWORD_PAUSE_LONGEST);
        Attempt::Wrong
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Wrong>> {
        // Nothing that can panic happens between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets who was not wrong for long; and where that is nobody, whoever may try again first.
fn make_room(guesses: &mut BTreeMap<IpAddr, Wrong>, now: Instant) {
    if guesses.len() < GUESSING_ADDRESSES {
        return;
    }
    guesses.retain(|_, wrong| !wrong.is_long_ago(now));
    let first = guesses.iter().min_by_key(|(_, wrong)| wrong.next).map(|(&address, _)| address);
    if let Some(address) = first.filter(|_| guesses.len() >= GUESSING_ADDRESSES) {
        guesses.remove(&address);
    }
}

impl Wrong {
    fn is_long_ago(&self, now: Instant) -> bool {
        self.next + PASSWORD_PAUSES_FORGOTTEN <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "10.0.0.1";

    #[test]
    fn the_pause_grows_with_every_wrong_password_up_to_its_bound_and_ends_with_the_right_one() {
        let (guesses, mut now) = (LoginThrottle::default(), Instant::now());
        let address = ADDRESS.parse().unwrap();
        let mut pause = PASSWORD_PAUSE;
        for _ in 0..10 {
            assert_eq!(guesses.attempt(address, now, || false), Attempt::Wrong);
            let never = || panic!("it is not looked at");
            assert_eq!(guesses.attempt(address, now, never), Attempt::TooEarly(pause));
            now += pause;
            pause = (pause * 2).min(PASSWORD_PAUSE_LONGEST);
        }
        assert_eq!(guesses.attempt(address, now, || true), Attempt::Right);
        assert_eq!(guesses.attempt(address, now, || false), Attempt::Wrong);
        assert_eq!(guesses.attempt(address, now, || true), Attempt::TooEarly(PASSWORD_PAUSE));
    }

    #[test]
    fn others_do_not_wait_and_no_more_addresses_are_kept_than_there_is_room_for() {
        let (guesses, now) = (LoginThrottle::default(), Instant::now());
        for index in 0..u32::try_from(GUESSING_ADDRESSES).unwrap() + 10 {
            let address = IpAddr::V4(index.into());
            assert_eq!(guesses.attempt(address, now, || false), Attempt::Wrong);
            assert!(guesses.lock().len() <= GUESSING_ADDRESSES);
        }
        assert_eq!(guesses.attempt(ADDRESS.parse().unwrap(), now, || true), Attempt::Right);
    }
}
