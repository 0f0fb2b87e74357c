//! A member, as its session knows it.

use std::sync::Arc;

use tokio::time::Instant;

use super::admission::RateLimiter;
use crate::room::Attachment;

/// The part of a member that its session keeps. The room has the rest.
pub(super) struct Member {
    /// Its connection.
    pub(super) attachment: Attachment,
    /// The nickname that it joined with, as it was typed: the report's client puts this in front of its
    /// messages for ever, whatever normalisation and `/nick` have made of it.
    pub(super) chosen: Arc<str>,
    /// It has sent `/ping`, and so will go on sending something.
    pub(super) pings: bool,
    /// How fast it may send.
    pub(super) rate_limiter: RateLimiter,
}

impl Member {
    pub(super) fn new(attachment: Attachment, chosen: Arc<str>) -> Self {
        Self { attachment, chosen, pings: false, rate_limiter: RateLimiter::full(Instant::now()) }
    }
}
