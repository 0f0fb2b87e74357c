//! The room as the sessions share it: under its lock, with its wake-up and its journal.
//!
//! Whatever changes the room and the line of `server.log` that says so happen in one critical
//! section, so the order of the log is the order of the room. The lock is never held across an
//! await.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::admission::Addresses;
use super::admission::LoginThrottle;
use super::disconnect_reason::{DisconnectReason, EVICTIONS};
use super::limits::{
    ANSWERS_PAUSE, BACK_PRESSURE_PAUSE, BACK_PRESSURE_PAUSES, HANDLED_IN_RETENTION, Limits, NAMES_LISTED,
    PRIVATE_BYTES, STALLED_PATIENCE, WRITE_BYTES,
};
use super::wake_list::{Added, WakeList};
use super::{Config, Statistics, session::Member};
use crate::net::Peer;
use crate::protocol::{Broadcast, Command, Decoder, Nickname, Notice, Password, Refusal};
use crate::room::{FellBehind, MemberId, Read, Room};

pub(super) struct Hub {
    state: Mutex<State>,
    /// Woken when the room ends.
    closing: Notify,
    /// Where the connections come from.
    pub(super) addresses: Addresses,
    /// And who of them has not known the password.
    pub(super) guesses: LoginThrottle,
    config: Config,
}

struct State {
    room: Room,
    waiting: WakeList,
    /// Those whose sockets take nothing at the moment. Each is woken by its socket, or when the log
    /// no longer holds what comes next for it.
    blocked: BTreeMap<MemberId, Blocked>,
    /// How many members were dropped, by the cause.
    evictions: BTreeMap<&'static str, u64>,
    /// How much was refused, by the cause.
    refusals: BTreeMap<&'static str, u64>,
}

/// A member whose socket takes nothing.
struct Blocked {
    waker: Waker,
    since: Instant,
}

/// What became of the messages of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// All are done.
    All,
    /// So much has been said that those who listen are to have their turn before the others.
    Some,
    /// The member sends too fast, or does not take the answers: some wait for so long.
    Slowed(Duration),
    /// The member wishes to leave.
    Quit,
}

