//! Passwords from one address: the right one gets in at once, wrong ones are few and answered late.
//!
//! People who know the password may share an address with somebody who guesses it: a school, a NAT.
//! So an address is never locked out. Every password is checked: at once as long as few from that address
//! were wrong, and otherwise in order of arrival at a bounded rate. That rate limits guessing, on any
//! number of connections; the growing pause before a wrong password is answered slows down guessers that
//! wait for the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::rate_limiter::{Rate, RateLimiter};
use crate::server::limits::{
    GUESSING_ADDRESSES, PASSWORD_PAUSE, PASSWORD_PAUSE_LONGEST, PASSWORD_PAUSES_FORGOTTEN,
    PASSWORD_WAIT_LONGEST, PASSWORDS_WAITING, WRONG_PASSWORDS_AT_ONCE, WRONG_PASSWORDS_PER_SECOND,
};

/// How many wrong passwords from an address are checked.
const WRONG_PASSWORDS: Rate =
    Rate { burst_messages: WRONG_PASSWORDS_AT_ONCE, messages_per_second: WRONG_PASSWORDS_PER_SECOND };

/// The addresses with wrong passwords or with passwords that wait.
#[derive(Default)]
pub(in crate::server) struct LoginThrottle(Mutex<State>);

#[derive(Default)]
struct State {
    addresses: BTreeMap<IpAddr, Address>,
    turns_so_far: u64,
}

/// The state of an address.
struct Address {
    /// Limits how many wrong passwords from it are checked.
    wrong: RateLimiter,
    /// The turns of the passwords that wait to be checked.
    waiting: BTreeSet<u64>,
    /// The pause before the next wrong password is answered.
    pause: Duration,
    /// When the last password came from it.
    last: Instant,
}

/// The result of trying a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Attempt {
    Right,
    /// It is wrong, and is answered after this pause.
    Wrong(Duration),
    /// It was not checked; it may be after this time.
    NotYet(Duration),
}

impl LoginThrottle {
    /// Lines up a password from an address. `None` if too many from that address wait already.
    pub(in crate::server) fn line_up(&self, address: IpAddr, now: Instant) -> Option<Turn<'_>> {
        let address = address.to_canonical();
        let mut state = self.lock();
        let number = state.turns_so_far;
        let waiting = &mut state.address(address, now).waiting;
        if waiting.len() >= PASSWORDS_WAITING {
            return None;
        }
        waiting.insert(number);
        state.turns_so_far += 1;
        Some(Turn { throttle: self, address, number })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic happens between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A password's turn among those from its address, given up when this is dropped.
pub(in crate::server) struct Turn<'a> {
    throttle: &'a LoginThrottle,
    address: IpAddr,
    number: u64,
}

impl Turn<'_> {
    /// Checks the password if its turn has come; `is_right` is called only then.
    pub(in crate::server) fn attempt(&self, now: Instant, is_right: impl FnOnce() -> bool) -> Attempt {
        let mut state = self.throttle.lock();
        let address = state.address(self.address, now);
        // Each of those before this one may prove to be wrong.
        let before = address.waiting.range(..self.number).count();
        let wait = address.wrong.wait_for(before + 1, WRONG_PASSWORDS, now);
        if !wait.is_zero() {
            return Attempt::NotYet(wait.min(PASSWORD_WAIT_LONGEST));
        }
        if is_right() {
            // This says nothing about others that share the address.
            return Attempt::Right;
        }
        address.wrong.take(1, WRONG_PASSWORDS, now);
        let pause = address.pause;
        address.pause = (pause * 2).min(PASSWORD_PAUSE_LONGEST);
        Attempt::Wrong(pause)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.throttle.lock();
        if let Some(address) = state.addresses.get_mut(&self.address) {
            address.waiting.remove(&self.number);
            if address.is_as_new() {
                state.addresses.remove(&self.address);
            }
        }
    }
}

