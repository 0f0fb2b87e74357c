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
use std::sync::{Arc, Mutex};
use std::task::Poll;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::admission::{NoPlace, RateLimiter};
use super::connection::{Connection, Incoming, Outgoing, Wrote};
use super::disconnect_reason::DisconnectReason;
use super::handshake::{self, Admitted};
use super::hub::{Handled, Hub};
use crate::net::Stream;
use crate::protocol::Refusal;
use crate::room::MemberId;

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
pub(super) async fn run<S: Stream>(stream: Mutex<S>, peer: SocketAddr, hub: Arc<Hub>) {
    let mut connection = Connection::new(&stream, peer);
    debug!(%peer, "accepted");
    // Counted here and not where it was accepted: by now every session that was started before has
    // noticed whether its peer is gone already.
    let (_entered, no_place) = hub.addresses.enter(peer.ip(), hub.limits().connections_per_address);
    match no_place {
        Some(NoPlace::Told(refusal)) => {
            Box::pin(handshake::turn_away(&mut connection, &hub, refusal)).await;
        }
        Some(NoPlace::Closed) => {}
        None => {
            if let Some(admitted) = handshake::admit(&mut connection, &hub).await
                && converse(&mut connection, &hub, admitted).await
            {
                Box::pin(connection.close()).await;
            }
        }
    }
    debug!(%peer, "closed");
}

/// Tells a connection why there is no place for it, and closes it.
pub(super) async fn turn_away<S: Stream>(
    stream: Mutex<S>,
    peer: SocketAddr,
    hub: Arc<Hub>,
    refusal: Refusal,
) {
    handshake::turn_away(&mut Connection::new(&stream, peer), &hub, refusal).await;
    debug!(%peer, "closed");
}

/// Lets a member talk and hear until it leaves, and sees it off. Returns whether the connection
/// can be closed in order.
async fn converse<S: Stream>(connection: &mut Connection<'_, S>, hub: &Hub, admitted: Admitted) -> bool {
    let Connection { incoming, outgoing, peer } = connection;
    let Admitted { id, chosen } = admitted;
    let rate_limiter = RateLimiter::full(Instant::now());
    let mut member = Member { id, peer, chosen, pings: false, rate_limiter };
    let place = Place { id, room: hub };
    let reason = tokio::select! {
        biased;
        reason = listen(incoming, &mut member, &place) => reason,
        delivered = deliver(outgoing, &place) => match delivered {
            Ok(()) => DisconnectReason::ServerStopped,
            Err(reason) => reason,
        },
    };
    place.room.leave(id, reason);
    match reason {
        DisconnectReason::Wish | DisconnectReason::ServerStopped => {
            let rest = deliver(outgoing, &place);
            matches!(Box::pin(timeout(place.room.limits().shutdown_grace, rest)).await, Ok(Ok(())))
        }
        _ => false,
    }
}

/// A member's place in the room, which is free again when this is dropped, however the session ends.
struct Place<'a> {
    id: MemberId,
    room: &'a Hub,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.room.leave(self.id, DisconnectReason::InternalError);
        }
        self.room.forget(self.id);
    }
}

/// Brings what a member sends to the room.
async fn listen<S: Stream>(
    incoming: &mut Incoming<'_, S>,
    member: &mut Member<'_>,
    place: &Place<'_>,
) -> DisconnectReason {
    loop {
        if place.room.somebody_is_far_behind() {
            Box::pin(place.room.back_pressure()).await;
        }
        match place.room.handle_messages(member, &mut incoming.decoder) {
            Handled::Quit => return DisconnectReason::Wish,
            // Who sends too fast is read later. Its deliveries go on meanwhile; that it leaves is
            // noticed behind what it has sent.
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
            Box::pin(timeout(place.room.limits().ping_timeout, incoming.read())).await
        } else {
            Ok(incoming.read().await)
        };
        match read {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return DisconnectReason::Wish,
            Ok(Err(error)) => return error.into(),
            Err(_) => return DisconnectReason::TimedOut,
        }
    }
}

/// Takes what the room has for a member to its socket, until there will never be anything more.
///
/// Can be cancelled and called again: the cursor says what has been taken.
async fn deliver<S: Stream>(
    outgoing: &mut Outgoing<'_, S>,
    place: &Place<'_>,
) -> Result<(), DisconnectReason> {
    loop {
        let mut wrote = poll_fn(|context| outgoing.poll_deliver(context, place.id, place.room)).await?;
        if wrote == Wrote::Nothing {
            // Only a socket that does not take at once what there is needs a timer.
            let writable = poll_fn(|context| match outgoing.poll_deliver(context, place.id, place.room) {
                Poll::Ready(Ok(Wrote::Nothing)) => Poll::Pending,
                progress => progress,
            });
            let in_time = Box::pin(timeout(place.room.limits().write_timeout, writable)).await;
            wrote = in_time.unwrap_or(Err(DisconnectReason::Stalled))?;
        }
        if wrote == Wrote::Everything {
            return Ok(());
        }
        if wrote == Wrote::Part {
            // Who has much to catch up with must not keep others waiting.
            yield_now().await;
        }
    }
}
