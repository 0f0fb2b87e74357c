//! Sessions in the hub: a lost connection, another one, and the end of the wait for it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::admission::address_of;
use super::connection::Outlet;
use super::grace::{Away, Due, Offer};
use super::hub::{Hub, State};
use super::limits::ENDED_SESSIONS_KEPT;
use crate::net::Stream;
use crate::protocol::{Nickname, Notice, Refusal, Resume, SessionId, SessionNotice, Token};
use crate::room::{Attachment, Claim, DisconnectReason, Entry, MemberId, Origin, Outcome, Point, Resumed};

/// Why a session is not resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotResumed {
    /// The client counts in another log: that of another server, or from before a restart.
    OtherLog,
    /// The session has ended, and this many of its lines were taken.
    Ended { taken: u64 },
    /// For the reason of a refusal.
    Refused(Refusal),
}

impl NotResumed {
    /// The sentence for the client.
    pub(super) fn notice(self) -> Notice<'static> {
        let (reason, taken) = match self {
            Self::OtherLog => ("the log has begun anew since then".to_owned(), None),
            Self::Ended { taken } => ("the session has ended".to_owned(), Some(taken)),
            Self::Refused(refusal) => (refusal.to_string(), None),
        };
        Notice::Session(SessionNotice::NotResumed { reason, taken })
    }
}

impl<S: Stream> Hub<S> {
    /// Resumes a session in another connection, if the token is the right one. The lines go to `outlet`.
    pub(super) fn resume(
        &self,
        request: &Resume,
        peer: SocketAddr,
        outlet: Outlet<S>,
    ) -> Result<(Attachment, Nickname), NotResumed> {
        self.change(|state| {
            let before = match state.room.claim(&request.token) {
                Claim::Of(attachment) => attachment,
                Claim::Ended { taken } => return Err(NotResumed::Ended { taken }),
                Claim::Unknown => return Err(NotResumed::Refused(Refusal::UnknownSession)),
            };
            let (session, private_lines) = (request.token.id(), request.private_lines);
            match state.apply(&Entry::Resume { session, from: peer, private_lines }) {
                Outcome::Resumed(resumed) => {
                    state.take_over(before);
                    state.replay(&resumed, request, outlet);
                    Ok((resumed.attachment, resumed.nickname))
                }
                _ => Err(NotResumed::Refused(Refusal::UnknownSession)),
            }
        })
    }

    /// Whether a token is of a session, be it one that has ended.
    pub(super) fn knows(&self, token: &Token) -> bool {
        self.lock().room.claim(token) != Claim::Unknown
    }

    /// How many members have no connection at the moment, and how many of them had one from this address.
    pub(super) fn away(&self, address: Ipv6Addr) -> Away {
        self.lock().timers.away_from(address)
    }

    /// A connection from this address has ended. A member with a session stays, unless it wished to leave;
    /// everyone else leaves, and is still sent everything that came before.
    pub(super) fn part(&self, attachment: Attachment, address: IpAddr, reason: DisconnectReason) {
        let grace = self.grants.grace();
        let now = Instant::now();
        self.change(|state| {
            let until = state.room.transcript().end();
            let has_session = state.room.progress(attachment.member).is_some();
            let entry = match reason {
                DisconnectReason::Quit | DisconnectReason::InternalError => {
                    Entry::Leave { attachment, reason }
                }
                _ if has_session => Entry::Detach { attachment, reason },
                DisconnectReason::Closed => Entry::Leave { attachment, reason: DisconnectReason::Quit },
                _ => Entry::Leave { attachment, reason },
            };
            match state.apply(&entry) {
                Outcome::Detached(_) => {
                    state.timers.lost(attachment, address_of(address), now + grace);
                    state.counters.sessions.detached += 1;
                }
                Outcome::Left { session, .. } => state.has_left(attachment.member, session),
                _ => return,
            }
            state.counters.count_eviction(reason);
            state.readers.end(attachment, until);
            state.is_due(attachment);
        });
        self.timed.notify_one();
    }

