//! A client's session without input or output: the handshake, the heartbeat, the receipts, the resume.
//!
//! A session is not a connection. Its owner attaches it to one with [`Session::connected`], and feeds it
//! the incoming bytes ([`Session::receive`]) and the time ([`Session::handle_timeout`]). The session reports
//! events ([`Session::poll_event`]), bytes to be sent ([`Session::transmit`]) and the next moment at which it
//! wants to be asked again ([`Session::next_timeout`]). It survives the end of its connection, and says when it
//! wants the next one ([`Session::wants_connection`]). [`Connection`](super::Connection) drives it over any
//! network.
//!
//! Time is the time since some moment that stays the same, such as the beginning of the session.

mod answer;
mod attachment;
mod backoff;
mod event;
mod hear;
mod heartbeat;
mod incoming;
mod kept;
mod outgoing;
mod receipts;
mod reconnect;
mod say;
mod search;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub use backoff::{BACKOFF_MAX, BACKOFF_MIN};
pub use event::{Config, Disconnected, Event, Reconnect, SayError};
pub use heartbeat::{PING_INTERVAL, SESSION_SILENCE_TIMEOUT, SILENCE_TIMEOUT};

use crate::protocol::{Framing, Nickname, Password, Resume};
use attachment::{Attachment, Due, Phase};
use backoff::Backoff;
use kept::Kept;
use receipts::Receipts;
use search::{Attempt, Search};

/// The longest line that is taken from a server, in bytes. The longest of ours is the answer to
/// `/who`, a hundred nicknames of 32 characters and so some 13,000 bytes; the report's merges messages.
pub const RECEIVED_LINE_BYTES: usize = 64 * 1_024;

/// The longest line that is sent to a server, in bytes. Ours refuses shorter ones already.
pub const SENT_LINE_BYTES: usize = 64 * 1_024;

/// How much may wait to be sent, in bytes.
pub const UNSENT_BYTES: usize = 1_024 * 1_024;

/// How much may be said without having been answered, in bytes. The server drops a member that falls further
/// behind than this.
pub const UNCONFIRMED_BYTES: usize = 8 * 1_024 * 1_024;

/// How long a server may keep a client waiting before it has joined.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client waits, after it has joined, for the answer to whether the server gives sessions. What is
/// said meanwhile is held.
pub const SESSION_WAIT: Duration = Duration::from_secs(2);

/// How long a client that leaves waits for the server to take the rest of the queue, and to close the
/// connection too.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A client's part of a conversation with a server.
#[derive(Debug)]
pub struct Session {
    config: Config,
    /// The connection, while there is one.
    attachment: Option<Attachment>,
    receipts: Receipts,
    /// What the server keeps for the client, if it does.
    kept: Option<Kept>,
    /// The search for another connection, from the loss of one until the session goes on, or another one
    /// begins, or it is clear that there is none.
    search: Option<Search>,
    backoff: Backoff,
    /// How many pings were sent in earlier connections of the session.
    pings: u64,
    events: VecDeque<Event>,
    /// The last time that the owner has named.
    now: Duration,
}

