//! What a store holds, as the oracles see it.

use std::collections::BTreeMap;
use std::time::Duration;

use commonroom::commit_log::Record;
use commonroom::protocol::Timestamp;
use commonroom::room::{DisconnectReason, Entry};

use super::history::{Epoch, LogEvent};
use super::store::{Account, Fates, Kept, Run, SimulatedStore};

/// What has become of a store, besides the events that it holds.
#[derive(Clone, Debug, Default)]
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
    /// How far each of its logs was read.
    read: Vec<Progress>,
}

#[derive(Clone, Debug, Default)]
struct Progress {
    records: usize,
    /// Why members are away.
    away: BTreeMap<String, DisconnectReason>,
}

impl Stored {
    /// Reads what a store holds by now. Each of its logs is an epoch.
    pub fn read(&mut self, store: &SimulatedStore, epochs: &mut Vec<Epoch>) {
        let account = &*store.account();
        epochs.resize_with(account.logs.len(), Epoch::default);
        self.read.resize_with(account.logs.len(), Progress::default);
        for ((log, epoch), progress) in account.logs.iter().zip(epochs).zip(&mut self.read) {
            for Kept { record, known } in log.kept.iter().skip(progress.records) {
                if let Some(event) = event(record, &mut progress.away, epoch) {
                    epoch.events.push(event);
                    epoch.times.push(since_the_beginning(record.at));
                    epoch.stored.push((progress.records, *known));
                }
                if let Some(text) = text(record) {
                    self.texts.entry(text).or_insert(*known);
                }
                progress.records += 1;
            }
        }
        let Account { runs, filled, failures, reasons, fates, misuse, .. } = account;
        self.runs.clone_from(runs);
        self.kept_until = account.kept_until();
        self.filled.clone_from(filled);
        self.failures = *failures;
        self.reasons.clone_from(reasons);
        self.fates = *fates;
        self.misuse.clone_from(misuse);
    }
}

/// What a record tells as an event of the room. Starts are noted apart from the events.
fn event(
    record: &Record,
    away: &mut BTreeMap<String, DisconnectReason>,
    epoch: &mut Epoch,
) -> Option<LogEvent> {
    let nickname = record.nickname.as_deref().unwrap_or_default().to_owned();
    let is_public = record.line.is_some();
    match entry(record) {
        Entry::Start => {
            epoch.starts.push(since_the_beginning(record.at));
            None
        }
        Entry::Join { nickname, from } => Some(LogEvent::Joined { nickname: nickname.to_string(), from }),
        Entry::Say { text, .. } => Some(LogEvent::Said { nickname, text: text.as_str().to_owned() }),
        Entry::Rename { nickname: new, .. } if is_public => {
            Some(LogEvent::Renamed { old: nickname, new: new.to_string() })
        }
        Entry::Detach { reason, .. } => {
            away.insert(nickname.clone(), reason);
            Some(LogEvent::LostConnection { nickname })
        }
        Entry::Resume { from, .. } => Some(LogEvent::Reconnected { nickname, from }),
        Entry::Leave { reason, .. } => Some(LogEvent::left(nickname, reason)),
        Entry::Expire { .. } => {
            let reason = away.remove(&nickname).expect("only members that are away expire");
            Some(LogEvent::left(nickname, reason))
        }
        _ => None,
    }
}

/// What somebody has said, to all or to one.
fn text(record: &Record) -> Option<String> {
    match entry(record) {
        Entry::Say { text, .. } | Entry::Whisper { text, .. } => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn entry(record: &Record) -> Entry<'_> {
    let text = record.text.as_deref().unwrap_or_default();
    Entry::decode(&record.head, text).expect("the log holds entries")
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
