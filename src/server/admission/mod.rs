//! Who is let in, and how fast a member may send.

mod addresses;
mod login_throttle;
mod rate_limiter;

pub use rate_limiter::Rate;

pub(super) use addresses::{Addresses, NoPlace};
pub(super) use login_throttle::{Attempt, LoginThrottle};
pub(super) use rate_limiter::RateLimiter;
