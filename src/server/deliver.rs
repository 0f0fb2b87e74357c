//! The deliveries of the hub: one task writes to all members.

use std::sync::Arc;
use std::task::Context;

use tokio::task::yield_now;

use super::connection::{Delivered, Outlet, Status, write};
use super::hub::{Hub, State, Walk};
use super::limits::DELIVERIES_AT_ONCE;
use crate::net::Stream;
use crate::room::{Attachment, DisconnectReason, Reader};

impl<S: Stream> Hub<S> {
    /// Writes the members' lines to their sockets, for ever.
    ///
    /// One task does it for all, with one write for each member that is behind. A socket that takes
    /// nothing is left to its session, which waits for it ([`Hub::poll_deliveries`]).
    pub(super) async fn deliver(self: Arc<Self>) {
        loop {
            self.written.notified().await;
            while self.lock().deliver() {
                yield_now().await;
            }
        }
    }

    /// How the deliveries to a member are going: `Ready` while it takes what there is. A socket that
    /// took nothing is offered the rest again, and wakes this task when it takes more.
    pub(super) fn poll_deliveries(&self, id: Attachment, context: &Context<'_>) -> Status {
        let state = &mut *self.lock();
        let horizon = state.horizon();
        let State { room, readers, due, counters, .. } = state;
        let status = readers.visit_one(id, |reader| {
            reader.outlet.session.clone_from(context.waker());
            if let Status::Blocked(_) = reader.outlet.status
                && let Delivered::Part = write(reader, room.transcript(), horizon, &mut counters.taken_bytes)
            {
                due.push(id);
                self.written.notify_one();
            }
            reader.outlet.status
        });
        status.unwrap_or(Status::Ended(Ok(())))
    }
}

impl<S: Stream> State<S> {
    pub(super) fn has_something_to_deliver(&self) -> bool {
        !self.due.is_empty() || self.walk.under_way.is_some() || self.walk.offered != self.shown()
    }

    /// Serves the readers that are due, and up to [`DELIVERIES_AT_ONCE`] members of the walk. Returns whether
    /// there is more to do.
    fn deliver(&mut self) -> bool {
        let (horizon, shown) = (self.horizon(), self.shown());
        let State { room, readers, walk, due, counters, .. } = self;
        let transcript = room.transcript();
        let mut serve = |id, reader: &mut Reader<Outlet<S>>, due: &mut Vec<_>| {
            if reader.outlet.status == Status::Ready
                && write(reader, transcript, horizon, &mut counters.taken_bytes) == Delivered::Part
            {
                due.push(id);
            }
        };
        let served = due.len();
        for index in 0..served {
            let id = due[index];
            readers.visit_one(id, |reader| serve(id, reader, due));
        }
        due.drain(..served);
        let (goal, next) = walk.under_way.unwrap_or((shown, Attachment::FIRST));
        if goal != walk.offered {
            match readers.visit(next, DELIVERIES_AT_ONCE, |id, reader| serve(id, reader, due)) {
                Some(next) => walk.under_way = Some((goal, next)),
                None => *walk = Walk { offered: goal, under_way: None },
            }
        }
        self.has_something_to_deliver()
    }

    /// Blocked readers are not served, so nobody else would notice that the transcript has passed them.
    pub(super) fn drop_the_blocked_that_fell_behind(&mut self) {
        let transcript = self.room.transcript();
        self.readers.visit(Attachment::FIRST, usize::MAX, |_, reader| {
            if matches!(reader.outlet.status, Status::Blocked(_)) && reader.has_fallen_behind(transcript) {
                reader.outlet.end(Err(DisconnectReason::TooSlow));
            }
        });
    }
}
