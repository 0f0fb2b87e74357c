//! Admission: the places of connections, and how fast they may send messages and passwords.

mod login_throttle;
mod places;
mod rate_limiter;

pub use rate_limiter::Rate;

pub(super) use login_throttle::{Attempt, LoginThrottle};
pub(super) use places::{Place, Places};
pub(super) use rate_limiter::RateLimiter;
