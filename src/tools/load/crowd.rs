//! All members of a run, and how they react when their sockets are ready.

mod sessions;
mod verdict;

use std::io;
use std::ops::Range;
use std::time::Instant;

use hdrhistogram::Histogram;

use super::connection::{Connection, Received};
use super::hearing::{Fault, FaultKind, Hearing, Shape, Surprise};
use super::line::{self, Tag, receiver_name, sender_name};
use super::poller::{Poller, Ready};
use super::protocol::{Chatter, Protocol};
use super::sender::Sender;
use super::{Pace, Plan};
use crate::net::explain;
use crate::protocol::{Resume, Sanitized};

/// In a closed loop one delivery of this many is a sample of the latency. It is a prime, so that it does not
/// keep step with the window. In an open loop each delivery is a sample.
const SAMPLED_OF_DELIVERIES: u32 = 61;

/// What to do when our server refuses this many connections of one address.
const HOW_TO_LOAD_OURS: &str = " Start a chat-server that is to be loaded with --max-per-address 0 --rate 0";

/// How much of what its members send may wait for a server that does not read.
const OUTGOING_BYTES: usize = 16 * 1_024 * 1_024;

/// The range of latencies in nanoseconds, from a microsecond to ten minutes, recorded to three digits.
const LATENCY_BOUNDS: (u64, u64) = (1_000, 600_000_000_000);
const LATENCY_DIGITS: u8 = 3;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

pub(super) struct Crowd {
    plan: Plan,
    epoch: Instant,
    pub(super) poller: Poller,
    shape: Shape,
    members: Vec<Member>,
    /// How many of them have begun to connect, or to connect again.
    opened: usize,
    /// Whether their sessions go on in other connections.
    resuming: bool,
    senders: Vec<Sender>,
    stride: u32,
    /// Whether senders keep sending.
    pub(super) speaking: bool,
    /// When the next line of the open loop is due, in nanoseconds since the start of the run, and its number.
    next_due: u64,
    next_line: u64,
    pub(super) recording: bool,
    pub(super) latency: Histogram<u64>,
    /// Messages heard since the beginning.
    pub(super) deliveries: u64,
    /// Announcements heard that somebody has joined.
    pub(super) announcements: u64,
    /// How many are joining.
    pub(super) joining: usize,
    /// When something was last heard, in nanoseconds since the start of the run.
    pub(super) last_heard: u64,
    pub(super) fault: Option<Fault>,
}

struct Member {
    name: String,
    connection: Connection,
    hearing: Hearing,
    stalled: bool,
    established: bool,
    joined: bool,
    /// The request to resume its session in another connection, if it has one.
    resume: Option<Resume>,
    /// The senders whose windows this member opens by hearing their lines.
    opens: Range<usize>,
}

impl Crowd {
    pub(super) fn new(plan: &Plan, poller: Poller) -> Result<Self, String> {
        let (low, high) = LATENCY_BOUNDS;
        let latency = Histogram::new_with_bounds(low, high, LATENCY_DIGITS);
        Ok(Self {
            shape: Shape::of(plan.protocol, plan.line_bytes),
            members: Vec::with_capacity(plan.connections()),
            opened: 0,
            resuming: false,
            senders: (0..plan.senders)
                .map(|index| Sender::new(index, plan.protocol, plan.line_bytes))
                .collect(),
            stride: if matches!(plan.pace, Pace::Rate(_)) { 1 } else { SAMPLED_OF_DELIVERIES },
            plan: plan.clone(),
            epoch: Instant::now(),
            poller,
            speaking: false,
            next_due: 0,
            next_line: 0,
            recording: false,
            latency: latency.map_err(|error| format!("cannot keep latencies: {error}"))?,
            deliveries: 0,
            announcements: 0,
            joining: 0,
            last_heard: 0,
            fault: None,
        })
    }

    /// Nanoseconds since the start of the run.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How many have begun to connect.
    pub(super) fn opened(&self) -> usize {
        self.opened
    }

    /// Begins to connect one more member: receivers first, then stalled members, then senders. A server that
    /// writes in the order of joining then sends a line back to its sender last.
    pub(super) fn open_next(&mut self) -> Result<(), String> {
        let index = self.opened;
        self.opened += 1;
        self.joining += 1;
        if index < self.members.len() {
            return self.open_again(index);
        }
        let first_sender = self.plan.receivers + self.plan.stalled;
        let (name, opens) = match index.checked_sub(first_sender) {
            Some(sender) if self.plan.protocol.echoes() => (sender_name(sender), sender..sender + 1),
            Some(sender) => (sender_name(sender), 0..0),
            // If senders do not hear themselves, the last receiver hears for them.
            None if !self.plan.protocol.echoes() && index + 1 == self.plan.receivers => {
                (receiver_name(index), 0..self.plan.senders)
            }
            None => (receiver_name(index), 0..0),
        };
        let mut connection = Connection::open(self.plan.address, &self.poller, index)
            .map_err(|error| self.cannot_connect(&error))?;
        connection.outgoing().extend_from_slice(self.plan.protocol.greeting(&name).as_bytes());
        if self.plan.sessions {
            connection.outgoing().extend_from_slice(sessions::REQUEST);
        }
        let offset = u32::try_from(index).unwrap_or(0) % self.stride;
        self.members.push(Member {
            name,
            connection,
            hearing: Hearing::new(self.plan.senders, offset),
            stalled: (self.plan.receivers..first_sender).contains(&index),
            established: false,
            joined: false,
            resume: None,
            opens,
        });
        Ok(())
    }

