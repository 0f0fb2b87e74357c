//! A session over connections that are cut anywhere, against a small model of a server with sessions.

use proptest::prelude::*;

use super::*;
use crate::protocol::{Command, LogEpoch, Numbered, Progress, Resume, SessionId, SessionNotice, Token};

const EPOCH: LogEpoch = LogEpoch(0x5c1e);

/// How many public lines the log has before the session begins.
const EARLIER_LINES: u64 = 1_000;

/// A server whose room has one member with a session, and others who talk.
struct Server {
    nickname: String,
    /// Every line that the member has to be sent since its session began, in order.
    stream: Vec<String>,
    taken: u64,
    /// The member's lines that were carried out or refused, in order.
    handled: Vec<String>,
    connection: Connected,
    /// What has come and is no whole line yet.
    incoming: Vec<u8>,
    /// What the member is still to be sent in this connection.
    outgoing: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connected {
    Asked,
    Attached,
}

fn token() -> Token {
    Token::new(SessionId(7), [9; 32])
}

impl Server {
    /// One to which the client has said its first words.
    fn new() -> Self {
        Self {
            nickname: "Dinesh".to_owned(),
            stream: Vec::new(),
            taken: 0,
            handled: Vec::new(),
            connection: Connected::Attached,
            incoming: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    /// Somebody connects; nothing more is read from the connection before.
    fn connected(&mut self) {
        self.connection = Connected::Asked;
        self.incoming.clear();
        self.outgoing = b"NICK".to_vec();
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
        while let Some(end) = self.incoming.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.incoming.drain(..=end).collect();
            let line = String::from_utf8(line).expect("the client sends text");
            match self.connection {
                Connected::Asked => self.resume(line.trim_end()),
                Connected::Attached => self.take(line.trim_end_matches('\n')),
            }
        }
    }

    fn resume(&mut self, line: &str) {
        let resume = Resume::parse(line).unwrap_or_else(|| panic!("it resumes: {line:?}"));
        assert_eq!((&resume.token, resume.epoch), (&token(), EPOCH));
        self.connection = Connected::Attached;
        let lines = EARLIER_LINES + self.publics();
        let notice = SessionNotice::Resumed {
            nickname: self.nickname.clone(),
            public_lines: lines,
            taken: self.taken,
        };
        self.send(&format!("-- {notice}"));
        let (mut publics, mut privates) = (EARLIER_LINES, 0);
        for line in self.stream.clone() {
            let (seen, had) = if line.starts_with("-- ") {
                (&mut privates, resume.private_lines)
            } else {
                (&mut publics, resume.public_lines)
            };
            *seen += 1;
            if *seen > had {
                self.send(&line);
            }
        }
        assert!(
            resume.public_lines <= publics && resume.private_lines <= privates,
            "it has counted too many"
        );
    }

    fn take(&mut self, message: &str) {
        let Numbered { number, line } = Numbered::parse(message).expect("it numbers well");
        if let Some(number) = number {
            if number <= self.taken {
                return;
            }
            assert_eq!(number, self.taken + 1, "no line is left out: {message}");
        }
        let prefixes = [&self.nickname[..], "Dinesh"];
        let prefixes = if number.is_some() { &[] } else { &prefixes[..] };
        match Command::parse(line, prefixes) {
            Ok(Command::Ping(token)) if number.is_none() => {
                let progress = Progress { public_lines: EARLIER_LINES + self.publics(), taken: self.taken };
                self.send(&format!("-- pong {}{progress}.", token.as_str()));
                return;
            }
            Ok(Command::Say(said)) => self.tell(&format!("{}: {}", self.nickname, said.as_str())),
            Ok(Command::Rename(new)) => {
                let old = std::mem::replace(&mut self.nickname, new.to_owned());
                self.tell(&format!("{old} is now known as {new}."));
            }
            Ok(Command::Whisper { to, text }) => self.tell(&format!("-- You to {to}: {}", text.as_str())),
            Ok(Command::Help) => {
                self.tell("-- /who  who is here");
                self.tell("-- /quit  leave");
            }
            Ok(Command::Search(_)) => {
                self.tell("-- Found 2 lines:");
                self.tell("-- 2026-11-24 18:07 Dinesh: hello");
                self.tell("-- 2026-11-24 18:07 * Dinesh says hello");
            }
            Err(refusal) => self.tell(&format!("-- Not sent: {refusal}.")),
            other => panic!("not of this model: {other:?}"),
        }
        assert!(number.is_some(), "all lines of the user are numbered: {message}");
        self.taken += 1;
        self.handled.push(line.to_owned());
    }

    /// A line of the session, which is kept until it is counted.
    fn tell(&mut self, line: &str) {
        self.stream.push(line.to_owned());
        if self.connection == Connected::Attached {
            self.send(line);
        }
    }

    fn send(&mut self, line: &str) {
        self.outgoing.extend_from_slice(line.as_bytes());
        self.outgoing.push(b'\n');
    }

    fn publics(&self) -> u64 {
        self.stream.iter().filter(|line| !line.starts_with("-- ")).count() as u64
    }
}

/// One step of what happens.
#[derive(Clone, Debug)]
enum Act {
    Types(&'static str),
    /// Somebody else says something to everyone, or to the client alone.
    IsTold(bool),
    /// At most so many bytes arrive at the server, or at the client.
    ToServer(usize),
    ToClient(usize),
    /// The connection breaks, after so many bytes more have arrived at the server.
    Cut(usize),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let typed = [
        "hello",
        "hello",
        "Dinesh: hello",
        "/me",
        "/bogus",
        "/msg Alex psst",
        "/help",
        "/search hello",
        "/nick Robot",
    ];
    prop_oneof![
        4 => prop::sample::select(typed.to_vec()).prop_map(Act::Types),
        3 => any::<bool>().prop_map(Act::IsTold),
        5 => (0..80_usize).prop_map(Act::ToServer),
        5 => (0..80_usize).prop_map(Act::ToClient),
        2 => (0..60_usize).prop_map(Act::Cut),
        2 => (0..20_000_u64).prop_map(Act::Wait),
    ]
}

/// A client with its session, and the server.
struct World {
    tested: Tested,
    server: Server,
    typed: Vec<String>,
    told: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        // Patience without end, so that only cuts end the connections.
        let reconnect = Reconnect { for_at_most: Some(FOR_EVER), ..Reconnect::new(seed) };
        let mut tested = Tested::connected(dinesh().with_reconnect(reconnect));
        tested.receive("NICKConnected to server!\n-- pong chat-client-1\n");
        let session = SessionNotice::Begun { token: token(), epoch: EPOCH, public_lines: EARLIER_LINES };
        tested.receive(&format!("-- {session}\n-- Kept for 120 s after a lost connection.\n"));
        tested.take_events();
        tested.take_sent();
        Self { tested, server: Server::new(), typed: Vec::new(), told: 0 }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Types(line) => {
                // Each has its own text, so that no two can be mistaken for each other; but not always.
                let line = if line.starts_with("/nick") {
                    format!("{line}{}", self.typed.len() % 3)
                } else if self.typed.len().is_multiple_of(2) && line != "/me" && line != "/help" {
                    format!("{line} {}", self.typed.len())
                } else {
                    line.to_owned()
                };
                self.tested.session.send_line(&line, self.tested.now).expect("there is room");
                self.typed.push(line);
            }
            Act::IsTold(privately) => {
                self.told += 1;
                let from = if privately { "-- Alex to you" } else { "Alex" };
                self.server.tell(&format!("{from}: {}", self.told));
            }
            Act::ToServer(bytes) => self.carry_to_server(bytes),
            Act::ToClient(bytes) => self.carry_to_client(bytes),
            Act::Cut(bytes) => {
                self.carry_to_server(bytes);
                if self.tested.session.is_connected() {
                    self.tested.session.connection_broken(self.tested.now);
                    self.collect();
                }
            }
            Act::Wait(milliseconds) => {
                self.wait(Duration::from_millis(milliseconds));
            }
        }
    }

