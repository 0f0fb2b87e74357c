//! The state that belongs to one connection of a session, and is gone with it.

use std::time::Duration;

use super::event::{Config, Disconnected, Event};
use super::heartbeat::{Beat, Heartbeat};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::{HANDSHAKE_TIMEOUT, LEAVE_TIMEOUT, SESSION_WAIT};
use crate::protocol::{Framing, Heard, Nickname, Password, Resume};

#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) phase: Phase,
    pub(super) ending: Option<Ending>,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    pub(super) heartbeat: Heartbeat,
    framing: Framing,
    /// The password has been given.
    authenticated: bool,
    /// The last answer has been refused, and the session has said so.
    refused: bool,
    /// When something last came, or when the server was last given an answer.
    pub(super) waiting_since: Duration,
    /// `<nickname>: `, which the report's client puts in front of everything it says. It stays as it was
    /// chosen, even after a `/nick`: the server knows both. Empty in a connection in which a session goes on.
    prefix: String,
    /// How long the lines of the user are held, so that they are numbered if the server gives a session.
    held_until: Option<Duration>,
    /// The client has asked for a session.
    pub(super) session_asked: bool,
}

/// How far the handshake is. Until the client has joined, the server takes every line for a
/// nickname or a password, so nothing else may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The server has not asked for a nickname yet.
    Connected,
    /// It has been asked to go on with a session.
    Resuming,
    /// It has been given its answer.
    Answered,
    /// It wants another nickname, which is not chosen yet.
    NicknameWanted,
    /// It wants a password, which is not given yet.
    PasswordWanted,
    Joined,
}

/// The connection is coming to its end: nothing more is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// The end of the wait for it.
    by: Duration,
    /// The reason to report once the server closes the connection.
    pub(super) how: Disconnected,
    /// The server is to be told, once everything is sent.
    shutdown: bool,
    /// The server is to be told so by a command, which has not been sent yet.
    quit: bool,
    /// The client means to leave, however the connection ends.
    leaves: bool,
}

/// Something that is to be done now.
pub(super) enum Due {
    /// Send this line.
    Ping(String),
    /// Hold the lines of the user no longer.
    Release,
    /// Give the connection up.
    End(Disconnected),
}

impl Attachment {
    /// A new connection, after this many pings in earlier ones.
    pub(super) fn new(config: &Config, pings: u64, now: Duration) -> Self {
        let framing = config.framing;
        Self {
            phase: Phase::Connected,
            ending: None,
            incoming: Incoming::new(framing),
            outgoing: Outgoing::new(framing),
            heartbeat: if config.has_heartbeat() { Heartbeat::new(pings) } else { Heartbeat::none() },
            framing,
            authenticated: false,
            refused: false,
            waiting_since: now,
            prefix: String::new(),
            held_until: None,
            session_asked: false,
        }
    }

    pub(super) fn received(&mut self, bytes: &[u8], now: Duration) {
        self.waiting_since = now;
        self.heartbeat.received(now);
        self.incoming.push(bytes);
    }

    pub(super) fn nickname_requested(&mut self, config: &Config, now: Duration) -> Vec<Event> {
        match self.phase {
            _ if self.ending.is_some() => Vec::new(),
            Phase::Connected => {
                self.send_nickname(&config.nickname, now);
                Vec::new()
            }
            Phase::Answered | Phase::PasswordWanted => {
                self.phase = Phase::NicknameWanted;
                self.refused("the server wants another nickname.")
                    .into_iter()
                    .chain([Event::NicknameWanted])
                    .collect()
            }
            // It has been asked already, or lets the client in all the same.
            Phase::Resuming | Phase::NicknameWanted | Phase::Joined => Vec::new(),
        }
    }

    pub(super) fn password_requested(&mut self, config: &Config, now: Duration) -> Vec<Event> {
        if self.phase != Phase::Answered || self.ending.is_some() {
            return Vec::new();
        }
        if self.authenticated {
            self.phase = Phase::PasswordWanted;
            return self
                .refused("the password is wrong.")
                .into_iter()
                .chain([Event::PasswordWanted])
                .collect();
        }
        if let Some(password) = &config.password {
            self.send_password(password, now);
            return Vec::new();
        }
        self.phase = Phase::PasswordWanted;
        vec![Event::PasswordWanted]
    }

    /// The server does not let the client in, for this reason; unless it has said why already.
    pub(super) fn refused(&mut self, reason: &str) -> Option<Event> {
        let is_news = self.phase != Phase::Joined && !std::mem::replace(&mut self.refused, true);
        is_news.then(|| Event::NotJoined(reason.to_owned()))
    }

    pub(super) fn send_nickname(&mut self, nickname: &Nickname, now: Duration) {
        self.prefix = format!("{nickname}: ");
        self.answer(nickname.as_str(), now);
    }

    pub(super) fn send_password(&mut self, password: &Password, now: Duration) {
        self.authenticated = true;
        self.answer(password.secret(), now);
    }

    /// Asks the server to go on with a session.
    pub(super) fn send_resume(&mut self, resume: &Resume, now: Duration) {
        self.answer(&resume.to_string(), now);
        self.phase = Phase::Resuming;
    }

    /// The session goes on in this connection. Returns the first ping: what is sent before it was not heard
    /// in this connection.
    pub(super) fn resumed(&mut self, now: Duration) -> Option<String> {
        self.phase = Phase::Joined;
        self.heartbeat.resume(now);
        match self.heartbeat.beat(now) {
            Some(Beat::Ping(line)) => Some(line),
            _ => None,
        }
    }

