//! The room as the sessions share it: under its lock, with its readers, its journal and its wake-ups.
//!
//! A change of the room and the line of `server.log` that tells it happen in one critical section,
//! so the order of the log is the order of the room. The lock is never held across an await.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::Config;
use super::admission::{LoginThrottle, Places};
use super::ask::Question;
use super::clock::Clock;
use super::connection::{Connection, Outlet, Status};
use super::decide::{Decision, decide};
use super::durable::Unstored;
use super::grace::{Grants, Offer, Timers};
use super::limits::{
    ANSWERS_PAUSE, BACK_PRESSURE_PAUSE, BACK_PRESSURE_PAUSES, HANDLED_IN_RETENTION, Limits, PRIVATE_BYTES,
    QUESTIONS_AT_ONCE, STALLED_PATIENCE,
};
use super::member::Member;
use super::stats::{Counters, Observed, Statistics};
use crate::commit_log::Find;
use crate::net::Stream;
use crate::protocol::{Nickname, Notice, Numbered, Password, Refusal, SessionNotice, Timestamp};
use crate::room::{Attachment, DisconnectReason, Entry, Origin, Outcome, Position, Readers, Room};

/// Everything that the sessions of a server share.
pub(super) struct Hub<S> {
    state: Mutex<State<S>>,
    /// Somebody has something to read.
    pub(super) written: Notify,
    /// The room has changed, and the log does not have that yet.
    pub(super) unstored: Notify,
    /// The log has more than before.
    pub(super) stored: Notify,
    /// Looks into the log, if there is one.
    pub(super) finder: Option<Arc<dyn Find>>,
    /// The turns of those who ask what was said.
    pub(super) questions: Semaphore,
    /// The server ends.
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
    /// What the log does not have yet, if there is one.
    pub(super) unstored: Option<Box<Unstored>>,
    /// The time by the clock on the wall, as of the latest change.
    pub(super) time: Timestamp,
    pub(super) readers: Readers<Outlet<S>>,
    pub(super) timers: Timers,
    pub(super) walk: Walk,
    /// Readers to be served apart from the walk.
    pub(super) due: Vec<Attachment>,
    pub(super) counters: Counters,
    /// Nobody joins any more.
    closed: bool,
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
#[derive(Debug)]
pub(super) enum Handled {
    /// All that are to be handled.
    All,
    /// Enough was said that the listeners have their turn before the rest.
    Some,
    /// The rest waits until the log takes more.
    Held,
    /// The member sends too fast, or does not take the answers: the rest waits for this long.
    Slowed(Duration),
    /// The rest waits until this is answered.
    Asked(Question),
}

impl<S: Stream> Hub<S> {
    /// The hub of a room, and what its log does not have yet and can be asked, if there is one.
    pub(super) fn new(
        config: Config,
        grants: Grants,
        room: Room,
        log: Option<(Unstored, Arc<dyn Find>)>,
    ) -> Self {
        let (unstored, finder) = log.unzip();
        let walk = Walk { offered: room.transcript().end(), under_way: None };
        let state = State {
            room,
            unstored: unstored.map(Box::new),
            time: Timestamp::default(),
            readers: Readers::new(PRIVATE_BYTES),
            timers: Timers::default(),
            walk,
            due: Vec::new(),
            counters: Counters::default(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            written: Notify::new(),
            unstored: Notify::new(),
            stored: Notify::new(),
            finder,
            questions: Semaphore::new(QUESTIONS_AT_ONCE),
            closing: Notify::new(),
            timed: Notify::new(),
            grants,
            places: Arc::default(),
            guesses: LoginThrottle::default(),
            config,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.config.clock
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
            if state.closed {
                return Err(Refusal::Closed);
            }
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
        let Connection { decoder, peer, framing, .. } = connection;
        let rate = self.limits().rate;
        let at_once_bytes = (self.limits().retention_bytes / HANDLED_IN_RETENTION) as u64;
        let now = Instant::now();
        self.change(|state| {
            let end = state.room.transcript().end();
            let handled = loop {
                if decoder.held_bytes() > 0 && state.is_held(member.attachment) {
                    break Handled::Held;
                }
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
                member.rate_limiter.take(1, rate, now);
                let offered = self.grants.offered_to(*peer, *framing);
                if let ControlFlow::Break(handled) = state.handle(member, *peer, message, offered) {
                    break handled;
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

    /// Ends the server: every member is told, and is sent everything that came before.
    pub(super) fn close(&self) {
        self.change(|state| {
            state.closed = true;
            let until = state.room.transcript().end();
            for attachment in state.part_from_all(state.unstored.is_some()) {
                state.tell_connection(attachment, &Notice::Session(SessionNotice::ShuttingDown));
                state.readers.end(attachment, until);
            }
        });
        self.closing.notify_waiters();
        self.places.close();
    }

    /// Whether the server ends.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until the server ends.
    pub(super) async fn closed(&self) {
        // Made before looking, so that an end in between is not missed.
        let closing = self.closing.notified();
        if !self.lock().closed {
            closing.await;
        }
    }

    /// Whether somebody who reads is more than half of the retention behind.
    pub(super) fn somebody_is_far_behind(&self) -> bool {
        let far_bytes = self.limits().retention_bytes as u64 / 2;
        let state = &mut *self.lock();
        let shown = state.shown();
        state.readers.somebody_is_behind_by(
            far_bytes,
            shown,
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
        state.time = self.config.clock.now();
        let (begin, last) = (state.room.transcript().begin(), state.now().record);
        let changed = change(&mut state);
        if state.now().record != last {
            self.unstored.notify_one();
        }
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
    /// Handles one message; breaks if the next one must wait, or the member wishes to leave.
    fn handle(
        &mut self,
        member: &mut Member,
        peer: SocketAddr,
        message: Result<&str, Refusal>,
        offered: Result<Offer<'_>, Refusal>,
    ) -> ControlFlow<Handled> {
        let Member { attachment, chosen, .. } = &*member;
        let (number, line) = match message.and_then(Numbered::parse) {
            Ok(Numbered { number, line }) => (number, Ok(line)),
            Err(refusal) => (None, Err(refusal)),
        };
        let by = Origin { attachment: *attachment, number };
        let may_be_told_more = |id| self.readers.may_be_told_more(self.room.attachment(id));
        match decide(&self.room, may_be_told_more, by, chosen, line) {
            Decision::Commit(entry) => match self.apply(&entry) {
                Outcome::Refused(refusal) => self.refused(by.attachment, peer, refusal),
                Outcome::Whispered { from, to } => self.deliver_whisper(&entry, &from, &to),
                _ => {}
            },
            Decision::Ignore => self.answer(by, ""),
            Decision::Answer(notice) => {
                let is_pong = matches!(notice, Notice::Pong(..));
                member.pings |= is_pong;
                let notice = notice.to_string();
                if is_pong && number.is_none() {
                    self.tell_connection(by.attachment, &notice);
                } else {
                    self.answer(by, &notice);
                }
            }
            Decision::Refuse(refusal) => self.refuse(by, peer, refusal),
            Decision::Ask(query) => {
                return ControlFlow::Break(Handled::Asked(Question { by, query }));
            }
            Decision::Begin => match offered {
                Ok(offer) => self.begin_session(by, peer, &offer),
                Err(refusal) => self.refuse(by, peer, refusal),
            },
            Decision::Quit => {
                self.answer(by, "");
                member.quits = true;
                return ControlFlow::Break(Handled::All);
            }
        }
        ControlFlow::Continue(())
    }

    /// Applies an entry to the room, and reports or records the outcome.
    pub(super) fn apply(&mut self, entry: &Entry<'_>) -> Outcome {
        let end = self.room.transcript().end();
        let outcome = self.room.apply(self.time, entry);
        self.record(end, entry, &outcome);
        if self.room.transcript().end() != end {
            self.counters.lines += 1;
            self.counters.count_deliveries(self.room.members().len());
        }
        outcome
    }

    /// Parts from all members: if sessions go on, those with one may come back. Everyone else leaves. Returns who they
    /// were.
    pub(super) fn part_from_all(&mut self, sessions_go_on: bool) -> Vec<Attachment> {
        let members = self.room.members().map(|(member, _)| self.room.attachment(member));
        let members: Vec<_> = members.collect();
        let reason = DisconnectReason::ServerStopped;
        for &attachment in &members {
            let stays = sessions_go_on && self.room.progress(attachment.member).is_some();
            self.apply(&if stays {
                Entry::Detach { attachment, reason }
            } else {
                Entry::Leave { attachment, reason }
            });
        }
        members
    }
}
