//! The room as the sessions share it: under its lock, with its readers, its journal and its wake-ups.
//!
//! A change of the room and the line of `server.log` that tells it happen in one critical section,
//! so the order of the log is the order of the room. The lock is never held across an await.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::Config;
use super::admission::{LoginThrottle, Places};
use super::connection::{Connection, Outlet, Status};
use super::decide::{Decision, decide};
use super::grace::{Grants, Timers};
use super::limits::{
    ANSWERS_PAUSE, BACK_PRESSURE_PAUSE, BACK_PRESSURE_PAUSES, HANDLED_IN_RETENTION, KEPT_PRIVATE_BYTES,
    Limits, PRIVATE_BYTES, STALLED_PATIENCE,
};
use super::member::Member;
use super::report::{report, report_refusal};
use super::stats::{Counters, Observed, Statistics};
use crate::net::Stream;
use crate::protocol::{Nickname, Notice, Numbered, Password, Refusal};
use crate::room::{Attachment, Entry, Kept, MemberId, Origin, Outcome, Position, Readers, Room};

/// Everything that the sessions of a server share.
pub(super) struct Hub<S> {
    state: Mutex<State<S>>,
    /// Somebody has something to read.
    pub(super) written: Notify,
    /// The room has ended.
    closing: Notify,
    /// The timers of the sessions have changed.
    pub(super) timed: Notify,
    /// The sessions that it gives.
    pub(super) grants: Grants,
    /// The places of the connections.
    pub(super) places: Arc<Places>,
    /// Slows down addresses that guess the password.
    pub(super) guesses: LoginThrottle,
    config: Config,
}

pub(super) struct State<S> {
    pub(super) room: Room,
    pub(super) readers: Readers<Outlet<S>>,
    /// The private lines of sessions that have any.
    pub(super) kept: BTreeMap<MemberId, Kept>,
    pub(super) timers: Timers,
    pub(super) walk: Walk,
    /// Readers to be served apart from the walk.
    pub(super) due: Vec<Attachment>,
    pub(super) counters: Counters,
}

