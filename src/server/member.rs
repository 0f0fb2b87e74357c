//! A member, as what it sends is handled.

use std::sync::Arc;

use super::admission::RateLimiter;
use crate::room::MemberId;

/// What a session keeps of its member. The room has the rest.
pub(super) struct Member {
    pub(super) id: MemberId,
    /// The nickname it chose when it came, as it was typed: what the report's client will put in front
    /// of its messages for ever, whatever normalisation and `/nick` have made of it.
    pub(super) chosen: Arc<str>,
    /// It has sent `/ping`, and so will go on sending something.
    pub(super) pings: bool,
    /// How fast it may send.
    pub(super) rate_limiter: RateLimiter,
}
