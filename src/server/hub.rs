//! The room as the sessions share it: under its lock, with its readers, its journal and its wake-ups.
//!
//! A change of the room and the line of `server.log` that tells it happen in one critical section,
//! so the order of the log is the order of the room. The lock is never held across an await.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::Config;
use super::admission::{LoginThrottle, Places};
use super::connection::{Connection, Delivered, Outlet, Status, write};
use super::decide::{Decision, decide};
use super::limits::{
    ANSWERS_PAUSE, BACK_PRESSURE_PAUSE, BACK_PRESSURE_PAUSES, DELIVERIES_AT_ONCE, HANDLED_IN_RETENTION,
    Limits, PRIVATE_BYTES, STALLED_PATIENCE,
};
use super::member::Member;
use super::report::{report, report_refusal};
use super::stats::{Counters, Observed, Statistics};
use crate::net::Stream;
use crate::protocol::{Nickname, Notice, Password, Refusal};
use crate::room::{DisconnectReason, Entry, MemberId, Outcome, Position, Reader, Readers, Room};

/// Everything that the sessions of a server share.
pub(super) struct Hub<S> {
    state: Mutex<State<S>>,
    /// Somebody has something to read.
    written: Notify,
    /// The room has ended.
    closing: Notify,
    /// The places of the connections.
    pub(super) places: Places,
    /// Slows down addresses that guess the password.
    pub(super) guesses: LoginThrottle,
    config: Config,
}

struct State<S> {
    room: Room,
    readers: Readers<Outlet<S>>,
    walk: Walk,
    /// Readers to be served apart from the walk.
    due: Vec<MemberId>,
    counters: Counters,
    history_lines: usize,
}

/// The walk over all readers that follows each change of the transcript.
#[derive(Default)]
struct Walk {
    /// Every reader was offered the transcript up to here.
    offered: Position,
    /// The end of the walk that is under way, and the member whose turn is next.
    under_way: Option<(Position, MemberId)>,
}

/// The result of handling the messages of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// All are done.
    All,
    /// Enough was said that the listeners have their turn before the rest.
    Some,
    /// The member sends too fast, or does not take the answers: the rest waits for this long.
    Slowed(Duration),
    /// The member wishes to leave.
    Quit,
}