impl Session {
    /// A session without a connection.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let reconnect = config.outlives();
        Self {
            attachment: None,
            receipts: Receipts::new(config.framing),
            kept: reconnect.and_then(|reconnect| reconnect.resume.clone()).map(Kept::inherited),
            search: None,
            backoff: Backoff::new(reconnect.map_or(0, |reconnect| reconnect.seed)),
            pings: 0,
            events: VecDeque::new(),
            now: Duration::ZERO,
            config,
        }
    }

    /// There is a connection: the handshake begins. If the session was over, lines of an earlier connection
    /// that are still unconfirmed are forgotten, so ask for them before.
    pub fn connected(&mut self, now: Duration) {
        self.now = now;
        match &mut self.search {
            Some(search) => search.attempt = Attempt::Connected,
            None => self.receipts.forget(),
        }
        self.attachment = Some(Attachment::new(&self.config, self.pings, now));
    }

    /// These bytes have come. Take all events before the next call: the session holds them until then.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) {
        self.now = now;
        let Some(attachment) = &mut self.attachment else { return };
        attachment.received(bytes, now);
        self.hear_all(now);
        // A server that never pauses must not keep the next ping waiting.
        self.handle_timeout(now);
    }

    /// The server has closed the connection.
    pub fn connection_closed(&mut self, now: Duration) {
        let how = self.attachment.as_ref().and_then(|attachment| attachment.ending).map(|ending| ending.how);
        self.connection_ended(how.unwrap_or(Disconnected::Closed), now);
    }

    /// The connection broke.
    pub fn connection_broken(&mut self, now: Duration) {
        self.connection_ended(Disconnected::Broken, now);
    }

    /// The connection takes nothing any more. Bytes that have come, such as the reason, can still be read; if
    /// its end does not come within [`LEAVE_TIMEOUT`], the connection counts as broken.
    pub fn cannot_send(&mut self, now: Duration) {
        if let Some(attachment) = &mut self.attachment {
            attachment.cannot_send(now);
        }
    }

    /// Takes every step that is due by now. An extra call does no harm.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        self.search_on(now);
        while let Some(due) = self.attachment.as_mut().and_then(|attachment| attachment.due(now)) {
            match due {
                Due::Ping(line) => self.ping(&line),
                Due::Release => self.has_no_session(),
                Due::End(how) => self.disconnect(how, now),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        match &self.attachment {
            Some(attachment) => attachment.next_timeout(),
            None => self.tries_again_at(),
        }
    }

    /// Whether its owner is to connect now; [`connected`](Self::connected) or
    /// [`connection_failed`](Self::connection_failed) answers.
    #[must_use]
    pub fn wants_connection(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.attempt == Attempt::Connecting)
    }

    /// The attempt to connect has failed.
    pub fn connection_failed(&mut self, now: Duration) {
        self.now = now;
        if self.wants_connection() {
            self.try_again(now);
        }
    }

    /// When the next attempt to connect begins, while there is no connection.
    #[must_use]
    pub fn tries_again_at(&self) -> Option<Duration> {
        match self.search.as_ref()?.attempt {
            Attempt::Due(at) => Some(at),
            Attempt::Connecting | Attempt::Connected => None,
        }
    }

    /// What to store so that another client can go on with this session; see [`Reconnect::resume`].
    #[must_use]
    pub fn saved(&self) -> Option<Resume> {
        self.kept.as_ref().map(|kept| kept.resume.clone())
    }

    /// The next thing that has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Hands these events out before any others.
    pub(super) fn put_back(&mut self, mut events: VecDeque<Event>) {
        events.append(&mut self.events);
        self.events = events;
    }

    /// The bytes that are to be sent; [`sent`](Self::sent) says how many of them have been.
    #[must_use]
    pub fn transmit(&self) -> &[u8] {
        self.attachment.as_ref().map_or(&[], |attachment| attachment.outgoing.unsent())
    }

    /// This many bytes of [`transmit`](Self::transmit) have been sent.
    pub fn sent(&mut self, count: usize) {
        if let Some(attachment) = &mut self.attachment {
            attachment.outgoing.sent(count);
        }
        self.send_waiting(self.now);
    }

    /// Whether the server is to be told that nothing more will come: the client leaves, and everything
    /// has been sent.
    #[must_use]
    pub fn wants_shutdown(&self) -> bool {
        self.attachment.as_ref().is_some_and(|attachment| {
            attachment.wants_shutdown() && !(attachment.takes_lines() && self.waiting() > 0)
        })
    }

    /// Answers [`Event::NicknameWanted`].
    pub fn choose_nickname(&mut self, nickname: Nickname, now: Duration) {
        self.config.nickname = nickname;
        if let Some(attachment) =
            self.attachment.as_mut().filter(|attachment| attachment.phase == Phase::NicknameWanted)
        {
            attachment.send_nickname(&self.config.nickname, now);
        }
    }

    /// Answers [`Event::PasswordWanted`].
    pub fn give_password(&mut self, password: Password, now: Duration) {
        if let Some(attachment) =
            self.attachment.as_mut().filter(|attachment| attachment.phase == Phase::PasswordWanted)
        {
            attachment.send_password(&password, now);
        }
        self.config.password = Some(password);
    }

    /// The client's nickname in the room, or the one that it wants there.
    #[must_use]
    pub fn nickname(&self) -> &Nickname {
        &self.config.nickname
    }

    /// How messages are delimited.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.config.framing
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.attachment.is_some()
    }

    /// Whether the client is a member of the room, and means to stay. It still is while its session waits for another
    /// connection.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        let is_attached = self.attachment.as_ref().is_some_and(|attachment| {
            let can_stay = attachment.ending.is_none() || self.kept.is_some() && !attachment.leaves();
            attachment.phase == Phase::Joined && can_stay
        });
        let leaves = self.attachment.as_ref().is_some_and(Attachment::leaves);
        is_attached || self.search.is_some() && self.kept.is_some() && !leaves
    }

    /// The lines that have been said and not been answered, the oldest first. They stay here when the session
    /// is over, until there is another connection.
    #[must_use]
    pub fn unconfirmed(&self) -> impl ExactSizeIterator<Item = &str> {
        self.receipts.unconfirmed()
    }

    /// How many of the [`unconfirmed`](Self::unconfirmed) lines, the newest, have not been sent at all: they
    /// wait for a connection, or for the answer to whether the server gives sessions.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.receipts.waiting()
    }

    /// How many lines are on their way: neither answered nor passed over by a server that has answered a
    /// ping since. A server that has never answered anything may never do so.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.receipts.in_flight()
    }

    /// Whether the server has answered anything since the client has joined: a line or a ping.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        let answers_pings =
            self.attachment.as_ref().is_some_and(|attachment| attachment.heartbeat.is_answered());
        answers_pings || self.receipts.confirms()
    }

    /// The moment since which the server has owed an answer and sent nothing at all. It owes no kind of answer
    /// that it has never given.
    #[must_use]
    pub fn silent_since(&self) -> Option<Duration> {
        let attachment = self.attachment.as_ref()?;
        let answers_commands = attachment.heartbeat.is_answered();
        let owed = [self.receipts.owed_since(answers_commands), attachment.heartbeat.owed_since()];
        Some(owed.into_iter().flatten().min()?.max(attachment.waiting_since))
    }

    fn ping(&mut self, line: &str) {
        if let Some(attachment) = &mut self.attachment {
            attachment.send(line);
            self.receipts.pinged();
        }
    }

    fn connection_ended(&mut self, how: Disconnected, now: Duration) {
        self.now = now;
        let Some(attachment) = &mut self.attachment else { return };
        attachment.incoming.end();
        self.hear_all(now);
        self.disconnect(how, now);
    }
}