    fn carry_to_server(&mut self, at_most: usize) {
        let bytes = self.tested.session.transmit();
        let bytes = bytes[..at_most.min(bytes.len())].to_vec();
        self.tested.session.sent(bytes.len());
        self.server.receive(&bytes);
    }

    fn carry_to_client(&mut self, at_most: usize) {
        if self.tested.session.is_connected() {
            let rest = self.server.outgoing.split_off(at_most.min(self.server.outgoing.len()));
            let bytes = std::mem::replace(&mut self.server.outgoing, rest);
            self.tested.session.receive(&bytes, self.tested.now);
            self.collect();
        }
    }

    /// Lets time pass; the client connects as soon as it wants to.
    fn wait(&mut self, wait: Duration) {
        let end = self.tested.now + wait;
        loop {
            if self.tested.session.wants_connection() {
                self.server.connected();
                self.tested.session.connected(self.tested.now);
            }
            let Some(due) = self.tested.session.next_timeout().filter(|due| *due <= end) else { break };
            self.tested.now = self.tested.now.max(due);
            self.tested.session.handle_timeout(self.tested.now);
            self.collect();
        }
        self.tested.now = end;
    }

    fn collect(&mut self) {
        let session = &mut self.tested.session;
        self.tested.events.extend(std::iter::from_fn(|| session.poll_event()));
    }

    /// Nothing fails any more: everything arrives.
    fn heal(&mut self) {
        for _ in 0..100 {
            self.wait(Duration::from_secs(1));
            self.carry_to_server(usize::MAX);
            self.carry_to_client(usize::MAX);
        }
    }
}

proptest! {
    #[test]
    fn over_connections_cut_anywhere_every_line_is_heard_once_and_every_line_said_is_carried_out_once(
        seed: u64,
        acts in proptest::collection::vec(act(), 0..120),
    ) {
        let mut world = World::new(seed);
        for act in &acts {
            world.act(act);
        }
        world.heal();
        let heard: Vec<&str> = world.tested.events.iter().filter_map(|event| match event {
            Event::Line(line) => Some(&line[..]),
            _ => None,
        }).collect();
        prop_assert_eq!(heard, world.server.stream.iter().map(|line| &line[..]).collect::<Vec<_>>());

        prop_assert_eq!(&world.server.handled, &world.typed);
        prop_assert_eq!(world.tested.unconfirmed(), [""; 0]);
        prop_assert!(!world.tested.events.iter().any(|event| matches!(event, Event::Unconfirmed(_))));

        let refused = world.tested.events.iter().filter_map(|event| match event {
            Event::NotSent(line) => Some(line),
            _ => None,
        });
        let is_refused = |line: &&String| *line == "/me" || line.starts_with("/bogus");
        prop_assert!(refused.eq(world.typed.iter().filter(is_refused)));
        prop_assert_eq!(world.tested.session.nickname().as_str(), &world.server.nickname[..]);
    }
}
