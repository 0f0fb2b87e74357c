//! A client's session without input or output: the handshake, the heartbeat, the receipts.
//!
//! A session is not a connection. Its owner attaches it to one with [`Session::connected`], and feeds it
//! the incoming bytes ([`Session::receive`]) and the time ([`Session::handle_timeout`]). The session reports
//! events ([`Session::poll_event`]), bytes to be sent ([`Session::transmit`]) and the next moment at which it
//! wants to be asked again ([`Session::next_timeout`]). It survives the end of its connection, and can be attached to
//! the next one. [`Connection`](super::Connection) drives it over any stream.
//!
//! Time is the time since some moment that stays the same, such as the beginning of the session.

mod attachment;
mod event;
mod heartbeat;
mod incoming;
mod outgoing;
mod receipts;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub use event::{Config, Disconnected, Event, Reconnect, SayError};
pub use heartbeat::{PING_INTERVAL, SILENCE_TIMEOUT};

use crate::protocol::{Command, Framing, Heard, Nickname, Password, Resume, Text};
use attachment::{Attachment, Due, Phase};
use incoming::Received;
use receipts::{Receipt, Receipts};

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
    events: VecDeque<Event>,
}

impl Session {
    /// A session without a connection.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let receipts = Receipts::new(config.framing);
        Self { config, attachment: None, receipts, events: VecDeque::new() }
    }

    /// There is a connection: the handshake begins. Lines of an earlier connection that are still unconfirmed
    /// are forgotten, so ask for them before.
    pub fn connected(&mut self, now: Duration) {
        self.receipts.forget();
        self.attachment = Some(Attachment::new(&self.config, now));
    }

    /// These bytes have come. Take all events before the next call: the session holds them until then.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) {
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
        let Some(attachment) = &mut self.attachment else { return };
        match attachment.due(now) {
            Some(Due::Ping(line)) => {
                attachment.send(&line);
                self.receipts.pinged();
            }
            Some(Due::End(how)) => self.disconnect(how),
            None => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.attachment.as_ref()?.next_timeout()
    }

    /// Whether its owner is to connect now; [`connected`](Self::connected) or
    /// [`connection_failed`](Self::connection_failed) answers.
    #[must_use]
    pub fn wants_connection(&self) -> bool {
        false
    }

    /// The attempt to connect has failed.
    pub fn connection_failed(&mut self, _now: Duration) {}

    /// When the next attempt to connect begins, while there is no connection.
    #[must_use]
    pub fn tries_again_at(&self) -> Option<Duration> {
        None
    }

    /// What to store so that another client can go on with this session; see [`Reconnect::resume`].
    #[must_use]
    pub fn saved(&self) -> Option<Resume> {
        None
    }

    /// How many of the [`unconfirmed`](Self::unconfirmed) lines, the newest, have not been sent at all: they
    /// wait for a connection, or for the answer to whether the server gives sessions.
    #[must_use]
    pub fn waiting(&self) -> usize {
        0
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
    }

    /// Whether the server is to be told that nothing more will come: the client leaves, and everything
    /// has been sent.
    #[must_use]
    pub fn wants_shutdown(&self) -> bool {
        self.attachment.as_ref().is_some_and(Attachment::wants_shutdown)
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

    /// Says a text verbatim, even if it begins like a command.
    ///
    /// # Errors
    ///
    /// See [`SayError`]. Nothing has been said then.
    pub fn say(&mut self, text: Text<'_>, now: Duration) -> Result<(), SayError> {
        let text = text.as_str();
        let framing = self.config.framing;
        let attachment = self.speak(text, now)?;
        // The report's own server knows no commands, and so nothing that is to be taken literally.
        if framing == Framing::Lines && text.starts_with('/') {
            attachment.send(&format!("/{text}"));
        } else {
            attachment.send(text);
        }
        self.receipts.expect_text(text, now);
        Ok(())
    }

    /// Sends a line as a person has typed it: a text or a command. After `/quit` the client leaves.
    ///
    /// # Errors
    ///
    /// See [`SayError`]. Nothing has been sent then.
    pub fn send_line(&mut self, line: &str, now: Duration) -> Result<(), SayError> {
        let framing = self.config.framing;
        let attachment = self.speak(line, now)?;
        attachment.send(line);
        if framing == Framing::Lines && Command::parse(line, &[]) == Ok(Command::Quit) {
            attachment.leave(false, now + LEAVE_TIMEOUT);
        }
        self.receipts.expect_line(line, now);
        Ok(())
    }

    /// Leaves in order: the queue is sent, the server is told that nothing more will come, and its last words
    /// can still be heard until it closes the connection too. The wait for that is limited to `at_most`,
    /// usually [`LEAVE_TIMEOUT`], since a server that has stopped reading may never close.
    pub fn leave(&mut self, at_most: Duration, now: Duration) {
        if let Some(attachment) = &mut self.attachment {
            attachment.leave(true, now + at_most);
        }
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

    /// Whether the client is a member of the room, and means to stay.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.attachment
            .as_ref()
            .is_some_and(|attachment| attachment.phase == Phase::Joined && attachment.ending.is_none())
    }

    /// The lines that have been said and not been answered, the oldest first. They stay here when the
    /// connection is lost, until there is another one.
    #[must_use]
    pub fn unconfirmed(&self) -> impl ExactSizeIterator<Item = &str> {
        self.receipts.unconfirmed()
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

    /// The connection to speak on, if this can be said now.
    fn speak(&mut self, line: &str, now: Duration) -> Result<&mut Attachment, SayError> {
        if !self.is_joined() {
            return Err(SayError::NotJoined);
        }
        if line.len() > SENT_LINE_BYTES || line.contains('\n') {
            return Err(SayError::NotALine);
        }
        let attachment = self.attachment.as_mut().ok_or(SayError::NotJoined)?;
        let unsent_bytes = attachment.outgoing.unsent().len() + line.len();
        let unconfirmed_bytes = self.receipts.bytes() + line.len();
        if unsent_bytes > UNSENT_BYTES || unconfirmed_bytes > UNCONFIRMED_BYTES {
            return Err(SayError::Full);
        }
        attachment.heartbeat.said(now);
        Ok(attachment)
    }

    fn connection_ended(&mut self, how: Disconnected, now: Duration) {
        let Some(attachment) = &mut self.attachment else { return };
        attachment.incoming.end();
        self.hear_all(now);
        self.disconnect(how);
    }

    fn hear_all(&mut self, now: Duration) {
        while let Some(received) = self.attachment.as_mut().and_then(|attachment| attachment.incoming.next())
        {
            self.hear(received, now);
        }
    }

    fn hear(&mut self, received: Received, now: Duration) {
        let Some(attachment) = &mut self.attachment else { return };
        match received {
            Received::NicknameRequest => self.events.extend(attachment.nickname_requested(&self.config, now)),
            Received::PasswordRequest => self.events.extend(attachment.password_requested(&self.config, now)),
            Received::Unreadable(refusal) => self.events.push_back(Event::Unreadable(refusal)),
            Received::Line(line) if attachment.heartbeat.hear(&line) => {
                if attachment.heartbeat.is_answered() {
                    self.receipts.ponged();
                    self.events.push_back(Event::Pong);
                }
            }
            Received::Line(line) => self.hear_line(line, now),
        }
    }

    fn hear_line(&mut self, line: String, now: Duration) {
        let Some(attachment) = &mut self.attachment else { return };
        if let Receipt::Refused(refused) = self.receipts.hear(&line, self.config.nickname.as_str()) {
            self.events.push_back(Event::NotSent(refused));
        }
        let heard = Heard::parse(&line);
        let meaning = if attachment.joins(heard, now) {
            Some(Event::Joined)
        } else if let Heard::NotJoined(reason) = heard {
            attachment.refused(reason)
        } else {
            self.renamed(heard).map(|nickname| {
                self.config.nickname = nickname.clone();
                Event::Renamed(nickname)
            })
        };
        self.events.push_back(Event::Line(line));
        if meaning == Some(Event::Joined) {
            // The first ping goes out before anything else that is heard or said.
            self.handle_timeout(now);
        }
        self.events.extend(meaning);
    }

    /// The client's new nickname, if this line tells everyone about it. In the report's framing lines are merged, so
    /// anybody could say it.
    fn renamed(&self, heard: Heard<'_>) -> Option<Nickname> {
        let Heard::Everyone(line) = heard else { return None };
        let rest = line.strip_prefix(self.config.nickname.as_str())?;
        let new = rest.strip_prefix(" is now known as ")?.strip_suffix('.')?;
        let is_member = self.attachment.as_ref().is_some_and(|attachment| attachment.phase == Phase::Joined);
        Nickname::parse(new).ok().filter(|_| is_member && self.config.framing == Framing::Lines)
    }

    fn disconnect(&mut self, how: Disconnected) {
        self.attachment = None;
        self.events.push_back(Event::Disconnected(how));
    }
}
