//! One connection, from its first byte to its last.
//!
//! A connection registers ([`handshake`]). Then [`Session::listen`] brings the member's
//! messages to the room, while [`delivered`] watches over the deliveries to the member: the hub
//! writes, and the session waits for sockets that are full. Neither waits for the other.
//!
//! A session takes as much memory as its largest state, and most of its life it is idle. Anything
//! larger than that is therefore boxed while it lasts: answers to a nickname, timers, the end. An
//! `async fn` stores its arguments twice, so each takes few.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::admission::Place;
use super::connection::{Connection, Ending, Status, reason};
use super::handshake;
use super::hub::{Handled, Hub};
use super::member::Member;
use crate::net::Stream;
use crate::room::{DisconnectReason, MemberId};

/// Serves a connection until it ends, for whatever reason.
pub(super) fn run<S: Stream>(stream: S, peer: SocketAddr, hub: Arc<Hub<S>>) -> impl Future<Output = ()> {
    let mut connection = Connection::new(stream, peer);
    async move {
        debug!(peer = %connection.peer, "accepted");
        // Counted here and not where it was accepted: by now every session that was started before has
        // noticed whether its peer is gone already.
        let (mut place, refusal) = hub.places.enter(connection.peer.ip(), hub.limits());
        let ending = match refusal {
            Some(refusal) => Box::pin(handshake::turn_away(&mut connection, &hub, &place, refusal)).await,
            None => match &mut Box::pin(handshake::admit(&mut connection, &hub, &mut place)).await {
                Ok(member) => Session { connection: &mut connection, member, hub: &hub }.converse().await,
                Err(ending) => *ending,
            },
        };
        if ending == Ending::InOrder {
            Box::pin(close(&mut connection, &place)).await;
        }
        debug!(peer = %connection.peer, "closed");
    }
}

/// Closes a connection in order, unless another one needs its place first.
async fn close<S: Stream>(connection: &mut Connection<S>, place: &Place<'_>) {
    tokio::select! {
        biased;
        () = place.gives_way() => {}
        () = connection.close() => {}
    }
}

/// A connection that belongs to a member.
struct Session<'a, S> {
    connection: &'a mut Connection<S>,
    member: &'a mut Member,
    hub: &'a Hub<S>,
}

impl<S: Stream> Session<'_, S> {
    /// Lets the member talk until it leaves, and sees it off.
    async fn converse(mut self) -> Ending {
        let membership = Membership { id: self.member.id, hub: self.hub };
        let reason = tokio::select! {
            biased;
            reason = self.listen() => reason,
            delivered = delivered(&membership) => match delivered {
                Ok(()) => DisconnectReason::ServerStopped,
                Err(reason) => reason,
            },
        };
        membership.hub.leave(membership.id, reason);
        match reason {
            DisconnectReason::Quit | DisconnectReason::ServerStopped => {
                let rest = timeout(membership.hub.limits().shutdown_grace, delivered(&membership));
                if let Ok(Ok(())) = Box::pin(rest).await { Ending::InOrder } else { Ending::Broken }
            }
            _ => Ending::Broken,
        }
    }

    /// Brings the member's messages to the room.
    async fn listen(&mut self) -> DisconnectReason {
        loop {
            if self.hub.somebody_is_far_behind() {
                Box::pin(self.hub.back_pressure()).await;
            }
            match self.hub.handle_messages(self.member, self.connection) {
                Handled::Quit => return DisconnectReason::Quit,
                // Fast senders are read later. Their deliveries go on meanwhile; that such a member has
                // left is noticed only after its messages.
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
            let read = if self.member.pings {
                Box::pin(timeout(self.hub.limits().ping_timeout, self.connection.read())).await
            } else {
                Ok(self.connection.read().await)
            };
            match read {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return DisconnectReason::Quit,
                Ok(Err(error)) => return reason(&error),
                Err(_) => return DisconnectReason::TimedOut,
            }
        }
    }
}

/// Dropped when the session ends, however it ends: the member then is gone from the room and from its
/// readers.
struct Membership<'a, S: Stream> {
    id: MemberId,
    hub: &'a Hub<S>,
}

impl<S: Stream> Drop for Membership<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hub.leave(self.id, DisconnectReason::InternalError);
        }
        self.hub.forget(self.id);
    }
}

/// Waits until everything that there will ever be for a member is written, or cannot be.
///
/// It can be cancelled and called again: the cursor says how much was taken.
async fn delivered<S: Stream>(membership: &Membership<'_, S>) -> Result<(), DisconnectReason> {
    let poll = |context: &Context<'_>| membership.hub.poll_deliveries(membership.id, context);
    loop {
        let status = poll_fn(|context| match poll(context) {
            Status::Ready => Poll::Pending,
            status => Poll::Ready(status),
        });
        if let Status::Ended(how) = status.await {
            return how;
        }
        // Only a blocked socket needs a timer.
        let writable = poll_fn(|context| match poll(context) {
            Status::Blocked(_) => Poll::Pending,
            _ => Poll::Ready(()),
        });
        if Box::pin(timeout(membership.hub.limits().write_timeout, writable)).await.is_err() {
            return Err(DisconnectReason::Stalled);
        }
    }
}
