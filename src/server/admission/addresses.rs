//! How many connections each address has open.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::protocol::Refusal;
use crate::server::limits::TURNED_AWAY_CONNECTIONS;

/// The open connections of each address, counted while they are open. An address without one takes no
/// memory, so there are never more entries than connections.
#[derive(Default)]
pub(in crate::server) struct Addresses(Mutex<BTreeMap<Ipv6Addr, usize>>);

/// Why an address may not have one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum NoPlace {
    /// It has as many as it may; this one is told so.
    Told(Refusal),
    /// So many of its connections are being told so already that this one is just closed.
    Closed,
}

impl Addresses {
    /// Counts one more connection of an address, until what is returned is dropped. Who is only told
    /// that there is no place for it counts as well, as long as that takes.
    ///
    /// `limit` is how many an address may have; 0 is as many as it likes.
    pub(in crate::server) fn enter(&self, address: IpAddr, limit: usize) -> (Entered<'_>, Option<NoPlace>) {
        // A socket for both families shows an IPv4 address as a part of IPv6.
        let address = match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let mut open = self.lock();
        let count = open.entry(address).or_default();
        let no_place = match *count {
            others if limit == 0 || others < limit => None,
            others if others < limit + TURNED_AWAY_CONNECTIONS => Some(NoPlace::Told(Refusal::TooMany)),
            _ => Some(NoPlace::Closed),
        };
        *count += 1;
        (Entered { address, addresses: self }, no_place)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Ipv6Addr, usize>> {
        // Nothing that can panic happens under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is counted. It is dropped with its session, however that ends.
pub(in crate::server) struct Entered<'a> {
    address: Ipv6Addr,
    addresses: &'a Addresses,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut open = self.addresses.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_places_and_each_is_free_again_when_it_is_left() {
        let addresses = Addresses::default();
        let (first, refused) = addresses.enter(address("10.0.0.1"), 2);
        assert_eq!(refused, None);
        let (_second, refused) = addresses.enter(address("::ffff:10.0.0.1"), 2);
        assert_eq!(refused, None, "the same address, as a socket for both families shows it");
        let (told, refused) = addresses.enter(address("10.0.0.1"), 2);
        assert_eq!(refused, Some(NoPlace::Told(Refusal::TooMany)));
        let (_other, refused) = addresses.enter(address("10.0.0.2"), 2);
        assert_eq!(refused, None, "another address has places of its own");
        drop((told, first));
        assert_eq!(addresses.enter(address("10.0.0.1"), 2).1, None);
    }

    #[test]
    fn who_is_not_even_told_is_counted_and_forgotten_too() {
        let addresses = Addresses::default();
        let told = 1 + TURNED_AWAY_CONNECTIONS;
        let entered: Vec<_> = (0..told).map(|_| addresses.enter(address("::1"), 1)).collect();
        assert_eq!(entered[told - 1].1, Some(NoPlace::Told(Refusal::TooMany)));
        assert_eq!(addresses.enter(address("::1"), 1).1, Some(NoPlace::Closed));
        assert_eq!(addresses.enter(address("::1"), 0).1, None, "without a limit there is a place");
        drop(entered);
        assert!(addresses.lock().is_empty());
    }
}
