//! The records of a member: what it saw, what it said, and what it knows of its session.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::protocol::Framing;

/// A stay in the room, as the member knows it: one connection, or with a session several of
/// them, one after the other.
#[derive(Clone, Debug)]
pub struct Membership {
    pub host: String,
    pub framing: Framing,
    /// The address that it joined from, as `server.log` has it.
    pub from: SocketAddr,
    pub since: Duration,
    /// It reads everything as soon as it comes, for as long as it lives.
    pub attentive: bool,
    /// The nicknames it tried; the last one is the one it has joined with.
    pub nicknames: Vec<String>,
    /// The lines that it heard (in the report's framing, the reads).
    pub heard: Vec<(Duration, String)>,
    /// The texts that it has given to its connection, in order.
    pub said: Vec<(Duration, String)>,
    /// What it has done, apart from talking.
    pub acts: Vec<(Duration, &'static str)>,
    /// What it knows of its session, if it wants one.
    pub session: Option<Session>,
    /// When and how it ended; `None` while it lives.
    pub ended: Option<(Duration, Ending)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By the member's own wish, in order.
    Left,
    /// By the member, without a word.
    Vanished,
    /// By the server or the network.
    Lost,
}

/// What one client knows of its session.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// When it heard that the server keeps a session for it.
    pub kept: Option<Duration>,
    /// The local addresses of all connections that it has made.
    pub dialled: Dialled,
    /// How many of the lines that it heard were heard by an earlier client of the session.
    pub inherited: usize,
    /// How many it had heard before its latest connection.
    pub heard_before: usize,
    /// When it learned of which line that it was taken. Lines are as they were typed.
    pub confirmed: Vec<(Duration, String)>,
    pub refused: Vec<String>,
    /// The lines that it has reported as unconfirmed.
    pub unconfirmed: Vec<String>,
    /// The lines that it has typed.
    pub typed: Vec<(Duration, String)>,
    /// Those of them of which it knows nothing yet.
    pub open: Vec<(Duration, String)>,
    /// After how many lines that it heard so many public and so many private ones are missing.
    pub missing: Vec<(usize, u64, u64)>,
    /// When it lost a connection.
    pub lost: Vec<Duration>,
    /// When it went on in another one.
    pub resumed: Vec<Duration>,
    /// Why it could not.
    pub not_resumed: Option<(Duration, String)>,
    /// Another client went on with it.
    pub taken_over: Option<Duration>,
    /// When it wished to leave.
    pub quits: Option<Duration>,
}

/// The local addresses of the connections of one client, in order.
#[derive(Clone, Debug, Default)]
pub struct Dialled(Arc<Mutex<Vec<SocketAddr>>>);

impl Dialled {
    pub fn push(&self, from: SocketAddr) {
        self.0.lock().unwrap().push(from);
    }

    pub fn last(&self) -> Option<SocketAddr> {
        self.0.lock().unwrap().last().copied()
    }

    pub fn all(&self) -> Vec<SocketAddr> {
        self.0.lock().unwrap().clone()
    }

    pub fn contains(&self, from: SocketAddr) -> bool {
        self.0.lock().unwrap().contains(&from)
    }
}

impl Membership {
    /// It begins, and nothing has happened yet.
    pub fn new(host: &str, framing: Framing, from: SocketAddr, since: Duration, nickname: &str) -> Self {
        Self {
            host: host.to_owned(),
            framing,
            from,
            since,
            attentive: true,
            nicknames: vec![nickname.to_owned()],
            heard: Vec::new(),
            said: Vec::new(),
            acts: Vec::new(),
            session: None,
            ended: None,
        }
    }

    /// Whether the server keeps a session for it, as far as it knows.
    pub fn has_session(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.kept.is_some())
    }
}

/// The record of a member; shared between its host and the test.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<Vec<Membership>>>);

impl Witness {
    pub fn memberships(&self) -> Vec<Membership> {
        self.0.lock().unwrap().clone()
    }

    /// A membership has begun. Returns its index.
    pub fn connected(&self, membership: Membership) -> usize {
        let mut memberships = self.0.lock().unwrap();
        memberships.push(membership);
        memberships.len() - 1
    }

    /// The process of the member was killed: its connections vanish, unless they have ended already.
    pub fn killed(&self, at: Duration) {
        for membership in &mut *self.0.lock().unwrap() {
            membership.ended.get_or_insert((at, Ending::Vanished));
        }
    }

    /// Changes the membership that has begun last.
    pub fn now(&self, change: impl FnOnce(&mut Membership)) {
        if let Some(current) = self.0.lock().unwrap().last_mut() {
            change(current);
        }
    }

    /// Looks at a membership, or changes it.
    pub fn at<T>(&self, index: usize, change: impl FnOnce(&mut Membership) -> T) -> T {
        change(&mut self.0.lock().unwrap()[index])
    }
}
