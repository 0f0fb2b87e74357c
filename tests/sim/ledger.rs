//! The ledger of "sometimes" assertions: interesting things that must happen in a sweep now and then, or
//! it tests less than it claims.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::fault::Fault;
use super::history::{History, LogEvent};
use super::member::Act;
use super::oracles;
use super::oracles::private::{Whisper, text_of_whisper};
use super::plan::Plan;
use super::stored::Stored;
use super::witness::{Ending, Membership, Session};

/// How often each of them has happened.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    things: BTreeMap<&'static str, usize>,
    /// Acts of a member at the time of a fault.
    pairs: BTreeMap<(&'static str, &'static str), usize>,
}

/// A fault and an act that are not further apart than this belong together.
const TOGETHER: Duration = Duration::from_secs(1);

impl Ledger {
    /// Counts what happened in one run. `events` come from inside the server and the network.
    pub fn note(&mut self, plan: &Plan, history: &History, events: &str) {
        self.note_log(history, events);
        self.note_store(history);
        self.note_cuts(events);
        history.memberships.iter().for_each(|membership| self.note_session(history, membership));
        self.note_pairs(plan, history);
    }

    fn note_log(&mut self, history: &History, events: &str) {
        let processes = history.told_by_the_log();
        let log: Vec<&LogEvent> = processes.iter().flat_map(|process| &process.events).collect();
        let left = |wanted: &str| {
            log.iter()
                .filter(|event| matches!(event, LogEvent::Left { reason, .. } if reason == wanted))
                .count()
        };
        let warned = |wanted: &str| {
            log.iter()
                .filter(|event| matches!(event, LogEvent::Warning(text) if text.contains(wanted)))
                .count()
        };
        let inside = |wanted: &str| events.matches(wanted).count();
        let joined = log.iter().filter(|event| matches!(event, LogEvent::Joined { .. })).count();
        let report_framed =
            history.live().filter(|membership| membership.framing == commonroom::protocol::Framing::Report);
        for (name, times) in [
            ("a member joined", joined),
            ("a member spoke the report's framing", report_framed.count()),
            ("a member left of its own accord", left("")),
            ("a stalled member dropped", left("stalled")),
            ("a member fell silent after a ping", left("timed out")),
            ("a connection found dead by its keepalive", inside("keepalive")),
            ("a member too slow for the log", left("too slow")),
            ("a connection reset", left("connection reset")),
            ("a nickname race lost", warned("somebody here has that nickname")),
            ("a nickname refused", warned("the nickname")),
            ("a client that never named itself", warned("no nickname in time")),
            ("a client gone before its nickname", warned("left without a nickname")),
            ("accepting paused, out of descriptors", warned("Cannot accept connections")),
            ("a message refused", warned("Refused a message")),
            ("the room full", warned("the room is full")),
            ("a character cut by the end of a read", inside("cut inside a character")),
            ("back-pressure applied", inside("back-pressure")),
            ("a flood slowed down", inside("handled=Slowed")),
            ("the server crashed and restarted", processes.len().saturating_sub(1)),
            ("a member left with the server", left("server stopped")),
            ("a crash in the middle of a broadcast", crashes_in_a_broadcast(history)),
            ("a message lost in flight", oracles::lost_in_flight(history)),
            ("a session resumed while its old connection looked alive", resumed_without_a_loss(history)),
        ] {
            self.count(name, times);
        }
    }

    fn note_store(&mut self, history: &History) {
        let fates = history.stored.as_ref().map(|stored| stored.fates).unwrap_or_default();
        let stored = |times: fn(&Stored) -> usize| history.stored.as_ref().map_or(0, times);
        let here = || history.memberships.iter().filter(|_| history.stored.is_some());
        let heard = |line: &str| {
            let all = here().flat_map(|membership| &membership.heard);
            all.filter(|(_, heard)| heard.contains(line)).count()
        };
        let sessions = here().filter_map(|membership| membership.session.as_ref());
        let anew = |session: &&Session| {
            session.not_resumed.as_ref().is_some_and(|(_, reason)| reason.contains("begun anew"))
        };
        for (name, times) in [
            ("a room that has outlived its server", stored(|stored| stored.runs.len().saturating_sub(1))),
            ("a session resumed with another server", resumed_with_another_server(history)),
            ("a line typed before a crash, and taken after it", taken_after_a_crash(history)),
            ("a crash in the middle of an append", fates.crashes),
            ("a batch kept that was not confirmed", fates.kept),
            ("a batch lost", fates.lost),
            ("a torn batch", fates.torn),
            ("a snapshot read", fates.snapshots_read),
            ("a sync failed", stored(|stored| stored.failures)),
            ("a store full", stored(|stored| stored.filled.len())),
            ("a member told that the store is full", heard("the server cannot store it")),
            ("a store put back to an earlier state", fates.put_back),
            ("a session refused after a store was put back", sessions.filter(anew).count()),
        ] {
            self.count(name, times);
        }
    }