    /// Reads from and writes to a socket that is ready.
    pub(super) fn handle(&mut self, ready: Ready, buffer: &mut [u8]) -> Result<(), String> {
        let index = ready.index;
        let Some(member) = self.members.get_mut(index) else { return Ok(()) };
        if member.stalled && member.joined {
            return Ok(());
        }
        if !member.established {
            let established = member.connection.established();
            member.established = true;
            established.map_err(|error| self.cannot_connect(&error))?;
        }
        if ready.writable {
            self.flush(index)?;
        }
        if ready.readable {
            self.read(index, buffer)?;
        }
        Ok(())
    }

    /// Lets the senders begin: each fills its window, or the first line of the open loop is due.
    pub(super) fn begin_speaking(&mut self) -> Result<(), String> {
        self.speaking = true;
        self.next_due = self.now();
        (0..self.senders.len()).try_for_each(|sender| self.fill_window(sender))
    }

    /// Says the lines that are due in an open loop. Returns when the next one is due, if any.
    pub(super) fn speak_on_time(&mut self) -> Result<Option<u64>, String> {
        let Pace::Rate(deliveries_per_second) = self.plan.pace else { return Ok(None) };
        // The latency of a delayed line counts from when it was due.
        while self.speaking && self.next_due <= self.now() {
            let sender = self.next_line % self.senders.len() as u64;
            self.say(usize::try_from(sender).unwrap_or(0), 1, self.next_due)?;
            self.next_line += 1;
            self.next_due +=
                self.plan.hearers() as u64 * NANOSECONDS_PER_SECOND / u64::from(deliveries_per_second);
        }
        Ok(self.speaking.then_some(self.next_due))
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> Result<(), String> {
        loop {
            let member = &mut self.members[index];
            let (length, last) = match member.connection.read(buffer) {
                Ok(Received::Bytes(length)) => (length, false),
                Ok(Received::LastBytes(length)) => (length, true),
                Ok(Received::Nothing) => return Ok(()),
                Ok(Received::End) => {
                    return Err(format!("the server closed the connection of {}", member.name));
                }
                Err(error) if member.joined => return Err(self.lost_connection(index, &error)),
                Err(error) => return Err(self.cannot_connect(&error)),
            };
            self.hear(index, &buffer[..length])?;
            if last || (self.members[index].stalled && self.members[index].joined) {
                return Ok(());
            }
        }
    }

    /// Hears all that is whole, and keeps the rest.
    fn hear(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let now = self.now();
        self.last_heard = now;
        let mut at = 0;
        loop {
            at += self.hear_expected(index, &bytes[at..], now);
            let Some(length) = bytes[at..].iter().position(|&byte| byte == b'\n') else { break };
            self.hear_line(index, &bytes[at..at + length])?;
            at += length + 1;
        }
        let unfinished = &bytes[at..];
        // The report's own server delimits nothing; a member that is just joining has little to look through.
        if !self.members[index].joined && self.interpret(unfinished) == Chatter::Joined {
            self.welcomed(index)?;
        }
        let member = &mut self.members[index];
        if !member.connection.keep_unfinished(unfinished) {
            return Err(format!("{} was sent a line without an end", member.name));
        }
        self.open_windows(index)
    }

    /// Hears the messages that are exactly as expected. Returns how many bytes they were.
    fn hear_expected(&mut self, index: usize, bytes: &[u8], now: u64) -> usize {
        let Self { members, senders, latency, .. } = self;
        let recording = self.recording;
        let heard = members[index].hearing.hear_expected(bytes, &self.shape, self.stride, |tag| {
            if recording {
                let said = senders[tag.sender()].time_of(tag.number());
                latency.saturating_record(now.saturating_sub(said));
            }
        });
        self.deliveries += heard as u64;
        heard * self.shape.message_bytes()
    }

    /// Hears a line that is something else, or the rest of a message that came in two reads.
    fn hear_line(&mut self, index: usize, line: &[u8]) -> Result<(), String> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (heading, text) = line.split_at(line.len().saturating_sub(self.shape.text));
        if let Some(tag) = line::parse(text) {
            self.learn_heading(index, heading)?;
            return self.hear_message(index, tag);
        }
        match self.interpret(line) {
            Chatter::Nothing => self.count_public(index, line),
            Chatter::Announced => {
                self.announcements += 1;
                self.count_public(index, line)
            }
            Chatter::Joined => self.welcomed(index),
            Chatter::Begun(resume) => {
                self.members[index].resume = Some(resume);
                self.joined(index)
            }
            Chatter::Told => Ok(()),
            Chatter::Resumed => self.joined(index),
            Chatter::Answer(answer) => {
                self.members[index].connection.outgoing().extend_from_slice(answer.as_bytes());
                self.flush(index)
            }
            Chatter::Refused => {
                let told = String::from_utf8_lossy(line);
                let advice = if told.contains("from this address") { HOW_TO_LOAD_OURS } else { "" };
                Err(format!("{} was told: {}{advice}", self.members[index].name, Sanitized(&told)))
            }
            Chatter::Unexpected => Err(self.nobody_said(index, line)),
        }
    }

