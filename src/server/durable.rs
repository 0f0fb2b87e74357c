//! The commit log of the hub: what the room has become, and what of it lasts already.
//!
//! Entries are applied at once. The log follows like a reader, batch after batch, and every other reader stays
//! behind it: until a batch is durable, nobody is shown what it holds, and `server.log` does not tell it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::sleep;
use tracing::{info, warn};

use super::hub::{Hub, State};
use super::limits::{SNAPSHOT_AGE_MILLIS, STORE_PATIENCE, STORE_PAUSE, StoreLimits};
use super::report::report;
use crate::commit_log::{AppendError, Batch, CommitLog, LogError, Record, Snapshot};
use crate::net::Stream;
use crate::protocol::{Notice, SessionNotice, Timestamp};
use crate::room::{Attachment, Entry, MemberId, Outcome, Point, Position, Room};

/// What a log does not have yet.
#[derive(Debug)]
pub(super) struct Unstored {
    /// Nothing after this is shown to anybody.
    horizon: Point,
    /// The number of the last record, durable or not.
    last: u64,
    /// What no batch has taken yet.
    next: Changes,
    /// What is being written, and where the transcript ends then.
    under_way: Option<(Arc<Batch>, Changes, Position)>,
    /// How many bytes wait, those that are being written included.
    bytes: usize,
    /// The members who were told that the log takes nothing at the moment, while it does not.
    held: Option<BTreeSet<MemberId>>,
    /// What a start would have to read.
    since_snapshot: SinceSnapshot,
    limits: StoreLimits,
}

/// The records after the latest snapshot.
#[derive(Debug, Default)]
struct SinceSnapshot {
    records: u64,
    bytes: usize,
    /// When the first of them was made.
    since: Option<Timestamp>,
}

impl SinceSnapshot {
    fn add(&mut self, record: &Record) {
        self.records += 1;
        self.bytes += record.bytes();
        self.since.get_or_insert(record.at);
    }

    /// Whether there are many of them, or they are old: only what lies before a snapshot can be deleted.
    fn is_due(&self, now: Timestamp, limits: &StoreLimits) -> bool {
        let age = self.since.map_or(0, |since| now.0.saturating_sub(since.0));
        self.records >= limits.snapshot_records
            || self.bytes >= limits.snapshot_bytes
            || age >= SNAPSHOT_AGE_MILLIS
    }
}

/// Changes of the room, and who waits to hear of them.
#[derive(Debug, Default)]
struct Changes {
    records: Vec<Record>,
    outcomes: Vec<Outcome>,
    /// Those who were told something alone.
    told: Vec<Attachment>,
    /// Those whose entries these are.
    senders: BTreeSet<MemberId>,
}

impl Unstored {
    /// Everything up to this record is durable, and in the transcript up to that position. These records follow the
    /// latest snapshot.
    pub(super) fn after(record: u64, position: Position, records: &[Record], limits: StoreLimits) -> Self {
        let mut since_snapshot = SinceSnapshot::default();
        for record in records {
            since_snapshot.add(record);
        }
        Self {
            horizon: Point { position, record },
            last: record,
            next: Changes::default(),
            under_way: None,
            bytes: 0,
            held: None,
            since_snapshot,
            limits,
        }
    }

    /// Whether senders must wait: the log is full, or far behind.
    fn holds_senders(&self) -> bool {
        self.held.is_some() || self.bytes >= self.limits.unstored_bytes
    }

    /// Takes note of a change, after which the room is like this. `end` is where the transcript ended before.
    fn push(&mut self, at: Timestamp, room: &Room, end: Position, entry: &Entry<'_>, outcome: Outcome) {
        let (head, text) = entry.encode();
        let transcript = room.transcript();
        let is_public = transcript.end() != end;
        let text = if is_public { transcript.line_at(end) } else { text };
        let member = entry.member();
        let nickname = outcome.nickname().or_else(|| room.nickname(member?)).cloned();
        self.last += 1;
        let record = Record {
            id: self.last,
            at,
            kind: entry.kind().into(),
            nickname: nickname.map(Arc::from),
            text: (!text.is_empty()).then(|| text.into()),
            line: is_public.then(|| transcript.lines() - 1),
            head,
        };
        self.bytes += record.bytes();
        self.next.senders.extend(member);
        self.next.records.push(record);
        self.next.outcomes.push(outcome);
    }

    /// Somebody is told something when the last record is durable.
    fn tell_after(&mut self, attachment: Attachment) {
        match &mut self.under_way {
            // There may never be a batch after this one.
            Some((_, changes, _)) if self.next.records.is_empty() => changes.told.push(attachment),
            _ => self.next.told.push(attachment),
        }
    }

    /// Takes everything that waits as the next batch.
    fn take(&mut self, room: &Room) -> Option<Arc<Batch>> {
        if self.next.records.is_empty() || self.under_way.is_some() {
            return None;
        }
        let mut changes = std::mem::take(&mut self.next);
        let records = std::mem::take(&mut changes.records);
        for record in &records {
            self.since_snapshot.add(record);
        }
        let is_due = records.last().is_some_and(|last| self.since_snapshot.is_due(last.at, &self.limits));
        let snapshot = is_due.then(|| Snapshot { id: self.last, state: room.snapshot() });
        if is_due {
            self.since_snapshot = SinceSnapshot::default();
        }
        let batch = Arc::new(Batch { records, snapshot });
        self.under_way = Some((Arc::clone(&batch), changes, room.transcript().end()));
        Some(batch)
    }
}

/// Whether the room is another one than before. Refusals change what is kept for a session.
fn is_a_change(entry: &Entry<'_>, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Unchanged => false,
        Outcome::Refused(_) => entry.member().is_some(),
        _ => true,
    }
}