    fn note_cuts(&mut self, events: &str) {
        for (name, direction, how) in [
            ("a connection cut to the server, in order", "ToServer", "Orderly"),
            ("a connection cut to the server, reset", "ToServer", "Reset"),
            ("a connection cut to the server, the rest late", "ToServer", "Late"),
            ("a connection cut from the server, in order", "FromServer", "Orderly"),
            ("a connection cut from the server, reset", "FromServer", "Reset"),
        ] {
            self.count(name, events.matches(&format!("direction={direction} how={how}")).count());
        }
    }

    fn note_session(&mut self, history: &History, membership: &Membership) {
        let none = Session::default();
        let session = membership.session.as_ref().unwrap_or(&none);
        let away = session.lost.iter().zip(&session.resumed);
        let flies = |is: fn(&str) -> bool| {
            away.clone().filter(|(lost, resumed)| session.was_open(is, **lost, **resumed)).count()
        };
        let renames = flies(|line| line.starts_with("/nick "));
        let whispers = flies(|line| text_of_whisper(line).is_some());
        let replayed =
            session.resumed.iter().filter(|resumed| was_whispered_to(history, membership, **resumed)).count();
        let refused = session.not_resumed.as_ref().map_or("", |(_, reason)| reason);
        let cut_off = session.quits.is_some() && membership.ended.is_some_and(|(_, how)| how == Ending::Lost);
        let taken_over = session.taken_over.is_some();
        let missing =
            |wanted: fn(&(usize, u64, u64)) -> bool| session.missing.iter().filter(|gap| wanted(gap)).count();
        for (name, times) in [
            ("a session kept", usize::from(session.kept.is_some() && session.inherited == 0)),
            ("a session resumed", session.resumed.len()),
            (
                "a session resumed by another client",
                usize::from(session.inherited > 0 && !session.resumed.is_empty()),
            ),
            ("a session refused after the grace", usize::from(refused.contains("has ended"))),
            ("a session refused after a crash", usize::from(refused.contains("begun anew"))),
            ("a line reported as unconfirmed", session.unconfirmed.len()),
            ("two clients of one session", usize::from(taken_over)),
            ("two connections writing at once", usize::from(writes_after_takeover(history, membership))),
            ("the retention passed while away", missing(|(_, public_lines, _)| *public_lines > 0)),
            ("a rename in flight", renames),
            ("a private line in flight", whispers),
            ("a private line replayed", replayed),
            ("a /quit in flight", usize::from(cut_off)),
        ] {
            self.count(name, times);
        }
    }

    fn note_pairs(&mut self, plan: &Plan, history: &History) {
        for &(begin, length, fault) in &plan.faults {
            let begin = Duration::from_millis(begin);
            let end = begin + Duration::from_millis(length) + TOGETHER;
            let host = fault.member().map(|index| plan.host(index));
            let whose = |membership: &&Membership| host.as_ref().is_none_or(|host| *host == membership.host);
            for (at, act) in history.memberships.iter().filter(whose).flat_map(|membership| &membership.acts)
            {
                if (begin.saturating_sub(TOGETHER)..end).contains(at) {
                    *self.pairs.entry((fault.name(), act)).or_default() += 1;
                }
            }
        }
    }

    fn count(&mut self, name: &'static str, times: usize) {
        *self.things.entry(name).or_default() += times;
    }

    pub fn add(&mut self, other: &Self) {
        for (name, times) in &other.things {
            self.count(name, *times);
        }
        for (pair, times) in &other.pairs {
            *self.pairs.entry(*pair).or_default() += times;
        }
    }

    /// The things that have never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        self.things.iter().filter(|(_, times)| **times == 0).map(|(name, _)| *name).collect()
    }

    /// The pairs of a fault and an act that have never happened.
    pub fn missing_pairs(&self) -> Vec<String> {
        let pairs = Fault::NAMES.iter().flat_map(|fault| Act::NAMES.map(|act| (*fault, act)));
        pairs
            .filter(|pair| !self.pairs.contains_key(pair))
            .map(|(fault, act)| format!("{fault} + {act}"))
            .collect()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.things.iter().try_for_each(|(name, times)| writeln!(formatter, "{times:>9}  {name}"))?;
        let pairs: usize = self.pairs.values().sum();
        writeln!(formatter, "{pairs:>9}  an act at the time of a fault, in {} pairs", self.pairs.len())
    }
}

