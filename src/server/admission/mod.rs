//! Admission: the places of connections, and how fast they may send messages and passwords.

mod login_throttle;
mod places;
mod rate_limiter;

use std::net::{IpAddr, Ipv6Addr};

pub use rate_limiter::Rate;

pub(super) use login_throttle::{Attempt, LoginThrottle};
pub(super) use places::{Place, Places};
pub(super) use rate_limiter::RateLimiter;

/// The address that a connection counts for.
pub(super) fn address_of(address: IpAddr) -> Ipv6Addr {
    // A dual-stack socket reports IPv4 addresses as IPv4-mapped IPv6 addresses.
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
