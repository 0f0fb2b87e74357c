//! The ledger of "sometimes" assertions: interesting things that must happen in a sweep now and then, or
//! it tests less than it claims.

use std::collections::BTreeMap;
use std::fmt;

use super::history::{History, LogEvent};
use super::oracles;

/// How often each of them has happened.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<&'static str, usize>);

impl Ledger {
    /// Counts what happened in one run. `events` come from inside the server and the network.
    pub fn note(&mut self, history: &History, events: &str) {
        let log: Vec<&LogEvent> = history.epochs.iter().flat_map(|epoch| &epoch.events).collect();
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
            ("the server crashed and restarted", history.epochs.len() - 1),
            ("a crash in the middle of a broadcast", crashes_in_a_broadcast(history)),
            ("a message lost in flight", oracles::lost_in_flight(history)),
        ] {
            *self.0.entry(name).or_default() += times;
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (name, times) in &other.0 {
            *self.0.entry(name).or_default() += times;
        }
    }

    /// The things that have never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, times)| **times == 0).map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, times)| writeln!(formatter, "{times:>9}  {name}"))
    }
}

/// Counts the servers that crashed after some members had been told the last line of the log, and before
/// others had.
fn crashes_in_a_broadcast(history: &History) -> usize {
    let crashed = history.epochs.len() - 1;
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
