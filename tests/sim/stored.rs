//! What a store holds, as the oracles see it.

use std::collections::BTreeMap;
use std::time::Duration;

use commonroom::protocol::Timestamp;
use commonroom::room::{DisconnectReason, Entry};

use super::history::{Epoch, LogEvent};
use super::store::{Account, Fates, Kept, Log, Run, SimulatedStore};

/// What has become of a store, besides the events that it holds.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What `server.log` tells, one for each start of the server.
    pub processes: Vec<Epoch>,
    /// One for each server, in order.
    pub runs: Vec<Run>,
    /// When each text was first known to be durable, be it public or private.
    pub texts: BTreeMap<String, Duration>,
    /// Everything that was applied before this is durable, if its server has not ended.
    pub kept_until: Duration,
    /// When the store was found to be full.
    pub filled: Vec<Duration>,
    /// How often a sync has failed.
    pub failures: usize,
    /// Why servers have ended by themselves.
    pub reasons: Vec<String>,
    pub fates: Fates,
    /// What a server has done that it must not.
    pub misuse: Option<String>,
}

/// The events that a store holds, one epoch for each of its logs, and what else there is to say of it.
pub fn read(store: &SimulatedStore, processes: Vec<Epoch>) -> (Vec<Epoch>, Stored) {
    let account = &*store.account();
    let mut texts = BTreeMap::new();
    for Kept { record, known } in account.logs.iter().flat_map(|log| &log.kept) {
        let told = record.text.as_deref().unwrap_or_default();
        let said = match Entry::decode(&record.head, told) {
            Ok(Entry::Say { text, .. } | Entry::Whisper { text, .. }) => text.as_str(),
            _ => continue,
        };
        texts.entry(said.to_owned()).or_insert(*known);
    }
    let Account { runs, filled, failures, reasons, fates, misuse, .. } = account;
    let stored = Stored {
        processes,
        runs: runs.clone(),
        texts,
        kept_until: account.kept_until(),
        filled: filled.clone(),
        failures: *failures,
        reasons: reasons.clone(),
        fates: *fates,
        misuse: misuse.clone(),
    };
    (account.logs.iter().map(events).collect(), stored)
}

/// What has happened in a room, by its log.
fn events(log: &Log) -> Epoch {
    let mut epoch = Epoch::default();
    // Why members are away.
    let mut away = BTreeMap::new();
    for (index, Kept { record, known }) in log.kept.iter().enumerate() {
        let told = record.text.as_deref().unwrap_or_default();
        let entry = Entry::decode(&record.head, told).expect("the log holds entries");
        let nickname = record.nickname.as_deref().unwrap_or_default().to_owned();
        let is_public = record.line.is_some();
        let event = match entry {
            Entry::Start => {
                epoch.starts.push(since_the_beginning(record.at));
                continue;
            }
            Entry::Join { nickname, from } => LogEvent::Joined { nickname: nickname.to_string(), from },
            Entry::Say { text, .. } => LogEvent::Said { nickname, text: text.as_str().to_owned() },
            Entry::Rename { nickname: new, .. } if is_public => {
                LogEvent::Renamed { old: nickname, new: new.to_string() }
            }
            Entry::Detach { reason, .. } => {
                away.insert(nickname.clone(), reason);
                LogEvent::LostConnection { nickname }
            }
            Entry::Resume { from, .. } => LogEvent::Reconnected { nickname, from },
            Entry::Leave { reason, .. } => LogEvent::left(nickname, reason),
            Entry::Expire { .. } => {
                let reason = away.remove(&nickname).expect("only members that are away expire");
                LogEvent::left(nickname, reason)
            }
            _ => continue,
        };
        epoch.events.push(event);
        epoch.times.push(since_the_beginning(record.at));
        epoch.stored.push((index, *known));
    }
    epoch
}

/// The clock of a server in the sweep tells how old the world is.
fn since_the_beginning(at: Timestamp) -> Duration {
    Duration::from_millis(at.0)
}

impl LogEvent {
    fn left(nickname: String, reason: DisconnectReason) -> Self {
        let reason = reason.to_string();
        let reason = reason.trim_start_matches(" (").trim_end_matches(')').to_owned();
        Self::Left { nickname, reason }
    }
}
