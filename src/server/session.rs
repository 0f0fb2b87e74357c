//! One connection, from its first byte to its last.
//!
//! A connection shakes hands ([`shake_hands`]). Then [`Input::listen`] brings the member's messages to the
//! room, while [`Deliveries::done`] watches over the deliveries to the member: the hub writes, and the session
//! waits for sockets that are full. Neither waits for the other.
//!
//! A session takes as much memory as its largest state, and most of its life it is idle. Anything larger than
//! that is therefore boxed while it lasts: timers, answers to a nickname, the end.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::admission::Place;
use super::connection::{Connection, Ending, Status, reason};
use super::handshake::{Newcomer, shake_hands};
use super::hub::{Handled, Hub};
use super::member::Member;
use crate::net::Stream;
use crate::room::{Attachment, DisconnectReason};

/// Serves a connection until it ends, for whatever reason.
pub(super) fn run<S: Stream>(stream: S, peer: SocketAddr, hub: Arc<Hub<S>>) -> impl Future<Output = ()> {
    let mut newcomer = Newcomer::new(stream, peer, hub);
    // What an `async fn` is given it stores twice.
    async move {
        debug!(peer = %newcomer.connection.peer, "accepted");
        let shaken = shake_hands(&mut newcomer).await;
        let ending = {
            let mut session = shaken.map(|member| Session::of(&mut newcomer, member));
            match &mut session {
                Ok(session) => session.converse().await,
                Err(ending) => *ending,
            }
        };
        let Newcomer { connection, place, .. } = &mut newcomer;
        if ending == Ending::InOrder {
            Box::pin(close(connection, place)).await;
        }
        debug!(peer = %connection.peer, "closed");
    }
}

/// A connection that belongs to a member.
struct Session<'a, S: Stream> {
    input: Input<'a, S>,
    deliveries: Deliveries<'a, S>,
}

/// What comes from a member.
struct Input<'a, S> {
    hub: &'a Hub<S>,
    connection: &'a mut Connection<S>,
    member: Member,
}

/// What goes to a member. When this is dropped, however the session ends, the member is gone from the readers.
struct Deliveries<'a, S: Stream> {
    hub: &'a Hub<S>,
    attachment: Attachment,
}

impl<'a, S: Stream> Session<'a, S> {
    fn of(newcomer: &'a mut Newcomer<S>, member: Member) -> Self {
        let Newcomer { connection, hub, .. } = newcomer;
        let deliveries = Deliveries { hub, attachment: member.attachment };
        Self { input: Input { hub, connection, member }, deliveries }
    }

    /// Lets the member talk until it leaves, and sees it off.
    async fn converse(&mut self) -> Ending {
        let reason = tokio::select! {
            biased;
            reason = self.input.listen() => reason,
            done = self.deliveries.done() => done.err().unwrap_or(DisconnectReason::ServerStopped),
        };
        self.deliveries.hub.part(self.deliveries.attachment, self.input.connection.peer.ip(), reason);
        match reason {
            DisconnectReason::Quit | DisconnectReason::Closed | DisconnectReason::ServerStopped => {
                let rest = timeout(self.deliveries.hub.limits().shutdown_grace, self.deliveries.done());
                if let Ok(Ok(())) = Box::pin(rest).await { Ending::InOrder } else { Ending::Broken }
            }
            _ => Ending::Broken,
        }
    }
}

impl<S: Stream> Input<'_, S> {
    /// Brings the member's messages to the room.
    async fn listen(&mut self) -> DisconnectReason {
        loop {
            if self.hub.somebody_is_far_behind() {
                Box::pin(self.hub.back_pressure()).await;
            }
            if let Some(wait) = self.handle_messages() {
                wait.await;
                continue;
            }
            if self.member.quits {
                return DisconnectReason::Quit;
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
                Ok(Ok(false)) => return DisconnectReason::Closed,
                Ok(Err(error)) => return reason(&error),
                Err(_) => return DisconnectReason::TimedOut,
            }
        }
    }

    /// Handles the messages that have come. Returns what is to be waited for before the rest is handled, if there is one.
    fn handle_messages(&mut self) -> Option<Wait<'_>> {
        let Self { hub, connection, member } = self;
        match hub.handle_messages(member, connection) {
            Handled::All => None,
            Handled::Some => Some(Box::pin(yield_now())),
            Handled::Held => Some(Box::pin(hub.takes_more())),
            Handled::Asked(question) => Some(Box::pin(hub.answer(question, member, connection.peer))),
            // Fast senders are read later. Their deliveries go on meanwhile; that such a member has left is noticed
            // only after its messages.
            Handled::Slowed(pause) => Some(Box::pin(sleep(pause))),
        }
    }
}

/// A wait that makes the session no larger.
type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<S: Stream> Deliveries<'_, S> {
    /// Waits until everything that there will ever be for a member is written, or cannot be.
    ///
    /// It can be cancelled and called again: the cursor says how much was taken.
    async fn done(&self) -> Result<(), DisconnectReason> {
        let poll = |context: &Context<'_>| self.hub.poll_deliveries(self.attachment, context);
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
            if Box::pin(timeout(self.hub.limits().write_timeout, writable)).await.is_err() {
                return Err(DisconnectReason::Stalled);
            }
        }
    }
}

impl<S: Stream> Drop for Deliveries<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It leaves at once, so its address does not matter.
            let address = Ipv4Addr::UNSPECIFIED.into();
            self.hub.part(self.attachment, address, DisconnectReason::InternalError);
        }
        self.hub.forget(self.attachment);
    }
}

/// Closes a connection in order, unless another one needs its place first.
async fn close<S: Stream>(connection: &mut Connection<S>, place: &Place) {
    tokio::select! {
        biased;
        () = place.gives_way() => {}
        () = connection.close() => {}
    }
}