impl Session {
    /// Whether a line of a kind was typed before a connection was lost, and taken after the next one was there.
    fn was_open(&self, is: fn(&str) -> bool, lost: Duration, resumed: Duration) -> bool {
        let mut typed = self.typed.iter().filter(|(typed, line)| *typed <= lost && is(line));
        typed.any(|(_, line)| self.confirmed.iter().any(|(at, taken)| taken == line && *at >= resumed))
    }
}

/// Whether a member has heard a private line only when it was back, though the sender knew before that it was
/// taken.
fn was_whispered_to(history: &History, membership: &Membership, resumed: Duration) -> bool {
    let heard = membership.heard.iter().filter(|(at, _)| *at >= resumed);
    let whispers = heard.filter_map(|(_, line)| Whisper::parse(line));
    let late: BTreeSet<&str> =
        whispers.filter(|whisper| !whisper.is_receipt).map(|whisper| whisper.text).collect();
    let sessions = history.memberships.iter().filter_map(|membership| membership.session.as_ref());
    let mut taken = sessions.flat_map(|session| &session.confirmed).filter(|(at, _)| *at < resumed);
    taken.any(|(_, line)| text_of_whisper(line).is_some_and(|text| late.contains(text)))
}

/// Whether a client has still said something when another one had gone on with its session.
fn writes_after_takeover(history: &History, membership: &Membership) -> bool {
    let last = membership.said.iter().map(|(at, _)| *at).max().unwrap_or_default();
    history.memberships.iter().filter(|other| other.from == membership.from).any(|other| {
        other.since > membership.since
            && other.session.iter().flat_map(|session| &session.resumed).any(|resumed| *resumed < last)
    })
}

/// Counts the sessions that were resumed before the server had noticed the loss of the connection before.
fn resumed_without_a_loss(history: &History) -> usize {
    let mut times = 0;
    for epoch in &history.epochs {
        for (index, event) in epoch.events.iter().enumerate() {
            let LogEvent::Reconnected { nickname, .. } = event else { continue };
            let before = epoch.events[..index].iter().rev().find(|event| event.is_of(nickname));
            times += usize::from(!matches!(before, Some(LogEvent::LostConnection { .. })));
        }
    }
    times
}

/// Counts the sessions that went on after another server had begun to run the room.
fn resumed_with_another_server(history: &History) -> usize {
    let mut times = 0;
    for (membership, session) in
        history.memberships.iter().filter_map(|one| Some((one, one.session.as_ref()?)))
    {
        let Some((epoch, _)) = history.joining(membership) else { continue };
        for start in history.epochs[epoch].starts.iter().skip(1) {
            times += usize::from(session.kept.is_some_and(|kept| kept < *start))
                * usize::from(session.resumed.iter().any(|resumed| resumed > start));
        }
    }
    times
}

/// Counts the lines that a client had typed before a server began that took them.
fn taken_after_a_crash(history: &History) -> usize {
    let sessions = history.memberships.iter().filter_map(|one| Some((one, one.session.as_ref()?)));
    let mut times = 0;
    for (membership, session) in sessions {
        let Some((epoch, _)) = history.joining(membership) else { continue };
        let starts = &history.epochs[epoch].starts[1..];
        let typed: BTreeMap<_, _> = session.typed.iter().map(|(at, line)| (line, at)).collect();
        let between = |(taken, line): &&(Duration, String)| {
            typed.get(line).is_some_and(|typed| starts.iter().any(|start| (*typed..taken).contains(&start)))
        };
        times += session.confirmed.iter().filter(between).count();
    }
    times
}

/// Counts the servers that crashed after some members had been told the last line of the log, and before
/// others had.
fn crashes_in_a_broadcast(history: &History) -> usize {
    // A room with a store goes on.
    let crashed = history.epochs.len().saturating_sub(1);
    (0..crashed)
        .filter(|&epoch| {
            let told = history.epochs[epoch].events.iter().rev().find_map(LogEvent::told).unwrap_or_default();
            let here = history
                .memberships
                .iter()
                .filter(|membership| history.joining(membership).is_some_and(|(joined, _)| joined == epoch));
            let (heard, missed): (Vec<_>, Vec<_>) = here.partition(|membership| {
                membership.heard.last().is_some_and(|(_, line)| line.contains(&told))
            });
            !heard.is_empty() && !missed.is_empty()
        })
        .count()
}
