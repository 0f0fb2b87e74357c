//! One connection, from its first byte to its last.
//!
//! A connection registers ([`handshake`](super::handshake)), then runs two loops side by side until
//! one of them ends: [`listen`] brings what the member sends to the room, [`deliver`] takes what
//! the room has for the member to the socket. Neither waits for the other, and none of them for
//! another session.
//!
//! A session takes as much memory as its largest state, and most of its life it is idle. Whatever
//! would be larger than that is therefore boxed while it lasts: answers to a nickname, timers, the
//! end. An `async fn` keeps its arguments twice, so it takes few: one reference to what several need.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::admission::RateLimiter;
use super::connection::{Connection, Incoming, Status, reason};
use super::handshake::{self, Admitted};
use super::hub::{Handled, Hub};
use crate::net::Stream;
use crate::room::{DisconnectReason, MemberId};

/// A member, as what it sends is handled.
pub(super) struct Member<'a> {
    pub(super) id: MemberId,
    pub(super) peer: &'a SocketAddr,
    /// See [`Admitted::chosen`].
    pub(super) chosen: Arc<str>,
    /// It has sent `/ping`, and so will go on sending something.
    pub(super) pings: bool,
    /// How fast it may send.
    pub(super) rate_limiter: RateLimiter,
}

/// Serves a connection until it ends, for whatever reason.
pub(super) async fn run<S: Stream>(stream: S, peer: SocketAddr, hub: Arc<Hub<S>>) {
    let mut connection = Connection::new(stream, peer);
    debug!(%peer, "accepted");
    // Counted here and not where it was accepted: by now every session that was started before has
    // noticed whether its peer is gone already.
    let (mut place, refusal) = hub.places.enter(peer.ip(), hub.limits());
    if let Some(refusal) = refusal {
        Box::pin(handshake::turn_away(&mut connection, &hub, &place, refusal)).await;
    } else {
        let admitted = Box::pin(handshake::admit(&mut connection, &hub, &mut place)).await;
        if let Some(admitted) = admitted
            && converse(&mut connection.incoming, &hub, admitted, &peer).await
        {
            Box::pin(connection.close()).await;
        }
    }
    debug!(%peer, "closed");
}

/// Lets a member talk until it leaves, and sees it off. Returns whether the connection can be closed
/// in order.
async fn converse<S: Stream>(
    incoming: &mut Incoming<S>,
    hub: &Hub<S>,
    admitted: Admitted,
    peer: &SocketAddr,
) -> bool {
    let Admitted { id, chosen } = admitted;
    let rate_limiter = RateLimiter::full(Instant::now());
    let mut member = Member { id, peer, chosen, pings: false, rate_limiter };
    let place = Place { id, hub };
    let reason = tokio::select! {
        biased;
        reason = listen(incoming, &mut member, hub) => reason,
        delivered = delivered(&place) => match delivered {
            Ok(()) => DisconnectReason::ServerStopped,
            Err(reason) => reason,
        },
    };
    hub.leave(id, reason);
    match reason {
        DisconnectReason::Quit | DisconnectReason::ServerStopped => {
            let rest = Box::pin(timeout(hub.limits().shutdown_grace, delivered(&place)));
            matches!(rest.await, Ok(Ok(())))
        }
        _ => false,
    }
}

/// A member's place in the room, which is free again when this is dropped, however the session ends.
struct Place<'a, S: Stream> {
    id: MemberId,
    hub: &'a Hub<S>,
}

impl<S: Stream> Drop for Place<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hub.leave(self.id, DisconnectReason::InternalError);
        }
        self.hub.forget(self.id);
    }
}

/// Brings what a member sends to the room.
async fn listen<S: Stream>(
    incoming: &mut Incoming<S>,
    member: &mut Member<'_>,
    hub: &Hub<S>,
) -> DisconnectReason {
    loop {
        if hub.somebody_is_far_behind() {
            Box::pin(hub.back_pressure()).await;
        }
        match hub.handle_messages(member, &mut incoming.decoder) {
            Handled::Quit => return DisconnectReason::Quit,
            // Fast senders are read later. Their deliveries go on meanwhile; that such a member leaves
            // is noticed after what it has sent.
            Handled::Slowed(pause) => {
                Box::pin(sleep(pause)).await;
                continue;
            }
            Handled::Some => {
                yield_now().await;
                continue;
            }
            Handled::All => {}
        }
        // A member that sends without a pause must not keep its own deliveries waiting.
        yield_now().await;
        let read = if member.pings {
            Box::pin(timeout(hub.limits().ping_timeout, incoming.read())).await
        } else {
            Ok(incoming.read().await)
        };
        match read {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return DisconnectReason::Quit,
            Ok(Err(error)) => return reason(&error),
            Err(_) => return DisconnectReason::TimedOut,
        }
    }
}

/// Waits until everything is written that there will ever be for a member, or cannot be.
///
/// Can be cancelled and called again: the cursor says what has been taken.
async fn delivered<S: Stream>(place: &Place<'_, S>) -> Result<(), DisconnectReason> {
    let poll = |context: &Context<'_>| place.hub.poll_deliveries(place.id, context);
    loop {
        let status = poll_fn(|context| match poll(context) {
            Status::Ready => Poll::Pending,
            status => Poll::Ready(status),
        });
        if let Status::Ended(how) = status.await {
            return how;
        }
        // Only a socket that does not take at once what there is needs a timer.
        let writable = poll_fn(|context| match poll(context) {
            Status::Blocked(_) => Poll::Pending,
            _ => Poll::Ready(()),
        });
        if Box::pin(timeout(place.hub.limits().write_timeout, writable)).await.is_err() {
            return Err(DisconnectReason::Stalled);
        }
    }
}
