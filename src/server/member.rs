//! A member, as its session knows it.

use std::sync::Arc;

use tokio::time::Instant;

use super::admission::{Rate, RateLimiter};
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
    /// It wishes to leave.
    pub(super) quits: bool,
    /// How fast it may send.
    pub(super) rate_limiter: RateLimiter,
}

impl Member {
    /// A member that has just joined.
    pub(super) fn new(attachment: Attachment, chosen: Arc<str>) -> Self {
        Self {
            attachment,
            chosen,
            pings: false,
            quits: false,
            rate_limiter: RateLimiter::full(Instant::now()),
        }
    }

    /// A member whose session goes on. It has no burst to begin with: with one, it could resume again and again,
    /// and send as fast as it likes.
    pub(super) fn resumed(attachment: Attachment, chosen: Arc<str>, rate: Rate) -> Self {
        Self { rate_limiter: RateLimiter::empty(rate, Instant::now()), ..Self::new(attachment, chosen) }
    }
}