impl<S: Stream> Hub<S> {
    pub(super) fn new(config: Config) -> Self {
        let state = State {
            room: Room::new(config.limits.retention_bytes),
            readers: Readers::new(PRIVATE_BYTES),
            walk: Walk::default(),
            due: Vec::new(),
            counters: Counters::default(),
            history_lines: config.history_lines,
        };
        Self {
            state: Mutex::new(state),
            written: Notify::new(),
            closing: Notify::new(),
            places: Places::default(),
            guesses: LoginThrottle::default(),
            config,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    pub(super) fn password(&self) -> Option<&Password> {
        self.config.password.as_ref()
    }

    /// Lets somebody in. Their lines go to `outlet`.
    pub(super) fn join(
        &self,
        nickname: &Nickname,
        peer: SocketAddr,
        outlet: Outlet<S>,
    ) -> Result<MemberId, Refusal> {
        let entry = Entry::Join { nickname: nickname.clone(), from: peer };
        self.change(|state| {
            let joining = state.room.transcript().end();
            match state.apply(&entry) {
                Outcome::Joined(id) => {
                    let cursor = state.room.transcript().lines_before(joining, state.history_lines);
                    state.readers.add(id, cursor, outlet);
                    state.tell(id, &Notice::Connected);
                    Ok(id)
                }
                Outcome::Refused(refusal) => Err(refusal),
                other => unreachable!("a joining comes to {other:?}"),
            }
        })
    }

    /// Handles the messages that have come from a member.
    pub(super) fn handle_messages(&self, member: &mut Member, connection: &mut Connection<S>) -> Handled {
        let Connection { decoder, peer, .. } = connection;
        let rate = self.limits().rate;
        let at_once_bytes = (self.limits().retention_bytes / HANDLED_IN_RETENTION) as u64;
        let now = Instant::now();
        self.change(|state| {
            let end = state.room.transcript().end();
            let handled = loop {
                if !state.readers.may_be_told_more(member.id) {
                    break Handled::Slowed(ANSWERS_PAUSE);
                }
                let wait = member.rate_limiter.wait(rate, now);
                if !wait.is_zero() {
                    break Handled::Slowed(wait);
                }
                if state.room.transcript().end() - end > at_once_bytes {
                    break Handled::Some;
                }
                let Some(message) = decoder.next_message() else { break Handled::All };
                member.rate_limiter.take(rate, now);
                if state.handle(member, *peer, message).is_break() {
                    break Handled::Quit;
                }
            };
            let retained_bytes = state.room.transcript().retained_bytes();
            debug!(%peer, retained_bytes, ?handled, "handled");
            handled
        })
    }

    /// Tells everyone that a member is gone. It is still sent everything that came before.
    pub(super) fn leave(&self, member: MemberId, reason: DisconnectReason) {
        self.change(|state| {
            let until = state.room.transcript().end();
            if let Outcome::Left(_) = state.apply(&Entry::Leave { member, reason }) {
                state.counters.count_eviction(reason);
                state.readers.end(member, until);
                state.due.push(member);
            }
        });
    }

    /// Drops the lines that a member that has left could still read.
    pub(super) fn forget(&self, member: MemberId) {
        self.lock().readers.remove(member);
    }

    /// Ends the room: every member is told, and is sent everything that came before.
    pub(super) fn close(&self) {
        self.change(|state| {
            let until = state.room.transcript().end();
            let Outcome::Closed(members) = state.apply(&Entry::Close) else { return };
            for (member, _) in members {
                state.tell(member, &Notice::ShuttingDown);
                state.readers.end(member, until);
            }
        });
        self.closing.notify_waiters();
    }

    /// Waits until the room has ended.
    pub(super) async fn closed(&self) {
        // Made before looking, so that an end in between is not missed.
        let closing = self.closing.notified();
        if !self.lock().room.is_closed() {
            closing.await;
        }
    }

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
    pub(super) fn poll_deliveries(&self, id: MemberId, context: &Context<'_>) -> Status {
        let State { room, readers, due, counters, .. } = &mut *self.lock();
        let status = readers.visit_one(id, |reader| {
            reader.outlet.session.clone_from(context.waker());
            if let Status::Blocked(_) = reader.outlet.status
                && let Delivered::Part = write(reader, room.transcript(), &mut counters.taken_bytes)
            {
                due.push(id);
                self.written.notify_one();
            }
            reader.outlet.status
        });
        status.unwrap_or(Status::Ended(Ok(())))
    }

    /// Whether somebody who reads is more than half of the retention behind.
    pub(super) fn somebody_is_far_behind(&self) -> bool {
        let far_bytes = self.limits().retention_bytes as u64 / 2;
        let State { room, readers, .. } = &mut *self.lock();
        readers.somebody_is_behind_by(
            far_bytes,
            room.transcript().end(),
            |outlet| matches!(outlet.status, Status::Blocked(since) if since.elapsed() > STALLED_PATIENCE),
        )
    }

    /// Slows a sender down for a bounded moment while somebody who reads is far behind: a burst is
    /// not a reason to lose anybody, and a member that reads nothing is not a reason to slow anybody
    /// down.
    pub(super) async fn back_pressure(&self) {
        debug!("back-pressure");
        for _ in 0..BACK_PRESSURE_PAUSES {
            sleep(BACK_PRESSURE_PAUSE).await;
            if !self.somebody_is_far_behind() {
                return;
            }
        }
    }

    /// Counts something that was refused, for the operator.
    pub(super) fn count_refusal(&self, cause: &'static str) {
        self.lock().counters.count_refusal(cause);
    }

    /// Changes the room, and wakes the deliveries if there is something to write.
    fn change<T>(&self, change: impl FnOnce(&mut State<S>) -> T) -> T {
        let mut state = self.lock();
        let begin = state.room.transcript().begin();
        let changed = change(&mut state);
        if state.room.transcript().begin() != begin {
            state.drop_the_blocked_that_fell_behind();
        }
        if state.has_something_to_deliver() {
            self.written.notify_one();
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // A session that panics while it holds the lock leaves the room consistent: each change of it is
        // complete before the next begins.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Stream> Observed for Hub<S> {
    fn statistics(&self, connections: usize) -> Statistics {
        let State { room, readers, counters, .. } = &*self.lock();
        let position_bytes = room.transcript().end();
        Statistics {
            connections,
            members: room.nicknames().len(),
            counters: counters.clone(),
            position_bytes,
            largest_lag_bytes: readers.largest_lag_bytes(position_bytes),
        }
    }
}

impl<S: Stream> State<S> {
    /// Handles one message; breaks if the member wishes to leave.
    fn handle(
        &mut self,
        member: &mut Member,
        peer: SocketAddr,
        message: Result<&str, Refusal>,
    ) -> ControlFlow<()> {
        let may_be_told_more = |id| self.readers.may_be_told_more(id);
        match decide(&self.room, may_be_told_more, member.id, &member.chosen, message) {
            Decision::Ignore => {}
            Decision::Answer(notice) => {
                member.pings |= matches!(notice, Notice::Pong(..));
                let at = self.room.transcript().end();
                self.readers.tell(member.id, at, &notice);
                self.counters.count_deliveries(1);
                self.due.push(member.id);
            }
            Decision::Refuse(refusal) => self.refuse(member.id, peer, refusal),
            Decision::Commit(entry) => match self.apply(&entry) {
                Outcome::Refused(refusal) => self.refuse(member.id, peer, refusal),
                Outcome::Whispered { from, to } => self.deliver_whisper(&entry, &from, &to),
                _ => {}
            },
            Decision::Quit => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Applies an entry to the room, and reports the outcome.
    fn apply(&mut self, entry: &Entry<'_>) -> Outcome {
        let end = self.room.transcript().end();
        let outcome = self.room.apply(entry);
        report(entry, &outcome);
        if self.room.transcript().end() != end {
            self.counters.lines += 1;
            self.counters.count_deliveries(self.room.nicknames().len());
        }
        outcome
    }

    fn deliver_whisper(&mut self, entry: &Entry<'_>, from: &Nickname, addressee: &Nickname) {
        let Entry::Whisper { member, to, text } = entry else { return };
        self.tell(*to, &Notice::WhisperFrom(from, *text));
        self.tell(*member, &Notice::WhisperTo(addressee, *text));
    }

    fn refuse(&mut self, member: MemberId, peer: SocketAddr, refusal: Refusal) {
        self.counters.count_refusal(refusal.cause());
        self.tell(member, &Notice::NotSent(refusal));
        if let Some(nickname) = self.room.nickname(member) {
            report_refusal(nickname, peer, refusal);
        }
    }

    /// Tells one member something, after everything that has been said so far.
    fn tell(&mut self, id: MemberId, notice: &Notice<'_>) {
        self.readers.tell(id, self.room.transcript().end(), notice);
        self.counters.count_deliveries(1);
        self.due.push(id);
    }

    fn has_something_to_deliver(&self) -> bool {
        !self.due.is_empty()
            || self.walk.under_way.is_some()
            || self.walk.offered != self.room.transcript().end()
    }

    /// Serves the readers that are due, and up to [`DELIVERIES_AT_ONCE`] members of the walk. Returns whether
    /// there is more to do.
    fn deliver(&mut self) -> bool {
        let State { room, readers, walk, due, counters, .. } = self;
        let transcript = room.transcript();
        let mut serve = |id, reader: &mut Reader<Outlet<S>>, due: &mut Vec<_>| {
            if reader.outlet.status == Status::Ready
                && write(reader, transcript, &mut counters.taken_bytes) == Delivered::Part
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
        let (goal, next) = walk.under_way.unwrap_or((transcript.end(), MemberId::FIRST));
        if goal != walk.offered {
            match readers.visit(next, DELIVERIES_AT_ONCE, |id, reader| serve(id, reader, due)) {
                Some(next) => walk.under_way = Some((goal, next)),
                None => *walk = Walk { offered: goal, under_way: None },
            }
        }
        self.has_something_to_deliver()
    }

    /// Blocked readers are not served, so nobody else would notice that the transcript has passed them.
    fn drop_the_blocked_that_fell_behind(&mut self) {
        let transcript = self.room.transcript();
        self.readers.visit(MemberId::FIRST, usize::MAX, |_, reader| {
            if matches!(reader.outlet.status, Status::Blocked(_)) && reader.has_fallen_behind(transcript) {
                reader.outlet.end(Err(DisconnectReason::TooSlow));
            }
        });
    }
}