    /// Hears what precedes a message on the same line.
    fn learn_heading(&mut self, index: usize, heading: &[u8]) -> Result<(), String> {
        match self.plan.protocol {
            Protocol::Irc => self.shape.heading = heading.len(),
            // Undelimited announcements of the report's own server.
            Protocol::Report if self.interpret(heading) == Chatter::Unexpected => {
                return Err(self.nobody_said(index, heading));
            }
            Protocol::Report | Protocol::Redis | Protocol::Nats => {}
        }
        Ok(())
    }

    fn hear_message(&mut self, index: usize, tag: Tag) -> Result<(), String> {
        let member = &mut self.members[index];
        let sender = tag.sender();
        if self.senders.get(sender).is_none_or(|sender| tag.number() >= sender.said()) {
            return Err(format!("{} was sent a line that nobody has said yet", member.name));
        }
        let missing = member.hearing.next(sender).number();
        let (kind, number) = match member.hearing.hear(tag) {
            Ok(()) => {
                self.deliveries += 1;
                return Ok(());
            }
            Err(Surprise::Gap) => (FaultKind::Lost, missing),
            Err(Surprise::Late) => (FaultKind::Twice, tag.number()),
        };
        let fault = Fault { kind, member: member.name.clone(), sender, number };
        self.speaking = false;
        match &mut self.fault {
            None => self.fault = Some(fault),
            Some(first) if first.is_explained_by(&fault) => first.kind = FaultKind::OutOfOrder,
            Some(_) => {}
        }
        Ok(())
    }

    fn joined(&mut self, index: usize) -> Result<(), String> {
        let member = &mut self.members[index];
        if !member.joined {
            member.joined = true;
            self.joining -= 1;
            if member.stalled {
                member
                    .connection
                    .abandon(&self.poller)
                    .map_err(|error| self.lost_connection(index, &error))?;
            }
        }
        Ok(())
    }

    fn open_windows(&mut self, index: usize) -> Result<(), String> {
        for sender in self.members[index].opens.clone() {
            self.senders[sender].echoed = self.members[index].hearing.next(sender).number();
            self.fill_window(sender)?;
        }
        Ok(())
    }

    fn fill_window(&mut self, sender: usize) -> Result<(), String> {
        let Pace::Window(lines) = self.plan.pace else { return Ok(()) };
        let open = u64::from(lines).saturating_sub(self.senders[sender].in_flight());
        if self.speaking && open > 0 {
            return self.say(sender, open, self.now());
        }
        Ok(())
    }

    fn say(&mut self, sender: usize, lines: u64, time: u64) -> Result<(), String> {
        let index = self.plan.receivers + self.plan.stalled + sender;
        let connection = &mut self.members[index].connection;
        self.senders[sender].say(lines, time, connection.outgoing());
        if connection.outgoing_bytes() > OUTGOING_BYTES {
            return Err(format!("the server reads too little of what {} sends", self.members[index].name));
        }
        self.flush(index)
    }

    fn flush(&mut self, index: usize) -> Result<(), String> {
        let flushed = self.members[index].connection.flush(&self.poller);
        flushed.map_err(|error| self.lost_connection(index, &error))
    }

    fn interpret(&self, line: &[u8]) -> Chatter {
        self.plan.protocol.interpret(&String::from_utf8_lossy(line))
    }

    fn cannot_connect(&self, error: &io::Error) -> String {
        format!("cannot connect to {}: {}", self.plan.address, explain(error))
    }

    fn lost_connection(&self, index: usize, error: &io::Error) -> String {
        format!("the connection of {} broke: {}", self.members[index].name, explain(error))
    }

    fn nobody_said(&self, index: usize, line: &[u8]) -> String {
        format!(
            "{} was sent what nobody has said: {}",
            self.members[index].name,
            Sanitized(&String::from_utf8_lossy(line))
        )
    }
}