impl Hub {
    pub(super) fn new(config: Config) -> Self {
        let room = Room::new(config.limits.retention_bytes, PRIVATE_BYTES);
        let state = State {
            room,
            waiting: WakeList::default(),
            blocked: BTreeMap::new(),
            evictions: EVICTIONS.iter().filter_map(|departure| Some((departure.eviction()?, 0))).collect(),
            refusals: BTreeMap::new(),
        };
        let state = Mutex::new(state);
        Self {
            state,
            closing: Notify::new(),
            addresses: Addresses::default(),
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

    pub(super) fn join(&self, nickname: &Nickname, peer: SocketAddr) -> Result<MemberId, Refusal> {
        self.change(|state| {
            let id = state.room.join(nickname.clone(), self.config.history_lines)?;
            info!(event = "join", %nickname, %peer, "{nickname} connected from {}", Peer(peer));
            Ok(id)
        })
    }

    /// Does what the messages ask that have come from a member.
    pub(super) fn handle_messages(&self, member: &mut Member<'_>, decoder: &mut Decoder) -> Handled {
        let rate = self.limits().rate;
        let at_once_bytes = (self.limits().retention_bytes / HANDLED_IN_RETENTION) as u64;
        let now = Instant::now();
        self.change(|state| {
            let end = state.room.end();
            let mut handled = Handled::All;
            while handled == Handled::All {
                if !state.room.may_be_told_more(member.id) {
                    handled = Handled::Slowed(ANSWERS_PAUSE);
                } else if !member.rate_limiter.wait(rate, now).is_zero() {
                    handled = Handled::Slowed(member.rate_limiter.wait(rate, now));
                } else if state.room.end() - end > at_once_bytes {
                    handled = Handled::Some;
                } else if let Some(message) = decoder.next_message() {
                    member.rate_limiter.take(rate, now);
                    if obey(state, member, message) == Some(Quit) {
                        handled = Handled::Quit;
                    }
                } else {
                    break;
                }
            }
            debug!(peer = %member.peer, retained_bytes = state.room.retained_bytes(), ?handled, "handled");
            handled
        })
    }

    /// What a member is to be sent next. Where that is nothing, it is woken when there is something.
    pub(super) fn read(
        &self,
        id: MemberId,
        context: &Context<'_>,
        added: &mut Added,
    ) -> Result<Read, FellBehind> {
        let mut state = self.lock();
        let found = state.room.read(id, WRITE_BYTES);
        if let Ok(Read::Idle) = found {
            state.waiting.add(id, context.waker(), added);
        }
        found
    }

    /// Says that a member's socket has taken so much of what was read.
    pub(super) fn advance(&self, id: MemberId, taken_bytes: usize) {
        let mut state = self.lock();
        state.room.advance(id, taken_bytes);
        state.blocked.remove(&id);
    }

    /// Says that a member's socket takes nothing at the moment.
    pub(super) fn wait_for_the_socket(&self, id: MemberId, context: &Context<'_>) {
        let waker = context.waker().clone();
        let since = Instant::now();
        let mut state = self.lock();
        let since = state.blocked.get(&id).map_or(since, |blocked| blocked.since);
        state.blocked.insert(id, Blocked { waker, since });
    }

    /// Whether somebody who reads is behind by more than half of the retention.
    pub(super) fn somebody_is_far_behind(&self) -> bool {
        let far_bytes = self.limits().retention_bytes as u64 / 2;
        let State { room, blocked, .. } = &mut *self.lock();
        room.somebody_is_behind_by(far_bytes, |id| {
            blocked.get(&id).is_some_and(|blocked| blocked.since.elapsed() > STALLED_PATIENCE)
        })
    }

    /// Slows a sender down for a bounded moment while somebody who reads is far behind: a burst is
    /// not a reason to lose anybody, and who does not read is not a reason to slow anybody down.
    pub(super) async fn back_pressure(&self) {
        debug!("back-pressure");
        for _ in 0..BACK_PRESSURE_PAUSES {
            sleep(BACK_PRESSURE_PAUSE).await;
            if !self.somebody_is_far_behind() {
                return;
            }
        }
    }

    pub(super) fn leave(&self, id: MemberId, departure: DisconnectReason) {
        self.change(|state| {
            if let Some(nickname) = state.room.leave(id) {
                if let Some(cause) = departure.eviction() {
                    *state.evictions.entry(cause).or_default() += 1;
                }
                log_leave(&nickname, departure);
            }
        });
    }

    /// Counts something that was refused, for the operator.
    pub(super) fn count_refusal(&self, cause: &'static str) {
        *self.lock().refusals.entry(cause).or_default() += 1;
    }

    pub(super) fn statistics(&self, connections: usize) -> Statistics {
        let State { room, evictions, refusals, .. } = &*self.lock();
        Statistics {
            connections,
            members: room.nicknames().count(),
            totals: room.totals(),
            position_bytes: room.end(),
            largest_lag_bytes: room.largest_lag(),
            evictions: evictions.clone(),
            refusals: refusals.clone(),
        }
    }

    /// Gives up what a member that has left could still read.
    pub(super) fn forget(&self, id: MemberId) {
        let mut state = self.lock();
        state.room.forget(id);
        state.blocked.remove(&id);
    }

    pub(super) fn close(&self) {
        self.change(|state| {
            for nickname in state.room.close() {
                log_leave(&nickname, DisconnectReason::ServerStopped);
            }
            state.waiting.wake_all();
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

    /// Changes the room, and wakes those who have something to read by it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let (begin, end) = (state.room.begin(), state.room.end());
        let changed = change(&mut state);
        if state.room.end() != end {
            state.waiting.wake_all();
        }
        if state.room.begin() != begin {
            state.wake_who_fell_behind();
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A session that panics while it holds the lock leaves a room that is still a room: every
        // change of it is complete before the next begins.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_who_fell_behind(&mut self) {
        for (&id, blocked) in &self.blocked {
            if self.room.has_fallen_behind(id) {
                blocked.waker.wake_by_ref();
            }
        }
    }
}

/// The member wishes to leave.
#[derive(PartialEq, Eq)]
struct Quit;

/// Does what one message asks, and says in the journal what happened.
fn obey(state: &mut State, member: &mut Member<'_>, message: Result<&str, Refusal>) -> Option<Quit> {
    let State { room, .. } = state;
    let nickname = room.nickname(member.id)?.clone();
    let prefixes = [nickname.as_str(), &member.chosen];
    let command = message.and_then(|message| Command::parse(message, &prefixes));
    let done = match command {
        Ok(Command::Nothing) => Ok(()),
        Ok(Command::Say(text)) => {
            room.say(member.id, text);
            log_message(&Broadcast::Said(&nickname, text));
            Ok(())
        }
        Ok(Command::Act(text)) => {
            room.act(member.id, text);
            log_message(&Broadcast::Acted(&nickname, text));
            Ok(())
        }
        Ok(Command::Whisper { to, text }) => {
            room.whisper(member.id, to, text).map(|addressee| state.waiting.wake(addressee))
        }
        Ok(Command::Rename(name)) => rename(room, member.id, name),
        Ok(Command::Who) => {
            tell_who_is_here(room, member.id);
            Ok(())
        }
        Ok(Command::Ping(token)) => {
            member.pings = true;
            room.tell(member.id, &Notice::Pong(token));
            Ok(())
        }
        Ok(Command::Help) => {
            room.tell(member.id, &Notice::Help);
            Ok(())
        }
        Ok(Command::Quit) => return Some(Quit),
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = done {
        *state.refusals.entry(refusal.cause()).or_default() += 1;
        state.room.tell(member.id, &Notice::NotSent(refusal));
        log_refusal(&nickname, *member.peer, refusal);
    }
    None
}

fn rename(room: &mut Room, id: MemberId, name: &str) -> Result<(), Refusal> {
    let new = Nickname::parse(name)?;
    if let Some(old) = room.rename(id, new.clone())? {
        info!(event = "rename", nickname = %new, formerly = %old, "{old} is now known as {new}");
    }
    Ok(())
}

fn tell_who_is_here(room: &mut Room, id: MemberId) {
    let nicknames: Vec<Nickname> = room.nicknames().take(NAMES_LISTED).cloned().collect();
    let names = nicknames.iter().map(Nickname::as_str).collect();
    let count = room.nicknames().count();
    room.tell(id, &Notice::Here { count, names });
}

fn log_message(broadcast: &Broadcast<'_>) {
    if let Broadcast::Said(nickname, text) | Broadcast::Acted(nickname, text) = broadcast {
        info!(event = "message", %nickname, text = text.as_str(), "Message: {broadcast}");
    }
}

fn log_leave(nickname: &Nickname, departure: DisconnectReason) {
    info!(event = "leave", %nickname, ?departure, "{nickname} disconnected{departure}");
}

/// A mistyped command is nobody's business; bytes that no chat client sends may be an operator's.
fn log_refusal(nickname: &Nickname, peer: SocketAddr, refusal: Refusal) {
    if matches!(refusal, Refusal::TooLong | Refusal::NotUtf8 | Refusal::Control(_)) {
        warn!(event = "refusal", %nickname, %peer, "Refused a message of {nickname} from {}: {refusal}", Peer(peer));
    }
}