impl State {
    /// The state of an address, which is that of a new one if nothing has come from it for a while.
    fn address(&mut self, address: IpAddr, now: Instant) -> &mut Address {
        if self.addresses.get(&address).is_none_or(|known| known.is_long_ago(now)) {
            self.make_room(now);
            self.addresses.insert(address, Address::new(now));
        }
        let known = self.addresses.entry(address).or_insert_with(|| Address::new(now));
        known.last = now;
        known
    }

    /// Forgets the addresses that came long ago or, if there are none, the least recent one. Passwords
    /// from it that still wait then count as the first of a new address.
    fn make_room(&mut self, now: Instant) {
        if self.addresses.len() < GUESSING_ADDRESSES {
            return;
        }
        self.addresses.retain(|_, known| !known.is_long_ago(now));
        if self.addresses.len() >= GUESSING_ADDRESSES {
            let first =
                self.addresses.iter().min_by_key(|(_, known)| known.last).map(|(&address, _)| address);
            first.and_then(|address| self.addresses.remove(&address));
        }
    }
}

impl Address {
    fn new(now: Instant) -> Self {
        Self { wrong: RateLimiter::full(now), waiting: BTreeSet::new(), pause: PASSWORD_PAUSE, last: now }
    }

    /// Nothing waits, and nothing was wrong, as with most addresses.
    fn is_as_new(&self) -> bool {
        self.waiting.is_empty() && self.pause == PASSWORD_PAUSE && self.wrong.is_full(self.last)
    }