    /// The session does not go on: the server asks for a nickname next.
    pub(super) fn not_resumed(&mut self) {
        self.phase = Phase::Connected;
    }

    /// Queues a line of a member.
    pub(super) fn send(&mut self, line: &str) {
        self.outgoing.push(&[&self.prefix, line]);
    }

    /// Queues a line of a member with a session, as it is: the server takes nothing off its front.
    pub(super) fn send_numbered(&mut self, number: u64, line: &str) {
        self.outgoing.push(&["/n ", &number.to_string(), " ", line]);
    }

    /// Holds the lines of the user until it is clear whether the server gives a session.
    pub(super) fn hold(&mut self, now: Duration) {
        self.held_until = Some(now + SESSION_WAIT);
    }

    /// Lets the lines go. Returns whether they were held.
    pub(super) fn release(&mut self) -> bool {
        self.held_until.take().is_some()
    }

    /// Whether the lines of the user are to be sent now.
    pub(super) fn takes_lines(&self) -> bool {
        let can_send = self.ending.is_none_or(|ending| ending.how == Disconnected::Left);
        self.phase == Phase::Joined && self.held_until.is_none() && can_send
    }

    /// Whether the client has joined by hearing this.
    pub(super) fn joins(&mut self, heard: Heard<'_>, now: Duration) -> bool {
        let joins = self.phase != Phase::Joined
            && match heard {
                Heard::Connected => true,
                // The report's server merges its greeting into what it sends with it.
                Heard::Everyone(_) | Heard::Whisper(_) => {
                    self.framing == Framing::Report && self.phase == Phase::Answered
                }
                _ => false,
            };
        if joins {
            self.phase = Phase::Joined;
            self.heartbeat.begin(now);
        }
        joins
    }

    /// The client leaves once everything is sent; the server is to be told so by a `shutdown`, a `quit`, or
    /// both.
    pub(super) fn leave(&mut self, shutdown: bool, quit: bool, by: Duration) {
        let left = Ending { by, how: Disconnected::Left, shutdown, quit, leaves: true };
        match &mut self.ending {
            None => self.end(left),
            // The command has been sent already, or will be.
            Some(ending) if ending.how == Disconnected::Left => {
                *ending = Ending { quit: ending.quit, ..left }
            }
            Some(ending) => ending.leaves = true,
        }
    }

    /// Everything else is queued: says that the client leaves, if that is to be said.
    pub(super) fn quit(&mut self) {
        if let Some(ending) = &mut self.ending
            && std::mem::take(&mut ending.quit)
        {
            self.outgoing.push(&[&self.prefix, "/quit"]);
        }
    }

    /// Nothing more can be sent.
    pub(super) fn cannot_send(&mut self, now: Duration) {
        self.outgoing.clear();
        let (by, leaves) = (now + LEAVE_TIMEOUT, self.leaves());
        self.end(Ending { by, how: Disconnected::Broken, shutdown: false, quit: false, leaves });
    }

    /// The server closes the connection next.
    pub(super) fn taken_over(&mut self, now: Duration) {
        if self.ending.is_none() {
            let by = now + LEAVE_TIMEOUT;
            self.end(Ending { by, how: Disconnected::Closed, shutdown: true, quit: false, leaves: true });
        }
    }

    fn end(&mut self, ending: Ending) {
        self.held_until = None;
        self.ending = Some(ending);
    }

    /// Whether the client means to leave.
    pub(super) fn leaves(&self) -> bool {
        self.ending.is_some_and(|ending| ending.leaves)
    }

    pub(super) fn wants_shutdown(&self) -> bool {
        self.ending.is_some_and(|ending| ending.shutdown && !ending.quit) && self.outgoing.is_empty()
    }

    pub(super) fn due(&mut self, now: Duration) -> Option<Due> {
        if let Some(ending) = self.ending {
            return (now >= ending.by).then_some(Due::End(match ending.how {
                Disconnected::Left => Disconnected::Silent,
                how => how,
            }));
        }
        if self.handshake_timeout().is_some_and(|by| now >= by) {
            return Some(Due::End(Disconnected::NotAnswered));
        }
        if !self.outgoing.is_empty() {
            // Queued bytes tell the server as much as a ping.
            self.heartbeat.said(now);
        }
        if self.held_until.is_some_and(|until| now >= until) {
            return Some(Due::Release);
        }
        self.heartbeat.beat(now).map(|beat| match beat {
            Beat::Ping(line) => Due::Ping(line),
            Beat::Lost => Due::End(Disconnected::Silent),
        })
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        if let Some(ending) = self.ending {
            return Some(ending.by);
        }
        let steps = [self.handshake_timeout(), self.held_until, self.heartbeat.next_timeout()];
        steps.into_iter().flatten().min()
    }

    /// The moment by which the server has to answer; `None` while the server waits for a person.
    fn handshake_timeout(&self) -> Option<Duration> {
        matches!(self.phase, Phase::Connected | Phase::Resuming | Phase::Answered)
            .then_some(self.waiting_since + HANDSHAKE_TIMEOUT)
    }

    fn answer(&mut self, answer: &str, now: Duration) {
        self.phase = Phase::Answered;
        self.refused = false;
        self.waiting_since = now;
        self.outgoing.push(&[answer]);
    }
}