/// The walk over all readers that follows each change of the transcript.
#[derive(Default)]
pub(super) struct Walk {
    /// Every reader was offered the transcript up to here.
    pub(super) offered: Position,
    /// The end of the walk that is under way, and the member whose turn is next.
    pub(super) under_way: Option<(Position, Attachment)>,
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
    /// `encrypted`: so are all connections.
    pub(super) fn new(config: Config, encrypted: bool) -> Self {
        let state = State {
            room: Room::new(config.limits.retention_bytes),
            readers: Readers::new(PRIVATE_BYTES),
            kept: BTreeMap::new(),
            timers: Timers::default(),
            walk: Walk::default(),
            due: Vec::new(),
            counters: Counters::default(),
        };
        Self {
            state: Mutex::new(state),
            written: Notify::new(),
            closing: Notify::new(),
            timed: Notify::new(),
            grants: Grants::new(config.sessions.clone(), encrypted),
            places: Arc::default(),
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
    ) -> Result<Attachment, Refusal> {
        let entry = Entry::Join { nickname: nickname.clone(), from: peer };
        self.change(|state| {
            let joining = state.room.transcript().end();
            match state.apply(&entry) {
                Outcome::Joined(attachment) => {
                    let cursor = state.room.transcript().lines_before(joining, self.config.history_lines);
                    state.readers.add(attachment, cursor, outlet);
                    state.tell_connection(attachment, &Notice::Connected);
                    Ok(attachment)
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
                if !state.readers.may_be_told_more(member.attachment) {
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
                if state.handle(member, *peer, message, &self.grants).is_break() {
                    break Handled::Quit;
                }
            };
            let retained_bytes = state.room.transcript().retained_bytes();
            debug!(%peer, retained_bytes, ?handled, "handled");
            handled
        })
    }

    /// Drops the lines that a member that has left could still read.
    pub(super) fn forget(&self, attachment: Attachment) {
        self.lock().readers.remove(attachment);
    }

    /// Ends the room: every member is told, and is sent everything that came before.
    pub(super) fn close(&self) {
        self.change(|state| {
            let until = state.room.transcript().end();
            let Outcome::Closed(members) = state.apply(&Entry::Close) else { return };
            for (attachment, _) in members {
                state.tell_connection(attachment, &Notice::ShuttingDown);
                state.readers.end(attachment, until);
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
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State<S>) -> T) -> T {
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State<S>> {
        // A session that panics while it holds the lock leaves the room consistent: each change of it is
        // complete before the next begins.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Stream> Observed for Hub<S> {
    fn statistics(&self, connections: usize) -> Statistics {
        let State { room, readers, timers, counters, .. } = &*self.lock();
        let position_bytes = room.transcript().end();
        Statistics {
            connections,
            members: room.members().len(),
            away: timers.away(),
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
        grants: &Grants,
    ) -> ControlFlow<()> {
        let Member { attachment, chosen, .. } = &*member;
        let (number, line) = match message.and_then(Numbered::parse) {
            Ok(Numbered { number, line }) => (number, Ok(line)),
            Err(refusal) => (None, Err(refusal)),
        };
        let by = Origin { attachment: *attachment, number };
        let may_be_told_more = |id| self.readers.may_be_told_more(self.room.attachment(id));
        match decide(&self.room, may_be_told_more, by, chosen, line) {
            Decision::Commit(entry) => {
                match self.apply(&entry) {
                    Outcome::Refused(refusal) => self.refuse(by.attachment, peer, refusal),
                    Outcome::Whispered { from, to } => self.deliver_whisper(&entry, &from, &to),
                    _ => {}
                }
                return ControlFlow::Continue(());
            }
            Decision::Ignore => {}
            Decision::Answer(notice) => {
                let is_heartbeat = matches!(notice, Notice::Pong(..)) && number.is_none();
                member.pings |= matches!(notice, Notice::Pong(..));
                let notice = notice.to_string();
                if is_heartbeat {
                    self.tell_connection(by.attachment, &notice);
                } else {
                    self.tell(by.attachment.member, &notice);
                }
            }
            Decision::Refuse(refusal) => self.refuse(by.attachment, peer, refusal),
            Decision::Begin => self.begin_session(by.attachment, peer, grants),
            Decision::Quit => {
                self.room.apply(&Entry::Note { by });
                return ControlFlow::Break(());
            }
        }
        if number.is_some() {
            self.room.apply(&Entry::Note { by });
        }
        ControlFlow::Continue(())
    }

    /// Applies an entry to the room, and reports the outcome.
    pub(super) fn apply(&mut self, entry: &Entry<'_>) -> Outcome {
        let end = self.room.transcript().end();
        let outcome = self.room.apply(entry);
        report(entry, &outcome);
        if self.room.transcript().end() != end {
            self.counters.lines += 1;
            self.counters.count_deliveries(self.room.members().len());
        }
        outcome
    }

    fn deliver_whisper(&mut self, entry: &Entry<'_>, from: &Nickname, addressee: &Nickname) {
        let Entry::Whisper { by, to, text } = entry else { return };
        self.tell(*to, &Notice::WhisperFrom(from, *text));
        self.tell(by.attachment.member, &Notice::WhisperTo(addressee, *text));
    }

    pub(super) fn refuse(&mut self, attachment: Attachment, peer: SocketAddr, refusal: Refusal) {
        self.counters.count_refusal(refusal.cause());
        self.tell(attachment.member, &Notice::NotSent(refusal));
        if let Some(nickname) = self.room.nickname(attachment.member) {
            report_refusal(nickname, peer, refusal);
        }
    }

    /// Tells one member something, after everything that has been said so far. It is kept for a session.
    fn tell(&mut self, member: MemberId, notice: &impl fmt::Display) {
        if self.room.progress(member).is_some() {
            let kept = self.kept.entry(member).or_default();
            let at = self.room.transcript().end();
            notice.to_string().lines().for_each(|line| kept.push(at, line, KEPT_PRIVATE_BYTES));
        }
        self.tell_connection(self.room.attachment(member), notice);
    }

    /// The same for something that is of no use in another connection.
    pub(super) fn tell_connection(&mut self, attachment: Attachment, notice: &impl fmt::Display) {
        self.readers.tell(attachment, self.room.transcript().end(), notice);
        self.counters.count_deliveries(1);
        self.due.push(attachment);
    }
}