    fn is_long_ago(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.last + PASSWORD_PAUSES_FORGOTTEN <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn never() -> bool {
        panic!("it is not checked")
    }

    fn try_once(throttle: &LoginThrottle, address: IpAddr, now: Instant, is_right: bool) -> Attempt {
        throttle.line_up(address, now).expect("few wait").attempt(now, || is_right)
    }

    /// As many wrong passwords as are checked without a wait.
    fn guess_at_once(throttle: &LoginThrottle, now: Instant) {
        for _ in 0..WRONG_PASSWORDS_AT_ONCE {
            assert!(matches!(try_once(throttle, ADDRESS, now, false), Attempt::Wrong(_)));
        }
    }

    #[test]
    fn each_wrong_password_is_answered_later_up_to_a_bound_until_the_address_is_forgotten() {
        let (throttle, mut now) = (LoginThrottle::default(), Instant::now());
        let mut pause = PASSWORD_PAUSE;
        for _ in 0..10 {
            assert_eq!(try_once(&throttle, ADDRESS, now, false), Attempt::Wrong(pause));
            now += pause;
            pause = (pause * 2).min(PASSWORD_PAUSE_LONGEST);
        }
        assert_eq!(try_once(&throttle, ADDRESS, now, true), Attempt::Right);
        assert_eq!(try_once(&throttle, ADDRESS, now, false), Attempt::Wrong(PASSWORD_PAUSE_LONGEST));
        now += PASSWORD_PAUSES_FORGOTTEN;
        assert_eq!(try_once(&throttle, ADDRESS, now, false), Attempt::Wrong(PASSWORD_PAUSE));
    }

    #[test]
    fn a_crowd_that_knows_the_password_does_not_wait_and_is_not_remembered() {
        let (throttle, now) = (LoginThrottle::default(), Instant::now());
        for _ in 0..1_000 {
            assert_eq!(try_once(&throttle, ADDRESS, now, true), Attempt::Right);
        }
        assert!(throttle.lock().addresses.is_empty());
    }

    #[test]
    fn after_many_wrong_passwords_the_next_waits_for_its_turn_and_others_do_not() {
        let (throttle, now) = (LoginThrottle::default(), Instant::now());
        guess_at_once(&throttle, now);
        let interval = Duration::from_secs(1) / WRONG_PASSWORDS_PER_SECOND;
        let first = throttle.line_up(ADDRESS, now).unwrap();
        let second = throttle.line_up(ADDRESS, now).unwrap();
        assert_eq!(second.attempt(now, never), Attempt::NotYet(2 * interval));
        assert_eq!(first.attempt(now, never), Attempt::NotYet(interval));
        assert_eq!(second.attempt(now + interval, never), Attempt::NotYet(interval));
        assert_eq!(try_once(&throttle, OTHER, now, true), Attempt::Right);
        // Its turn comes as soon as the one before it is gone.
        drop(first);
        assert_eq!(second.attempt(now + interval, || true), Attempt::Right);
    }

    #[test]
    fn no_more_passwords_from_an_address_wait_than_can_be_checked_in_time() {
        let (throttle, now) = (LoginThrottle::default(), Instant::now());
        guess_at_once(&throttle, now);
        let mut turns: Vec<_> =
            (0..PASSWORDS_WAITING).map(|_| throttle.line_up(ADDRESS, now).unwrap()).collect();
        assert!(throttle.line_up(ADDRESS, now).is_none());
        assert_eq!(turns.pop().unwrap().attempt(now, never), Attempt::NotYet(PASSWORD_WAIT_LONGEST));
        assert!(throttle.line_up(ADDRESS, now).is_some(), "one that leaves makes room");
    }

    #[test]
    fn no_more_addresses_are_remembered_than_the_bound() {
        let (throttle, now) = (LoginThrottle::default(), Instant::now());
        for index in 0..u32::try_from(GUESSING_ADDRESSES).unwrap() + 10 {
            let address = IpAddr::V4(index.into());
            assert_eq!(try_once(&throttle, address, now, false), Attempt::Wrong(PASSWORD_PAUSE));
            assert!(throttle.lock().addresses.len() <= GUESSING_ADDRESSES);
        }
        assert_eq!(try_once(&throttle, ADDRESS, now, true), Attempt::Right);
    }

    proptest! {
        /// Guessers come at any time, wait for their turns or leave. In any span of time no more wrong
        /// passwords are checked than the burst and the rate allow; and the right one, which comes at any
        /// moment, is checked as soon as those that wait before it could have been.
        #[test]
        fn guesses_are_bounded_and_the_right_password_gets_in(
            steps in proptest::collection::vec((0..400_u64, 0..4_u8), 20..200),
            right_at in 0..20_usize,
        ) {
            let throttle = LoginThrottle::default();
            let begin = Instant::now();
            let (mut now, mut guesses, mut looked_at) = (begin, Vec::new(), Vec::new());
            let mut right = None;
            for (index, (milliseconds, what)) in steps.into_iter().enumerate() {
                now += Duration::from_millis(milliseconds);
                match what {
                    0 => drop(guesses.pop()),
                    _ => guesses.extend(throttle.line_up(ADDRESS, now)),
                }
                guesses.retain(|turn: &Turn<'_>| {
                    let attempt = turn.attempt(now, || false);
                    looked_at.extend(matches!(attempt, Attempt::Wrong(_)).then_some(now));
                    matches!(attempt, Attempt::NotYet(_))
                });
                if index == right_at {
                    let before = u32::try_from(guesses.len()).unwrap();
                    let bound = (before + 1) * Duration::from_secs(1) / WRONG_PASSWORDS_PER_SECOND;
                    right = throttle.line_up(ADDRESS, now).map(|turn| (turn, now + bound));
                }
                if let Some((turn, deadline)) = &right {
                    let attempt = turn.attempt(now, || true);
                    prop_assert!(attempt == Attempt::Right || now < *deadline, "{:?}", attempt);
                    if let Attempt::NotYet(wait) = attempt {
                        prop_assert!(now + wait <= *deadline);
                        prop_assert!(wait <= PASSWORD_WAIT_LONGEST);
                    } else {
                        right = None;
                    }
                }
            }
            for (index, &first) in looked_at.iter().enumerate() {
                for (count, &last) in (1..).zip(&looked_at[index..]) {
                    let more = (last - first).as_secs_f64() * f64::from(WRONG_PASSWORDS_PER_SECOND);
                    prop_assert!(f64::from(count) <= f64::from(WRONG_PASSWORDS_AT_ONCE) + more + 1e-3);
                }
            }
        }
    }
}