    /// Ends the sessions that have been without a connection for too long, for ever.
    pub(super) async fn expire_sessions(self: Arc<Self>) {
        loop {
            let next = self.lock().timers.next();
            tokio::select! {
                biased;
                () = self.timed.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    self.change(|state| state.expire(Instant::now()));
                }
            }
        }
    }
}

impl<S: Stream> State<S> {
    /// Gives a member a session.
    pub(super) fn begin_session(&mut self, by: Origin, peer: SocketAddr, offer: &Offer<'_>) {
        let attachment = by.attachment;
        let token = offer.token();
        let entry =
            Entry::Begin { attachment, session: token.id(), secret: offer.grants.bound(&token).hash() };
        match self.apply(&entry) {
            Outcome::Begun => {
                let (epoch, public_lines) = (offer.grants.epoch(), self.room.transcript().lines());
                for notice in [
                    SessionNotice::Begun { token, epoch, public_lines },
                    SessionNotice::Kept(offer.sessions.grace),
                ] {
                    self.tell_connection(attachment, &Notice::Session(notice));
                }
            }
            Outcome::Refused(refusal) => self.refused(attachment, peer, refusal),
            _ => {}
        }
    }

    /// The session of a connection, which may not have ended yet, goes on in another one.
    fn take_over(&mut self, before: Attachment) {
        let notice = Notice::Session(SessionNotice::TakenOver);
        let record = self.now().record;
        self.readers.end_with(before, self.room.transcript(), record, &notice);
        self.is_due(before);
        self.timers.is_back(before.member);
    }

    /// Begins to send a connection what its client has missed.
    fn replay(&mut self, resumed: &Resumed, request: &Resume, outlet: Outlet<S>) {
        let &Resumed { attachment, ref nickname, since, taken, missing_private_lines } = resumed;
        let record = self.now().record;
        let transcript = self.room.transcript();
        let public_lines = transcript.lines();
        // What was said before it has this session is none of the client's, whatever it says.
        let read_lines = request.public_lines.max(since);
        let (cursor, missing) = transcript.position_after(read_lines);
        self.readers.add(attachment, cursor, outlet);
        self.counters.sessions.resumed += 1;
        self.counters.sessions.replayed_lines += public_lines.saturating_sub(read_lines + missing);
        let nickname = nickname.to_string();
        let at = Point { position: cursor, record };
        let mut tell = |notice| self.readers.tell(attachment, at, &Notice::Session(notice));
        tell(SessionNotice::Resumed { nickname, public_lines, taken });
        if missing > 0 {
            tell(SessionNotice::PublicMissing(missing));
        }
        if missing_private_lines > 0 {
            tell(SessionNotice::PrivateMissing(missing_private_lines));
        }
        for (after, line) in self.room.kept(attachment.member) {
            let (position, _) = transcript.position_after(after);
            self.readers.tell(attachment, Point { position, record }, &line);
            self.counters.sessions.replayed_lines += 1;
        }
        self.is_due(attachment);
    }

    /// Does what is due by now.
    fn expire(&mut self, now: Instant) {
        while let Some(due) = self.timers.take(now) {
            match due {
                Due::Expire(attachment) => {
                    self.counters.sessions.expired += 1;
                    if let Outcome::Left { session, .. } = self.apply(&Entry::Expire { attachment }) {
                        self.has_left(attachment.member, session);
                    }
                }
                Due::Forget(session) => {
                    self.apply(&Entry::Forget { session });
                }
            }
        }
    }

    /// A member has left, and its session is remembered for a while.
    fn has_left(&mut self, member: MemberId, session: Option<SessionId>) {
        let Some(session) = session else { return };
        self.timers.is_back(member);
        self.timers.ended(session, Instant::now() + ENDED_SESSIONS_KEPT);
    }
}