impl<S: Stream> State<S> {
    /// How far readers may read.
    pub(super) fn horizon(&self) -> Point {
        self.unstored.as_ref().map_or(Point::END, |unstored| unstored.horizon)
    }

    /// Where the transcript ends for readers.
    pub(super) fn shown(&self) -> Position {
        self.horizon().position.min(self.room.transcript().end())
    }

    /// The point after everything so far.
    pub(super) fn now(&self) -> Point {
        let record = self.unstored.as_ref().map_or(0, |unstored| unstored.last);
        Point { position: self.room.transcript().end(), record }
    }

    /// Reports a change, or leaves it to the log. `end` is where the transcript ended before.
    pub(super) fn record(&mut self, end: Position, entry: &Entry<'_>, outcome: &Outcome) {
        match &mut self.unstored {
            None => report(entry, outcome),
            Some(unstored) if is_a_change(entry, outcome) => {
                unstored.push(self.time, &self.room, end, entry, outcome.clone());
            }
            Some(_) => {}
        }
    }

    /// Somebody was told something alone: it is due when everything before it is durable.
    pub(super) fn is_due(&mut self, attachment: Attachment) {
        match &mut self.unstored {
            Some(unstored) if unstored.last > unstored.horizon.record => unstored.tell_after(attachment),
            _ => self.due.push(attachment),
        }
    }

    /// Whether a member that sends must wait for the log. It is told so once if that is full.
    pub(super) fn is_held(&mut self, attachment: Attachment) -> bool {
        let Some(unstored) = &mut self.unstored else { return false };
        let holds = unstored.holds_senders();
        if let Some(told) = &mut unstored.held
            && told.insert(attachment.member)
        {
            self.tell_of_the_hold(attachment);
        }
        holds
    }

    fn tell_of_the_hold(&mut self, attachment: Attachment) {
        self.readers.interject(attachment, self.horizon(), &Notice::Session(SessionNotice::Held));
        self.due.push(attachment);
    }

    /// The batch that was being written is durable.
    fn settle(&mut self) {
        let Some(unstored) = &mut self.unstored else { return };
        let Some((batch, changes, position)) = unstored.under_way.take() else { return };
        if let Some(last) = batch.records.last() {
            unstored.horizon = Point { position, record: last.id };
        }
        for (record, outcome) in batch.records.iter().zip(&changes.outcomes) {
            unstored.bytes -= record.bytes();
            let entry = Entry::decode(&record.head, record.text.as_deref().unwrap_or_default());
            report(&entry.expect("an entry that was encoded can be decoded"), outcome);
        }
        self.counters.store.records += batch.records.len() as u64;
        self.counters.store.batches += 1;
        self.due.extend(changes.told);
        if unstored.held.take().is_some() {
            info!(event = "store", "The store takes what is said again");
        }
    }

    /// The log takes nothing at the moment. Whoever waits for it is told, once.
    fn hold(&mut self, reason: &str) {
        let Some(unstored) = &mut self.unstored else { return };
        if unstored.held.is_some() {
            return;
        }
        warn!(
            event = "store",
            "Nothing can be stored at the moment, so whoever says something waits: {reason}"
        );
        let under_way = unstored.under_way.iter().flat_map(|(_, changes, _)| &changes.senders);
        let waiting: BTreeSet<_> = under_way.chain(&unstored.next.senders).copied().collect();
        unstored.held = Some(waiting.clone());
        for member in waiting {
            self.tell_of_the_hold(self.room.attachment(member));
        }
    }
}

impl<S: Stream> Hub<S> {
    /// Gives the log what comes after its cursor, for ever. Returns why it cannot be used any more.
    pub(super) async fn keep(self: Arc<Self>, mut log: impl CommitLog) -> LogError {
        loop {
            self.unstored.notified().await;
            while let Some(batch) = self.next_batch() {
                if let Err(error) = self.append(&mut log, batch).await {
                    return error;
                }
                self.change(State::settle);
                self.stored.notify_waiters();
            }
        }
    }

    async fn append(&self, log: &mut impl CommitLog, batch: Arc<Batch>) -> Result<(), LogError> {
        loop {
            let mut append = pin!(log.append(Arc::clone(&batch)));
            let appended = tokio::select! {
                biased;
                appended = &mut append => appended,
                () = sleep(STORE_PATIENCE) => {
                    self.change(|state| state.hold("the store does not answer"));
                    append.await
                }
            };
            match appended {
                Ok(()) => return Ok(()),
                Err(AppendError::Failed(error)) => return Err(error),
                Err(AppendError::Full(reason)) => {
                    self.change(|state| state.hold(&reason.0));
                    sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    fn next_batch(&self) -> Option<Arc<Batch>> {
        let State { room, unstored, .. } = &mut *self.lock();
        unstored.as_mut()?.take(room)
    }

    /// Waits until senders need not wait for the log.
    pub(super) async fn takes_more(&self) {
        self.wait_for_the_log(|unstored| !unstored.holds_senders()).await;
    }

    /// Waits until everything that has happened so far is durable.
    pub(super) async fn settled(&self) {
        let now = self.lock().now().record;
        self.wait_for_the_log(|unstored| unstored.horizon.record >= now).await;
    }

    async fn wait_for_the_log(&self, is_done: impl Fn(&Unstored) -> bool) {
        loop {
            // Made before looking, so that nothing in between is missed.
            let stored = self.stored.notified();
            if self.lock().unstored.as_deref().is_none_or(&is_done) {
                return;
            }
            stored.await;
        }
    }
}

#[cfg(test)]
mod tests;
