//! One connection of a member, until it ends.
//!
//! [`listen`] brings the member's messages to the room, while [`delivered`] watches over the
//! deliveries to the member: the hub writes, and the session waits for sockets that are full. Neither waits
//! for the other.
//!
//! A session takes as much memory as its largest state, and most of its life it is idle. Anything larger than
//! that is therefore boxed while it lasts: timers, and the end.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::admission::Place;
use super::connection::{Connection, Ending, Status, reason};
use super::hub::{Handled, Hub};
use super::member::Member;
use crate::net::Stream;
use crate::room::{Attachment, DisconnectReason};

/// A connection that belongs to a member.
///
/// When it is dropped, however that comes, the member is gone from the readers.
pub(super) struct Session<S: Stream> {
    pub(super) connection: Connection<S>,
    pub(super) member: Member,
    pub(super) hub: Arc<Hub<S>>,
    pub(super) place: Place,
}

impl<S: Stream> Session<S> {
    /// Serves the connection until it ends, for whatever reason.
    pub(super) async fn run(mut self) {
        if self.converse().await == Ending::InOrder {
            Box::pin(close(&mut self.connection, &self.place)).await;
        }
        debug!(peer = %self.connection.peer, "closed");
    }

    /// Lets the member talk until it leaves, and sees it off.
    async fn converse(&mut self) -> Ending {
        let Self { connection, member, hub, .. } = self;
        let attachment = member.attachment;
        let reason = tokio::select! {
            biased;
            reason = listen(hub, member, connection) => reason,
            delivered = delivered(hub, attachment) => match delivered {
                Ok(()) => DisconnectReason::ServerStopped,
                Err(reason) => reason,
            },
        };
        hub.part(attachment, reason);
        match reason {
            DisconnectReason::Quit | DisconnectReason::Closed | DisconnectReason::ServerStopped => {
                let rest = timeout(hub.limits().shutdown_grace, delivered(hub, attachment));
                if let Ok(Ok(())) = Box::pin(rest).await { Ending::InOrder } else { Ending::Broken }
            }
            _ => Ending::Broken,
        }
    }
}

impl<S: Stream> Drop for Session<S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hub.part(self.member.attachment, DisconnectReason::InternalError);
        }
        self.hub.forget(self.member.attachment);
    }
}

/// Closes a connection in order, unless another one needs its place first.
pub(super) async fn close<S: Stream>(connection: &mut Connection<S>, place: &Place) {
    tokio::select! {
        biased;
        () = place.gives_way() => {}
        () = connection.close() => {}
    }
}

/// Brings the member's messages to the room.
async fn listen<S: Stream>(
    hub: &Hub<S>,
    member: &mut Member,
    connection: &mut Connection<S>,
) -> DisconnectReason {
    loop {
        if hub.somebody_is_far_behind() {
            Box::pin(hub.back_pressure()).await;
        }
        match hub.handle_messages(member, connection) {
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
        let read = if member.pings {
            Box::pin(timeout(hub.limits().ping_timeout, connection.read())).await
        } else {
            Ok(connection.read().await)
        };
        match read {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return DisconnectReason::Closed,
            Ok(Err(error)) => return reason(&error),
            Err(_) => return DisconnectReason::TimedOut,
        }
    }
}

/// Waits until everything that there will ever be for a member is written, or cannot be.
///
/// It can be cancelled and called again: the cursor says how much was taken.
async fn delivered<S: Stream>(hub: &Hub<S>, attachment: Attachment) -> Result<(), DisconnectReason> {
    let poll = |context: &Context<'_>| hub.poll_deliveries(attachment, context);
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
        if Box::pin(timeout(hub.limits().write_timeout, writable)).await.is_err() {
            return Err(DisconnectReason::Stalled);
        }
    }
}
